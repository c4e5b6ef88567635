//! What became of a sensor: one line of `outcomes/{index}.{pod uid}.ndjson`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use spec::report::SensorFailure;
use spec::work::Columns;
use spec::{ModelVersion, SensorKeys};

use crate::RequestCounts;
use crate::bands::Drift;
use crate::versions::Trial;

/// The most bytes of one attempt's outcomes.
pub const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Whether a sensor is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Scored, and its predictions written. Final.
    Succeeded,
    /// It cannot be scored. Final.
    Failed,
    /// Another attempt may score it.
    Retry,
}

impl Status {
    /// Whether no further attempt is made.
    #[must_use]
    pub fn is_final(self) -> bool {
        self != Self::Retry
    }
}

/// What became of a sensor in one attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The sensor.
    pub sensor: SensorKeys,
    /// Whether it is done.
    pub status: Status,
    /// Why it failed, in one CamelCase word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What happened, where, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Rows read for the sensor in the window.
    #[serde(default)]
    pub rows: u64,
    /// Rows scored.
    #[serde(default)]
    pub scored: u64,
    /// Anomalies among them.
    #[serde(default)]
    pub anomalies: u64,
    /// Rows that could not be scored.
    #[serde(default)]
    pub bad_rows: u64,
    /// When the attempt at the sensor started.
    pub started: Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// With which code the user's command exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Processor seconds of the user's command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
    /// The most memory of one process of the user's command, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// The SHA-256 of the model that scored, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_hash: Option<String>,
    /// The mean of each input of the model over the rows that were scored, the first 16; none of one without a number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input_means: Vec<Option<f64>>,
    /// What has left the band of the sensor's last runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<Drift>,
    /// What the challenger said of the same rows, of a schedule that names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenger: Option<ChallengerOutcome>,
    /// What the model's user should know of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Which column was what, as said or inferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    /// Where the predictions are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictions: Option<String>,
    /// The model that was trained, of a run that trains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<Trained>,
    /// Where the log is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// The item.
    #[serde(default)]
    pub index: u32,
    /// The pod's UID, which names the attempt.
    #[serde(default)]
    pub pod_uid: String,
    /// The node.
    #[serde(default)]
    pub node: String,
}

/// What a challenger said of the rows that were scored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChallengerOutcome {
    /// Its version.
    pub version: ModelVersion,
    /// Why it was not scored, in one CamelCase word; a warning says more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where its predictions are; empty where it was not scored.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub predictions: String,
    /// The SHA-256 of its file, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_hash: Option<String>,
    /// Rows that it scored.
    pub scored: u64,
    /// Those that it calls anomalies.
    pub anomalies: u64,
    /// How it differs from the other model; absent where the two did not score the very same rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<Compared>,
}

/// How two models differ on the same rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// Rows that one of them calls an anomaly and the other does not.
    pub disagreements: u64,
    /// The largest difference between their scores of a row.
    pub max_score_difference: f64,
}

impl ChallengerOutcome {
    /// That of one that has scored nothing yet.
    #[must_use]
    pub fn of(version: ModelVersion, predictions: String) -> Self {
        Self { version, reason: None, predictions, model_hash: None, scored: 0, anomalies: 0, compared: None }
    }
}

/// What became of a model that was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trained {
    /// Its version.
    pub version: ModelVersion,
    /// Where it is.
    pub model: String,
    /// How it was judged.
    #[serde(flatten)]
    pub trial: Trial,
    /// Whether it was published.
    pub promoted: bool,
    /// Why, in one CamelCase word.
    pub reason: String,
    /// Why.
    pub why: String,
}

impl Outcome {
    /// As reports tell it.
    #[must_use]
    pub fn to_failure(&self) -> SensorFailure {
        SensorFailure {
            sensor: self.sensor.clone(),
            reason: self.reason.clone().unwrap_or_default(),
            message: self.message.clone().unwrap_or_default(),
        }
    }
}

/// What one attempt at an item took: the last line of its outcomes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The item.
    pub index: u32,
    /// The pod's UID, which names the attempt.
    pub pod_uid: String,
    /// The node.
    pub node: String,
    /// When it started.
    pub started: Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// Requests to the store, up to the writing of this line.
    pub store_requests: RequestCounts,
}

/// What an attempt was at when its outcomes were last written: what one that was killed leaves of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnderWay {
    /// The item.
    pub index: u32,
    /// The pod's UID, which names the attempt.
    pub pod_uid: String,
    /// The sensors, the first begun first.
    pub sensors: Vec<SensorKeys>,
    /// Whether none but these are begun before the outcomes are written again.
    #[serde(default)]
    pub alone: bool,
}

/// One line of an attempt's outcomes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
#[allow(clippy::large_enum_variant, reason = "lines are written and read one at a time")]
enum Line {
    /// The run that the lines after it belong to.
    #[serde(rename_all = "camelCase")]
    Run { run_uid: String },
    /// A sensor.
    Outcome(Outcome),
    /// What is under way.
    UnderWay(UnderWay),
    /// The attempt.
    Attempt(Attempt),
}

/// What one attempt at an item left in the store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attempted {
    /// The run's UID: two runs of one name have one folder.
    pub run_uid: String,
    /// What became of the sensors.
    pub outcomes: Vec<Outcome>,
    /// What it was at; absent when it has ended.
    pub under_way: Option<UnderWay>,
    /// What it took; absent when the pod was killed.
    pub attempt: Option<Attempt>,
}

impl Attempted {
    /// As newline-delimited JSON.
    ///
    /// # Errors
    /// When something does not serialise.
    pub fn to_ndjson(&self) -> Result<Vec<u8>, serde_json::Error> {
        let run = Line::Run { run_uid: self.run_uid.clone() };
        let lines = std::iter::once(run)
            .chain(self.outcomes.iter().cloned().map(Line::Outcome))
            .chain(self.under_way.iter().cloned().map(Line::UnderWay))
            .chain(self.attempt.iter().cloned().map(Line::Attempt));
        let mut out = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut out, &line)?;
            out.push(b'\n');
        }
        Ok(out)
    }

    /// From newline-delimited JSON.
    ///
    /// # Errors
    /// When a line is none of an outcome's.
    pub fn from_ndjson(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let mut attempted = Self::default();
        for line in bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            match serde_json::from_slice(line)? {
                Line::Run { run_uid } => attempted.run_uid = run_uid,
                Line::Outcome(outcome) => attempted.outcomes.push(outcome),
                Line::UnderWay(under_way) => attempted.under_way = Some(under_way),
                Line::Attempt(attempt) => attempted.attempt = Some(attempt),
            }
        }
        Ok(attempted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_reads_back_as_written() {
        let outcome = Outcome {
            sensor: [("device", "1\n")].into_iter().collect(),
            status: Status::Failed,
            reason: Some("ModelInvalid".into()),
            message: Some("two\nlines".into()),
            rows: 3,
            scored: 2,
            anomalies: 1,
            bad_rows: 1,
            started: Timestamp::UNIX_EPOCH,
            seconds: 0.25,
            exit_code: Some(1),
            cpu_seconds: Some(0.125),
            peak_memory_bytes: Some(4096),
            model_hash: None,
            input_means: vec![Some(0.5), None],
            drift: Vec::new(),
            challenger: None,
            warnings: vec!["w".into()],
            columns: Some(Columns { time: Some("TS".into()), ..Columns::default() }),
            predictions: None,
            training: None,
            log: Some("file:///x".into()),
            index: 4,
            pod_uid: "u".into(),
            node: "n".into(),
        };
        let attempt = Attempt {
            index: 4,
            pod_uid: "u".into(),
            node: "n".into(),
            started: Timestamp::UNIX_EPOCH,
            seconds: 1.5,
            store_requests: RequestCounts { reads: 1, writes: 2, lists: 3 },
        };
        let under_way = UnderWay {
            index: 4,
            pod_uid: "u".into(),
            sensors: vec![[("device", "2")].into_iter().collect()],
            alone: true,
        };
        let ended = Attempted { run_uid: "r".into(), outcomes: vec![outcome], attempt: Some(attempt), under_way: None };
        let killed = Attempted { attempt: None, under_way: Some(under_way), ..ended.clone() };
        for attempted in [ended, killed] {
            let text = attempted.to_ndjson().unwrap();
            assert_eq!(text.iter().filter(|b| **b == b'\n').count(), 3);
            assert_eq!(Attempted::from_ndjson(&text).unwrap(), attempted);
        }
    }
}
