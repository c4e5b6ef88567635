//! An object that is written while it is made: there whole when finished, else not at all.

use bytes::Bytes;
use object_store::{Error, MultipartUpload, ObjectStoreExt, PutMode, PutPayload};

use super::{Place, Store};
use crate::StoreError;

/// Bytes of a part: the fewest that S3 takes. An object of fewer is written by one request when finished.
const PART: usize = 5 << 20;

/// An object under way. Dropped, it leaves what was there before.
pub struct Upload {
    store: Store,
    path: String,
    place: Place,
    waiting: Vec<u8>,
    parts: Option<Box<dyn MultipartUpload>>,
}

impl Store {
    /// Begins an object, to be written over what is there; sends nothing yet.
    ///
    /// # Errors
    /// When the path is none of the store.
    pub fn upload(&self, path: &str) -> Result<Upload, StoreError> {
        let place = self.place(path)?;
        Ok(Upload { store: self.clone(), path: path.to_owned(), place, waiting: Vec::new(), parts: None })
    }
}

impl Upload {
    /// The object's path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Adds bytes, and sends them once a part is full: about so much is held in memory.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let mut rest = bytes;
        while self.waiting.len() + rest.len() >= PART {
            let (now, later) = rest.split_at(PART - self.waiting.len());
            self.waiting.extend_from_slice(now);
            rest = later;
            self.send().await?;
        }
        self.waiting.extend_from_slice(rest);
        Ok(())
    }

    /// Ends the object: it is there from now on.
    ///
    /// # Errors
    /// When the store fails; then it is not.
    pub async fn finish(mut self) -> Result<(), StoreError> {
        if self.parts.is_some() && !self.waiting.is_empty() {
            self.send().await?;
        }
        let Self { store, path, place, waiting, parts } = self;
        let ended = match parts {
            None => store.write(place, Bytes::from(waiting), PutMode::Overwrite).await.map(drop),
            Some(mut parts) => {
                if matches!(place, Place::Folder(_)) {
                    store.inner.counter.write();
                }
                parts.complete().await.map(|_| ())
            }
        };
        ended.map_err(|e| store.error(&path, &e))
    }

    async fn send(&mut self) -> Result<(), StoreError> {
        let part = PutPayload::from(std::mem::take(&mut self.waiting));
        let sent = async {
            let parts = match &mut self.parts {
                Some(parts) => parts,
                None => self.parts.insert(begin(&self.store, &self.place).await?),
            };
            parts.put_part(part).await
        };
        sent.await.map_err(|e| self.store.error(&self.path, &e))
    }
}

async fn begin(store: &Store, place: &Place) -> Result<Box<dyn MultipartUpload>, Error> {
    match place {
        Place::Folder(at) => store.inner.folder.put_multipart(at).await,
        Place::Remote(client, at) => client.put_multipart(at).await,
    }
}
