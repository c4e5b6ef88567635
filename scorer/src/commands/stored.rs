//! The store that `train` and `simulate` may write to.

use std::path::PathBuf;

use store::{Credentials, Store, StoreError};

/// The store and its credential.
#[derive(Debug, Default, clap::Args)]
pub(super) struct StoreArgs {
    /// The store: https://ACCOUNT.blob.core.windows.net, az://CONTAINER, http://HOST:PORT/ACCOUNT (Azurite) or file:///DIR
    #[arg(long = "store", value_name = "URL")]
    url: Option<String>,
    /// A folder with the file accountKey or sasToken. Default: AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN, or
    /// workload identity
    #[arg(long, env = "SCORING_STORE_SECRET_DIR", value_name = "DIR")]
    secret_dir: Option<PathBuf>,
}

impl StoreArgs {
    /// Opens the store, if one was given.
    ///
    /// # Errors
    /// When the URL is none or its credential is missing.
    pub(super) fn open(&self) -> Result<Option<Store>, StoreError> {
        let Some(url) = &self.url else { return Ok(None) };
        let credentials = Credentials::find(self.secret_dir.as_deref(), &|name| std::env::var(name).ok())?;
        Store::open(url, &credentials).map(Some)
    }
}

/// A runtime for the store's requests.
///
/// # Errors
/// When the system gives no threads.
pub(super) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}
