//! Writes a partition's outputs, and says when they are durable.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use sql::SqlError;
use store::{Seen, Store, StoreError};

use super::{Batch, EncodeError, Layout, Table};
use crate::config::{Config, Folder};

/// Objects that are written at the same time, of one batch.
const AT_ONCE: usize = 8;

/// Where outputs go.
#[derive(Debug)]
pub struct Sink {
    store: Store,
    table: Option<Table>,
    layout: Option<Layout>,
    letters: Folder,
    raw: Option<Folder>,
    topic: String,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Objects in the store.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows of windows, each once, be it in a file, in the table or in both.
    pub rows: u64,
}

/// Why outputs are not known to be durable. Some may be: write all again.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database.
    #[error("sql.table: {0}")]
    Sql(#[from] SqlError),
    /// What would be in a file.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Somebody else wrote a file of lines.
    #[error("{uri} was written meanwhile by somebody else")]
    Overtaken {
        /// The file.
        uri: String,
    },
}

impl SinkError {
    /// A bounded category in CamelCase, for metrics.
    #[must_use]
    pub fn category(&self) -> &'static str {
        match self {
            Self::Store(error) => error.reason(),
            Self::Sql(error) => match error.category() {
                sql::Category::Settings => "SqlSettings",
                sql::Category::Unavailable => "SqlUnavailable",
                sql::Category::Denied => "SqlDenied",
                sql::Category::Refused => "SqlRefused",
                sql::Category::Canceled => "SqlCanceled",
            },
            Self::Encode(_) => "EncodeFailed",
            Self::Overtaken { .. } => "Overtaken",
        }
    }
}

impl Sink {
    /// As configured.
    #[must_use]
    pub fn new(store: Store, table: Option<Table>, config: &Config) -> Self {
        Self {
            store,
            table,
            layout: Layout::new(config),
            letters: config.dead_letter.path.clone(),
            raw: config.archive.as_ref().map(|archive| archive.path.clone()),
            topic: config.kafka.topic.clone(),
        }
    }

    /// What is there under the names of a batch's lines. What a file of them holds depends on when it was taken, so of two replicas
    /// that believe the partition theirs none may write over what the other one has written since. (Windows of both are the same.)
    ///
    /// # Errors
    /// When the store fails.
    pub async fn look(&self, partition: u32, batch: &Batch) -> Result<Vec<Seen>, SinkError> {
        let mut seen = Vec::new();
        for (path, _) in self.lines(partition, batch) {
            seen.push(self.store.look(&path).await?);
        }
        Ok(seen)
    }

    /// Writes all of a batch, and returns once all of it is durable; objects and rows that there are already with their names are
    /// replaced, lines only over what was [`seen`](Self::look). Raw lines go nowhere without `archive`.
    ///
    /// # Errors
    /// When store or database fail or refuse, the first of them. Nothing is tried again here, beyond what they do themselves.
    pub async fn write(&self, partition: u32, batch: &Batch, seen: &[Seen]) -> Result<Written, SinkError> {
        let rows = batch.slices.iter().map(|slice| slice.rows.len() as u64).sum();
        let table = async {
            match &self.table {
                Some(table) => Ok(table.write(&batch.slices).await?),
                None => Ok(()),
            }
        };
        let (windows, lines, ()) =
            tokio::try_join!(self.write_files(partition, batch), self.write_lines(partition, batch, seen), table)?;
        Ok(Written { rows, files: windows.files + lines.files, bytes: windows.bytes + lines.bytes })
    }

    async fn write_files(&self, partition: u32, batch: &Batch) -> Result<Written, SinkError> {
        // A slice is encoded when its turn comes, so few are in memory twice.
        let puts = stream::iter(self.files(partition, batch)).map(|file| async {
            let (path, bytes) = file?;
            let size = bytes.len() as u64;
            self.store.put(&path, bytes).await?;
            Ok::<_, SinkError>(size)
        });
        let add =
            |all: Written, size| async move { Ok(Written { files: all.files + 1, bytes: all.bytes + size, ..all }) };
        puts.buffer_unordered(AT_ONCE).try_fold(Written::default(), add).await
    }

    /// The objects of windows, each with its path.
    fn files<'a>(
        &'a self,
        partition: u32,
        batch: &'a Batch,
    ) -> impl Iterator<Item = Result<(String, Bytes), EncodeError>> + 'a {
        self.layout.iter().flat_map(move |layout| {
            batch.slices.iter().flat_map(move |slice| match layout.encode(slice) {
                Ok(parts) => {
                    let path = |part| layout.path(slice.start, partition, part);
                    parts.into_iter().enumerate().map(|(part, bytes)| Ok((path(part), bytes.into()))).collect()
                }
                Err(error) => vec![Err(error)],
            })
        })
    }

    async fn write_lines(&self, partition: u32, batch: &Batch, seen: &[Seen]) -> Result<Written, SinkError> {
        let mut written = Written::default();
        for ((path, bytes), seen) in self.lines(partition, batch).zip(seen) {
            let size = bytes.len() as u64;
            if !self.store.put_over(&path, seen, bytes).await? {
                return Err(SinkError::Overtaken { uri: self.store.uri(&path) });
            }
            written = Written { files: written.files + 1, bytes: written.bytes + size, ..written };
        }
        Ok(written)
    }

    /// The objects of lines, each with its path.
    fn lines<'a>(&'a self, partition: u32, batch: &'a Batch) -> impl Iterator<Item = (String, Bytes)> + 'a {
        let letters = batch.letters.iter().map(move |chunk| (chunk, &self.letters));
        let lines = letters.chain(batch.raw.iter().zip(&self.raw));
        lines.map(move |(chunk, folder)| (chunk.path(folder, &self.topic, partition), chunk.bytes.clone()))
    }
}

#[cfg(test)]
mod tests;
