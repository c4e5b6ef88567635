//! Whole windows: files in the store, and rows of the table.

use bytes::Bytes;
use store::Store;

use super::sink::{SinkError, Written, put_all};
use super::{EncodeError, Layout, Table};
use crate::config::Config;
use crate::window::Slice;

/// Where whole windows go.
#[derive(Debug)]
pub struct Finished {
    store: Store,
    layout: Option<Layout>,
    table: Option<Table>,
}

impl Finished {
    pub(super) fn new(store: Store, table: Option<Table>, config: &Config) -> Self {
        Self { store, layout: Layout::new(config), table }
    }

    /// Writes slices, of a partition or (none) of the topic, and returns once all of them are durable; objects and rows that there are
    /// already with their names are replaced.
    ///
    /// # Errors
    /// When store or database fail or refuse, the first of them. Some may be there: write all again.
    pub async fn write(&self, partition: Option<u32>, slices: &[Slice]) -> Result<Written, SinkError> {
        let table = async {
            match &self.table {
                Some(table) => Ok(table.write(slices).await?),
                None => Ok(()),
            }
        };
        let (files, ()) = tokio::try_join!(put_all(&self.store, self.files(partition, slices)), table)?;
        Ok(Written { rows: slices.iter().map(|slice| slice.rows.len() as u64).sum(), ..files })
    }

    /// The objects, each with its path.
    fn files<'a>(
        &'a self,
        partition: Option<u32>,
        slices: &'a [Slice],
    ) -> impl Iterator<Item = Result<(String, Bytes), EncodeError>> + 'a {
        self.layout.iter().flat_map(move |layout| {
            slices.iter().flat_map(move |slice| match layout.encode(slice) {
                Ok(parts) => {
                    let path = |part| layout.path(slice.start, partition, part);
                    parts.into_iter().enumerate().map(|(part, bytes)| Ok((path(part), bytes.into()))).collect()
                }
                Err(error) => vec![Err(error)],
            })
        })
    }
}
