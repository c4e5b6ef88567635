//! Stores of other machines: a client for each container or bucket, and how its requests are authorised.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use object_store::list::PaginatedListStore;
use object_store::{BackoffConfig, ClientOptions, CredentialProvider, ObjectStore, RetryConfig};
use spec::location::{self, BucketService, Location};

use super::Store;
use super::azure::SharedCredential;
use crate::StoreError;
use crate::counting::CountingConnector;

/// A container or bucket.
pub(super) trait Remote: ObjectStore + PaginatedListStore {}

impl<T: ObjectStore + PaginatedListStore> Remote for T {}

#[derive(Default)]
pub(super) struct Clients {
    clients: HashMap<String, Arc<dyn Remote>>,
    /// The first client's: one token serves all containers.
    pub(super) azure: Option<SharedCredential>,
}

impl Clients {
    pub(super) fn set(&mut self, name: &str, client: Arc<dyn Remote>) {
        self.clients.insert(name.to_owned(), client);
    }
}

impl Store {
    /// The client of a container or bucket.
    pub(super) fn client(&self, name: &str) -> Result<Arc<dyn Remote>, StoreError> {
        let mut clients = self.inner.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.clients.get(name) {
            return Ok(Arc::clone(client));
        }
        let client: Arc<dyn Remote> = match &self.inner.location {
            Location::Folder(_) => return Err(self.invalid(name, "is no container: the store is a folder")),
            Location::Account { account, endpoint, .. } => {
                location::container(name).map_err(|why| self.invalid(name, why))?;
                Arc::new(self.azure(account, endpoint, name, &mut clients.azure)?)
            }
            Location::Bucket { service: BucketService::S3, .. } => Arc::new(self.s3(name)?),
            Location::Bucket { service: BucketService::Gcs, .. } => Arc::new(self.gcs(name)?),
        };
        clients.set(name, Arc::clone(&client));
        Ok(client)
    }

    /// What asks a service that gives tokens. That tells nothing of the store, and is not counted.
    pub(super) fn token_connector(&self) -> CountingConnector {
        CountingConnector::new(Arc::default(), Arc::default(), self.inner.credentials.certificates.clone())
    }

    pub(super) fn invalid_credential(&self, why: impl Into<String>) -> StoreError {
        StoreError::InvalidCredential { url: self.inner.url.clone(), why: why.into() }
    }
}

/// Whether a name that becomes a part of headers and addresses has only letters, digits and dashes.
pub(super) fn is_plain(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// A store that is away ends the retries ([`crate::heard`]); one that is only busy is asked for this long.
pub(super) fn retries() -> RetryConfig {
    retries_for(Duration::from_secs(60))
}

/// Those of a service that gives tokens, which is not the store.
pub(super) fn token_retries() -> RetryConfig {
    retries_for(Duration::from_secs(20))
}

fn retries_for(retry_timeout: Duration) -> RetryConfig {
    let backoff = BackoffConfig { max_backoff: Duration::from_secs(5), ..BackoffConfig::default() };
    RetryConfig { backoff, max_retries: 1_000, retry_timeout }
}

/// Large files take their time; a connection on which nothing arrives for 30 s is given up.
pub(super) fn client_options(http: bool) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(http)
        .with_timeout_disabled()
        .with_read_timeout(Duration::from_secs(30))
        .with_connect_timeout(Duration::from_secs(5))
}

/// Tokens of another service than the store, whose refusals are told apart by that from the store's.
pub(super) struct Tokens<C>(pub(super) Arc<dyn CredentialProvider<Credential = C>>);

#[derive(Debug, thiserror::Error)]
#[error("Error performing token request: {0}")]
struct NoToken(object_store::Error);

#[async_trait]
impl<C: fmt::Debug + Send + Sync + 'static> CredentialProvider for Tokens<C> {
    type Credential = C;

    async fn get_credential(&self) -> object_store::Result<Arc<C>> {
        let token = self.0.get_credential().await;
        token.map_err(|e| object_store::Error::Generic { store: "tokens", source: Box::new(NoToken(e)) })
    }
}

impl<C> fmt::Debug for Tokens<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(redacted)")
    }
}
