//! The parts of a ScoringSchedule that say what to score.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::template::TemplateError;
use crate::window::Window;
use crate::{
    Command, Complete, DataPath, Limit, ModelVersion, Packing, Retention, SensorKeys, SqlSource, TableName, Task,
    Template, Training,
};

/// What to score: sensors, models, data, window, and where results go. The scorer reads nothing else of a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Work {
    /// What is done with each sensor: `Score` (default) scores its readings, `Train` trains its model on them.
    #[serde(default, skip_serializing_if = "Task::is_score")]
    pub task: Task,
    /// How models are trained, with `task: Train`. Absent: with the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
    /// Where models, data, predictions, records and logs are.
    pub store: StoreRef,
    /// Which sensors to score. Absent: those for which `model.path` matches a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensors: Option<Sensors>,
    /// Each sensor's model.
    pub model: ModelSource,
    /// The readings.
    pub data: DataSource,
    /// Which readings a tick scores. Absent: every row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Where and how predictions are written.
    #[serde(default)]
    pub predictions: Predictions,
    /// Where and how logs are written.
    #[serde(default)]
    pub logs: Logs,
    /// How many sensors one pod scores.
    #[serde(default)]
    pub packing: Packing,
    /// How long what runs leave in the store is kept. Absent: kept for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// The user's own program that scores; absent: the built-in scorer. In a schedule, its parts are fields of `scorer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
}

/// Blob Storage, a bucket or a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoreRef {
    /// `https://ACCOUNT.blob.core.windows.net` (the first segment of each path is the container),
    /// `https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX]`, `az://CONTAINER[/PREFIX]` (the account from the
    /// pod's environment), `http://HOST:PORT/ACCOUNT` (Azurite), `s3://BUCKET[/PREFIX]` (S3, MinIO, …),
    /// `gs://BUCKET[/PREFIX]` (Google Cloud Storage), or `file:///mnt/…`.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// A Secret of the schedule's namespace with `accountKey` or `sasToken`; for `s3://` with `AWS_ACCESS_KEY_ID` and
    /// `AWS_SECRET_ACCESS_KEY`, for `gs://` with `GOOGLE_SERVICE_ACCOUNT_KEY`. Absent: workload identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

/// The name of a Secret in the schedule's namespace. The operator never reads it; pods mount it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretRef {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Which sensors to score: a list, or every combination of a matrix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sensors {
    /// Each sensor's keys, such as `{device: "1", tag: "5"}`. At most 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub list: Option<Vec<SensorKeys>>,
    /// Values per key; the sensors are all combinations, such as `{device: ["1", "2"], tag: ["1", "2", "3"]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matrix: Option<BTreeMap<String, Vec<String>>>,
}

/// Each sensor's model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelSource {
    /// The model's path in the store, with the sensor's keys in braces: `models/model_{device}_{tag}`.
    pub path: Template,
    /// Scores with this version of the models that a schedule with `task: Train` has trained, such as `20260101T020000Z`,
    /// and not with the published ones: a way back. A sensor that has no such version fails. Absent: the published models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<ModelVersion>,
    /// Another version that each sensor is scored with besides. What it predicts is not published, but kept and compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenger: Option<Challenger>,
}

/// A version of the models that is scored beside the one whose predictions are published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Challenger {
    /// The version, such as `20260101T020000Z`.
    pub version: ModelVersion,
}

/// The readings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DataSource {
    /// The readings' path in the store: one file with the sensors interleaved (`data/sensor_data.csv`), or one file
    /// each, with the sensor's keys in braces (`data/{device}/{tag}.csv`). Of many files for a window, `{yyyy}`, `{MM}`,
    /// `{dd}`, `{HH}` and `{mm}` are the times in UTC, and `*` is any part of a name: `data/{yyyy}/{MM}/{dd}/{HH}/*.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<DataPath>,
    /// Readings in a PostgreSQL database, in place of `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<SqlSource>,
    /// When a window's readings are all there. Absent: a run does not ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete: Option<Complete>,
    /// How they are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<DataFormat>,
    /// The character between the fields of a CSV. Absent: that of comma, semicolon, tab and `|` which the first line
    /// has most of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<Delimiter>,
    /// The names of the columns of a CSV that has no header, in order. Absent: the first row has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub names: Option<Vec<String>>,
    /// The zone of times that name none, such as `Europe/Berlin`. Absent: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
    /// How times are written, as for strptime: `%d.%m.%Y %H:%M:%S`. Absent: RFC 3339, the same without a zone and with
    /// a space for the T, or seconds, milli-, micro- or nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 64))]
    pub time_format: Option<String>,
    /// How many rows of a sensor may be bad, as a number or a percentage such as `5%`; with more it fails. Absent: any
    /// number, but not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bad_rows: Option<Limit>,
    /// Which column is what. Absent: inferred from the header, and recorded.
    #[serde(default, skip_serializing_if = "Columns::is_empty")]
    pub columns: Columns,
}

impl DataSource {
    /// The keys by which readings are found before any of them is read: those in its path, or in its query's parameters.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<&str> {
        match (&self.path, &self.sql) {
            (Some(path), _) => path.keys(),
            (None, Some(sql)) => sql.keys(),
            (None, None) => BTreeSet::new(),
        }
    }

    /// Where a sensor's readings are: its path, in which times and `*` still stand; of a database a name for what is asked
    /// for it, which is the same for sensors of which the same is asked.
    ///
    /// # Errors
    /// When the sensor lacks a key, or a value would leave its path segment.
    pub fn place(&self, sensor: &SensorKeys) -> Result<String, TemplateError> {
        match (&self.path, &self.sql) {
            (Some(path), _) => path.render(sensor),
            (None, Some(sql)) => Ok(sql.place(sensor)),
            (None, None) => Err(TemplateError::Path(String::new())),
        }
    }
}

/// How readings are written: `Csv`, `JsonLines` (an array of objects too) or `Parquet`. Absent: told by the file's name,
/// else by its first bytes. gzip and zstd are recognised by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DataFormat {
    /// Fields with a delimiter between them, quoted where need be.
    Csv,
    /// One JSON object a line, or an array of objects.
    JsonLines,
    /// Parquet, of which columns that are nested are not read.
    Parquet,
}

/// One ASCII character that is no quote and no line end; a tab may be written `\t`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Delimiter(#[schemars(length(min = 1, max = 2))] pub String);

impl Delimiter {
    /// The character, if it can be one.
    #[must_use]
    pub fn byte(&self) -> Option<u8> {
        match self.0.as_bytes() {
            b"\\t" => Some(b'\t'),
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Some(*byte),
            _ => None,
        }
    }
}

/// Which column is what. What is absent is inferred: key columns match the keys' names, case-insensitively; `time` is
/// the first column named ts, time, timestamp, datetime or date; the values are the remaining numeric columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Columns {
    /// The column with the reading's time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The columns that are the model's features, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub value: Vec<String>,
    /// The column of each key, where it is not named as the key is: `{tag: Sensor}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, String>,
}

impl Columns {
    /// Whether nothing is said, so that all is inferred.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Where and how predictions are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Predictions {
    /// The folder. Default `predictions`; the schedule's are below it in `{namespace}/{schedule}/`.
    #[serde(default = "predictions_path")]
    pub path: String,
    /// `PerSensor` (default): `{sensor}/{window.start}.csv`; `PerItem`: `{window.start}/{item}.csv`;
    /// `Partitioned`: `date=YYYY-MM-DD/hour=HH/{window.start}.{item}.csv`, after the window's start in UTC. Without a
    /// window, the tick stands for its start.
    #[serde(default)]
    pub layout: PredictionLayout,
    /// `Csv` (default), `JsonLines` (`.jsonl`) or `Parquet`.
    #[serde(default)]
    pub format: PredictionFormat,
    /// A table of a PostgreSQL database that has them, too. Absent: files alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<SqlTable>,
}

/// A table for predictions: the sensor's keys and `time`, which name a row, and `score`, `prediction` and `run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SqlTable {
    /// A Secret of the schedule's namespace that names the database, as for `data.sql`.
    pub secret_ref: SecretRef,
    /// The table, such as `predictions` or `plant.predictions`. It is made if it is not there, and gets the columns that it
    /// lacks.
    pub table: TableName,
}

impl Default for Predictions {
    fn default() -> Self {
        let (layout, format) = (PredictionLayout::default(), PredictionFormat::default());
        Self { path: predictions_path(), layout, format, sql: None }
    }
}

/// How files of predictions lie in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PredictionLayout {
    /// A folder for each sensor, a file for each window.
    #[default]
    PerSensor,
    /// A folder for each window, a file for each item: that of all its sensors.
    PerItem,
    /// Folders `date=…/hour=…` as Hive has them, a file for each window and item: query engines skip what they need not
    /// read.
    Partitioned,
}

impl PredictionLayout {
    /// Whether the sensors of an item write to one file.
    #[must_use]
    pub fn is_shared(self) -> bool {
        self != Self::PerSensor
    }
}

/// What a file of predictions is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PredictionFormat {
    /// Comma-separated, with a header.
    #[default]
    Csv,
    /// One JSON object a line.
    JsonLines,
    /// Apache Parquet, with typed columns.
    Parquet,
}

impl PredictionFormat {
    /// How the files' names end.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

fn predictions_path() -> String {
    "predictions".to_owned()
}

/// Where and how logs are written. They grow while the work goes on, a few seconds behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Logs {
    /// `PerSensor` (default): `logs/{namespace}/{schedule}/{run}/{sensor}.{pod uid}.log`;
    /// `SingleDirectory`: `logs/{run}.{sensor}.{pod uid}.log`.
    #[serde(default)]
    pub layout: LogLayout,
}

/// How log files lie in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LogLayout {
    /// A folder for each run, a file for each sensor and attempt.
    #[default]
    PerSensor,
    /// All logs of all runs in one folder.
    SingleDirectory,
}
