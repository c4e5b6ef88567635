//! Writes that depend on what is there, so that of two writers one learns that it lost.

use bytes::Bytes;
use object_store::{Error, GetOptions, PutMode, UpdateVersion};
use serde::de::DeserializeOwned;

use super::{Place, Store};
use crate::StoreError;

impl Store {
    /// Writes an object unless there is one already; whether it did.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_if_absent(&self, path: &str, content: impl Into<Bytes>) -> Result<bool, StoreError> {
        let place = self.place(path)?;
        match self.write(place, content.into(), PutMode::Create).await {
            Ok(()) => Ok(true),
            Err(error) => match StoreError::from_object_store(&error, self.uri(path)) {
                StoreError::ContainerNotFound { uri } => Err(StoreError::ContainerNotFound { uri }),
                _ if matches!(error, Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
                other => Err(other),
            },
        }
    }

    /// A JSON object with its version, for [`Store::put_if_unchanged`]; none where it is absent.
    ///
    /// # Errors
    /// When it is too large, no such JSON, or the store fails.
    pub async fn get_json_version<T: DeserializeOwned>(
        &self,
        path: &str,
        what: &'static str,
        limit: u64,
    ) -> Result<Option<(T, Option<String>)>, StoreError> {
        let result = match self.fetch(path, GetOptions::default()).await {
            Err(StoreError::NotFound { .. }) => return Ok(None),
            other => other?,
        };
        let etag = result.meta.e_tag.clone();
        let bytes = self.collect(path, limit, result).await?;
        let value = serde_json::from_slice(&bytes);
        let value = value.map_err(|source| StoreError::Malformed { uri: self.uri(path), what, source })?;
        Ok(Some((value, etag)))
    }

    /// Writes an object over the version with this ETag; whether that still was there. A folder knows no such condition:
    /// there, the version is looked at just before.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_if_unchanged(
        &self,
        path: &str,
        etag: &str,
        content: impl Into<Bytes>,
    ) -> Result<bool, StoreError> {
        let place = self.place(path)?;
        let mode = match place {
            Place::Blob(..) => PutMode::Update(UpdateVersion { e_tag: Some(etag.to_owned()), version: None }),
            Place::Folder(_) => {
                let now = self.head(path).await?;
                if now.and_then(|file| file.etag).as_deref() != Some(etag) {
                    return Ok(false);
                }
                PutMode::Overwrite
            }
        };
        match self.write(place, content.into(), mode).await {
            Ok(()) => Ok(true),
            Err(Error::Precondition { .. } | Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.error(path, &error)),
        }
    }
}
