//! The names of the columns in a file of predictions.

use spec::SensorKeys;
use spec::work::{PredictionFormat, PredictionLayout, Predictions};

use super::PredictionsError;
use crate::readings::{Layout, TimeParser};

/// The name of the decision's column.
pub(super) const SCORE: &str = "score";
/// The name of the verdict's column.
pub const PREDICTION: &str = "prediction";

/// The columns of a file of predictions: time, keys, values; score and prediction follow in every file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The reading's time; absent where the readings have none.
    pub(super) time: Option<String>,
    /// Each key, and what its column is called.
    pub(super) keys: Vec<(String, String)>,
    /// The model's features.
    pub(super) values: Vec<String>,
    /// How times are written in the readings.
    pub(super) times: TimeParser,
}

impl Header {
    /// The header of a sensor's predictions.
    ///
    /// A file of one sensor repeats what the readings call their columns. Where sensors share files, time and keys have
    /// names of ours, so that all files of a schedule can be read as one table whatever the readings call theirs.
    ///
    /// # Errors
    /// When two columns would have one name, and the format or its readers cannot have that.
    pub fn of(kind: &Predictions, layout: &Layout, sensor: &SensorKeys) -> Result<Self, PredictionsError> {
        let values = layout.values.iter().map(|c| c.name.clone()).collect();
        let header = if kind.layout.is_shared() {
            let keys = sensor.0.keys().map(|key| (key.clone(), key.clone())).collect();
            Self { time: layout.time.as_ref().map(|_| "time".to_owned()), keys, values, times: layout.times.clone() }
        } else {
            // Keys in the order of the file; those without a column, which have one value in the whole file, last.
            let mut keys: Vec<_> = sensor.0.keys().map(|key| (layout.keys.get(key), key)).collect();
            keys.sort_by_key(|(column, _)| column.map_or(usize::MAX, |c| c.index));
            let name = |(column, key): (Option<&crate::readings::Column>, &String)| {
                (key.clone(), column.map_or_else(|| key.clone(), |c| c.name.clone()))
            };
            Self {
                time: layout.time.as_ref().map(|c| c.name.clone()),
                keys: keys.into_iter().map(name).collect(),
                values,
                times: layout.times.clone(),
            }
        };
        if kind.layout.is_shared() || kind.format != PredictionFormat::Csv {
            header.distinct(kind.layout)?;
        }
        Ok(header)
    }

    /// Every column's name in order, up to score and prediction.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names_of_readings().chain([SCORE, PREDICTION])
    }

    /// The same without score and prediction.
    pub(super) fn names_of_readings(&self) -> impl Iterator<Item = &str> {
        let keys = self.keys.iter().map(|(_, column)| column);
        self.time.iter().chain(keys).chain(&self.values).map(String::as_str)
    }

    /// Readers of tables take `Score` and `score` for one name.
    fn distinct(&self, layout: PredictionLayout) -> Result<(), PredictionsError> {
        let partitions: &[&str] = if layout == PredictionLayout::Partitioned { &["date", "hour"] } else { &[] };
        let mut seen = std::collections::BTreeSet::new();
        match self.names().chain(partitions.iter().copied()).find(|name| !seen.insert(name.to_lowercase())) {
            Some(name) => Err(PredictionsError::Column { name: name.to_owned() }),
            None => Ok(()),
        }
    }
}
