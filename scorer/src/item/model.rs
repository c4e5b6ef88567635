//! A sensor's model as it is when its turn comes: another than was planned, where one was published meanwhile.

use std::future::Future;

use bytes::Bytes;
use store::{ModelFile, Store, StoreError};

use crate::model::MAX_BYTES;
use crate::problem::Problem;

/// A model that was fetched.
pub(super) struct Fetched<T> {
    pub(super) model: T,
    /// Whether it is another than the one that was there when the run was planned.
    pub(super) replaced: bool,
}

/// The version that was planned; where it is no longer there, what is there now. A training or a person may publish a model at
/// any time between plan and item, and who scores then wants the new one.
pub(super) async fn planned_or_present<T>(
    planned: Option<impl Future<Output = Result<T, StoreError>>>,
    present: impl Future<Output = Result<T, StoreError>>,
) -> Result<Fetched<T>, StoreError> {
    match planned {
        None => Ok(Fetched { model: present.await?, replaced: false }),
        Some(planned) => match planned.await {
            Err(StoreError::Changed { .. }) => Ok(Fetched { model: present.await?, replaced: true }),
            found => Ok(Fetched { model: found?, replaced: false }),
        },
    }
}

/// A model's bytes: no more than those of the largest model that is read, whatever size was planned.
pub(super) async fn bytes(store: &Store, ModelFile { path, etag, .. }: &ModelFile) -> Result<Fetched<Bytes>, Problem> {
    let planned = etag.as_deref().map(|etag| store.get_version(path, etag, MAX_BYTES));
    let found = planned_or_present(planned, store.get(path, MAX_BYTES)).await;
    found.map_err(|e| Problem::of_model(&e))
}

/// What is said of a sensor that was scored with another model than was planned.
pub(super) fn replaced(uri: &str, hash: &str) -> String {
    format!("the model {uri} was replaced after the run was planned: scored with the new one, sha256 {hash}")
}
