//! Writes that depend on what is there, so that of two writers one learns that it lost.

use std::time::Duration;

use bytes::Bytes;
use object_store::{Error, PutMode, PutResult, UpdateVersion};

use super::{Place, Store};
use crate::StoreError;

/// How often S3 is asked that does not decide between writers of the same moment.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

impl Store {
    /// Writes an object unless there is one already; whether it did.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_if_absent(&self, path: &str, content: impl Into<Bytes>) -> Result<bool, StoreError> {
        Ok(self.create(path, content.into()).await?.is_some())
    }

    /// The same; what the store tells of the object that is there then, if it was written.
    pub(super) async fn create(&self, path: &str, content: Bytes) -> Result<Option<Option<PutResult>>, StoreError> {
        let mut written = self.write(self.place(path)?, content.clone(), PutMode::Create).await;
        for _ in 1..TRIES {
            if !written.as_ref().is_err_and(is_undecided) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            written = self.write(self.place(path)?, content.clone(), PutMode::Create).await;
        }
        match written {
            Ok(told) => Ok(Some(told)),
            Err(error) => match StoreError::from_object_store(&error, self.uri(path)) {
                StoreError::ContainerNotFound { uri } => Err(StoreError::ContainerNotFound { uri }),
                other if is_undecided(&error) => Err(other),
                _ if matches!(error, Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(None),
                other => Err(other),
            },
        }
    }

    /// Writes an object over this version, as [`Store::seen`] tells it; none where that was not there any more. A folder knows no such condition:
    /// there, the version is looked at just before.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn put_if_unchanged(
        &self,
        path: &str,
        version: &str,
        content: Bytes,
    ) -> Result<Option<Option<PutResult>>, StoreError> {
        let place = self.place(path)?;
        let mode = match place {
            Place::Remote(..) if self.knows_generations() => {
                PutMode::Update(UpdateVersion { e_tag: None, version: Some(version.to_owned()) })
            }
            Place::Remote(..) => PutMode::Update(UpdateVersion { e_tag: Some(version.to_owned()), version: None }),
            Place::Folder(_) => {
                let now = self.head(path).await?;
                if now.and_then(|file| file.etag).as_deref() != Some(version) {
                    return Ok(None);
                }
                PutMode::Overwrite
            }
        };
        match self.write(place, content, mode).await {
            Ok(told) => Ok(Some(told)),
            Err(Error::Precondition { .. } | Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.error(path, &error)),
        }
    }
}

/// Whether S3 saw another writer of the same object, and neither took nor refused what this one writes.
fn is_undecided(error: &Error) -> bool {
    matches!(error, Error::AlreadyExists { source, .. } if source.to_string().contains("ConditionalRequestConflict"))
}
