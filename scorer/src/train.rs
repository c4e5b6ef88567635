//! Training: standardise, then fit a one-class support vector machine with an RBF kernel.
//!
//! The boundary that the fit finds runs through the readings themselves: a share `nu` of them is outside, whether or
//! not anything is wrong with them. So it is moved out: a reading is normal while its similarity to the support vectors
//! is above `1 - margin` of what the fit demands (`rho`). With a `nu` well above the share of anomalies that the history
//! may hold, `rho` is what plainly normal readings reach, and a few anomalies among them do no harm. Figures for
//! simulated plants, history with 1 % of unlabelled anomalies: nu 0.1, margin 0.5 find all with no false alarm; nu 0.01
//! without margin finds 0.89 of them, and two of three alarms are false. `margin` 0 is scikit-learn's own boundary.

mod columns;
mod history;
mod promotion;
mod sample;
mod solver;

use crate::model::{Estimator, Kernel, Metadata, Model, OneClassSvm, Scaler, TOLERANCE, Transform};
use columns::Columns;
pub use history::{Divided, History};
pub use promotion::{Published, Verdict, judge};
pub use sample::{Sampler, Samples};
use solver::solve;
use spec::Training;

/// Readings that a model is fitted to at most, unless asked otherwise. The fit would take more; but a share `nu` of them
/// become support vectors, and every row that is ever scored pays for each of those.
pub const MAX_ROWS: usize = 5_000;

/// Fewer readings do not describe a sensor.
pub const MIN_ROWS: usize = 10;

/// Bytes of kernel columns that a fit holds at most, as scikit-learn's `cache_size`.
pub const CACHE_BYTES: usize = 200_000_000;

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
    /// Readings that the model is fitted to at most, at least [`MIN_ROWS`].
    pub max_rows: usize,
    /// Bytes of kernel columns that the fit holds at most: less makes it slower, not different.
    pub cache_bytes: usize,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self { nu: 0.1, gamma: Gamma::Scale, margin: 0.5, max_rows: MAX_ROWS, cache_bytes: CACHE_BYTES }
    }
}

impl TrainOptions {
    /// Those of a schedule, for a fit that holds so many bytes of kernel columns at most.
    #[must_use]
    pub fn of(training: &Training, cache_bytes: usize) -> Self {
        let Training { nu, gamma, margin, max_rows, .. } = *training;
        let max_rows = usize::try_from(max_rows).unwrap_or(usize::MAX);
        Self { nu, gamma: gamma.map_or(Gamma::Scale, Gamma::Value), margin, max_rows, cache_bytes }
    }

    /// Whether every parameter is in its range.
    ///
    /// # Errors
    /// When one is not; it names which.
    pub fn check(&self) -> Result<(), TrainError> {
        let Self { nu, gamma, margin, max_rows, .. } = *self;
        within("nu", nu, 0.0 < nu && nu <= 1.0, "above 0 and at most 1")?;
        within("margin", margin, (0.0..1.0).contains(&margin), "from 0 to below 1")?;
        within("max_rows", max_rows, max_rows >= MIN_ROWS, "of at least 10")?;
        match gamma {
            Gamma::Scale => Ok(()),
            Gamma::Value(gamma) => within("gamma", gamma, gamma.is_finite() && gamma > 0.0, "above 0"),
        }
    }
}

fn within(name: &'static str, value: impl std::fmt::Debug, holds: bool, limit: &'static str) -> Result<(), TrainError> {
    if holds {
        return Ok(());
    }
    Err(TrainError::Parameter { name, value: format!("{value:?}"), limit })
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

/// What a model was fitted to, and whether it is of use.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The model.
    pub model: Model,
    /// How many readings it was fitted to.
    pub rows: usize,
    /// How many of them lie outside of its boundary, and not on it: a share of `nu` at most.
    pub outside: usize,
    /// Why it is of no use, in words; none for a good model.
    pub degenerate: Option<String>,
}

/// Fits a model to readings that stand one after the other.
///
/// Of more than `max_rows` readings, that many are taken at even distances; see [`Sampler`] for those of a long file. The same readings give the same model, on
/// every machine.
///
/// # Errors
/// When there are too few readings or a parameter is out of its range.
pub fn train(rows: &[f64], n_features: usize, options: &TrainOptions) -> Result<Fitted, TrainError> {
    options.check()?;
    let TrainOptions { nu, gamma, margin, max_rows, cache_bytes } = *options;
    let count = rows.len().checked_div(n_features).unwrap_or(0);
    if count < MIN_ROWS {
        return Err(TrainError::TooFew { rows: count });
    }
    let taken = count.min(max_rows);
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
    let mut columns = Columns::new(&scaled, n_features, gamma, cache_bytes);
    let solution = solve(&mut columns, nu, TOLERANCE, MAX_STEPS).map_err(|e| TrainError::Solver(e.to_string()))?;
    drop(columns);
    let intercept = -solution.rho * (1.0 - margin);
    let (support, coefficients) = (Vec::new(), Vec::new());
    let mut machine = OneClassSvm { n_features, kernel: Kernel::Rbf { gamma }, support, coefficients, intercept };
    for (row, alpha) in scaled.chunks_exact(n_features).zip(&solution.alpha) {
        if *alpha > 0.0 {
            machine.support.extend(row);
            machine.coefficients.push(*alpha);
        }
    }
    let (steps, estimator) = (vec![Transform::StandardScaler(scaler)], Estimator::OneClassSvm(machine));
    let metadata = Metadata { n_samples: Some(taken as u64), ..Metadata::default() };
    let model = Model::new(steps, estimator, metadata).map_err(TrainError::Solver)?;
    // What lies on the boundary but for rounding is not inside.
    let inside = 1e-6 * solution.rho - intercept;
    let normal = solution.scores.iter().filter(|score| **score > inside).count();
    let outside = solution.scores.iter().filter(|score| **score + intercept < -TOLERANCE).count();
    let degenerate = degenerate(&model, &sample, n_features, normal);
    Ok(Fitted { model, rows: taken, outside, degenerate })
}

/// Why a model is of no use, judged by itself and by the readings that it was fitted to, `normal` of which it calls so.
fn degenerate(model: &Model, sample: &[f64], n_features: usize, normal: usize) -> Option<String> {
    let mut readings = sample.chunks_exact(n_features);
    let count = readings.len();
    if let Some(first) = readings.next()
        && readings.all(|reading| reading == first)
    {
        return Some(format!(
            "all {count} readings are {first:?}, so the model knows a single point; train it on a time in which the \
             sensor is at work"
        ));
    }
    if normal == 0 {
        return Some(format!(
            "the model calls all {count} readings that it was fitted to anomalies; train it with a smaller gamma or nu, \
             or with a margin"
        ));
    }
    model.warnings().into_iter().next()
}

/// Far more steps than any fit has needed; a bound nevertheless.
const MAX_STEPS: u64 = 10_000_000;

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
