//! Predictions: a sensor's readings with the model's score and verdict, and the files that hold them.

mod csv;
mod encode;
mod features;
mod header;
mod json_lines;
mod parquet;
mod readings_file;
mod sensor_file;

use std::sync::Arc;

use crate::model::Model;
use crate::readings::{BadRow, Head, Layout, Rows, Selection, Usable};

pub use encode::{Block, Encoder, PredictionsError};
pub use header::{Header, PREDICTION};
pub use readings_file::ReadingsFile;
pub use sensor_file::SensorFile;

/// Scores one sensor's readings, block by block. The same rows give the same scores on every machine, whatever the blocks.
#[derive(Clone, Debug)]
pub struct Scorer {
    model: Arc<Model>,
    head: Arc<Head>,
    selection: Selection,
    layout: Layout,
    tally: Tally,
}

/// What was scored so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Rows with a prediction.
    pub scored: u64,
    /// Rows that the model calls anomalies.
    pub anomalies: u64,
    /// Rows without a usable value, left out of the predictions.
    pub bad_rows: u64,
    /// The first of those.
    pub first_bad: Option<BadRow>,
    /// The sum of each of the model's inputs over the scored rows, and how many of them have it.
    pub inputs: Vec<(f64, u64)>,
}

impl Tally {
    /// The mean of each of the first inputs over the scored rows.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts of rows are far below 2^53")]
    pub fn input_means(&self, most: usize) -> Vec<Option<f64>> {
        let mean = |(sum, count): &(f64, u64)| Some(sum / *count as f64).filter(|mean| mean.is_finite());
        self.inputs.iter().take(most).map(mean).collect()
    }

    /// Adds the values of scored rows, one after the other, so that the sums do not depend on how rows come in blocks.
    fn add_inputs(&mut self, values: &[f64], width: usize) {
        self.inputs.resize(width, (0.0, 0));
        for row in values.chunks_exact(width.max(1)) {
            for ((sum, count), value) in self.inputs.iter_mut().zip(row).filter(|(_, value)| value.is_finite()) {
                *sum += value;
                *count += 1;
            }
        }
    }

    /// Counts more bad rows, of which this is the first.
    pub fn add_bad(&mut self, rows: u64, first: Option<BadRow>) {
        self.bad_rows += rows;
        self.first_bad = self.first_bad.take().or(first);
    }
}

/// Rows, scored.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Those that could be scored.
    pub rows: Rows,
    /// The decision of each.
    pub scores: Vec<f64>,
    /// Whether each is an anomaly.
    pub verdicts: Vec<bool>,
}

/// Why readings could not be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// The model wants another number of values than the readings have.
    #[error(
        "{file}: the model takes {wanted} value(s) per reading, the data has {found} ({columns}); \
         name the right columns, in the model's order, with columns.value (--columns value=…)"
    )]
    Features {
        /// The first file.
        file: String,
        /// Values that the model takes.
        wanted: usize,
        /// Values that the data has.
        found: usize,
        /// Their columns, as messages show them.
        columns: String,
    },
    /// The readings have some columns of the model's names, but not all.
    #[error(
        "{file}: the model was fitted to the columns {names}; the data has no {missing} among its values ({found}); write \
         the readings with these names, or name the columns with columns.value (--columns value=…)"
    )]
    Names {
        /// The first file.
        file: String,
        /// The model's names, in its order.
        names: String,
        /// Those that are missing.
        missing: String,
        /// The data's value columns.
        found: String,
    },
    /// Of several columns of one name it cannot be told which the model takes.
    #[error(
        "{file}: {count} columns are named {name:?}, so it is not clear which of the {found} columns of values are the \
         {wanted} that the model takes; rename all but one, and name the model's with columns.value (--columns value=…)"
    )]
    Ambiguous {
        /// The first file.
        file: String,
        /// The name.
        name: String,
        /// Columns of this name.
        count: usize,
        /// Values that the model takes.
        wanted: usize,
        /// Columns of values.
        found: usize,
    },
}

impl ScoreError {
    /// `FeaturesMismatch` or `ColumnAmbiguous`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Features { .. } | Self::Names { .. } => "FeaturesMismatch",
            Self::Ambiguous { .. } => "ColumnAmbiguous",
        }
    }
}

impl Scorer {
    /// Begins with a sensor.
    ///
    /// A model that was fitted to named columns takes those of its names that it does not drop, in its order. Where the
    /// readings have none of them, or the model has no names, it takes the values as they stand.
    ///
    /// # Errors
    /// When the readings have another number of values than the model takes, some columns of its names but not all, or
    /// more than one of a name.
    pub fn new(model: Arc<Model>, head: Arc<Head>) -> Result<Self, ScoreError> {
        let (model, columns) = features::select(model, &head)?;
        let values = columns.iter().filter_map(|column| head.layout.values.get(*column).cloned()).collect();
        let layout = Layout { values, ..head.layout.clone() };
        let selection = Selection { columns, missing: model.accepts_missing() };
        Ok(Self { model, head, selection, layout, tally: Tally::default() })
    }

    /// Which column is what in the rows that come out: the values are the model's features, in its order.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What was scored so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How many rows among some cannot be scored, and the first of them; they are not counted for it.
    #[must_use]
    pub fn unusable(&self, rows: &Rows) -> (u64, Option<BadRow>) {
        rows.unusable(&self.head, &self.selection)
    }

    /// How many readings are anomalies, that have all values of the files, none of which is missing. They are not counted.
    #[must_use]
    pub fn anomalies(&self, values: &[f64]) -> u64 {
        let readings = values.chunks_exact(self.head.layout.values.len().max(1));
        let taken: Vec<f64> = readings
            .flat_map(|reading| self.selection.columns.iter().filter_map(|column| reading.get(*column)))
            .copied()
            .collect();
        self.model.decisions(&taken).into_iter().filter(|score| self.model.is_anomaly(*score)).count() as u64
    }

    /// Scores the next rows.
    #[must_use]
    pub fn score(&mut self, rows: Rows) -> Scored {
        let Usable { rows, bad_rows, first_bad } = rows.usable(&self.head, &self.selection);
        let scores = self.model.decisions(rows.values());
        let verdicts: Vec<bool> = scores.iter().map(|score| self.model.is_anomaly(*score)).collect();
        self.tally.scored += scores.len() as u64;
        self.tally.anomalies += verdicts.iter().filter(|anomaly| **anomaly).count() as u64;
        self.tally.add_inputs(rows.values(), self.layout.values.len());
        self.tally.add_bad(bad_rows, first_bad);
        Scored { rows, scores, verdicts }
    }
}

#[cfg(test)]
mod tests;
