//! ScoringRun: one run.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spec::TimeRange;
use spec::report::SensorFailure;

use crate::Condition;

/// One execution of a schedule: made for a tick by the schedule, or by hand with `kubectl create -f`.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "batchscoring.dev",
    version = "v1alpha1",
    kind = "ScoringRun",
    namespaced,
    status = "ScoringRunStatus",
    shortname = "srun",
    category = "batchscoring",
    validation = Rule::new("self.metadata.name.size() <= 53 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("the name of a ScoringRun is a DNS label of at most 53 characters: a-z, 0-9 and -, because its Job and pods are named after it"),
    printcolumn(name = "SCHEDULE", type_ = "string", json_path = ".spec.scheduleName"),
    printcolumn(name = "STATE", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "PROGRESS", type_ = "string", json_path = ".status.progress"),
    printcolumn(name = "FAILED", type_ = "integer", json_path = ".status.sensors.failed"),
    printcolumn(name = "SLOTS", type_ = "integer", json_path = ".status.slots"),
    printcolumn(name = "ANOMALIES", type_ = "integer", json_path = ".status.anomalies", priority = 1),
    printcolumn(name = "RECORD", type_ = "string", json_path = ".status.uris.record", priority = 1),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = Rule::new("self.scheduleName == oldSelf.scheduleName && has(self.tick) == has(oldSelf.tick) && (!has(self.tick) || self.tick == oldSelf.tick) && has(self.window) == has(oldSelf.window) && (!has(self.window) || self.window == oldSelf.window) && has(self.rerunFailedOf) == has(oldSelf.rerunFailedOf) && (!has(self.rerunFailedOf) || self.rerunFailedOf == oldSelf.rerunFailedOf)").message("a ScoringRun is fixed once created, except for cancel; create another run instead"),
    validation = Rule::new("!oldSelf.cancel || self.cancel").message("cancel cannot be taken back; create another run instead"),
    validation = Rule::new("!has(self.window) || self.window.start < self.window.end").message("window.start must be before window.end")
)]
#[serde(rename_all = "camelCase")]
pub struct ScoringRunSpec {
    /// The ScoringSchedule, in the same namespace, that says what to score.
    #[schemars(length(min = 1, max = 44))]
    pub schedule_name: String,
    /// The time at which the schedule was due. Absent: when the run was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tick: Option<Timestamp>,
    /// The readings to score. Absent: the window of the tick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<TimeRange>,
    /// Scores only the sensors that failed in this ended run of the same schedule, in its window. Their predictions join
    /// those of the run. For a run whose object is gone, say `tick` and `window` as its record has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 53))]
    pub rerun_failed_of: Option<String>,
    /// True stops the run's pods and archives what there is. Once true, it stays.
    #[serde(default)]
    pub cancel: bool,
}

/// What is known of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScoringRunStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The conditions in one word: `Planning`, `Waiting`, `Running`, `Stopping`, `Archiving`, `Complete` or `Failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The ScoringCluster whose nodes score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The time at which the schedule was due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tick: Option<Timestamp>,
    /// The readings that are scored. Absent: every row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<TimeRange>,
    /// Items of the run: pods to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<u32>,
    /// Sensors by state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensors: Option<SensorCounts>,
    /// Sensors with a final outcome of all, such as `812/1000`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// Slots that the cluster has given to the run. Written by the cluster's controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// The first failed sensors; the record has all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub failed_sensors: Vec<SensorFailure>,
    /// When the run started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Rows scored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Anomalies among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomalies: Option<u64>,
    /// Seconds that the run's pods took, summed over pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_seconds: Option<u64>,
    /// Where things are in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uris: Option<Uris>,
    /// `Planned`, `Admitted`, `Complete`, `Failed`, `Archived`, `Warned`, and `Stalled` where something that the run needs
    /// is refused or fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Sensors by state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SensorCounts {
    /// All.
    pub total: u32,
    /// Those that succeeded.
    pub succeeded: u32,
    /// Those that failed for good.
    pub failed: u32,
    /// Those without a final outcome yet.
    pub waiting: u32,
}

/// Where things are in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Uris {
    /// The manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// The record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The folder of the logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<String>,
}
