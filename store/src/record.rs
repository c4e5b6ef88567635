//! What a run did: `record.json`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use spec::report::TrainingTotals;
use spec::request::PodEnd;
use spec::{Money, SensorKeys, TimeRange};

use crate::{Attempt, Outcome, RequestCounts, SensorChanges, Status};

/// The version of the record's form.
pub const VERSION: u32 = 1;

/// What a run did, in whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The version of this form.
    pub version: u32,
    /// The schedule's namespace.
    pub namespace: String,
    /// The schedule's name.
    pub schedule: String,
    /// The run's name.
    pub run: String,
    /// The run's UID.
    pub run_uid: String,
    /// The time at which the schedule was due.
    pub tick: Timestamp,
    /// The readings that were scored; absent: every row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<TimeRange>,
    /// The run of which only the sensors that had failed were scored; absent: all sensors were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun_failed_of: Option<String>,
    /// Which sensors came and went since the run before; absent where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<SensorChanges>,
    /// The manifest's URI.
    pub manifest: String,
    /// The URI below which the predictions are.
    pub predictions: String,
    /// The URI that the logs' start with.
    pub logs: String,
    /// Sums over all sensors.
    pub totals: Totals,
    /// How long things took.
    pub timings: Timings,
    /// Failed sensors by reason.
    #[serde(default)]
    pub failures: BTreeMap<String, u32>,
    /// The first warnings: those of the planning, then the sensors', all of which are in the outcomes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Requests to the store, by who made them.
    pub store_requests: StoreRequests,
    /// What became of each sensor, in the manifest's order.
    pub outcomes: Vec<Outcome>,
    /// The attempts that told what they took, by item.
    pub attempts: Vec<Attempt>,
    /// How the pods ended, as Kubernetes tells it.
    pub pod_ends: Vec<PodEnd>,
}

/// The most bytes of a record that is read again.
pub const MAX_BYTES: u64 = 512 * 1024 * 1024;

/// Whose record it is, without the rest of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// The run's UID.
    pub run_uid: String,
}

/// What a record tells of the sensors that failed, without the rest of it.
#[derive(Debug, Deserialize)]
pub struct Failures {
    outcomes: Vec<Ending>,
}

#[derive(Debug, Deserialize)]
struct Ending {
    sensor: SensorKeys,
    status: Status,
}

impl Failures {
    /// The sensors that did not succeed.
    #[must_use]
    pub fn sensors(self) -> BTreeSet<SensorKeys> {
        self.outcomes.into_iter().filter(|o| o.status != Status::Succeeded).map(|o| o.sensor).collect()
    }
}

/// What a record tells of the pods that ended, without the rest of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pods {
    #[serde(default)]
    pod_ends: Vec<PodName>,
}

#[derive(Debug, Deserialize)]
struct PodName {
    uid: String,
}

impl Pods {
    /// Their UIDs.
    pub fn uids(self) -> impl Iterator<Item = String> {
        self.pod_ends.into_iter().map(|end| end.uid)
    }
}

/// Sums over all sensors of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Sensors in the manifest.
    pub sensors: u32,
    /// Items in the manifest.
    pub items: u32,
    /// Sensors that succeeded.
    pub succeeded: u32,
    /// Sensors that failed, those without any outcome included.
    pub failed: u32,
    /// Sensors that were scored with warnings, such as that their model is degenerate.
    #[serde(default)]
    pub warned: u32,
    /// Sensors of which something has left the band of their last runs.
    #[serde(default)]
    pub drifted: u32,
    /// Rows read.
    pub rows: u64,
    /// Rows scored.
    pub scored: u64,
    /// Anomalies among them.
    pub anomalies: u64,
    /// Rows that could not be scored.
    pub bad_rows: u64,
    /// Attempts at items: pods that ended or left outcomes.
    pub attempts: u32,
    /// Seconds that the pods took, summed over pods.
    pub pod_seconds: u64,
    /// Seconds for which nodes were there for the run, summed over nodes; those of a node that it shared, split by the parts
    /// that the runs took of it. Absent where the operator could not reckon them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_seconds: Option<u64>,
    /// What they cost; absent where no price was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// The currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// What the challengers did, of a schedule that names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenger: Option<ChallengerTotals>,
    /// Of a run that trains: what became of the models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<TrainingTotals>,
}

/// Sums over the challengers of all sensors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChallengerTotals {
    /// Sensors that were scored with it.
    pub sensors: u32,
    /// Sensors that could not be.
    pub failed: u32,
    /// Rows that it scored.
    pub scored: u64,
    /// Those that it calls anomalies.
    pub anomalies: u64,
    /// Rows that one of the two models calls an anomaly and the other does not.
    pub disagreements: u64,
}

/// How long things took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timings {
    /// When the first attempt started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_started: Option<Timestamp>,
    /// When the last attempt ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ended: Option<Timestamp>,
    /// Seconds between the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Seconds of work per sensor, summed over sensors.
    pub sensor_seconds: f64,
    /// Half of the sensors took no longer than this.
    pub sensor_p50: f64,
    /// 95 of 100 sensors took no longer than this.
    pub sensor_p95: f64,
}

/// Requests to the store, by who made them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreRequests {
    /// Planning.
    pub plan: RequestCounts,
    /// All items, their retries included, but for pods that were killed.
    pub items: RequestCounts,
    /// Archiving, up to the writing of the record, but for logs of pods that were killed.
    pub archive: RequestCounts,
    /// All of these.
    pub total: u64,
}
