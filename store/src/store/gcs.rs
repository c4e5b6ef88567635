//! Google Cloud Storage: how requests to a bucket are authorised.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::gcp::{GcpCredential, GcpCredentialProvider, GoogleCloudStorage, GoogleCloudStorageBuilder};

use super::Store;
use super::remote::{Tokens, client_options, retries, token_retries};
use crate::StoreError;
use crate::credentials::MountedSecret;
use crate::credentials::google::{self, Google};

impl Store {
    pub(super) fn gcs(&self, bucket: &str) -> Result<GoogleCloudStorage, StoreError> {
        let builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name(bucket)
            .with_retry(retries())
            .with_client_options(client_options(false))
            .with_http_connector(self.inner.connector.clone())
            .with_credentials(self.gcs_credentials()?);
        builder.build().map_err(|e| self.invalid_credential(e.to_string()))
    }

    fn gcs_credentials(&self) -> Result<GcpCredentialProvider, StoreError> {
        let secret_dir = self.inner.credentials.secret_dir.clone();
        if let Some(secret) = secret_dir.and_then(|dir| MountedSecret::new(dir, ServiceAccount::mounted)) {
            return Ok(Arc::new(Rotating(secret)));
        }
        let found = match &self.inner.credentials.google {
            Google::Key(key) => {
                return ServiceAccount::new(key).map(|account| account.tokens).ok_or_else(|| {
                    // What a parser says may repeat a part of it.
                    self.invalid_credential(
                        "GOOGLE_SERVICE_ACCOUNT_KEY is not the JSON of a service account's key; copy it again",
                    )
                });
            }
            Google::File(file) => {
                tokens(builder().with_application_credentials(file).with_http_connector(self.token_connector()))
            }
            Google::Default => tokens(builder().with_http_connector(self.token_connector())),
        };
        found.map_err(|e| self.invalid_credential(e.to_string()))
    }
}

/// For its credentials alone: nothing is asked of this bucket.
fn builder() -> GoogleCloudStorageBuilder {
    GoogleCloudStorageBuilder::new().with_bucket_name("identity").with_retry(token_retries())
}

fn tokens(builder: GoogleCloudStorageBuilder) -> object_store::Result<GcpCredentialProvider> {
    Ok(Arc::new(Tokens(Arc::clone(builder.build()?.credentials()))))
}

/// The tokens of a service account.
struct ServiceAccount {
    key: String,
    tokens: GcpCredentialProvider,
}

impl ServiceAccount {
    /// `None` where the key is none.
    fn new(key: &str) -> Option<Self> {
        let tokens = tokens(builder().with_service_account_key(key)).ok()?;
        Some(Self { key: key.to_owned(), tokens })
    }

    fn mounted(dir: &Path) -> Option<Self> {
        Self::new(&google::mounted(dir).ok()??)
    }
}

impl PartialEq for ServiceAccount {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

/// The tokens of the service account that a mounted Secret holds by now.
struct Rotating(MountedSecret<ServiceAccount>);

#[async_trait]
impl CredentialProvider for Rotating {
    type Credential = GcpCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<GcpCredential>> {
        self.0.now().tokens.get_credential().await
    }
}

impl fmt::Debug for Rotating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
