//! One-class support vector machines: `decision(x) = Σ coefficient · K(support vector, x) + intercept`.

use serde::{Deserialize, Serialize};

use crate::kernel::{Precision, Rbf};
use crate::model::exact;

/// A fitted `sklearn.svm.OneClassSVM`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OneClassSvm {
    /// Values of a row.
    pub n_features: usize,
    /// What makes a number of a support vector and a row.
    pub kernel: Kernel,
    /// Support vectors, one after the other.
    #[serde(with = "exact::many")]
    pub support: Vec<f64>,
    /// One coefficient for each support vector.
    #[serde(with = "exact::many")]
    pub coefficients: Vec<f64>,
    /// What is added in the end.
    #[serde(with = "exact")]
    pub intercept: f64,
}

/// A kernel of libsvm; `u` is a support vector and `v` a row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Kernel {
    /// `exp(-gamma · |u - v|²)`.
    Rbf {
        /// Above 0.
        #[serde(with = "exact")]
        gamma: f64,
    },
    /// `u · v`.
    Linear,
    /// `(gamma · u · v + coef0)^degree`.
    Poly {
        /// The power.
        degree: u32,
        /// The factor.
        #[serde(with = "exact")]
        gamma: f64,
        /// The addend.
        #[serde(with = "exact")]
        coef0: f64,
    },
    /// `tanh(gamma · u · v + coef0)`.
    Sigmoid {
        /// The factor.
        #[serde(with = "exact")]
        gamma: f64,
        /// The addend.
        #[serde(with = "exact")]
        coef0: f64,
    },
}

impl Kernel {
    /// scikit-learn's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rbf { .. } => "rbf",
            Self::Linear => "linear",
            Self::Poly { .. } => "poly",
            Self::Sigmoid { .. } => "sigmoid",
        }
    }

    fn value(self, u: &[f64], v: &[f64]) -> f64 {
        let product = || u.iter().zip(v).map(|(u, v)| u * v).sum::<f64>();
        match self {
            Self::Rbf { gamma } => libm::exp(-gamma * u.iter().zip(v).map(|(u, v)| (u - v) * (u - v)).sum::<f64>()),
            Self::Linear => product(),
            Self::Poly { degree, gamma, coef0 } => power(gamma * product() + coef0, degree),
            Self::Sigmoid { gamma, coef0 } => libm::tanh(gamma * product() + coef0),
        }
    }
}

/// By squaring, in libsvm's order.
fn power(base: f64, mut times: u32) -> f64 {
    let (mut square, mut result) = (base, 1.0);
    while times > 0 {
        if times % 2 == 1 {
            result *= square;
        }
        square *= square;
        times /= 2;
    }
    result
}

impl OneClassSvm {
    /// The machine made ready for many rows, where it has an RBF kernel.
    pub(in crate::model) fn prepare(&self, precision: Precision) -> Option<Rbf> {
        let Kernel::Rbf { gamma } = self.kernel else { return None };
        let Self { n_features, support, coefficients, intercept, .. } = self;
        Some(Rbf::new(precision, *n_features, gamma, support, coefficients, *intercept))
    }

    /// The decisions of rows, with what [`Self::prepare`] gave. Where rounding could decide on which side of 0 one is, it
    /// is libsvm's, so that its 0 is 0 here: readings that never change often score exactly that.
    pub(super) fn decisions(&self, prepared: Option<&Rbf>, rows: &[f64], out: &mut [f64]) {
        if let Some(rbf) = prepared {
            rbf.decisions(rows, out);
        }
        for (row, out) in rows.chunks_exact(self.n_features).zip(out) {
            if prepared.is_none_or(|rbf| out.abs() <= rbf.uncertainty()) {
                *out = self.decision(row);
            }
        }
    }

    /// A row's decision, added up in libsvm's order.
    fn decision(&self, row: &[f64]) -> f64 {
        let vectors = self.support.chunks_exact(self.n_features).zip(&self.coefficients);
        let sum: f64 = vectors.map(|(vector, coefficient)| coefficient * self.kernel.value(vector, row)).sum();
        sum + self.intercept
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let Self { n_features, kernel, support, coefficients, intercept } = self;
        if *n_features == 0 || coefficients.is_empty() {
            return Err("the model has no features or no support vectors; train it again".to_owned());
        }
        if n_features.checked_mul(coefficients.len()) != Some(support.len()) {
            return Err(format!(
                "the model has {} numbers for {} support vectors of {n_features} features",
                support.len(),
                coefficients.len()
            ));
        }
        match *kernel {
            Kernel::Rbf { gamma } if !(gamma.is_finite() && gamma > 0.0) => {
                return Err(format!("gamma is {gamma:?}; it must be a number above 0"));
            }
            Kernel::Poly { gamma, coef0, .. } | Kernel::Sigmoid { gamma, coef0 }
                if !(gamma.is_finite() && coef0.is_finite()) =>
            {
                return Err(format!("gamma is {gamma:?} and coef0 {coef0:?}; both must be finite numbers"));
            }
            _ => {}
        }
        if !intercept.is_finite() || !support.iter().chain(coefficients).all(|x| x.is_finite()) {
            return Err("a support vector, coefficient or intercept is not a finite number; train it again".to_owned());
        }
        Ok(())
    }

    pub(super) fn range(&self) -> (f64, f64) {
        let sum = |f: fn(f64) -> f64| self.coefficients.iter().map(|c| f(*c)).sum::<f64>();
        let (lowest, highest) = match self.kernel {
            // A kernel value lies between 0 and 1,
            Kernel::Rbf { .. } => (sum(|c| c.min(0.0)), sum(|c| c.max(0.0))),
            // or between -1 and 1.
            Kernel::Sigmoid { .. } => (-sum(f64::abs), sum(f64::abs)),
            Kernel::Poly { degree: 0, .. } => (sum(|c| c), sum(|c| c)),
            Kernel::Linear | Kernel::Poly { .. } => (f64::NEG_INFINITY, f64::INFINITY),
        };
        (lowest + self.intercept, highest + self.intercept)
    }
}
