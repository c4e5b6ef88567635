//! Predictions: one sensor's readings with the model's score and verdict.

use spec::SensorKeys;

use crate::model::Model;
use crate::readings::{Layout, SensorReadings};

/// One sensor, scored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scored {
    /// Data rows read: scored and bad ones.
    pub rows: u64,
    /// Rows with a prediction.
    pub scored: u64,
    /// Rows that the model calls anomalies.
    pub anomalies: u64,
    /// Rows without a usable value, left out of the predictions.
    pub bad_rows: u64,
    /// The predictions file.
    pub csv: Vec<u8>,
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
    /// The predictions could not be written as CSV.
    #[error("sensor {sensor}: cannot write predictions: {source}")]
    Csv {
        /// The sensor.
        sensor: String,
        /// Why.
        source: csv::Error,
    },
}

impl ScoreError {
    /// `FeaturesMismatch` or `PredictionsInvalid`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Features { .. } => "FeaturesMismatch",
            Self::Csv { .. } => "PredictionsInvalid",
        }
    }
}

/// Scores one sensor's readings. The same input gives the same bytes on every machine.
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
    let decisions = model.decisions(readings.values());
    let mut anomalies = 0;
    let csv = write(model, layout, sensor, readings, &decisions, &mut anomalies)
        .map_err(|source| ScoreError::Csv { sensor: sensor.to_string(), source })?;
    Ok(Scored { rows: readings.rows, scored: decisions.len() as u64, anomalies, bad_rows: readings.bad_rows, csv })
}

/// The predictions file: time, keys and values as they stand in the input, then score and prediction.
fn write(
    model: &Model,
    layout: &Layout,
    sensor: &SensorKeys,
    readings: &SensorReadings,
    decisions: &[f64],
    anomalies: &mut u64,
) -> Result<Vec<u8>, csv::Error> {
    let width = layout.values.len();
    // Keys in the order of the file; those without a column, which have one value in the whole file, last.
    let mut keys: Vec<_> = sensor.0.iter().map(|(key, value)| (layout.keys.get(key), key, value)).collect();
    keys.sort_by_key(|(column, ..)| column.map_or(usize::MAX, |c| c.index));

    let mut csv = csv::Writer::from_writer(Vec::with_capacity(48 * (decisions.len() + 1)));
    if let Some(column) = &layout.time {
        csv.write_field(&column.name)?;
    }
    for (column, key, _) in &keys {
        csv.write_field(column.map_or(key.as_str(), |c| &c.name))?;
    }
    for column in &layout.values {
        csv.write_field(&column.name)?;
    }
    csv.write_record(["score", "prediction"])?;

    for (row, decision) in decisions.iter().enumerate() {
        if layout.time.is_some() {
            csv.write_field(readings.time(row))?;
        }
        for (.., value) in &keys {
            csv.write_field(value)?;
        }
        for text in readings.value_texts(row, width) {
            csv.write_field(text)?;
        }
        let anomaly = model.is_anomaly(*decision);
        *anomalies += u64::from(anomaly);
        csv.write_record([format!("{decision:?}").as_str(), if anomaly { "1" } else { "0" }])?;
    }
    csv.into_inner().map_err(|e| csv::Error::from(std::io::Error::other(e.to_string())))
}

#[cfg(test)]
mod tests;
