//! What makes a [`Work`] impossible, beyond what its types say: the operator refuses it at once, `scorer plan` too.

mod data;

use std::collections::{BTreeMap, BTreeSet};

use crate::template::is_segment;
use crate::work::{PredictionFormat, PredictionLayout, Predictions, Sensors, Work};
use crate::{Location, Retention, SensorKeys, Span, Template};

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
        "packing" => "InvalidPacking",
        "predictions" => "InvalidPredictions",
        _ => "InvalidSpec",
    };
    wrong_because(reason, field, message)
}

fn wrong_because<T>(reason: &'static str, field: &'static str, message: impl Into<String>) -> Result<T, WorkError> {
    Err(WorkError { field, reason, message: message.into() })
}

impl Work {
    /// Checks what the types alone do not say.
    ///
    /// # Errors
    /// At the first field that cannot work.
    pub fn check(&self) -> Result<(), WorkError> {
        // Which account an az:// URL is in, only the pod knows.
        if let Err(error) = Location::parse(&self.store.url, Some("account")) {
            return wrong("store.url", error.to_string());
        }
        if let Some(secret) = self.store.secret_ref.as_ref().filter(|secret| !is_object_name(&secret.name)) {
            let message = format!("{:?} is no name of a Secret; use a-z, 0-9, - and . only", secret.name);
            return wrong_because("InvalidSecretName", "store.secretRef.name", message);
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
        data::check_path(&self.data.path, self.window.as_ref(), &keys)?;
        subset("data.path", self.data.path.keys(), &keys)?;
        if let Some(key) = self.data.columns.keys.keys().find(|k| !keys.contains(*k)) {
            return wrong("data.columns.keys", format!("{key} is no key of the sensors; they have {}", join(&keys)));
        }
        data::check(&self.data)?;
        if !(1..=10_000).contains(&self.packing.sensors_per_pod) {
            return wrong("packing.sensorsPerPod", format!("{} is not in 1 to 10000", self.packing.sensors_per_pod));
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
        self.predictions.check(&keys)
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

    fn check(&self, keys: &BTreeSet<String>) -> Result<(), WorkError> {
        if !self.path.trim_end_matches('/').parse::<Template>().is_ok_and(|t| t.keys().is_empty()) {
            return wrong(
                "predictions.path",
                format!("{:?} is no folder of the store; write it as predictions", self.path),
            );
        }
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
mod tests {
    use super::*;
    use serde_json::json;

    fn work(changes: serde_json::Value) -> Work {
        let mut value = json!({
            "store": {"url": "file:///x"},
            "model": {"path": "models/model_{device}_{tag}"},
            "data": {"path": "data/sensor_data.csv"},
        });
        if let (Some(all), serde_json::Value::Object(more)) = (value.as_object_mut(), changes) {
            all.extend(more);
        }
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_smallest_work_is_fine() {
        work(json!({})).check().unwrap();
        work(json!({"store": {"url": "az://models"}})).check().unwrap();
        work(json!({"model": {"path": "models/common"}, "sensors": {"list": [{"device": "1"}]}})).check().unwrap();
        work(json!({"model": {"path": "m/{date}"}})).check().unwrap();
        work(json!({"data": {"path": "data/*.csv"}})).check().unwrap();
        let hourly = json!({"data": {"path": "{device}/{yyyy}/{MM}/{dd}/{HH}/*"}, "window": {"length": "1d"}});
        work(hourly).check().unwrap();
    }

    #[test]
    fn what_cannot_work_names_its_field_and_what_to_write() {
        for (changes, field, hint) in [
            (json!({"model": {"path": "models/common"}}), "model.path", "braces"),
            (json!({"data": {"path": "data/{plant}.csv"}}), "data.path", "device, tag"),
            (json!({"data": {"path": "data/{yyyy}.csv"}}), "data.path", "only a window tells which"),
            (json!({"retention": {"runs": "90d", "logs": "23h"}}), "retention.logs", "not in 1d to 36500d"),
            (json!({"retention": {"predictions": "99999d"}}), "retention.predictions", "leave it out"),
            (
                json!({"data": {"path": "{yyyy}{MM}{dd}{HH}{mm}"}, "window": {"length": "70d"}}),
                "data.path",
                "100000 files",
            ),
            (
                json!({"model": {"path": "m/{dd}"}, "data": {"path": "{yyyy}/{MM}/{dd}"}, "window": {"length": "1h"}}),
                "data.path",
                "rename the key",
            ),
            (json!({"sensors": {}}), "sensors", "neither"),
            (
                json!({"sensors": {"list": [{"device": "1", "tag": "1"}], "matrix": {"device": ["1"]}}}),
                "sensors",
                "both",
            ),
            (json!({"sensors": {"list": []}}), "sensors.list", "empty"),
            (json!({"sensors": {"list": [{"device": "1"}]}}), "model.path", "{tag}"),
            (
                json!({"sensors": {"list": [{"device": "1", "tag": "1"}, {"device": "1"}]}}),
                "sensors.list",
                "other keys",
            ),
            (
                json!({"sensors": {"list": [{"device": "1", "tag": "1"}, {"device": "1", "tag": "1"}]}}),
                "sensors.list",
                "twice",
            ),
            (json!({"sensors": {"list": [{"Device": "1", "tag": "1"}]}}), "sensors.list", "a-z"),
            (json!({"sensors": {"list": [{"device": "", "tag": "1"}]}}), "sensors.list", "value"),
            (json!({"sensors": {"list": [{"device": "..", "tag": "1"}]}}), "sensors.list", ".."),
            (json!({"sensors": {"list": [{"device": "a/b", "tag": "1"}]}}), "sensors.list", "without /"),
            (json!({"sensors": {"list": [{"device": "x".repeat(300), "tag": "1"}]}}), "sensors.list", "too long"),
            (json!({"sensors": {"matrix": {}}}), "sensors.matrix", "empty"),
            (json!({"sensors": {"matrix": {"device": ["1", "1"], "tag": ["1"]}}}), "sensors.matrix", "twice"),
            (json!({"sensors": {"matrix": {"device": [], "tag": ["1"]}}}), "sensors.matrix", "without values"),
            (json!({"store": {"url": "https://x.y"}}), "store.url", "names no account"),
            (json!({"store": {"url": "az://C"}}), "store.url", "container name"),
            (json!({"store": {"url": "az://c1c", "secretRef": {"name": "Key"}}}), "store.secretRef.name", "a-z"),
            (json!({"store": {"url": "az://c1c", "secretRef": {"name": "a..b"}}}), "store.secretRef.name", "a-z"),
            (json!({"store": {"url": "az://c1c", "secretRef": {"name": "a-"}}}), "store.secretRef.name", "a-z"),
            (json!({"window": {"length": "0s"}}), "window.length", "from tick to tick"),
            (json!({"window": {"length": "99999999999d"}}), "window.length", "longer than 36500d"),
            (json!({"window": {"length": "1h", "delay": "36501d"}}), "window.delay", "longer than 36500d"),
            (json!({"packing": {"sensorsPerPod": 0}}), "packing.sensorsPerPod", "1 to 10000"),
            (json!({"predictions": {"path": "../x"}}), "predictions.path", "folder"),
            (
                json!({"model": {"path": "m/{date}"}, "predictions": {"layout": "Partitioned"}}),
                "predictions",
                "rename the key",
            ),
            (
                json!({"model": {"path": "m/{score}"}, "predictions": {"format": "Parquet"}}),
                "predictions",
                "called score",
            ),
            (json!({"data": {"path": "d.csv", "columns": {"keys": {"plant": "P"}}}}), "data.columns.keys", "plant"),
        ] {
            let error = work(changes.clone()).check().unwrap_err();
            assert_eq!(error.field, field, "{changes}: {error}");
            assert!(error.to_string().contains(hint), "{changes}: {error}");
        }
    }

    #[test]
    fn a_matrix_names_every_combination_once() {
        let work = work(json!({"sensors": {"matrix": {"device": ["1", "2"], "tag": ["a", "b", "c"]}}}));
        work.check().unwrap();
        let all = work.sensors.unwrap().all();
        assert_eq!(all.len(), 6);
        assert!(all.contains(&[("device", "2"), ("tag", "c")].into_iter().collect()));
    }
}
