//! Transforms of some columns each, side by side.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::{Missing, Transform};

/// A fitted `sklearn.compose.ColumnTransformer`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ColumnTransformer {
    /// Values of a row.
    pub n_features: usize,
    /// What is done to which columns; the results stand next to each other. Columns in none are dropped.
    pub branches: Vec<Branch>,
}

/// Some columns, and what is done to them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Branch {
    /// The columns, by their place from 0.
    pub columns: Vec<usize>,
    /// What is done to them in turn; nothing for columns that are passed through.
    pub steps: Vec<Transform>,
}

impl Branch {
    fn n_outputs(&self) -> usize {
        self.steps.last().map_or(self.columns.len(), Transform::n_outputs)
    }
}

impl ColumnTransformer {
    /// The columns that are not dropped, in order.
    pub(in crate::model) fn used(&self) -> Vec<usize> {
        let used: BTreeSet<usize> = self.branches.iter().flat_map(|branch| &branch.columns).copied().collect();
        used.into_iter().collect()
    }

    /// The same for rows that have only these columns, which are all that are used.
    pub(in crate::model) fn narrowed(&self, used: &[usize]) -> Self {
        let places: HashMap<usize, usize> = used.iter().enumerate().map(|(place, column)| (*column, place)).collect();
        let mut narrowed = Self { n_features: used.len(), ..self.clone() };
        let columns = narrowed.branches.iter_mut().flat_map(|branch| &mut branch.columns);
        columns.for_each(|column| *column = places.get(column).copied().unwrap_or_default());
        narrowed
    }

    pub(super) fn n_outputs(&self) -> usize {
        self.branches.iter().map(Branch::n_outputs).fold(0, usize::saturating_add)
    }

    /// The most values that a row has on its way through.
    pub(super) fn widest(&self) -> usize {
        let inside = self.branches.iter().flat_map(|b| &b.steps).map(Transform::widest);
        inside.max().unwrap_or_default().max(self.n_outputs()).max(self.n_features)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        for branch in &self.branches {
            if let Some(column) = branch.columns.iter().find(|c| **c >= self.n_features) {
                return Err(format!("ColumnTransformer takes column {column} of {}", self.n_features));
            }
            super::check(&branch.steps, branch.columns.len())?;
        }
        if self.n_outputs() == 0 {
            return Err("ColumnTransformer leaves no column".to_owned());
        }
        Ok(())
    }

    pub(super) fn missing(&self) -> Missing {
        let of = |branch: &Branch| super::missing(&branch.steps);
        if self.branches.iter().any(|b| of(b) == Missing::Refused) {
            Missing::Refused
        } else if self.branches.iter().all(|b| of(b) == Missing::Filled) {
            Missing::Filled
        } else {
            Missing::Kept
        }
    }

    pub(super) fn apply(&self, rows: &[f64]) -> Vec<f64> {
        let width = self.n_outputs();
        let mut out = vec![0.0; rows.len() / self.n_features * width];
        let mut start = 0;
        for branch in self.branches.iter().filter(|b| !b.columns.is_empty()) {
            let own =
                rows.chunks_exact(self.n_features).flat_map(|row| branch.columns.iter().map(|c| row[*c])).collect();
            let own = branch.steps.iter().fold(own, |rows: Vec<f64>, step| step.apply(rows));
            let n = branch.n_outputs();
            for (out, own) in out.chunks_exact_mut(width).zip(own.chunks_exact(n)) {
                out[start..start + n].copy_from_slice(own);
            }
            start += n;
        }
        out
    }
}
