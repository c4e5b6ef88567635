//! Estimators: what gives a row its decision, and where the boundary between normal and anomaly lies.

mod elliptic_envelope;
mod isolation_forest;
mod local_outlier_factor;
mod nearest;
mod search_tree;
mod sgd;
mod sum;
mod svm;

use serde::{Deserialize, Serialize};

use super::exact;
use crate::kernel::{Precision, Rbf};
pub use elliptic_envelope::EllipticEnvelope;
use isolation_forest::Paths;
pub(super) use isolation_forest::average_path;
pub use isolation_forest::{IsolationForest, Tree};
pub use local_outlier_factor::{Algorithm, LocalOutlierFactor, Metric};
pub use search_tree::{Bounds, SearchTree};
pub use sgd::SgdOneClassSvm;
pub use svm::{Kernel, OneClassSvm};

/// What stands at the end of a pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Estimator {
    /// `sklearn.svm.OneClassSVM`.
    OneClassSvm(OneClassSvm),
    /// `sklearn.ensemble.IsolationForest`.
    IsolationForest(IsolationForest),
    /// `sklearn.covariance.EllipticEnvelope`.
    EllipticEnvelope(EllipticEnvelope),
    /// `sklearn.neighbors.LocalOutlierFactor` with `novelty=True`.
    LocalOutlierFactor(LocalOutlierFactor),
    /// `sklearn.linear_model.SGDOneClassSVM`.
    SgdOneClassSvm(SgdOneClassSvm),
}

/// What is worked out once for all rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Prepared {
    /// An RBF kernel, laid out for the processor.
    Rbf(Rbf),
    /// How long the paths to a forest's leaves are.
    Paths(Paths),
    /// Nothing.
    Nothing,
}

/// Where anomalies begin, as the estimator's own `predict` has it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Boundary {
    /// Decisions above are normal, decisions below are anomalies.
    #[serde(with = "exact")]
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
            Self::IsolationForest(_) => "IsolationForest",
            Self::EllipticEnvelope(_) => "EllipticEnvelope",
            Self::LocalOutlierFactor(_) => "LocalOutlierFactor",
            Self::SgdOneClassSvm(_) => "SGDOneClassSVM",
        }
    }

    /// How many values a row must have.
    #[must_use]
    pub fn n_features(&self) -> usize {
        match self {
            Self::OneClassSvm(svm) => svm.n_features,
            Self::IsolationForest(forest) => forest.n_features,
            Self::EllipticEnvelope(envelope) => envelope.location.len(),
            Self::LocalOutlierFactor(factor) => factor.n_features,
            Self::SgdOneClassSvm(sgd) => sgd.coefficients.len(),
        }
    }

    /// Where anomalies begin.
    #[must_use]
    pub fn boundary(&self) -> Boundary {
        match self {
            // libsvm: `return (sum > 0) ? 1 : -1`.
            Self::OneClassSvm(_) => Boundary { at: 0.0, inclusive: true },
            Self::IsolationForest(forest) => forest.boundary,
            // Their `predict` calls a decision of 0 normal.
            Self::EllipticEnvelope(_) | Self::LocalOutlierFactor(_) | Self::SgdOneClassSvm(_) => {
                Boundary { at: 0.0, inclusive: false }
            }
        }
    }

    /// What can be worked out before any row is seen; for checked estimators only.
    pub(super) fn prepare(&self, precision: Precision) -> Prepared {
        match self {
            Self::OneClassSvm(svm) => svm.prepare(precision).map_or(Prepared::Nothing, Prepared::Rbf),
            Self::IsolationForest(forest) => Prepared::Paths(forest.prepare()),
            _ => Prepared::Nothing,
        }
    }

    /// scikit-learn's `decision_function` of rows that stand one after the other, with what [`Self::prepare`] gave.
    pub(super) fn decisions(&self, prepared: &Prepared, rows: &[f64], out: &mut [f64]) {
        match (self, prepared) {
            (Self::OneClassSvm(svm), Prepared::Rbf(rbf)) => svm.decisions(Some(rbf), rows, out),
            (Self::OneClassSvm(svm), _) => svm.decisions(None, rows, out),
            (Self::IsolationForest(forest), Prepared::Paths(paths)) => forest.decisions(paths, rows, out),
            (Self::IsolationForest(forest), _) => forest.decisions(&forest.prepare(), rows, out),
            (Self::EllipticEnvelope(envelope), _) => envelope.decisions(rows, out),
            (Self::LocalOutlierFactor(factor), _) => factor.decisions(rows, out),
            (Self::SgdOneClassSvm(sgd), _) => sgd.decisions(rows, out),
        }
    }

    /// Whether its parts fit together and are numbers; the message says which are not.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::OneClassSvm(svm) => svm.check(),
            Self::IsolationForest(forest) => forest.check(),
            Self::EllipticEnvelope(envelope) => envelope.check(),
            Self::LocalOutlierFactor(factor) => factor.check(),
            Self::SgdOneClassSvm(sgd) => sgd.check(),
        }
    }

    /// Between which numbers every decision lies, as far as that can be told without data.
    pub(super) fn range(&self) -> (f64, f64) {
        match self {
            Self::OneClassSvm(svm) => svm.range(),
            Self::IsolationForest(forest) => forest.range(),
            Self::EllipticEnvelope(envelope) => envelope.range(),
            Self::LocalOutlierFactor(factor) => factor.range(),
            Self::SgdOneClassSvm(sgd) => sgd.range(),
        }
    }
}
