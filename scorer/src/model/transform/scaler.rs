//! Scalers: each feature moved and stretched by numbers of its own, in scikit-learn's order of operations.

use serde::{Deserialize, Serialize};

use crate::model::exact;

/// `(x - mean) / scale`, feature by feature; with no features at all it changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scaler {
    /// What is subtracted.
    #[serde(with = "exact::many")]
    pub mean: Vec<f64>,
    /// What is divided by.
    #[serde(with = "exact::many")]
    pub scale: Vec<f64>,
}

impl Scaler {
    pub(super) fn check(&self, name: &str) -> Result<(), String> {
        let Self { mean, scale } = self;
        if mean.len() != scale.len() {
            return Err(format!("{name} has {} means and {} scales", mean.len(), scale.len()));
        }
        if !mean.iter().all(|m| m.is_finite()) || !scale.iter().all(|s| s.is_finite() && *s != 0.0) {
            return Err(format!("a mean or scale of {name} is not a finite number, or a scale is 0"));
        }
        Ok(())
    }

    pub(super) fn apply(&self, rows: &mut [f64]) {
        for row in rows.chunks_exact_mut(self.mean.len().max(1)) {
            for ((x, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
                *x = (*x - mean) / scale;
            }
        }
    }
}

/// `x · scale + min`, feature by feature, then held within `clip`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MinMaxScaler {
    /// What is multiplied by.
    #[serde(with = "exact::many")]
    pub scale: Vec<f64>,
    /// What is added.
    #[serde(with = "exact::many")]
    pub min: Vec<f64>,
    /// The smallest and largest value that may come out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<Clip>,
}

/// The range that a MinMaxScaler with `clip=True` keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Clip {
    /// Smaller values become this.
    #[serde(with = "exact")]
    pub low: f64,
    /// Larger values become this.
    #[serde(with = "exact")]
    pub high: f64,
}

impl MinMaxScaler {
    pub(super) fn check(&self) -> Result<(), String> {
        let Self { scale, min, clip } = self;
        if scale.len() != min.len() {
            return Err(format!("MinMaxScaler has {} scales and {} minima", scale.len(), min.len()));
        }
        if !scale.iter().chain(min).all(|x| x.is_finite()) {
            return Err("a scale or minimum of MinMaxScaler is not a finite number".to_owned());
        }
        match clip {
            Some(Clip { low, high }) if !(low.is_finite() && high.is_finite() && low < high) => {
                Err(format!("MinMaxScaler's feature_range is ({low:?}, {high:?}); the first must be the smaller"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn apply(&self, rows: &mut [f64]) {
        for row in rows.chunks_exact_mut(self.scale.len().max(1)) {
            for ((x, scale), min) in row.iter_mut().zip(&self.scale).zip(&self.min) {
                *x = *x * scale + min;
                if let Some(Clip { low, high }) = self.clip {
                    *x = x.clamp(low, high);
                }
            }
        }
    }
}
