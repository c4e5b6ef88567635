//! The arithmetic of scoring. The fastest kernel that the processor can run is chosen here; all give the same bits.

mod portable;

/// A support vector machine with an RBF kernel, prepared once and ready to score any number of rows:
/// `decision(x) = Σ coefficient · exp(-gamma · |x - support vector|²) + intercept`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rbf {
    n_features: usize,
    gamma: f64,
    support: Vec<f64>,
    coefficients: Vec<f64>,
    intercept: f64,
}

impl Rbf {
    /// Prepares a machine: `support` has one vector of `n_features` after the other, as many as `coefficients`, all
    /// finite; `gamma` is above 0.
    #[must_use]
    pub(crate) fn new(n_features: usize, gamma: f64, support: &[f64], coefficients: &[f64], intercept: f64) -> Self {
        Self { n_features, gamma, support: support.to_vec(), coefficients: coefficients.to_vec(), intercept }
    }

    /// The decision of each row; rows of `n_features` stand one after the other, already scaled.
    pub(crate) fn decisions(&self, rows: &[f64], out: &mut [f64]) {
        portable::decisions(self, rows, out);
    }
}
