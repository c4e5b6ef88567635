//! An object as it was looked at, so that it is written over only if it still is so.

use bytes::Bytes;
use object_store::{GetOptions, ObjectMeta, PutResult};
use serde::Serialize;
use serde::de::DeserializeOwned;
use spec::location::{BucketService, Location};

use super::Store;
use crate::StoreError;

/// What was at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing.
    Absent,
    /// An object with this ETag, or in Google Cloud Storage of this generation.
    Version(String),
    /// An object of a store that tells no versions.
    Unversioned,
}

impl Store {
    /// What is at a path.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn look(&self, path: &str) -> Result<Seen, StoreError> {
        Ok(self.meta(path).await?.map_or(Seen::Absent, |meta| self.seen(&meta)))
    }

    fn seen(&self, meta: &ObjectMeta) -> Seen {
        let version = if self.knows_generations() { &meta.version } else { &meta.e_tag };
        version.clone().map_or(Seen::Unversioned, Seen::Version)
    }

    /// Whether writes are bound to numbers of versions, as in Google Cloud Storage, and not to ETags.
    pub(super) fn knows_generations(&self) -> bool {
        matches!(self.inner.location, Location::Bucket { service: BucketService::Gcs, .. })
    }

    /// An object's content and what it is, for [`Store::put_over`]; none where it is absent.
    ///
    /// # Errors
    /// When it is too large, or the store fails.
    pub async fn get_seen(&self, path: &str, limit: u64) -> Result<(Option<Bytes>, Seen), StoreError> {
        let result = match self.fetch(path, GetOptions::default()).await {
            Err(StoreError::NotFound { .. }) => return Ok((None, Seen::Absent)),
            other => other?,
        };
        let seen = self.seen(&result.meta);
        Ok((Some(self.collect(path, limit, result).await?), seen))
    }

    /// The same of JSON.
    ///
    /// # Errors
    /// When it is too large, no such JSON, or the store fails.
    pub async fn get_json_seen<T: DeserializeOwned>(
        &self,
        path: &str,
        what: &'static str,
        limit: u64,
    ) -> Result<(Option<T>, Seen), StoreError> {
        let (bytes, seen) = self.get_seen(path, limit).await?;
        let value = bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose();
        let value = value.map_err(|source| StoreError::Malformed { uri: self.uri(path), what, source })?;
        Ok((value, seen))
    }

    /// Writes an object over what was seen; whether that still was there. A store that tells no versions keeps nobody from
    /// it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_over(&self, path: &str, seen: &Seen, content: impl Into<Bytes>) -> Result<bool, StoreError> {
        Ok(self.over(path, seen, content.into()).await?.is_some())
    }

    /// The same; what is there then, none where it was not written over.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn replace(
        &self,
        path: &str,
        seen: &Seen,
        content: impl Into<Bytes>,
    ) -> Result<Option<Seen>, StoreError> {
        let told = self.over(path, seen, content.into()).await?;
        let Some(told) = told else { return Ok(None) };
        let told = told.and_then(|told| if self.knows_generations() { told.version } else { told.e_tag });
        match told {
            Some(version) => Ok(Some(Seen::Version(version))),
            None => self.look(path).await.map(Some),
        }
    }

    async fn over(&self, path: &str, seen: &Seen, content: Bytes) -> Result<Option<Option<PutResult>>, StoreError> {
        match seen {
            Seen::Absent => self.create(path, content).await,
            Seen::Version(version) => self.put_if_unchanged(path, version, content).await,
            Seen::Unversioned => self.put(path, content).await.map(|()| Some(None)),
        }
    }

    /// The same of JSON.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_json_over<T: Serialize>(
        &self,
        path: &str,
        seen: &Seen,
        what: &'static str,
        value: &T,
    ) -> Result<bool, StoreError> {
        let json = serde_json::to_vec(value);
        let json = json.map_err(|source| StoreError::Malformed { uri: self.uri(path), what, source })?;
        self.put_over(path, seen, json).await
    }
}
