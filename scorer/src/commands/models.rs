//! Model files of a folder or a store, read many at once: shared by `inspect` and `import`.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use spec::report::Failure;
use store::{File, Store, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::{MAX_BYTES, Model, ModelError};

/// Models under way from the store at once.
pub(super) const AT_ONCE: usize = 16;
/// What their files may take together, so that large ones wait for each other.
const BUDGET_KIB: u32 = 256 << 10;

/// Why a model's file was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("cannot read the model {path}: {source}")]
    File { path: String, source: std::io::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("reading {file} broke off: {source}")]
    Broke { file: String, source: tokio::task::JoinError },
}

impl ReadError {
    /// A bounded category in CamelCase.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::File { .. } => "ModelUnreadable",
            Self::Store(error) => error.reason(),
            Self::Model(error) => error.reason(),
            Self::Broke { .. } => "Internal",
        }
    }

    /// Whether another attempt may help.
    pub(super) fn is_retryable(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_retryable())
    }

    pub(super) fn to_failure(&self) -> Failure {
        Failure { reason: self.reason().to_owned(), message: self.to_string() }
    }
}

/// The bytes of a model's file: all of them, or an error.
///
/// # Errors
/// When the file cannot be read, or has more bytes than a model may have.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, ReadError> {
    let name = path.display().to_string();
    let wrong = |source| ReadError::File { path: name.clone(), source };
    let file = std::fs::File::open(path).map_err(wrong)?;
    ModelError::check_size(&name, file.metadata().map_err(wrong)?.len())?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(wrong)?;
    // A pipe does not say how much will come.
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ModelError::larger(name, "").into());
    }
    Ok(bytes)
}

/// Says which files of a store are no sensor's model for their names.
pub(super) fn tell_left_out(files: &[String]) {
    for file in files {
        tracing::warn!("left out: {file}");
    }
}

/// Says what a user should know before trusting a model.
pub(super) fn tell_warnings(file: &str, model: &Model) {
    for warning in model.warnings() {
        tracing::warn!("model {file}: {warning}");
    }
}

/// Gives model files of a store to a function, in bounded memory.
#[derive(Clone)]
pub(super) struct Fetcher {
    store: Store,
    budget: Arc<Semaphore>,
}

impl Fetcher {
    pub(super) fn new(store: Store) -> Self {
        Self { store, budget: Arc::new(Semaphore::new(BUDGET_KIB as usize)) }
    }

    /// Fetches a model's file and works on it on a thread of its own. A model that does not load is no error here: the
    /// function tells.
    ///
    /// # Errors
    /// When the file cannot be fetched, or the work panics.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        file: &File,
        work: impl FnOnce(&str, Bytes, Result<Model, ModelError>) -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        let name = self.store.uri(&file.path);
        let _held = self.hold(file.size).await;
        let bytes = self.store.get(&file.path, MAX_BYTES).await.map_err(|error| match error {
            StoreError::TooLarge { uri, size, .. } => ModelError::too_large(uri, size).into(),
            other => ReadError::from(other),
        })?;
        let of = name.clone();
        let done = tokio::task::spawn_blocking(move || {
            let model = Model::from_bytes(&of, &bytes);
            work(&of, bytes, model)
        });
        done.await.map_err(|source| ReadError::Broke { file: name, source })
    }

    /// A file's address, for people.
    pub(super) fn uri(&self, file: &File) -> String {
        self.store.uri(&file.path)
    }

    /// Waits for room; the semaphore is never closed.
    async fn hold(&self, size: u64) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(size / 1024 + 1).unwrap_or(BUDGET_KIB).min(BUDGET_KIB);
        Arc::clone(&self.budget).acquire_many_owned(kib).await.ok()
    }
}
