//! Linear one-class machines fitted by stochastic gradient descent.

use serde::{Deserialize, Serialize};

use crate::model::exact;

/// A fitted `sklearn.linear_model.SGDOneClassSVM`: `decision(x) = coefficients · x - offset`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SgdOneClassSvm {
    /// One for each feature.
    #[serde(with = "exact::many")]
    pub coefficients: Vec<f64>,
    /// What is subtracted.
    #[serde(with = "exact")]
    pub offset: f64,
}

impl SgdOneClassSvm {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.coefficients.is_empty() {
            return Err("the model has no features; train it again".to_owned());
        }
        if !self.offset.is_finite() || !self.coefficients.iter().all(|c| c.is_finite()) {
            return Err("a coefficient or the offset is not a finite number; train it again".to_owned());
        }
        Ok(())
    }

    pub(super) fn decisions(&self, rows: &[f64], out: &mut [f64]) {
        for (row, out) in rows.chunks_exact(self.coefficients.len()).zip(out) {
            *out = row.iter().zip(&self.coefficients).map(|(x, c)| x * c).sum::<f64>() - self.offset;
        }
    }

    pub(super) fn range(&self) -> (f64, f64) {
        if self.coefficients.iter().all(|c| *c == 0.0) {
            return (-self.offset, -self.offset);
        }
        (f64::NEG_INFINITY, f64::INFINITY)
    }
}
