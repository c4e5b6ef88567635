//! Why a sensor was not scored, as its outcome tells it.

use sql::{Category, SqlError};
use store::StoreError;

use crate::databases;
use crate::model::ModelError;
use crate::predictions::PredictionsError;
use crate::readings::ReadingsError;

/// The reason where the path of a sensor's model is another sensor's.
pub(crate) const AMBIGUOUS_MODEL_PATH: &str = "AmbiguousModelPath";

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
        // A store that refuses may be helped by a person, and so soon that the item's retries see it.
        let retry = error.is_retryable() || error.is_of_store();
        Self { reason: error.reason().to_owned(), message: error.to_string(), retry }
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

    pub(crate) fn of_sql(place: &str, error: &SqlError) -> Self {
        // A database that denies may be helped by a person, as a store may.
        let retry = !matches!(error.category(), Category::Refused);
        Self { reason: databases::reason(error).to_owned(), message: format!("{place}: {error}"), retry }
    }

    pub(crate) fn of_bad_model(error: &ModelError) -> Self {
        Self::failed(error.reason(), error.to_string())
    }

    pub(crate) fn of_model(error: &StoreError) -> Self {
        match error {
            StoreError::NotFound { .. } => Self::failed("ModelNotFound", format!("the model {error}")),
            // Only while it was read: another that was there before that is as good.
            StoreError::Changed { .. } => Self::again("ModelChanged", format!("the model {error}")),
            StoreError::TooLarge { uri, size, .. } => Self::of_bad_model(&ModelError::too_large(uri, *size)),
            _ => Self::of_store(error),
        }
    }
}
