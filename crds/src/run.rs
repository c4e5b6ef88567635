//! ScoringRun: one run.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spec::report::SensorFailure;
use spec::{Money, Span, TimeRange};

use crate::Condition;

/// One execution of a schedule: made for a tick by the schedule, or by hand with `kubectl create -f`.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "batchscoring.dev",
    version = "v1alpha1",
    kind = "ScoringRun",
    doc = "One execution of a ScoringSchedule: made for a tick by the schedule, or by hand with `kubectl create -f`.",
    namespaced,
    status = "ScoringRunStatus",
    shortname = "srun",
    category = "batchscoring",
    validation = Rule::new("self.metadata.name.size() <= 53 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("the name of a ScoringRun is a DNS label of at most 53 characters: a-z, 0-9 and -, because its Job and pods are named after it"),
    validation = Rule::new("!has(self.spec.backfill) || self.metadata.name.size() <= 48").message("the name of a ScoringRun with backfill has at most 48 characters, because its windows' runs are named after it"),
    printcolumn(name = "SCHEDULE", type_ = "string", json_path = ".spec.scheduleName"),
    printcolumn(name = "STATE", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "PROGRESS", type_ = "string", json_path = ".status.progress"),
    printcolumn(name = "FAILED", type_ = "integer", json_path = ".status['sensors','windows'].failed"),
    printcolumn(name = "SLOTS", type_ = "integer", json_path = ".status.slots"),
    printcolumn(name = "ANOMALIES", type_ = "integer", json_path = ".status.anomalies", priority = 1),
    printcolumn(name = "COST", type_ = "string", json_path = ".status.cost", priority = 1),
    printcolumn(name = "RECORD", type_ = "string", json_path = ".status.uris.record", priority = 1),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = Rule::new("self.scheduleName == oldSelf.scheduleName && has(self.tick) == has(oldSelf.tick) && (!has(self.tick) || self.tick == oldSelf.tick) && has(self.window) == has(oldSelf.window) && (!has(self.window) || self.window == oldSelf.window) && has(self.rerunFailedOf) == has(oldSelf.rerunFailedOf) && (!has(self.rerunFailedOf) || self.rerunFailedOf == oldSelf.rerunFailedOf) && has(self.backfill) == has(oldSelf.backfill) && (!has(self.backfill) || self.backfill == oldSelf.backfill) && has(self.ttlSecondsAfterFinished) == has(oldSelf.ttlSecondsAfterFinished) && (!has(self.ttlSecondsAfterFinished) || self.ttlSecondsAfterFinished == oldSelf.ttlSecondsAfterFinished)").message("a ScoringRun is fixed once created, except for cancel; create another run instead"),
    validation = Rule::new("!oldSelf.cancel || self.cancel").message("cancel cannot be taken back; create another run instead"),
    validation = Rule::new("!has(self.backfill) || !(has(self.tick) || has(self.window) || has(self.rerunFailedOf))").message("backfill scores windows of its own; leave out tick, window and rerunFailedOf"),
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
    /// The readings to score. Absent: those of the schedule's window at the tick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<TimeRange>,
    /// Scores only the sensors that failed in this ended run of the same schedule, in its window. Their predictions join
    /// those of the run. For a run whose object is gone, say `tick` and `window` as its record has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 53))]
    pub rerun_failed_of: Option<String>,
    /// Scores a range of readings window by window, each in a run of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backfill: Option<Backfill>,
    /// True stops the run's pods and archives what there is. Once true, it stays.
    #[serde(default)]
    pub cancel: bool,
    /// How many seconds after its end the run is deleted as an object, a backfill with its windows' runs; record, logs and
    /// predictions stay in the store. Absent: runs of ticks go by the schedule's `history`, one made by hand stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 31_536_000))]
    pub ttl_seconds_after_finished: Option<u32>,
}

/// A range of readings to score window by window: `start`, `start + step` and so on, the last one up to `end`. Each window
/// is scored in a ScoringRun of its own, whose tick is the window's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("self.start < self.end").message("backfill.start must be before backfill.end"),
    validation = Rule::new("self.start.getMilliseconds() == 0 && self.end.getMilliseconds() == 0").message("backfill.start and backfill.end must be whole seconds, such as 2026-06-01T00:00:00Z"),
    validation = Rule::new("self.step.matches('[1-9]')").message("backfill.step must be longer than 0s, such as 1h")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backfill {
    /// The start of the first window (RFC 3339, whole seconds).
    pub start: Timestamp,
    /// The end of the last window (RFC 3339, whole seconds).
    pub end: Timestamp,
    /// How long each window is, such as `1h`: as long as the schedule's own, so that predictions have the same names.
    pub step: Span,
    /// How many windows are scored at once, 1 to 100. Default 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub max_concurrent: u32,
}

fn one() -> u32 {
    1
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
    /// Windows of a backfill by state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<WindowCounts>,
    /// Sensors with a final outcome of all, such as `812/1000`; of a backfill windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// Slots that the cluster has given to the run. Written by the cluster's controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// The first failed sensors; the record has all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub failed_sensors: Vec<SensorFailure>,
    /// The first failed windows of a backfill; their runs stay as objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub failed_windows: Vec<WindowFailure>,
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
    /// Seconds for which nodes were there for the run, summed over nodes; those of a node that it shared, split by the parts
    /// that the runs took of it. This and the next four are written by the cluster's controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_seconds: Option<u64>,
    /// Up to when they are reckoned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_seconds_as_of: Option<Timestamp>,
    /// True: no more are to come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub node_seconds_final: bool,
    /// What they cost at the cluster's price; absent where none is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// The currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Where things are in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uris: Option<Uris>,
    /// `Planned`, `Admitted`, `Complete`, `Failed`, `Archived`, `Warned`, `DataComplete` where the schedule says when readings
    /// are complete, and `Stalled` where something that the run needs is refused or fails.
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

/// Windows of a backfill by state. Those that ended are counted in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WindowCounts {
    /// All.
    pub total: u32,
    /// Those whose run is Complete.
    pub complete: u32,
    /// Those whose run is Failed.
    pub failed: u32,
}

/// A window of a backfill whose run is Failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WindowFailure {
    /// The ScoringRun.
    pub run: String,
    /// The readings that it was to score.
    pub window: TimeRange,
    /// The reason of its `Failed` condition.
    pub reason: String,
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
