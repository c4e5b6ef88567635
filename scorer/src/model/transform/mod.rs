//! Transforms: what a pipeline does to rows before its estimator sees them.

mod scaler;

use serde::{Deserialize, Serialize};

pub use scaler::{Clip, MinMaxScaler, Scaler};

/// A step of a pipeline before the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Transform {
    /// `sklearn.preprocessing.StandardScaler`.
    StandardScaler(Scaler),
    /// `sklearn.preprocessing.RobustScaler`.
    RobustScaler(Scaler),
    /// `sklearn.preprocessing.MaxAbsScaler`, whose mean is 0.
    MaxAbsScaler(Scaler),
    /// `sklearn.preprocessing.MinMaxScaler`.
    MinMaxScaler(MinMaxScaler),
}

/// What becomes of a missing value (NaN) in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// It comes out as NaN again.
    Kept,
    /// It is replaced by a number.
    Filled,
}

impl Transform {
    /// scikit-learn's name of it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::StandardScaler(_) => "StandardScaler",
            Self::RobustScaler(_) => "RobustScaler",
            Self::MaxAbsScaler(_) => "MaxAbsScaler",
            Self::MinMaxScaler(_) => "MinMaxScaler",
        }
    }

    /// How many values a row must have.
    #[must_use]
    pub fn n_features(&self) -> usize {
        match self {
            Self::StandardScaler(s) | Self::RobustScaler(s) | Self::MaxAbsScaler(s) => s.mean.len(),
            Self::MinMaxScaler(s) => s.scale.len(),
        }
    }

    /// How many values a row has afterwards.
    #[must_use]
    pub fn n_outputs(&self) -> usize {
        self.n_features()
    }

    /// Whether it changes nothing, such as a StandardScaler without mean and deviation.
    pub(super) fn is_identity(&self) -> bool {
        self.n_features() == 0
    }

    /// Whether its parts fit together and are numbers; the message says which are not.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::StandardScaler(s) | Self::RobustScaler(s) | Self::MaxAbsScaler(s) => s.check(self.name()),
            Self::MinMaxScaler(s) => s.check(),
        }
    }

    pub(super) fn missing(&self) -> Missing {
        match self {
            Self::StandardScaler(_) | Self::RobustScaler(_) | Self::MaxAbsScaler(_) | Self::MinMaxScaler(_) => {
                Missing::Kept
            }
        }
    }

    /// The rows that come out of it; rows stand one after the other.
    pub(super) fn apply(&self, mut rows: Vec<f64>) -> Vec<f64> {
        match self {
            Self::StandardScaler(s) | Self::RobustScaler(s) | Self::MaxAbsScaler(s) => {
                s.apply(&mut rows);
                rows
            }
            Self::MinMaxScaler(s) => {
                s.apply(&mut rows);
                rows
            }
        }
    }
}
