//! Imputers: missing values replaced by what was usual in training.

use serde::{Deserialize, Serialize};

use super::Missing;
use crate::model::exact;

/// A fitted `sklearn.impute.SimpleImputer`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SimpleImputer {
    /// The value that stands for a missing one; NaN, or a number such as -999.
    #[serde(with = "exact")]
    pub missing: f64,
    /// What each feature's missing values become; NaN for a feature that is left out, since training never saw it.
    #[serde(with = "exact::many")]
    pub statistics: Vec<f64>,
}

impl SimpleImputer {
    pub(super) fn n_outputs(&self) -> usize {
        self.statistics.iter().filter(|s| !s.is_nan()).count()
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.missing.is_infinite() || self.statistics.iter().any(|s| s.is_infinite()) {
            return Err("a statistic of SimpleImputer is infinite".to_owned());
        }
        if self.n_outputs() == 0 {
            return Err("SimpleImputer saw no value of any feature; train it again with readings".to_owned());
        }
        Ok(())
    }

    pub(super) fn missing(&self) -> Missing {
        if self.missing.is_nan() { Missing::Filled } else { Missing::Refused }
    }

    pub(super) fn apply(&self, rows: &[f64]) -> Vec<f64> {
        let missing = |x: f64| if self.missing.is_nan() { x.is_nan() } else { x == self.missing };
        let filled = |(x, statistic): (&f64, &f64)| {
            let value = if missing(*x) { *statistic } else { *x };
            (!statistic.is_nan()).then_some(value)
        };
        rows.chunks_exact(self.statistics.len())
            .flat_map(|row| row.iter().zip(&self.statistics).filter_map(filled))
            .collect()
    }
}
