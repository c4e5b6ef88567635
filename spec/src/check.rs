//! What makes a [`Work`] impossible, beyond what its types say: the operator refuses it at once, `scorer plan` too.

mod complete;
mod data;
mod sql;

use std::collections::{BTreeMap, BTreeSet};

use crate::template::is_segment;
use crate::work::{PredictionFormat, PredictionLayout, Predictions, SecretRef, Sensors, Work};
use crate::{CommandInput, Identifier, Location, Retention, SensorKeys, Span, Task, Template};

/// The most sensors that `sensors.list` may name.
pub const MAX_LISTED: usize = 1_000;
/// The most sensors of a run.
pub const MAX_SENSORS: usize = 1_000_000;
/// The reason of more than these.
const TOO_MANY: &str = "TooManySensors";
/// The longest name of a sensor as a path segment: with time, UID and ending it stays a file name everywhere.
const MAX_SLUG: usize = 160;

/// The longest `window.length`, `window.delay` and `retention`: a century. Times so far away are among the years that times
/// have.
const LONGEST: Span = Span::from_secs(36_500 * 86_400);

/// Why nothing can be scored as asked.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{field}: {message}")]
pub struct WorkError {
    /// The field, as in the manifest.
    pub field: &'static str,
    /// A bounded category in CamelCase.
    pub reason: &'static str,
    /// What is wrong with it, and what to write instead.
    pub message: String,
}

/// An error of the reason that its field has.
fn wrong<T>(field: &'static str, message: impl Into<String>) -> Result<T, WorkError> {
    let reason = match field.split('.').next().unwrap_or_default() {
        "store" => "InvalidStoreUrl",
        "sensors" => "InvalidSensors",
        "model" => "InvalidModelPath",
        "data" => "InvalidData",
        "window" => "InvalidWindow",
        "training" => "InvalidTraining",
        "predictions" => "InvalidPredictions",
        "scorer" => "InvalidCommand",
        _ => "InvalidSpec",
    };
    wrong_because(reason, field, message)
}

fn wrong_because<T>(reason: &'static str, field: &'static str, message: impl Into<String>) -> Result<T, WorkError> {
    Err(WorkError { field, reason, message: message.into() })
}

impl Work {
    /// Whether the sensors of an item write to one file.
    #[must_use]
    pub fn shares_files(&self) -> bool {
        self.task.is_score() && self.predictions.layout.is_shared()
    }

    /// Checks what the types alone do not say.
    ///
    /// # Errors
    /// At the first field that cannot work.
    pub fn check(&self) -> Result<(), WorkError> {
        // Which account an az:// URL is in, only the pod knows.
        if let Err(error) = Location::parse(&self.store.url, Some("account")) {
            return wrong("store.url", error.to_string());
        }
        if let Some(secret) = &self.store.secret_ref {
            check_secret("store.secretRef.name", secret)?;
        }
        if let Some(window) = &self.window {
            for (field, span) in [("window.length", window.length.unwrap_or_default()), ("window.delay", window.delay)]
            {
                if span > LONGEST {
                    return wrong(field, format!("{span} is longer than {LONGEST}; write such as 1h"));
                }
            }
            if window.length == Some(Span::default()) {
                return wrong("window.length", "must be longer than 0s; leave it out for windows from tick to tick");
            }
        }
        let keys = match &self.sensors {
            None => self.model.path.keys().into_iter().map(str::to_owned).collect(),
            Some(sensors) => sensors.check()?,
        };
        if keys.is_empty() {
            return wrong_because(
                "NoKey",
                "model.path",
                "names no key, so there are no sensors to find; put keys in braces, as in models/model_{device}_{tag}, \
                 or give sensors.list or sensors.matrix",
            );
        }
        subset("model.path", self.model.path.keys(), &keys)?;
        match (&self.data.path, &self.data.sql) {
            (Some(path), None) => {
                data::check_path("data.path", path, self.window.as_ref(), &keys)?;
                subset("data.path", path.keys(), &keys)?;
            }
            (None, Some(sql)) => {
                sql::check(sql, &self.data, self.window.is_some(), &keys)?;
                subset("data.sql.parameters", sql.keys(), &keys)?;
            }
            (Some(_), Some(_)) => return wrong("data", "has both path and sql; keep one"),
            (None, None) => return wrong("data", "has neither path nor sql; give one"),
        }
        if let Some(key) = self.data.columns.keys.keys().find(|k| !keys.contains(*k)) {
            return wrong("data.columns.keys", format!("{key} is no key of the sensors; they have {}", join(&keys)));
        }
        data::check(&self.data)?;
        if let Some(complete) = &self.data.complete {
            complete::check(complete, self.window.as_ref())?;
        }
        for (field, span) in self.retention.unwrap_or_default().fields() {
            let Some(span) = span else { continue };
            if !(Retention::SHORTEST..=LONGEST).contains(&span) {
                return wrong(
                    field,
                    format!("{span} is not in {} to {LONGEST}; leave it out to keep all", Retention::SHORTEST),
                );
            }
        }
        self.check_task()?;
        if let Some(command) = &self.command {
            command.check(&keys, self.window.is_some(), &self.predictions)?;
            if command.input == CommandInput::Files && self.data.sql.is_some() {
                return wrong("scorer.input", "is Files, and data.sql has none; write Rows");
            }
        }
        self.predictions.check(&keys)
    }

    fn check_task(&self) -> Result<(), WorkError> {
        if self.predictions.sql.is_some() && (!self.task.is_score() || self.command.is_some()) {
            let message = "is written by the scorer itself; leave it out with task: Train and with scorer.command";
            return wrong("predictions.sql", message);
        }
        if !self.task.is_score() && self.model.version.is_some() {
            return wrong(
                "model.version",
                "is what task: Score scores with; leave it out, a version is named by its run",
            );
        }
        if self.task == Task::Train && self.command.is_some() {
            let why = "scores, and task: Train trains with the built-in trainer; leave it out, or write task: Score";
            return wrong("scorer.command", why);
        }
        if self.model.challenger.is_some() && (!self.task.is_score() || self.command.is_some()) {
            return wrong("model.challenger", "is scored by the scorer itself; leave it out here, as with task: Train");
        }
        let Some(training) = &self.training else { return Ok(()) };
        if self.task != Task::Train {
            return wrong("training", "is how task: Train trains models; leave it out, or write task: Train");
        }
        training.problem().map_or(Ok(()), |(field, message)| wrong(field, message))
    }
}

impl Predictions {
    /// The names that their files give to columns and folders, which no key may have beside them.
    #[must_use]
    pub fn reserved(&self) -> &'static [&'static str] {
        match (self.layout, self.format) {
            (PredictionLayout::PerSensor, PredictionFormat::Csv) => &[],
            (PredictionLayout::PerSensor, _) => &["score", "prediction"],
            (PredictionLayout::PerItem, _) => &["time", "score", "prediction"],
            (PredictionLayout::Partitioned, _) => &["time", "score", "prediction", "date", "hour"],
        }
    }

    /// Whether they have times as instants, and not as texts alone.
    #[must_use]
    pub fn has_instants(&self) -> bool {
        self.format == PredictionFormat::Parquet || self.sql.is_some()
    }

    /// The names of columns of their table that are not the keys'.
    pub const OF_TABLE: [&str; 4] = ["time", "score", "prediction", "run"];

    fn check_table(&self, keys: &BTreeSet<String>) -> Result<(), WorkError> {
        let Some(table) = &self.sql else { return Ok(()) };
        check_secret("predictions.sql.secretRef.name", &table.secret_ref)?;
        let unfit = |key: &&String| Self::OF_TABLE.contains(&key.as_str()) || key.parse::<Identifier>().is_err();
        match keys.iter().find(unfit) {
            Some(key) => {
                let others = Self::OF_TABLE.join(", ");
                wrong("predictions.sql", format!("the key {key} cannot be a column beside {others}; rename the key"))
            }
            None => Ok(()),
        }
    }

    fn check(&self, keys: &BTreeSet<String>) -> Result<(), WorkError> {
        if !self.path.trim_end_matches('/').parse::<Template>().is_ok_and(|t| t.keys().is_empty()) {
            return wrong(
                "predictions.path",
                format!("{:?} is no folder of the store; write it as predictions", self.path),
            );
        }
        self.check_table(keys)?;
        match self.reserved().iter().find(|name| keys.contains(**name)) {
            Some(name) => wrong(
                "predictions",
                format!(
                    "a key of the sensors is called {name}, as a column or folder of the predictions is; rename the key, \
                     or use layout PerSensor with format Csv"
                ),
            ),
            None => Ok(()),
        }
    }
}

impl Sensors {
    /// The names of the sensors' keys.
    fn check(&self) -> Result<BTreeSet<String>, WorkError> {
        match (&self.list, &self.matrix) {
            (Some(_), Some(_)) => wrong("sensors", "has both list and matrix; keep one"),
            (None, None) => wrong(
                "sensors",
                "has neither list nor matrix; give one, or leave sensors out to find them by model.path",
            ),
            (Some(list), None) => check_list(list),
            (None, Some(matrix)) => check_matrix(matrix),
        }
    }

    /// Every sensor named, in order; call after [`Work::check`].
    #[must_use]
    pub fn all(&self) -> BTreeSet<SensorKeys> {
        let mut sensors: BTreeSet<_> = self.list.iter().flatten().cloned().collect();
        if let Some(matrix) = &self.matrix {
            let mut combined = vec![SensorKeys::default()];
            for (name, values) in matrix {
                combined = combined
                    .iter()
                    .flat_map(|sensor| {
                        values.iter().map(|value| {
                            let mut sensor = sensor.clone();
                            sensor.0.insert(name.clone(), value.clone());
                            sensor
                        })
                    })
                    .collect();
            }
            sensors.extend(combined);
        }
        sensors
    }
}

fn check_list(list: &[SensorKeys]) -> Result<BTreeSet<String>, WorkError> {
    const FIELD: &str = "sensors.list";
    let Some(first) = list.first() else {
        return wrong(FIELD, "is empty; name at least one sensor, or leave sensors out to find them by model.path");
    };
    if list.len() > MAX_LISTED {
        return wrong_because(
            TOO_MANY,
            FIELD,
            format!("names {} sensors, more than {MAX_LISTED}; use sensors.matrix, or leave sensors out", list.len()),
        );
    }
    let keys: BTreeSet<String> = first.0.keys().cloned().collect();
    let mut seen = BTreeSet::new();
    for sensor in list {
        if sensor.0.len() != keys.len() || sensor.0.keys().any(|k| !keys.contains(k)) {
            return wrong(FIELD, format!("sensor {sensor} has other keys than the first one ({})", join(&keys)));
        }
        if !seen.insert(sensor) {
            let message = format!("sensor {sensor} is named twice; name each once");
            return wrong_because("DuplicateSensor", FIELD, message);
        }
        check_sensor(FIELD, sensor)?;
    }
    Ok(keys)
}

fn check_matrix(matrix: &BTreeMap<String, Vec<String>>) -> Result<BTreeSet<String>, WorkError> {
    const FIELD: &str = "sensors.matrix";
    if matrix.is_empty() {
        return wrong(FIELD, "is empty; give at least one key with its values, or leave sensors out");
    }
    let count = matrix.values().try_fold(1usize, |n, values| n.checked_mul(values.len()));
    match count {
        Some(0) => return wrong(FIELD, "has a key without values; give each key at least one"),
        Some(n) if n <= MAX_SENSORS => {}
        _ => {
            let message = format!("has more than {MAX_SENSORS} combinations; divide them among several schedules");
            return wrong_because(TOO_MANY, FIELD, message);
        }
    }
    for (name, values) in matrix {
        for value in values {
            check_sensor(FIELD, &[(name, value)].into_iter().collect())?;
        }
        if values.iter().collect::<BTreeSet<_>>().len() != values.len() {
            let message = format!("{name} has a value twice, so sensors too; write each once");
            return wrong_because("DuplicateSensor", FIELD, message);
        }
    }
    let longest: SensorKeys =
        matrix.iter().filter_map(|(n, vs)| vs.iter().max_by_key(|v| v.len()).map(|v| (n, v))).collect();
    check_sensor(FIELD, &longest)?;
    Ok(matrix.keys().cloned().collect())
}

/// Whether a sensor can be part of paths and columns.
///
/// # Errors
/// When a key's name or value cannot be used, or the whole is too long.
pub fn check_sensor(field: &'static str, sensor: &SensorKeys) -> Result<(), WorkError> {
    for (name, value) in &sensor.0 {
        let mut chars = name.chars();
        if !chars.next().is_some_and(|c| c.is_ascii_lowercase())
            || !chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        {
            return wrong(field, format!("{name:?} is no key; use a-z, 0-9 and _ only, a letter first"));
        }
        // Whether or not a path holds the key today, its values must fit into one.
        if !is_segment(value) {
            return wrong(
                field,
                format!(
                    "{name} has the value {value:?}; a value must be a text without /, \\ and control characters, and not . or .."
                ),
            );
        }
    }
    if sensor.slug().len() > MAX_SLUG {
        return wrong(
            field,
            format!(
                "sensor {sensor} is too long to be part of file names; keep its keys and values below {MAX_SLUG} characters together"
            ),
        );
    }
    Ok(())
}

fn subset(field: &'static str, of: BTreeSet<&str>, keys: &BTreeSet<String>) -> Result<(), WorkError> {
    match of.into_iter().find(|k| !keys.contains(*k)) {
        Some(key) => wrong(field, format!("{{{key}}} is no key of the sensors; they have {}", join(keys))),
        None => Ok(()),
    }
}

/// Whether there can be a Secret of this name.
fn check_secret(field: &'static str, secret: &SecretRef) -> Result<(), WorkError> {
    if is_object_name(&secret.name) {
        return Ok(());
    }
    let message = format!("{:?} is no name of a Secret; use a-z, 0-9, - and . only", secret.name);
    wrong_because("InvalidSecretName", field, message)
}

/// Whether an object of Kubernetes may be named so: a DNS subdomain.
fn is_object_name(name: &str) -> bool {
    let label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn join(keys: &BTreeSet<String>) -> String {
    keys.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
