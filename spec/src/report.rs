//! What pods answer: one JSON line in the termination message, at most 4 KiB.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::SensorKeys;

/// The most bytes that Kubernetes keeps of a termination message.
pub const MAX_BYTES: usize = 4096;

/// How many failures a report names; the rest are counted, and told in the record.
pub const MAX_FAILURES: usize = 10;

/// A sensor that failed, and why, in one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SensorFailure {
    /// The sensor.
    pub sensor: SensorKeys,
    /// A bounded category, such as `ModelNotFound` or `ModelInvalid`.
    pub reason: String,
    /// What happened, where, and what to do.
    pub message: String,
}

/// What `scorer plan` found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanReport {
    /// Sensors in the manifest.
    pub sensors: u32,
    /// Items in the manifest: the completions of the Job.
    pub items: u32,
    /// The manifest's URI.
    pub manifest: String,
    /// How many sensors came and went since the run before; absent where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// What the readings lacked when the wait for them to be complete was over; absent when all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
    /// Why no run can be made of the request; absent when all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// How many sensors came and went since an earlier run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// The earlier run.
    pub since: String,
    /// Sensors that it did not have.
    pub new: u32,
    /// Sensors that it had, and that are no more.
    pub vanished: u32,
}

/// What `scorer item` did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemReport {
    /// The item.
    pub index: u32,
    /// Sensors with a final outcome `Succeeded`.
    pub succeeded: u32,
    /// Sensors with a final outcome `Failed`.
    pub failed: u32,
    /// Sensors without a final outcome, for the next attempt.
    pub retry: u32,
    /// The first failures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<SensorFailure>,
    /// Why sensors could not be scored for the store's sake: it was away, or refused. Absent when all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<Failure>,
    /// Why the item as a whole could not be worked on; absent when all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// What became of the models of a run that trains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainingTotals {
    /// Models that were trained and written as a version.
    pub trained: u32,
    /// Those among them that were published.
    pub promoted: u32,
    /// Models that were degenerate, and not written.
    pub refused: u32,
}

/// What `scorer archive` folded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchiveReport {
    /// Sensors in the manifest.
    pub sensors: u32,
    /// Sensors that succeeded.
    pub succeeded: u32,
    /// Sensors that failed, those without any outcome included.
    pub failed: u32,
    /// Sensors that were scored with warnings, such as that their model is degenerate.
    #[serde(default)]
    pub warned: u32,
    /// The first warning, with its sensor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// Rows scored.
    pub rows: u64,
    /// Anomalies among them.
    pub anomalies: u64,
    /// Of a run that trains: what became of the models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<TrainingTotals>,
    /// Node-seconds that the run's pods took, summed over pods.
    pub pod_seconds: u64,
    /// The record's URI.
    pub record: String,
    /// The URI below which the logs are.
    pub logs: String,
    /// The first failures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<SensorFailure>,
    /// What was deleted from the store by the schedule's `retention`; absent where nothing was to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Deleted>,
    /// Why the run could not be archived; absent when all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// What was deleted from the store by a schedule's `retention`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Deleted {
    /// Runs.
    pub runs: u64,
    /// Files of logs.
    pub logs: u64,
    /// Files of predictions, `_SUCCESS` included.
    pub predictions: u64,
    /// Whether time ran out, so that the next run goes on.
    pub more: bool,
    /// Why something could not be deleted; absent when all is well. No run fails for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Failure>,
}

impl Deleted {
    /// Whether nothing was deleted.
    #[must_use]
    pub fn is_none(&self) -> bool {
        (self.runs, self.logs, self.predictions) == (0, 0, 0)
    }

    /// What was deleted, in words.
    #[must_use]
    pub fn applied(&self) -> String {
        let Self { runs, logs, predictions, more, .. } = self;
        let more = if *more { "; more is left for the next run" } else { "" };
        format!("deleted {runs} runs, {logs} files of logs and {predictions} files of predictions{more}")
    }
}

impl fmt::Display for Deleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.applied())?;
        self.problem.as_ref().map_or(Ok(()), |problem| write!(f, "; not all could be: {}", problem.message))
    }
}

/// Why a pod could not do its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// A bounded category in CamelCase, such as `StoreUnavailable`, `NoSensors` or `InvalidRequest`.
    pub reason: String,
    /// What happened, where, and what to do.
    pub message: String,
}

/// Exit codes of the scorer; `docs/architecture.md` documents them for users.
pub mod exit {
    /// Every sensor of the item has a final outcome, failed ones included.
    pub const DONE: u8 = 0;
    /// The request can never work: bad arguments, bad manifest. Do not retry.
    pub const INVALID: u8 = 64;
    /// The store is away. Try again, for as long as there is time: it costs no retry.
    pub const AWAY: u8 = 69;
    /// Some sensors may be retried (the store refused, a file changed under us).
    pub const RETRY: u8 = 75;
}

/// The reason of a store that does not answer.
pub const STORE_UNAVAILABLE: &str = "StoreUnavailable";
/// The reason of a database of readings that does not answer.
pub const DATA_UNAVAILABLE: &str = "DataUnavailable";

/// Whether a reason is one of the store or the database as a whole, which is away or refuses, and so no sensor's.
#[must_use]
pub fn is_of_store(reason: &str) -> bool {
    let refusals = ["AccessDenied", "ContainerNotFound", "InvalidCredential", "ReadOnly", "StorageFull"];
    [STORE_UNAVAILABLE, DATA_UNAVAILABLE].contains(&reason) || refusals.contains(&reason)
}

/// A report that drops its last failures, and then shortens messages, until it fits into a termination message.
pub trait Report: Serialize + DeserializeOwned + Clone {
    /// The failures that may be dropped.
    fn failures_mut(&mut self) -> Option<&mut Vec<SensorFailure>>;
    /// The message that may be shortened.
    fn message_mut(&mut self) -> Option<&mut String>;

    /// One JSON line of at most [`MAX_BYTES`].
    ///
    /// # Errors
    /// When the report does not serialise.
    fn to_message(&self) -> Result<String, serde_json::Error> {
        let mut report = self.clone();
        if let Some(failures) = report.failures_mut() {
            failures.truncate(MAX_FAILURES);
            failures.iter_mut().for_each(|f| truncate(&mut f.message, 512));
        }
        if let Some(message) = report.message_mut() {
            truncate(message, 2048);
        }
        loop {
            let line = serde_json::to_string(&report)?;
            if line.len() <= MAX_BYTES {
                return Ok(line);
            }
            if report.failures_mut().and_then(Vec::pop).is_none() {
                if let Some(message) = report.message_mut() {
                    let half = message.len() / 2;
                    truncate(message, half);
                    continue;
                }
                return Ok(line);
            }
        }
    }
}

fn truncate(text: &mut String, most: usize) {
    if text.len() > most {
        let mut end = most;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
}

impl Report for PlanReport {
    fn failures_mut(&mut self) -> Option<&mut Vec<SensorFailure>> {
        None
    }
    fn message_mut(&mut self) -> Option<&mut String> {
        self.error.as_mut().map(|e| &mut e.message).or(self.incomplete.as_mut())
    }
}

impl Report for ItemReport {
    fn failures_mut(&mut self) -> Option<&mut Vec<SensorFailure>> {
        Some(&mut self.failures)
    }
    fn message_mut(&mut self) -> Option<&mut String> {
        self.error.as_mut().or(self.store.as_mut()).map(|e| &mut e.message)
    }
}

impl Report for ArchiveReport {
    fn failures_mut(&mut self) -> Option<&mut Vec<SensorFailure>> {
        Some(&mut self.failures)
    }
    fn message_mut(&mut self) -> Option<&mut String> {
        self.error.as_mut().map(|e| &mut e.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_with_many_long_failures_fits_the_termination_message() {
        let failure = SensorFailure {
            sensor: [("device", "1".repeat(300))].into_iter().collect(),
            reason: "ModelInvalid".into(),
            message: "é".repeat(5_000),
        };
        let report = ItemReport { failed: 500, failures: vec![failure; 500], ..ItemReport::default() };
        let line = report.to_message().unwrap();
        assert!(line.len() <= MAX_BYTES);
        let back: ItemReport = serde_json::from_str(&line).unwrap();
        assert_eq!(back.failed, 500);
        assert!(!back.failures.is_empty());
    }
}
