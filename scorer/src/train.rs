//! Training: standardise, then fit a one-class support vector machine with an RBF kernel (linfa-svm).
//!
//! The boundary that the fit finds runs through the readings themselves: a share `nu` of them is outside, whether or
//! not anything is wrong with them. So it is moved out: a reading is normal while its similarity to the support vectors
//! is above `1 - margin` of what the fit demands (`rho`). With a `nu` well above the share of anomalies that the history
//! may hold, `rho` is what plainly normal readings reach, and a few anomalies among them do no harm. Figures for
//! simulated plants, history with 1 % of unlabelled anomalies: nu 0.1, margin 0.5 find all with no false alarm; nu 0.01
//! without margin finds 0.89 of them, and two of three alarms are false. `margin` 0 is scikit-learn's own boundary.

use linfa::DatasetBase;
use linfa::dataset::Pr;
use linfa::traits::Fit as _;
use linfa_svm::Svm;
use ndarray::{Array1, Array2};

use crate::model::{Estimator, Kernel, Metadata, Model, OneClassSvm, Scaler, Transform};

/// Readings that a model is fitted to at most, since the solver holds a dense square of them.
pub const MAX_ROWS: usize = 2_000;

/// Below this, a coefficient is the solver's way to write 0.
const NO_SUPPORT: f64 = 100.0 * f64::EPSILON;

/// The width of the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Gamma {
    /// As scikit-learn's `gamma="scale"`: 1 / (features x variance), on standardised readings mostly 1 / features.
    #[default]
    Scale,
    /// This number.
    Value(f64),
}

/// How to train.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainOptions {
    /// The share of readings that may lie outside, above 0 and at most 1.
    pub nu: f64,
    /// The width of the kernel.
    pub gamma: Gamma,
    /// How far the boundary is moved out, from 0 (not at all) to below 1.
    pub margin: f64,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self { nu: 0.1, gamma: Gamma::Scale, margin: 0.5 }
    }
}

/// Why no model could be trained.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TrainError {
    /// Too few readings.
    #[error("{rows} usable reading(s) are too few to train on; give at least {MIN_ROWS}")]
    TooFew {
        /// Readings there are.
        rows: usize,
    },
    /// A parameter is out of its range.
    #[error("{name} is {value}; it must be a number {limit}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// What it is.
        value: String,
        /// Its limits, in words.
        limit: &'static str,
    },
    /// The solver gave up.
    #[error("the solver found no model: {0}; try another nu or gamma")]
    Solver(String),
}

/// Fewer readings do not describe a sensor.
pub const MIN_ROWS: usize = 10;

/// Fits a model to readings that stand one after the other, and says to how many of them.
///
/// Of more than [`MAX_ROWS`] readings, that many are taken at even distances. The same readings give the same model.
///
/// # Errors
/// When there are too few readings or a parameter is out of its range.
pub fn train(rows: &[f64], n_features: usize, options: &TrainOptions) -> Result<(Model, usize), TrainError> {
    let TrainOptions { nu, gamma, margin } = *options;
    check("nu", nu, 0.0 < nu && nu <= 1.0, "above 0 and at most 1")?;
    check("margin", margin, (0.0..1.0).contains(&margin), "from 0 to below 1")?;
    if let Gamma::Value(gamma) = gamma {
        check("gamma", gamma, gamma.is_finite() && gamma > 0.0, "above 0")?;
    }
    let count = rows.len().checked_div(n_features).unwrap_or(0);
    if count < MIN_ROWS {
        return Err(TrainError::TooFew { rows: count });
    }
    let taken = count.min(MAX_ROWS);
    let sample: Vec<f64> =
        (0..taken).map(|i| i * count / taken * n_features).flat_map(|at| &rows[at..at + n_features]).copied().collect();
    let (scaler, scaled) = standardise(&sample, n_features);
    let gamma = match gamma {
        Gamma::Scale => {
            let (_, variance) = moments(scaled.iter().copied(), scaled.len());
            1.0 / (to_f64(n_features) * if variance > 0.0 { variance } else { 1.0 })
        }
        Gamma::Value(gamma) => gamma,
    };
    let mut machine = fit(scaled, taken, n_features, nu, gamma)?;
    machine.intercept *= 1.0 - margin;
    let (steps, estimator) = (vec![Transform::StandardScaler(scaler)], Estimator::OneClassSvm(machine));
    let model = Model::new(steps, estimator, Metadata::default()).map_err(TrainError::Solver)?;
    Ok((model, taken))
}

fn check(name: &'static str, value: f64, holds: bool, limit: &'static str) -> Result<(), TrainError> {
    if holds {
        return Ok(());
    }
    Err(TrainError::Parameter { name, value: format!("{value:?}"), limit })
}

fn fit(scaled: Vec<f64>, rows: usize, n_features: usize, nu: f64, gamma: f64) -> Result<OneClassSvm, TrainError> {
    let solver = |e: &dyn std::fmt::Display| TrainError::Solver(e.to_string());
    let records = Array2::from_shape_vec((rows, n_features), scaled).map_err(|e| solver(&e))?;
    let dataset = DatasetBase::new(records, Array1::from_elem(rows, ()));
    // Shrinking is wrong in linfa-svm 0.8. Its kernel is exp(-|x - y|² / eps), so eps is 1 / gamma.
    let svm = Svm::<f64, Pr>::params()
        .nu_weight(nu)
        .gaussian_kernel(1.0 / gamma)
        .shrinking(false)
        .eps(TOLERANCE)
        .fit(&dataset)
        .map_err(|e| solver(&e))?;
    let mut machine = OneClassSvm {
        n_features,
        kernel: Kernel::Rbf { gamma },
        support: Vec::new(),
        coefficients: Vec::new(),
        intercept: -svm.rho,
    };
    for (row, alpha) in dataset.records().outer_iter().zip(&svm.alpha) {
        if alpha.abs() > NO_SUPPORT {
            machine.support.extend(row);
            machine.coefficients.push(*alpha);
        }
    }
    Ok(machine)
}

/// The solver stops when no pair of readings breaks the optimum's conditions by more.
const TOLERANCE: f64 = 1e-4;

/// As scikit-learn's StandardScaler: the population's deviation, and 1 where a feature never changes.
fn standardise(rows: &[f64], n_features: usize) -> (Scaler, Vec<f64>) {
    let count = rows.len() / n_features;
    let mut scaler = Scaler::default();
    for feature in 0..n_features {
        let (mean, variance) = moments(rows.iter().skip(feature).step_by(n_features).copied(), count);
        let deviation = variance.sqrt();
        // A constant's deviation is what rounding leaves of it.
        let constant = deviation <= 10.0 * f64::EPSILON * mean.abs();
        scaler.mean.push(mean);
        scaler.scale.push(if constant { 1.0 } else { deviation });
    }
    let scaled = rows.iter().enumerate().map(|(i, x)| (x - scaler.mean[i % n_features]) / scaler.scale[i % n_features]);
    let scaled = scaled.collect();
    (scaler, scaled)
}

/// Mean and population variance.
fn moments(numbers: impl Iterator<Item = f64> + Clone, count: usize) -> (f64, f64) {
    let mean = numbers.clone().sum::<f64>() / to_f64(count);
    let variance = numbers.map(|x| (x - mean) * (x - mean)).sum::<f64>() / to_f64(count);
    (mean, variance)
}

#[allow(clippy::cast_precision_loss, reason = "counts of readings are far below 2^53")]
fn to_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
