//! A store: Blob Storage, a bucket or a folder, with bounded reads, conditional creates and counted requests.

use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload, PutResult,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use spec::location::Location;

use crate::counting::{Counter, CountingConnector};
use crate::error::is_lost;
use crate::heard::Heard;
use crate::reader::{self, Fetch, Reader};
use crate::share::Share;
use crate::{Credentials, RequestCounts, StoreError};

/// Blob Storage, a bucket or a folder. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    location: Location,
    /// The URL without a trailing slash, for people.
    url: String,
    credentials: Credentials,
    counter: Arc<Counter>,
    heard: Arc<Heard>,
    folder: Share,
    connector: CountingConnector,
    clients: Mutex<Clients>,
}

/// An object's properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path in the store.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its version, as the store tells it.
    pub etag: Option<String>,
    /// When it was last written, as the store tells it.
    pub modified: Timestamp,
}

/// Where a path is: a client, and the path that it knows.
enum Place {
    Folder(Path),
    Remote(Arc<dyn Remote>, Path),
}

impl Store {
    /// Opens a store; sends nothing yet. The forms of URL are those of [`spec::work::StoreRef::url`].
    ///
    /// # Errors
    /// When the URL is none, or needs a credential that is not there.
    pub fn open(url: &str, credentials: &Credentials) -> Result<Self, StoreError> {
        let location = Location::parse(url, credentials.account.as_deref())?;
        let url = url.trim_end_matches('/').to_owned();
        let (counter, heard) = (Arc::new(Counter::default()), Arc::<Heard>::default());
        let store = Self {
            inner: Arc::new(Inner {
                location,
                url,
                credentials: credentials.clone(),
                connector: CountingConnector::new(
                    Arc::clone(&counter),
                    Arc::clone(&heard),
                    credentials.certificates.clone(),
                ),
                counter,
                folder: Share::new(Arc::clone(&heard)),
                heard,
                clients: Mutex::default(),
            }),
        };
        // An unusable credential is found here, not at the first request.
        match &store.inner.location {
            Location::Folder(_) => {}
            Location::Account { container, .. } => drop(store.client(container.as_deref().unwrap_or("probe"))?),
            Location::Bucket { bucket, .. } => drop(store.client(bucket)?),
        }
        Ok(store)
    }

    /// The store's URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// An object's or folder's address, for people.
    #[must_use]
    pub fn uri(&self, path: &str) -> String {
        format!("{}/{path}", self.inner.url)
    }

    /// Whether a path can be an object's; asks nothing of the store.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check(&self, path: &str) -> Result<(), StoreError> {
        self.place(path).map(|_| ())
    }

    /// What was asked of the store since it was opened.
    #[must_use]
    pub fn requests(&self) -> RequestCounts {
        self.inner.counter.counts()
    }

    /// Whether the store has not answered for longer than requests bear with it.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.inner.heard.is_away()
    }

    /// Whether it ever was so since it was opened.
    #[must_use]
    pub fn was_away(&self) -> bool {
        self.inner.heard.was_away()
    }

    /// An object's content, when it has at most `limit` bytes.
    ///
    /// # Errors
    /// When it is absent, too large, or the store fails.
    pub async fn get(&self, path: &str, limit: u64) -> Result<Bytes, StoreError> {
        let result = self.fetch(path, GetOptions::default()).await?;
        self.collect(path, limit, result).await
    }

    /// An object's content, when it still is the version with this ETag.
    ///
    /// # Errors
    /// [`StoreError::Changed`] when it is another version; else as [`Store::get`].
    pub async fn get_version(&self, path: &str, etag: &str, limit: u64) -> Result<Bytes, StoreError> {
        let result = self.fetch(path, version(etag)).await?;
        self.collect(path, limit, result).await
    }

    /// An object as it arrives, for parsers on a blocking thread; and the fetching, which tells how it ended.
    ///
    /// # Errors
    /// When it is absent or the store fails.
    pub async fn read(&self, path: &str) -> Result<(Reader, Fetch), StoreError> {
        let result = self.fetch(path, GetOptions::default()).await?;
        Ok(reader::start(result, self.clone(), path.to_owned()))
    }

    /// As [`Store::read`], when it still is the version with this ETag.
    ///
    /// # Errors
    /// [`StoreError::Changed`] when it is another version; else as [`Store::read`].
    pub async fn read_version(&self, path: &str, etag: &str) -> Result<(Reader, Fetch), StoreError> {
        let result = self.fetch(path, version(etag)).await?;
        Ok(reader::start(result, self.clone(), path.to_owned()))
    }

    /// A JSON object of at most `limit` bytes.
    ///
    /// # Errors
    /// When it is absent, too large, no such JSON, or the store fails.
    pub async fn get_json<T: DeserializeOwned>(
        &self,
        path: &str,
        what: &'static str,
        limit: u64,
    ) -> Result<T, StoreError> {
        let bytes = self.get(path, limit).await?;
        serde_json::from_slice(&bytes).map_err(|source| StoreError::Malformed { uri: self.uri(path), what, source })
    }

    /// Writes an object, over what was there. Readers see the old or the new one, never a part.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put(&self, path: &str, content: impl Into<Bytes>) -> Result<(), StoreError> {
        let place = self.place(path)?;
        self.write(place, content.into(), PutMode::Overwrite).await.map(drop).map_err(|e| self.error(path, &e))
    }

    /// Writes JSON over what was there.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_json<T: Serialize>(&self, path: &str, what: &'static str, value: &T) -> Result<(), StoreError> {
        let json = serde_json::to_vec(value);
        let json = json.map_err(|source| StoreError::Malformed { uri: self.uri(path), what, source })?;
        self.put(path, json).await
    }

    /// An object's properties; none where it is absent.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn head(&self, path: &str) -> Result<Option<File>, StoreError> {
        Ok(self.meta(path).await?.map(|meta| file(path.to_owned(), meta)))
    }

    async fn meta(&self, path: &str) -> Result<Option<ObjectMeta>, StoreError> {
        let found = match self.place(path)? {
            Place::Folder(at) => {
                self.inner.counter.read();
                self.inner.folder.head(&at).await
            }
            Place::Remote(client, at) => match client.head(&at).await {
                // The answer to a HEAD has no body, which would say why.
                Err(refused) if is_refusal(&refused) => Err(client.get_range(&at, 0..1).await.err().unwrap_or(refused)),
                found => found,
            },
        };
        match found {
            Ok(meta) => Ok(Some(meta)),
            Err(error) => match self.error(path, &error) {
                StoreError::NotFound { .. } => Ok(None),
                other => Err(other),
            },
        }
    }

    async fn fetch(&self, path: &str, options: GetOptions) -> Result<GetResult, StoreError> {
        let result = match self.place(path)? {
            Place::Folder(at) => {
                self.inner.counter.read();
                self.inner.folder.get(&at, options).await
            }
            Place::Remote(client, at) => client.get_opts(&at, options).await,
        };
        result.map_err(|e| self.read_error(path, &e))
    }

    async fn collect(&self, path: &str, limit: u64, result: GetResult) -> Result<Bytes, StoreError> {
        let size = result.meta.size;
        if size > limit {
            return Err(StoreError::TooLarge { uri: self.uri(path), size, limit });
        }
        result.bytes().await.map_err(|e| self.read_error(path, &e))
    }

    /// Writes; what stands there then, as far as the store tells. A folder does not.
    async fn write(&self, place: Place, content: Bytes, mode: PutMode) -> Result<Option<PutResult>, Error> {
        let payload = PutPayload::from_bytes(content);
        match place {
            Place::Folder(at) => {
                self.inner.counter.write();
                self.inner.folder.put(&at, payload, mode).await?;
                Ok(None)
            }
            Place::Remote(client, at) => client.put_opts(&at, payload, mode.into()).await.map(Some),
        }
    }

    fn place(&self, path: &str) -> Result<Place, StoreError> {
        match &self.inner.location {
            Location::Folder(_) => {
                let at = self.folder_path(path)?;
                if at.filename().is_some_and(folder::is_upload) {
                    return Err(StoreError::NameOfUpload { path: path.to_owned(), store: self.inner.url.clone() });
                }
                Ok(Place::Folder(at))
            }
            Location::Account { container: Some(name), prefix, .. } | Location::Bucket { bucket: name, prefix, .. } => {
                let at = if prefix.is_empty() { path.to_owned() } else { format!("{prefix}/{path}") };
                Ok(Place::Remote(self.client(name)?, self.parse(&at)?))
            }
            Location::Account { container: None, .. } => {
                let (name, rest) = path.split_once('/').ok_or_else(|| self.no_container(path))?;
                Ok(Place::Remote(self.client(name)?, self.parse(rest)?))
            }
        }
    }

    /// A path as the file system's client has it: from the root, so that a missing folder is an empty one.
    fn folder_path(&self, path: &str) -> Result<Path, StoreError> {
        let Location::Folder(root) = &self.inner.location else { return self.parse(path) };
        let inside = self.parse(path)?;
        let root = Path::from_absolute_path(root).map_err(|e| self.invalid(path, &e.to_string()))?;
        Ok(inside.parts().fold(root, Path::join))
    }

    fn parse(&self, path: &str) -> Result<Path, StoreError> {
        Path::parse(path).map_err(|e| self.invalid(path, &format!("cannot be used: {e}")))
    }

    fn invalid(&self, path: &str, why: &str) -> StoreError {
        StoreError::InvalidPath { path: path.to_owned(), store: self.inner.url.clone(), why: why.to_owned() }
    }

    fn no_container(&self, path: &str) -> StoreError {
        self.invalid(
            path,
            "names no container: where the store's URL has none, the first segment of each path is the container, as in data/sensor_data.csv",
        )
    }

    fn error(&self, path: &str, error: &Error) -> StoreError {
        if is_lost(error) {
            self.inner.heard.lost();
        }
        StoreError::from_object_store(error, self.uri(path))
    }

    /// The same, of reading one object.
    pub(crate) fn read_error(&self, path: &str, error: &Error) -> StoreError {
        let error = self.error(path, error);
        match self.inner.location {
            Location::Folder(_) => error.of_file(),
            Location::Account { .. } | Location::Bucket { .. } => error,
        }
    }
}

/// Whether a service refused a request; S3 calls one by a token that has expired a bad one.
fn is_refusal(error: &Error) -> bool {
    match error {
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => true,
        Error::Generic { source, .. } => source.to_string().contains("status code: 400"),
        _ => false,
    }
}

fn version(etag: &str) -> GetOptions {
    GetOptions { if_match: Some(etag.to_owned()), ..GetOptions::default() }
}

fn file(path: String, meta: ObjectMeta) -> File {
    let (secs, nanos) = (meta.last_modified.timestamp(), meta.last_modified.timestamp_subsec_nanos().cast_signed());
    // A time that no calendar has is none that makes a file old.
    let modified = Timestamp::new(secs, nanos).unwrap_or(Timestamp::MAX);
    File { path, size: meta.size, etag: meta.e_tag, modified }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.inner.url)
    }
}

mod azure;
mod conditional;
mod delete;
mod folder;
mod gcs;
mod list;
mod pages;
mod remote;
mod s3;
mod seen;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod upload;

use remote::{Clients, Remote};

pub use delete::Gone;
pub use list::Listing;
pub use pages::{Pages, Seek};
pub use seen::Seen;
pub use upload::Upload;
