//! A ScoringSchedule as people write it, read without Kubernetes: for `scorer run`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use spec::ticks::{TickError, Ticks};
use spec::window::{Window, WindowError};
use spec::work::{DataSource, Logs, ModelSource, Predictions, Sensors, StoreRef, Work};
use spec::{Command, CommandInput, Limit, ManifestError, Packing, Retention, RunRequest, Task, TimeRange, Training};

/// The API version that is understood.
pub const API_VERSION: &str = "batchscoring.dev/v1alpha1";
/// The kind that is understood.
pub const KIND: &str = "ScoringSchedule";

/// A ScoringSchedule.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Schedule {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    metadata: Metadata,
    spec: ScheduleSpec,
    #[serde(default, rename = "status")]
    _status: IgnoredAny,
}

/// Names; what else Kubernetes keeps there does not matter here.
#[derive(Debug, Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: Option<String>,
}

/// The part that says what to score; what only the operator reads is accepted and left alone.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ScheduleSpec {
    #[serde(default)]
    task: Task,
    #[serde(default)]
    training: Option<Training>,
    store: StoreRef,
    #[serde(default)]
    sensors: Option<Sensors>,
    model: ModelSource,
    data: DataSource,
    #[serde(default)]
    schedule: Option<String>,
    #[serde(default)]
    time_zone: Option<String>,
    #[serde(default)]
    window: Option<Window>,
    #[serde(default)]
    predictions: Predictions,
    #[serde(default)]
    logs: Logs,
    #[serde(default)]
    packing: Packing,
    #[serde(default)]
    retention: Option<Retention>,
    #[serde(default)]
    retries: Option<u32>,
    #[serde(default)]
    max_failed_sensors: Option<Limit>,
    #[serde(default, rename = "clusterRef")]
    _cluster_ref: IgnoredAny,
    #[serde(default, rename = "suspend")]
    _suspend: IgnoredAny,
    #[serde(default, rename = "concurrencyPolicy")]
    _concurrency_policy: IgnoredAny,
    #[serde(default, rename = "startingDeadlineSeconds")]
    _starting_deadline_seconds: IgnoredAny,
    #[serde(default, rename = "jitter")]
    _jitter: IgnoredAny,
    #[serde(default, rename = "catchUp")]
    _catch_up: IgnoredAny,
    #[serde(default, rename = "priority")]
    _priority: IgnoredAny,
    #[serde(default, rename = "deadline")]
    _deadline: IgnoredAny,
    #[serde(default, rename = "history")]
    _history: IgnoredAny,
    #[serde(default)]
    scorer: ScorerSpec,
}

/// The scorer's own program; what only pods have is left alone.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScorerSpec {
    #[serde(default)]
    command: Option<Vec<String>>,
    #[serde(default)]
    args: Option<Vec<String>>,
    #[serde(default)]
    per_item: Option<bool>,
    #[serde(default)]
    input: Option<CommandInput>,
    #[serde(default)]
    timeout_seconds: Option<u32>,
    #[serde(default)]
    env: Vec<EnvVar>,
}

/// A variable of the environment; one whose value is elsewhere has none here.
#[derive(Debug, Deserialize)]
struct EnvVar {
    name: String,
    #[serde(default)]
    value: Option<String>,
}

impl ScorerSpec {
    fn command(&self) -> Option<Command> {
        Command::of(self.command.clone(), self.args.clone(), self.per_item, self.input, self.timeout_seconds)
    }
}

/// Why a schedule gives no run at a time.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It has no ticks.
    #[error("field spec.schedule: {0}")]
    Ticks(#[from] TickError),
    /// The tick has no window.
    #[error("field spec.window: {0}")]
    Window(#[from] WindowError),
}

#[derive(Deserialize)]
struct Peek {
    #[serde(default, rename = "apiVersion")]
    api_version: Option<String>,
    #[serde(default)]
    kind: Option<String>,
}

impl Schedule {
    /// Reads the one ScoringSchedule of a file, which may hold other documents.
    ///
    /// # Errors
    /// When there is none or more than one, or it has a field that is wrong or unknown: names file, line and field.
    pub fn parse(file: &str, text: &str) -> Result<Self, ManifestError> {
        let error = |message: String| ManifestError { file: file.to_owned(), line: None, field: None, message };
        let mut found: Option<Self> = None;
        for document in documents(text) {
            let peek: Option<Peek> =
                serde_saphyr::from_str(&document).map_err(|e| ManifestError::of_yaml(file, &document, &e))?;
            let Some(peek) = peek else { continue };
            if peek.kind.as_deref() != Some(KIND) {
                continue;
            }
            if peek.api_version.as_deref() != Some(API_VERSION) {
                let version = peek.api_version.unwrap_or_default();
                return Err(error(format!("apiVersion is {version:?}; write {API_VERSION}")));
            }
            let schedule =
                serde_saphyr::from_str(&document).map_err(|e| ManifestError::of_yaml(file, &document, &e))?;
            if found.replace(schedule).is_some() {
                return Err(error(format!("holds more than one {KIND}; split the file")));
            }
        }
        found.ok_or_else(|| error(format!("holds no {KIND} (apiVersion: {API_VERSION}, kind: {KIND})")))
    }

    /// The request of a run at a time, in the store of the manifest or another one.
    ///
    /// # Errors
    /// When the window lies outside of all times, or reaches from tick to tick and there are none.
    pub fn request(&self, at: Timestamp, uid: String, store: Option<&str>) -> Result<RunRequest, RequestError> {
        let name = &self.metadata.name;
        let mut work = self.work();
        if let Some(url) = store {
            store_url(&mut work, url);
        }
        let window = work.window.map(|window| self.window(window, at)).transpose()?;
        Ok(RunRequest {
            namespace: self.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned()),
            schedule: name.clone(),
            run: format!("{name}-{}", at.as_second().div_euclid(60)),
            run_uid: uid,
            tick: at,
            window,
            work,
            rerun_failed_of: None,
            slots: None,
            deadline: None,
            wait_until: None,
        })
    }

    /// Its ticks matter only where it reaches from one to the next.
    fn window(&self, window: Window, at: Timestamp) -> Result<TimeRange, RequestError> {
        let schedule = self.spec.schedule.as_deref().filter(|_| window.length.is_none());
        let ticks = schedule.map(|schedule| Ticks::parse(schedule, self.spec.time_zone.as_deref(), at)).transpose()?;
        Ok(window.at(at, ticks.as_ref())?)
    }

    /// How often an item is tried again.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.spec.retries.unwrap_or(2)
    }

    /// The environment of its command, as far as it stands in the manifest.
    #[must_use]
    pub fn env(&self) -> BTreeMap<String, String> {
        let env = self.spec.scorer.env.iter();
        env.filter_map(|env| Some((env.name.clone(), env.value.clone()?))).collect()
    }

    /// Whether a run with so many failed sensors is Complete all the same.
    #[must_use]
    pub fn tolerates(&self, failed: u32, sensors: u32) -> bool {
        Limit::tolerates(self.spec.max_failed_sensors, failed, sensors)
    }

    fn work(&self) -> Work {
        let spec = &self.spec;
        Work {
            task: spec.task,
            training: spec.training,
            store: spec.store.clone(),
            sensors: spec.sensors.clone(),
            model: spec.model.clone(),
            data: spec.data.clone(),
            window: spec.window,
            predictions: spec.predictions.clone(),
            logs: spec.logs.clone(),
            packing: spec.packing,
            retention: spec.retention,
            command: spec.scorer.command(),
        }
    }
}

fn store_url(work: &mut Work, url: &str) {
    url.clone_into(&mut work.store.url);
    work.store.secret_ref = None;
}

/// The documents of a YAML file, each with blank lines for what is before it, so that line numbers stay true.
fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for (number, line) in text.lines().enumerate() {
        if line.trim_end() == "---" {
            documents.push("\n".repeat(number + 1));
        } else if let Some(document) = documents.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    documents.retain(|d| d.lines().any(|l| !l.trim().is_empty() && !l.trim_start().starts_with('#')));
    documents
}

#[cfg(test)]
mod tests;
