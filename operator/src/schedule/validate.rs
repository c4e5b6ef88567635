//! What the API server cannot refuse: whether a schedule makes sense, pure and in one place.

use std::collections::{BTreeMap, BTreeSet};

use crds::{ScoringCluster, ScoringScheduleSpec};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::{Selector, SelectorExt};
use planner::run::{MaxFailed, MaxFailedError};
use planner::ticks::{TickError, Ticks};
use spec::{SensorKeys, Template};

/// The most sensors that a list or a matrix may name.
const MAX_SENSORS: usize = 100_000;

/// What is known of the cluster that a schedule names.
#[derive(Clone, Copy, Debug)]
pub enum Cluster<'a> {
    /// There is none of this name.
    Unknown,
    /// There is one, but its spec makes no sense.
    Invalid(&'a str),
    /// There it is.
    Known(&'a ScoringCluster),
}

/// Why a schedule is not valid: a sentence that says what to write instead.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// Cron expression or time zone.
    #[error("{0}")]
    Ticks(#[from] TickError),
    /// No such cluster.
    #[error("clusterRef: there is no ScoringCluster {0:?}; an administrator creates it, or name another")]
    ClusterNotFound(String),
    /// The cluster is there, but not valid.
    #[error("clusterRef: ScoringCluster {name:?} is not valid: {why}")]
    ClusterInvalid {
        /// The cluster.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// The cluster is for others.
    #[error(
        "clusterRef: ScoringCluster {cluster:?} does not admit namespace {namespace:?}; its namespaceSelector must match \
         the namespace's labels"
    )]
    NamespaceNotSelected {
        /// The cluster.
        cluster: String,
        /// The schedule's namespace.
        namespace: String,
    },
    /// Sensors are to be discovered, but the path tells none apart.
    #[error(
        "model.path {0:?} has no key, so no sensor can be found by it; write a key in braces, such as \
         models/model_{{device}}_{{tag}}, or list the sensors"
    )]
    NoKey(String),
    /// A path needs a key that the sensors do not have.
    #[error("{field} {path:?} has the key {{{key}}}, which {who}; use only keys that every sensor has")]
    KeyMissing {
        /// The field.
        field: &'static str,
        /// The path.
        path: String,
        /// The key.
        key: String,
        /// Who lacks it.
        who: String,
    },
    /// A sensor's values make no path.
    #[error("sensors: {0}")]
    SensorUnusable(String),
    /// A sensor stands twice.
    #[error("sensors: {0} is listed twice; list every sensor once")]
    DuplicateSensor(SensorKeys),
    /// No sensors at all.
    #[error("sensors: there is none; list at least one, or leave sensors out to score those that model.path matches")]
    NoSensors,
    /// Too many of them.
    #[error("sensors: the matrix has {0} combinations, more than {MAX_SENSORS}; split the schedule")]
    TooManySensors(usize),
    /// The store's URL.
    #[error(
        "store.url {url:?} {why}; write https://ACCOUNT.blob.core.windows.net, az://CONTAINER, http://HOST:PORT/ACCOUNT \
         or file:///FOLDER"
    )]
    StoreUrl {
        /// The URL.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The folder of predictions.
    #[error("predictions.path: {0}")]
    PredictionsPath(String),
    /// How many sensors may fail.
    #[error("{0}")]
    MaxFailed(#[from] MaxFailedError),
    /// The cluster's selector itself.
    #[error("ScoringCluster {0:?} has a namespaceSelector that makes no sense; an administrator must correct it")]
    Selector(String),
}

impl Invalid {
    /// A bounded category in CamelCase.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Ticks(error) => error.reason(),
            Self::ClusterNotFound(_) => "ClusterNotFound",
            Self::ClusterInvalid { .. } | Self::Selector(_) => "ClusterInvalid",
            Self::NamespaceNotSelected { .. } => "NamespaceNotSelected",
            Self::NoKey(_) => "TemplateWithoutKey",
            Self::KeyMissing { .. } => "TemplateKeyMissing",
            Self::SensorUnusable(_) => "InvalidSensor",
            Self::DuplicateSensor(_) => "DuplicateSensor",
            Self::NoSensors => "NoSensors",
            Self::TooManySensors(_) => "TooManySensors",
            Self::StoreUrl { .. } => "InvalidStoreUrl",
            Self::PredictionsPath(_) => "InvalidPath",
            Self::MaxFailed(_) => "InvalidMaxFailedSensors",
        }
    }
}

/// Checks all of a schedule. What a valid one gives is its ticks.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(
    spec: &ScoringScheduleSpec,
    cluster: Cluster<'_>,
    namespace: &str,
    labels: &BTreeMap<String, String>,
    now: Timestamp,
) -> Result<Ticks, Invalid> {
    let ticks = Ticks::parse(&spec.schedule, spec.time_zone.as_deref(), now)?;
    sensors(spec)?;
    store_url(&spec.store.url)?;
    max_failed(spec)?;
    let path: Result<Template, _> = spec.predictions.path.parse();
    match path {
        Ok(path) if path.keys().is_empty() => {}
        Ok(path) => return Err(Invalid::PredictionsPath(format!("{path} is a folder for all sensors, without keys"))),
        Err(error) => return Err(Invalid::PredictionsPath(error.to_string())),
    }
    admitted(&spec.cluster_ref.name, cluster, namespace, labels)?;
    Ok(ticks)
}

/// How many sensors may fail.
///
/// # Errors
/// When the field is neither number nor percentage.
pub fn max_failed(spec: &ScoringScheduleSpec) -> Result<MaxFailed, MaxFailedError> {
    match &spec.max_failed_sensors {
        None => Ok(MaxFailed::default()),
        Some(IntOrString::Int(number)) => number.to_string().parse(),
        Some(IntOrString::String(text)) => text.parse(),
    }
}

fn admitted(
    name: &str,
    cluster: Cluster<'_>,
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> Result<(), Invalid> {
    let cluster = match cluster {
        Cluster::Unknown => return Err(Invalid::ClusterNotFound(name.to_owned())),
        Cluster::Invalid(why) => return Err(Invalid::ClusterInvalid { name: name.to_owned(), why: why.to_owned() }),
        Cluster::Known(cluster) => cluster,
    };
    match &cluster.spec.namespace_selector {
        Some(selector) if !selects(selector, labels).ok_or_else(|| Invalid::Selector(name.to_owned()))? => {
            Err(Invalid::NamespaceNotSelected { cluster: name.to_owned(), namespace: namespace.to_owned() })
        }
        _ => Ok(()),
    }
}

fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> Option<bool> {
    Selector::try_from(selector.clone()).ok().map(|selector| selector.matches(labels))
}

fn sensors(spec: &ScoringScheduleSpec) -> Result<(), Invalid> {
    let paths = [("model.path", &spec.model.path), ("data.path", &spec.data.path)];
    let Some(sensors) = &spec.sensors else {
        let keys = spec.model.path.keys();
        if keys.is_empty() {
            return Err(Invalid::NoKey(spec.model.path.to_string()));
        }
        return has_keys("data.path", &spec.data.path, &keys, "model.path does not have");
    };
    if let Some(matrix) = &sensors.matrix {
        let size = matrix.values().map(Vec::len).try_fold(1usize, usize::checked_mul).unwrap_or(usize::MAX);
        if matrix.is_empty() || size == 0 {
            return Err(Invalid::NoSensors);
        }
        if size > MAX_SENSORS {
            return Err(Invalid::TooManySensors(size));
        }
        let keys = matrix.keys().map(String::as_str).collect();
        for (field, path) in paths {
            has_keys(field, path, &keys, "the matrix does not have")?;
        }
        return matrix_values(matrix);
    }
    let list = sensors.list.as_deref().unwrap_or_default();
    if list.is_empty() {
        return Err(Invalid::NoSensors);
    }
    let mut seen = BTreeSet::new();
    for sensor in list {
        if !seen.insert(sensor) {
            return Err(Invalid::DuplicateSensor(sensor.clone()));
        }
        let keys = sensor.0.keys().map(String::as_str).collect();
        for (field, path) in paths {
            has_keys(field, path, &keys, &format!("sensor {sensor} does not have"))?;
        }
        usable(sensor)?;
    }
    Ok(())
}

fn matrix_values(matrix: &BTreeMap<String, Vec<String>>) -> Result<(), Invalid> {
    for (key, values) in matrix {
        let mut seen = BTreeSet::new();
        for value in values {
            let sensor: SensorKeys = [(key.as_str(), value.as_str())].into_iter().collect();
            usable(&sensor)?;
            if !seen.insert(value) {
                return Err(Invalid::DuplicateSensor(sensor));
            }
        }
    }
    Ok(())
}

fn has_keys(field: &'static str, path: &Template, keys: &BTreeSet<&str>, who: &str) -> Result<(), Invalid> {
    match path.keys().iter().find(|key| !keys.contains(*key)) {
        Some(key) => {
            let (path, key, who) = (path.to_string(), (*key).to_owned(), who.to_owned());
            Err(Invalid::KeyMissing { field, path, key, who })
        }
        None => Ok(()),
    }
}

/// Every value becomes a part of a path, and every key a name in a template, whether or not a path uses it today.
fn usable(sensor: &SensorKeys) -> Result<(), Invalid> {
    for key in sensor.0.keys() {
        let probe: Template = format!("{{{key}}}")
            .parse()
            .map_err(|error: spec::template::TemplateError| Invalid::SensorUnusable(error.to_string()))?;
        probe.render(sensor).map_err(|error| Invalid::SensorUnusable(error.to_string()))?;
    }
    if sensor.0.is_empty() { Err(Invalid::NoSensors) } else { Ok(()) }
}

fn store_url(url: &str) -> Result<(), Invalid> {
    let wrong = |why: &str| Invalid::StoreUrl { url: url.to_owned(), why: why.to_owned() };
    let parsed = url::Url::parse(url).map_err(|error| wrong(&format!("is not a URL ({error})")))?;
    let host = parsed.host_str().unwrap_or_default();
    match parsed.scheme() {
        "https" | "http" | "az" if host.is_empty() => Err(wrong("has no host")),
        "https" | "http" | "az" if !parsed.username().is_empty() || parsed.password().is_some() => {
            Err(wrong("holds a credential, which belongs into the Secret of store.secretRef"))
        }
        "https" | "http" if parsed.query().is_some() => {
            Err(wrong("has a query; a SAS token belongs into the Secret of store.secretRef"))
        }
        "https" | "http" | "az" => Ok(()),
        "file" if host.is_empty() && parsed.path().len() > 1 => Ok(()),
        "file" => Err(wrong("names no folder")),
        _ => Err(wrong("has an unknown scheme")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn reason(patch: &Value) -> &'static str {
        reason_with(patch, &json!({}))
    }

    fn reason_with(patch: &Value, cluster: &Value) -> &'static str {
        let mut spec = json!({
            "clusterRef": {"name": "cpu"}, "schedule": "@hourly",
            "store": {"url": "https://account.blob.core.windows.net"},
            "model": {"path": "models/model_{device}_{tag}"}, "data": {"path": "data/sensor_data.csv"},
        });
        let mut policy = json!({"maxNodes": 3, "nodePool": {"aks": {
            "subscriptionId": "", "resourceGroup": "g", "clusterName": "c", "agentPool": "p"}}});
        for (into, from) in [(&mut spec, patch), (&mut policy, cluster)] {
            for (key, value) in from.as_object().unwrap() {
                into[key] = value.clone();
            }
        }
        let cluster = ScoringCluster::new("cpu", serde_json::from_value(policy).unwrap());
        let labels = BTreeMap::from([("team".to_owned(), "one".to_owned())]);
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let spec: ScoringScheduleSpec = serde_json::from_value(spec).unwrap();
        match check(&spec, Cluster::Known(&cluster), "plant", &labels, now) {
            Ok(_) => "Valid",
            Err(error) => {
                assert!(error.to_string().len() > 20, "{error}");
                error.reason()
            }
        }
    }

    #[test]
    fn the_smallest_schedule_is_valid() {
        assert_eq!(reason(&json!({})), "Valid");
        assert_eq!(reason(&json!({"sensors": {"list": [{"device": "1", "tag": "5"}]}})), "Valid");
        assert_eq!(reason(&json!({"sensors": {"matrix": {"device": ["1", "2"], "tag": ["a"]}}})), "Valid");
    }

    #[test]
    fn wrong_ticks_are_told() {
        assert_eq!(reason(&json!({"schedule": "every hour"})), "InvalidSchedule");
        assert_eq!(reason(&json!({"timeZone": "Mars/Olympus"})), "InvalidTimeZone");
        assert_eq!(reason(&json!({"schedule": "0 0 31 2 *"})), "NeverDue");
    }

    #[test]
    fn paths_must_tell_sensors_apart_by_keys_that_they_have() {
        assert_eq!(reason(&json!({"model": {"path": "models/one"}})), "TemplateWithoutKey");
        assert_eq!(reason(&json!({"data": {"path": "data/{plant}.csv"}})), "TemplateKeyMissing");
        assert_eq!(reason(&json!({"sensors": {"list": [{"device": "1"}]}})), "TemplateKeyMissing");
        assert_eq!(reason(&json!({"sensors": {"matrix": {"device": ["1"]}}})), "TemplateKeyMissing");
        assert_eq!(reason(&json!({"predictions": {"path": "out/{device}"}})), "InvalidPath");
        assert_eq!(reason(&json!({"predictions": {"path": "../out"}})), "InvalidPath");
    }

    #[test]
    fn sensors_are_listed_once_with_usable_values() {
        let sensor = json!({"device": "1", "tag": "5"});
        assert_eq!(reason(&json!({"sensors": {"list": [sensor, sensor]}})), "DuplicateSensor");
        assert_eq!(reason(&json!({"sensors": {"matrix": {"device": ["1", "1"], "tag": ["5"]}}})), "DuplicateSensor");
        assert_eq!(reason(&json!({"sensors": {"list": [{"device": "..", "tag": "5"}]}})), "InvalidSensor");
        assert_eq!(reason(&json!({"sensors": {"list": []}})), "NoSensors");
        assert_eq!(reason(&json!({"sensors": {"matrix": {"device": [], "tag": ["5"]}}})), "NoSensors");
        let many: Vec<String> = (0..400).map(|n| n.to_string()).collect();
        assert_eq!(reason(&json!({"sensors": {"matrix": {"device": many, "tag": many}}})), "TooManySensors");
    }

    #[test]
    fn a_store_is_named_without_credentials() {
        for url in ["az://models", "http://10.0.0.1:10000/devstoreaccount1", "file:///mnt/store"] {
            assert_eq!(reason(&json!({"store": {"url": url}})), "Valid", "{url}");
        }
        for url in ["account", "ftp://x", "file:///", "https://u:p@x", "https://x?sig=1", "az://"] {
            assert_eq!(reason(&json!({"store": {"url": url}})), "InvalidStoreUrl", "{url}");
        }
    }

    #[test]
    fn a_cluster_admits_the_namespaces_it_selects() {
        let selector = |team| json!({"namespaceSelector": {"matchLabels": {"team": team}}});
        assert_eq!(reason_with(&json!({}), &selector("one")), "Valid");
        assert_eq!(reason_with(&json!({}), &selector("two")), "NamespaceNotSelected");
    }

    #[test]
    fn max_failed_sensors_that_is_no_number_is_told() {
        assert_eq!(reason(&json!({"maxFailedSensors": "some"})), "InvalidMaxFailedSensors");
        assert_eq!(reason(&json!({"maxFailedSensors": "10%"})), "Valid");
    }
}
