//! Rows with their predictions, block by block, as the bytes of a file. The same rows give the same bytes everywhere.

use spec::SensorKeys;
use spec::work::PredictionFormat;

use super::json_lines::JsonLines;
use super::parquet::Parquet;
use super::{Header, Scored, csv};
use crate::readings::Rows;

/// Some rows of one sensor, with their predictions.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// The sensor.
    pub sensor: &'a SensorKeys,
    /// The good rows.
    pub readings: &'a Rows,
    /// The decision of each.
    pub scores: &'a [f64],
    /// Whether each is an anomaly.
    pub verdicts: &'a [bool],
}

impl Block<'_> {
    /// The sensor's values of the keys, in the header's order.
    pub(super) fn keys<'b>(&'b self, header: &'b Header) -> impl Iterator<Item = &'b str> {
        header.keys.iter().map(|(key, _)| self.sensor.get(key).unwrap_or_default())
    }

    /// Each row's place, score and verdict.
    pub(super) fn rows(&self) -> impl Iterator<Item = (usize, f64, bool)> {
        self.scores.iter().zip(self.verdicts).enumerate().map(|(row, (score, anomaly))| (row, *score, *anomaly))
    }
}

/// Why predictions cannot be written as asked.
#[derive(Debug, thiserror::Error)]
pub enum PredictionsError {
    /// Two columns of one name.
    #[error(
        "the predictions would have two columns named {name} (without regard to case; with the folders date and hour of \
         layout Partitioned); rename that column of the readings, leave it out of data.columns.value, or use layout \
         PerSensor with format Csv"
    )]
    Column {
        /// The name.
        name: String,
    },
    /// The sensors of a shared file have other columns.
    #[error(
        "its predictions have the columns {own}, those before it in the file {file}; name the same columns for all sensors \
         with data.columns, score the sensors by separate schedules, or use predictions.layout PerSensor"
    )]
    Differs {
        /// The sensor's columns.
        own: String,
        /// The file's columns.
        file: String,
    },
    /// CSV.
    #[error("cannot write CSV: {0}")]
    Csv(#[from] ::csv::Error),
    /// JSON.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Parquet.
    #[error("cannot write Parquet: {0}")]
    Parquet(#[from] ::parquet::errors::ParquetError),
    /// A table names rows by their times.
    #[error(
        "the time {text:?} cannot be read, and predictions.sql names rows by their times; correct it, or give the schedule a \
         window, so that such a row is left out as a bad one"
    )]
    Unnamed {
        /// The time as it stands in the readings.
        text: String,
    },
    /// The column of times holds instants, and here is something else.
    #[error(
        "the time {text:?} cannot be read, but those of the first sensor in the file can; correct it, give the schedule a window, so \
         that such a row is left out as a bad one, or use predictions.format Csv or JsonLines"
    )]
    Time {
        /// The time as it stands in the readings.
        text: String,
    },
}

impl PredictionsError {
    /// `PredictionsInvalid`, or `ColumnAmbiguous` where columns' names are in the way.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Column { .. } => "ColumnAmbiguous",
            Self::Differs { .. }
            | Self::Csv(_)
            | Self::Json(_)
            | Self::Parquet(_)
            | Self::Unnamed { .. }
            | Self::Time { .. } => "PredictionsInvalid",
        }
    }
}

/// Writes one file of predictions. What is ready is appended to the buffer handed in, which the caller may empty.
#[derive(Debug)]
pub struct Encoder {
    header: Header,
    format: Format,
}

#[derive(Debug)]
enum Format {
    Csv,
    JsonLines(JsonLines),
    Parquet(Box<Parquet>),
}

impl Encoder {
    /// Begins a file. `unread_time`: a time that cannot be read, if there is one among those of the first sensor; a
    /// Parquet file then has times as they stand in the readings, else as instants.
    ///
    /// # Errors
    /// When the header cannot be written.
    pub fn begin(
        format: PredictionFormat,
        header: Header,
        unread_time: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Result<Self, PredictionsError> {
        let format = match format {
            PredictionFormat::Csv => {
                csv::header(&header, out)?;
                Format::Csv
            }
            PredictionFormat::JsonLines => Format::JsonLines(JsonLines::new(&header)?),
            PredictionFormat::Parquet => Format::Parquet(Box::new(Parquet::new(&header, unread_time.is_none())?)),
        };
        Ok(Self { header, format })
    }

    /// Checks that rows with this header can be added; `unread_time` as for [`Encoder::begin`], of the rows' sensor.
    ///
    /// # Errors
    /// When the file has other columns, or instants for times.
    pub fn has(&self, header: &Header, unread_time: Option<&str>) -> Result<(), PredictionsError> {
        if self.header == *header {
            return match (&self.format, unread_time) {
                (Format::Parquet(parquet), Some(text)) if parquet.has_instants() => {
                    Err(PredictionsError::Time { text: text.to_owned() })
                }
                _ => Ok(()),
            };
        }
        let names = |header: &Header| crate::shown::names(header.names());
        Err(PredictionsError::Differs { own: names(header), file: names(&self.header) })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// When they cannot be written in this format; then none of them is in the file.
    pub fn write(&mut self, block: &Block<'_>, out: &mut Vec<u8>) -> Result<(), PredictionsError> {
        match &mut self.format {
            Format::Csv => Ok(csv::rows(&self.header, block, out)?),
            Format::JsonLines(lines) => Ok(lines.rows(&self.header, block, out)?),
            Format::Parquet(parquet) => parquet.rows(&self.header, block, out),
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When what is left cannot be written.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), PredictionsError> {
        match self.format {
            Format::Csv | Format::JsonLines(_) => Ok(()),
            Format::Parquet(parquet) => parquet.finish(out),
        }
    }
}

impl Scored {
    /// The rows with their predictions, for a file.
    #[must_use]
    pub fn block<'a>(&'a self, sensor: &'a SensorKeys) -> Block<'a> {
        Block { sensor, readings: &self.rows, scores: &self.scores, verdicts: &self.verdicts }
    }
}
