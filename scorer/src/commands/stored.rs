//! The store that `train` and `simulate` may write to.

use store::Store;

use super::common::SecretArgs;
use crate::context::StepError;

/// The store and its credential.
#[derive(Debug, clap::Args)]
pub(super) struct StoreArgs {
    /// The store: https://ACCOUNT.blob.core.windows.net, az://CONTAINER, http://HOST:PORT/ACCOUNT (Azurite), s3://BUCKET,
    /// gs://BUCKET or file:///DIR
    #[arg(long = "store", value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    secret: SecretArgs,
}

impl StoreArgs {
    /// Opens the store, if one was given.
    ///
    /// # Errors
    /// When the URL is none or its credential is missing.
    pub(super) fn open(&self) -> Result<Option<Store>, StepError> {
        let Some(url) = &self.url else { return Ok(None) };
        Ok(Some(Store::open(url, &self.secret.find()?)?))
    }
}

/// A runtime for the store's requests.
///
/// # Errors
/// When the system gives no threads.
pub(super) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}
