//! What became of a sensor: one line of `outcomes/{index}.{pod uid}.ndjson`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use spec::SensorKeys;
use spec::report::SensorFailure;
use spec::work::Columns;

use crate::RequestCounts;

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
    /// The SHA-256 of the model that scored, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_hash: Option<String>,
    /// What the model's user should know of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Which column was what, as said or inferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    /// Where the predictions are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictions: Option<String>,
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
            model_hash: None,
            warnings: vec!["w".into()],
            columns: Some(Columns { time: Some("TS".into()), ..Columns::default() }),
            predictions: None,
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
        let attempted = Attempted { run_uid: "r".into(), outcomes: vec![outcome], attempt: Some(attempt) };
        let text = attempted.to_ndjson().unwrap();
        assert_eq!(text.iter().filter(|b| **b == b'\n').count(), 3);
        assert_eq!(Attempted::from_ndjson(&text).unwrap(), attempted);
    }
}
