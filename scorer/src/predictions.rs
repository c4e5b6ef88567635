//! Predictions: a sensor's readings with the model's score and verdict, and the files that hold them.

mod csv;
mod encode;
mod header;
mod json_lines;
mod parquet;

use spec::SensorKeys;

use crate::model::Model;
use crate::readings::{Layout, SensorReadings};

pub use encode::{Block, Encoder, PredictionsError};
pub use header::Header;

/// One sensor, scored.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Data rows read: scored and bad ones.
    pub rows: u64,
    /// Rows with a prediction.
    pub scored: u64,
    /// Rows that the model calls anomalies.
    pub anomalies: u64,
    /// Rows without a usable value, left out of the predictions.
    pub bad_rows: u64,
    /// The decision of each row with a prediction.
    pub scores: Vec<f64>,
    /// Whether it is an anomaly.
    pub verdicts: Vec<bool>,
}

/// Why readings could not be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// The model wants another number of values than the readings have.
    #[error(
        "sensor {sensor}: the model takes {wanted} value(s) per reading, the data has {} ({}); \
         name the right columns, in the model's order, with columns.value (--columns value=…)", .found.len(), .found.join(", ")
    )]
    Features {
        /// The sensor.
        sensor: String,
        /// Values that the model takes.
        wanted: usize,
        /// The data's value columns.
        found: Vec<String>,
    },
}

impl ScoreError {
    /// `FeaturesMismatch`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Features { .. } => "FeaturesMismatch",
        }
    }
}

/// Scores one sensor's readings. The same input gives the same scores on every machine.
///
/// # Errors
/// When the model takes another number of values than the readings have.
pub fn score(
    model: &Model,
    layout: &Layout,
    sensor: &SensorKeys,
    readings: &SensorReadings,
) -> Result<Scored, ScoreError> {
    if model.n_features() != layout.values.len() {
        return Err(ScoreError::Features {
            sensor: sensor.to_string(),
            wanted: model.n_features(),
            found: layout.values.iter().map(|c| c.name.clone()).collect(),
        });
    }
    let scores = model.decisions(readings.good.values());
    let verdicts: Vec<bool> = scores.iter().map(|score| model.is_anomaly(*score)).collect();
    Ok(Scored {
        rows: readings.counts.rows,
        scored: scores.len() as u64,
        anomalies: verdicts.iter().filter(|anomaly| **anomaly).count() as u64,
        bad_rows: readings.counts.bad_rows,
        scores,
        verdicts,
    })
}

#[cfg(test)]
mod tests;
