//! Why a sensor was not scored, as its outcome tells it.

use store::StoreError;

use crate::model::ModelError;
use crate::predictions::PredictionsError;
use crate::readings::ReadingsError;

/// Why a sensor was not scored.
#[derive(Clone, Debug)]
pub struct Problem {
    /// A bounded category in CamelCase.
    pub reason: String,
    /// What happened, where, and what to do.
    pub message: String,
    /// Whether another attempt may score it.
    pub retry: bool,
}

impl Problem {
    pub(crate) fn failed(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into(), retry: false }
    }

    pub(crate) fn again(reason: &str, message: impl Into<String>) -> Self {
        Self { retry: true, ..Self::failed(reason, message) }
    }

    /// Something that cannot happen did.
    pub(crate) fn internal(what: &str, error: impl std::fmt::Display) -> Self {
        Self::failed("Internal", format!("{what} broke off: {error}"))
    }

    pub(crate) fn of_readings(error: &ReadingsError) -> Self {
        Self::failed(error.reason(), error.to_string())
    }

    pub(crate) fn of_predictions(error: &PredictionsError) -> Self {
        Self::failed(error.reason(), error.to_string())
    }

    pub(crate) fn of_store(error: &StoreError) -> Self {
        Self { reason: error.reason().to_owned(), message: error.to_string(), retry: error.is_retryable() }
    }

    pub(crate) fn of_data(error: &StoreError) -> Self {
        match error {
            StoreError::NotFound { .. } => Self::failed(
                "DataNotFound",
                format!("{error}; correct data.path, or write the readings there before the tick"),
            ),
            _ => Self::of_store(error),
        }
    }

    pub(crate) fn of_bad_model(error: &ModelError) -> Self {
        Self::failed(error.reason(), error.to_string())
    }

    pub(crate) fn of_model(error: &StoreError) -> Self {
        match error {
            StoreError::NotFound { .. } => Self::failed("ModelNotFound", format!("the model {error}")),
            StoreError::Changed { .. } => Self::failed(
                "ModelChanged",
                format!("the model {error}, when the run was planned; run again to score with the new one"),
            ),
            StoreError::TooLarge { uri, size, .. } => Self::of_bad_model(&ModelError::too_large(uri, *size)),
            _ => Self::of_store(error),
        }
    }
}
