//! A store: Blob Storage or a folder, with bounded reads, conditional creates and counted requests.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use object_store::azure::{AzureConfigKey, AzureCredential, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    ClientOptions, CredentialProvider, Error, GetOptions, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutPayload, RetryConfig,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use spec::location::{self, Location};

use crate::counting::{Counter, CountingConnector};
use crate::credentials::Method;
use crate::reader::{self, Fetch, Reader};
use crate::{Credentials, RequestCounts, StoreError};

/// Blob Storage or a folder. Cheap to clone.
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
    folder: LocalFileSystem,
    connector: CountingConnector,
    containers: Mutex<Containers>,
}

type SharedCredential = Arc<dyn CredentialProvider<Credential = AzureCredential>>;

#[derive(Default)]
struct Containers {
    clients: HashMap<String, Arc<MicrosoftAzure>>,
    /// The first client's: one token serves all containers.
    credential: Option<SharedCredential>,
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
    Blob(Arc<MicrosoftAzure>, Path),
}

impl Store {
    /// Opens a store; sends nothing yet. The forms of URL are those of [`spec::work::StoreRef::url`].
    ///
    /// # Errors
    /// When the URL is none, or needs a credential that is not there.
    pub fn open(url: &str, credentials: &Credentials) -> Result<Self, StoreError> {
        let location = Location::parse(url, credentials.account.as_deref())?;
        let url = url.trim_end_matches('/').to_owned();
        if matches!(location, Location::Account { .. }) && matches!(credentials.method, Method::None) {
            return Err(StoreError::InvalidCredential {
                url,
                why: "give a Secret with accountKey or sasToken (store.secretRef, or --secret-dir), set \
                      AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or use workload identity (AZURE_CLIENT_ID, \
                      AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE)"
                    .to_owned(),
            });
        }
        let counter = Arc::new(Counter::default());
        let store = Self {
            inner: Arc::new(Inner {
                location,
                url,
                credentials: credentials.clone(),
                connector: CountingConnector::new(Arc::clone(&counter)),
                counter,
                // A store has no folders without files.
                folder: LocalFileSystem::new().with_automatic_cleanup(true),
                containers: Mutex::default(),
            }),
        };
        if let Location::Account { .. } = &store.inner.location {
            // An unusable key is found here, not at the first request.
            store.client("probe")?;
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
        let options = GetOptions { if_match: Some(etag.to_owned()), ..GetOptions::default() };
        let result = self.fetch(path, options).await?;
        self.collect(path, limit, result).await
    }

    /// An object as it arrives, for parsers on a blocking thread; and the fetching, which tells how it ended.
    ///
    /// # Errors
    /// When it is absent or the store fails.
    pub async fn read(&self, path: &str) -> Result<(Reader, Fetch), StoreError> {
        let result = self.fetch(path, GetOptions::default()).await?;
        Ok(reader::start(result, self.uri(path)))
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
        self.write(place, content.into(), PutMode::Overwrite).await.map_err(|e| self.error(path, &e))
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
        let found = match self.place(path)? {
            Place::Folder(at) => {
                self.inner.counter.read();
                self.inner.folder.head(&at).await
            }
            Place::Blob(client, at) => client.head(&at).await,
        };
        match found {
            Ok(meta) => Ok(Some(file(path.to_owned(), meta))),
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
                self.inner.folder.get_opts(&at, options).await
            }
            Place::Blob(client, at) => client.get_opts(&at, options).await,
        };
        result.map_err(|e| self.error(path, &e))
    }

    async fn collect(&self, path: &str, limit: u64, result: GetResult) -> Result<Bytes, StoreError> {
        let size = result.meta.size;
        if size > limit {
            return Err(StoreError::TooLarge { uri: self.uri(path), size, limit });
        }
        result.bytes().await.map_err(|e| self.error(path, &e))
    }

    async fn write(&self, place: Place, content: Bytes, mode: PutMode) -> Result<(), Error> {
        let payload = PutPayload::from_bytes(content);
        match place {
            Place::Folder(at) => {
                self.inner.counter.write();
                self.inner.folder.put_opts(&at, payload, mode.into()).await?;
            }
            Place::Blob(client, at) => {
                client.put_opts(&at, payload, mode.into()).await?;
            }
        }
        Ok(())
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
            Location::Account { container: Some(name), prefix, .. } => {
                let at = if prefix.is_empty() { path.to_owned() } else { format!("{prefix}/{path}") };
                Ok(Place::Blob(self.client(name)?, self.parse(&at)?))
            }
            Location::Account { container: None, .. } => {
                let (name, rest) = path.split_once('/').ok_or_else(|| self.no_container(path))?;
                Ok(Place::Blob(self.client(name)?, self.parse(rest)?))
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
        StoreError::from_object_store(error, self.uri(path))
    }

    fn client(&self, container: &str) -> Result<Arc<MicrosoftAzure>, StoreError> {
        let Location::Account { account, endpoint, .. } = &self.inner.location else {
            return Err(self.invalid(container, "is no container: the store is a folder"));
        };
        location::container(container).map_err(|why| self.invalid(container, why))?;
        let mut containers = self.inner.containers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = containers.clients.get(container) {
            return Ok(Arc::clone(client));
        }
        let mut builder = MicrosoftAzureBuilder::new()
            .with_account(account)
            .with_endpoint(endpoint.clone())
            .with_container_name(container)
            .with_retry(retries())
            .with_client_options(client_options(endpoint.starts_with("http://")))
            .with_http_connector(self.inner.connector.clone());
        builder = match (&containers.credential, &self.inner.credentials.method) {
            (Some(shared), _) => builder.with_credentials(Arc::clone(shared)),
            (None, method) => with_method(builder, method),
        };
        let client = builder.build().map_err(|e| StoreError::InvalidCredential {
            url: self.inner.url.clone(),
            // The builder's message may repeat a part of a malformed SAS token.
            why: match &self.inner.credentials.method {
                Method::AccountKey(_) => "the account key is not base64; copy it again from the portal".to_owned(),
                Method::SasToken(_) => "the SAS token is not made of name=value pairs; copy it again".to_owned(),
                _ => e.to_string(),
            },
        })?;
        let client = Arc::new(client);
        containers.credential.get_or_insert_with(|| Arc::clone(client.credentials()));
        containers.clients.insert(container.to_owned(), Arc::clone(&client));
        Ok(client)
    }
}

fn with_method(builder: MicrosoftAzureBuilder, method: &Method) -> MicrosoftAzureBuilder {
    match method {
        Method::None => builder,
        Method::AccountKey(key) => builder.with_access_key(key),
        Method::SasToken(token) => builder.with_config(AzureConfigKey::SasKey, token),
        Method::WorkloadIdentity { client_id, tenant_id, token_file, authority_host } => {
            let builder = builder
                .with_config(AzureConfigKey::ClientId, client_id)
                .with_config(AzureConfigKey::AuthorityId, tenant_id)
                .with_federated_token_file(token_file);
            match authority_host {
                Some(host) => builder.with_config(AzureConfigKey::AuthorityHost, host.trim_end_matches('/')),
                None => builder,
            }
        }
    }
}

/// A pod's own retry comes after this one, so it may give up sooner than object_store does by itself.
fn retries() -> RetryConfig {
    RetryConfig { max_retries: 6, retry_timeout: Duration::from_secs(60), ..RetryConfig::default() }
}

/// Large files take their time; a connection on which nothing arrives for 30 s is given up.
fn client_options(http: bool) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(http)
        .with_timeout_disabled()
        .with_read_timeout(Duration::from_secs(30))
        .with_connect_timeout(Duration::from_secs(5))
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

mod conditional;
mod delete;
mod folder;
mod list;
mod pages;
#[cfg(test)]
mod tests;
mod upload;

pub use delete::Gone;
pub use list::Listing;
pub use pages::{Pages, Seek};
pub use upload::Upload;
