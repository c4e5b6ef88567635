//! Transforms: what a pipeline does to rows before its estimator sees them.

mod columns;
mod imputer;
mod pca;
mod polynomial;
mod scaler;

use serde::{Deserialize, Serialize};

pub use columns::{Branch, ColumnTransformer};
pub use imputer::SimpleImputer;
pub use pca::Pca;
pub use polynomial::PolynomialFeatures;
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
    /// `sklearn.impute.SimpleImputer`.
    SimpleImputer(SimpleImputer),
    /// `sklearn.preprocessing.PolynomialFeatures`.
    PolynomialFeatures(PolynomialFeatures),
    /// `sklearn.decomposition.PCA`.
    Pca(Pca),
    /// `sklearn.compose.ColumnTransformer`.
    ColumnTransformer(ColumnTransformer),
}

/// What becomes of a missing value (NaN) in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// It comes out as NaN again.
    Kept,
    /// It is replaced by a number.
    Filled,
    /// scikit-learn would raise an error.
    Refused,
}

/// What becomes of a missing value in the first of these steps that does anything about it.
pub(super) fn missing(steps: &[Transform]) -> Missing {
    steps.iter().map(Transform::missing).find(|m| *m != Missing::Kept).unwrap_or(Missing::Kept)
}

/// Whether steps are sound, and fit behind each other for rows of so many features. Gives how many come out of the last.
pub(super) fn check(steps: &[Transform], n_features: usize) -> Result<usize, String> {
    let mut width = n_features;
    for step in steps {
        step.check()?;
        check_width(step.name(), step.n_features(), width)?;
        width = step.n_outputs();
    }
    Ok(width)
}

pub(super) fn check_width(name: &str, takes: usize, gets: usize) -> Result<(), String> {
    if takes == gets {
        return Ok(());
    }
    Err(format!("{name} is for {takes} feature(s), but gets {gets}: the model's parts do not belong together"))
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
            Self::SimpleImputer(_) => "SimpleImputer",
            Self::PolynomialFeatures(_) => "PolynomialFeatures",
            Self::Pca(_) => "PCA",
            Self::ColumnTransformer(_) => "ColumnTransformer",
        }
    }

    /// How many values a row must have.
    #[must_use]
    pub fn n_features(&self) -> usize {
        match self {
            Self::StandardScaler(s) | Self::RobustScaler(s) | Self::MaxAbsScaler(s) => s.mean.len(),
            Self::MinMaxScaler(s) => s.scale.len(),
            Self::SimpleImputer(s) => s.statistics.len(),
            Self::PolynomialFeatures(s) => s.n_features,
            Self::Pca(s) => s.mean.len(),
            Self::ColumnTransformer(s) => s.n_features,
        }
    }

    /// How many values a row has afterwards.
    #[must_use]
    pub fn n_outputs(&self) -> usize {
        match self {
            Self::StandardScaler(_) | Self::RobustScaler(_) | Self::MaxAbsScaler(_) | Self::MinMaxScaler(_) => {
                self.n_features()
            }
            Self::SimpleImputer(s) => s.n_outputs(),
            Self::PolynomialFeatures(s) => s.n_outputs(),
            Self::Pca(s) => s.scale.len(),
            Self::ColumnTransformer(s) => s.n_outputs(),
        }
    }

    /// The most values that a row has on its way through.
    pub(super) fn widest(&self) -> usize {
        match self {
            Self::ColumnTransformer(s) => s.widest(),
            _ => self.n_outputs().max(self.n_features()),
        }
    }

    /// Whether it changes nothing, such as a StandardScaler without mean and deviation.
    pub(super) fn is_identity(&self) -> bool {
        match self {
            Self::StandardScaler(s) | Self::RobustScaler(s) => s.mean.is_empty() && s.scale.is_empty(),
            _ => false,
        }
    }

    /// Whether its parts fit together and are numbers; the message says which are not.
    fn check(&self) -> Result<(), String> {
        if self.n_features() == 0 {
            return Err(format!("{} has no features", self.name()));
        }
        match self {
            Self::StandardScaler(s) | Self::RobustScaler(s) | Self::MaxAbsScaler(s) => s.check(self.name()),
            Self::MinMaxScaler(s) => s.check(),
            Self::SimpleImputer(s) => s.check(),
            Self::PolynomialFeatures(s) => s.check(),
            Self::Pca(s) => s.check(),
            Self::ColumnTransformer(s) => s.check(),
        }
    }

    fn missing(&self) -> Missing {
        match self {
            Self::StandardScaler(_) | Self::RobustScaler(_) | Self::MaxAbsScaler(_) | Self::MinMaxScaler(_) => {
                Missing::Kept
            }
            Self::SimpleImputer(s) => s.missing(),
            Self::PolynomialFeatures(_) | Self::Pca(_) => Missing::Refused,
            Self::ColumnTransformer(s) => s.missing(),
        }
    }

    /// The rows that come out of it; rows stand one after the other.
    pub(super) fn apply(&self, mut rows: Vec<f64>) -> Vec<f64> {
        match self {
            Self::StandardScaler(s) | Self::RobustScaler(s) | Self::MaxAbsScaler(s) => s.apply(&mut rows),
            Self::MinMaxScaler(s) => s.apply(&mut rows),
            Self::SimpleImputer(s) => return s.apply(&rows),
            Self::PolynomialFeatures(s) => return s.apply(&rows),
            Self::Pca(s) => return s.apply(&rows),
            Self::ColumnTransformer(s) => return s.apply(&rows),
        }
        rows
    }
}
