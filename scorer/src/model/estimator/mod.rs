//! Estimators: what gives a row its decision, and where the boundary between normal and anomaly lies.

mod svm;

use serde::{Deserialize, Serialize};

pub use svm::{Kernel, OneClassSvm};

/// What stands at the end of a pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Estimator {
    /// `sklearn.svm.OneClassSVM`.
    OneClassSvm(OneClassSvm),
}

/// Where anomalies begin, as the estimator's own `predict` has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Boundary {
    /// Decisions above are normal, decisions below are anomalies.
    pub at: f64,
    /// Whether a decision of exactly `at` is an anomaly.
    pub inclusive: bool,
}

impl Boundary {
    /// Whether a row with this decision is an anomaly. A decision that is no number (the row's values overflow the
    /// arithmetic) never passes for normal.
    #[must_use]
    pub fn is_anomaly(self, decision: f64) -> bool {
        decision.is_nan() || decision < self.at || (self.inclusive && decision <= self.at)
    }
}

impl Estimator {
    /// scikit-learn's name of it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::OneClassSvm(_) => "OneClassSVM",
        }
    }

    /// How many values a row must have.
    #[must_use]
    pub fn n_features(&self) -> usize {
        match self {
            Self::OneClassSvm(svm) => svm.n_features,
        }
    }

    /// Where anomalies begin.
    #[must_use]
    pub fn boundary(&self) -> Boundary {
        match self {
            // libsvm: `return (sum > 0) ? 1 : -1`.
            Self::OneClassSvm(_) => Boundary { at: 0.0, inclusive: true },
        }
    }

    /// scikit-learn's `decision_function` of rows that stand one after the other.
    pub(super) fn decisions(&self, rows: &[f64], out: &mut [f64]) {
        match self {
            Self::OneClassSvm(svm) => svm.decisions(rows, out),
        }
    }

    /// Whether its parts fit together and are numbers; the message says which are not.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::OneClassSvm(svm) => svm.check(),
        }
    }

    /// Between which numbers every decision lies, as far as that can be told without data.
    fn range(&self) -> (f64, f64) {
        match self {
            Self::OneClassSvm(svm) => svm.range(),
        }
    }

    /// What a user should know before trusting it.
    pub(super) fn warnings(&self) -> Vec<String> {
        let (boundary, (lowest, highest)) = (self.boundary(), self.range());
        let of = match self {
            Self::OneClassSvm(svm) => format!(" has {} support vector(s) and", svm.coefficients.len()),
        };
        if boundary.is_anomaly(highest) {
            return vec![format!(
                "the model{of} its decision never exceeds {:?}, so every row is an anomaly; train it again with a larger \
                 nu or more readings",
                boundary.at
            )];
        }
        if !boundary.is_anomaly(lowest) {
            return vec![format!(
                "the model{of} its decision is never below {lowest:?}, so no row is ever an anomaly; train it again"
            )];
        }
        match self {
            Self::OneClassSvm(svm) if svm.coefficients.len() == 1 => vec![
                "the model has one support vector only, so it knows a single point; train it again with a larger nu or \
                 more readings"
                    .to_owned(),
            ],
            Self::OneClassSvm(_) => Vec::new(),
        }
    }
}
