//! Deleting many files: with one request up to 256 of Blob Storage, 1,000 of S3, one of Google Cloud Storage.

use std::sync::Arc;

use futures::StreamExt;
use object_store::ObjectStore;
use object_store::path::Path;

use super::{Place, Remote, Store};
use crate::StoreError;

/// What became of files that were to be deleted.
#[derive(Debug, Default)]
pub struct Gone {
    /// Files that were there and are not any more.
    pub deleted: u64,
    /// Why the first of those that are left could not be deleted.
    pub failed: Option<StoreError>,
}

impl Store {
    /// Deletes files. What is gone already is fine; what cannot be deleted does not hold up the others. In a folder,
    /// folders that become empty go too.
    ///
    /// # Errors
    /// When a path is none of the store; nothing is deleted then.
    pub async fn delete(&self, paths: &[String]) -> Result<Gone, StoreError> {
        let mut folder = Vec::new();
        let mut blobs: Vec<(Arc<dyn Remote>, Vec<Path>)> = Vec::new();
        for path in paths {
            match self.place(path)? {
                Place::Folder(at) => folder.push(at),
                Place::Remote(client, at) => match blobs.last_mut().filter(|(last, _)| Arc::ptr_eq(last, &client)) {
                    Some((_, same)) => same.push(at),
                    None => blobs.push((client, vec![at])),
                },
            }
        }
        let mut gone = Gone::default();
        let uri = paths.first().map_or("", String::as_str);
        for _ in &folder {
            self.inner.counter.write();
        }
        self.delete_from(self.inner.folder.files(), folder, uri, &mut gone).await;
        for (client, at) in blobs {
            self.delete_from(&*client, at, uri, &mut gone).await;
        }
        Ok(gone)
    }

    async fn delete_from(&self, from: &dyn ObjectStore, paths: Vec<Path>, first: &str, gone: &mut Gone) {
        let mut ends = from.delete_stream(futures::stream::iter(paths.into_iter().map(Ok)).boxed());
        while let Some(end) = ends.next().await {
            match end {
                Ok(_) => gone.deleted += 1,
                Err(error) => match self.error(first, &error) {
                    StoreError::NotFound { .. } => {}
                    error => drop(gone.failed.get_or_insert(error)),
                },
            }
        }
    }
}
