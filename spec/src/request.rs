//! What a run is asked to do, frozen when it starts: the operator puts it into a ConfigMap, the pods read it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ends::Packed;
use crate::{Money, TimeRange, Work};

/// One execution of a schedule, with everything that a pod needs to know of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunRequest {
    /// The schedule's namespace.
    pub namespace: String,
    /// The schedule's name.
    pub schedule: String,
    /// The run's name: `<schedule>-<minutes since 1970>` for a tick.
    pub run: String,
    /// The run's UID, which tells two runs of one name apart.
    pub run_uid: String,
    /// The time at which the schedule was due (RFC 3339, unjittered).
    pub tick: Timestamp,
    /// The readings to score; absent: every row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<TimeRange>,
    /// What to score.
    pub work: Work,
    /// The run of the same schedule of which only the sensors that failed are scored; absent: all sensors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun_failed_of: Option<String>,
    /// Pods that the pool has room for at a time once all its nodes are there, for `packing.sensorsPerPod: Auto`; absent: not
    /// known, or not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// When the run must have ended; absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Until when the run waits for its readings to be complete, whichever pod of it does; absent: for `data.complete.waitUpTo`
    /// from when it is planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_until: Option<Timestamp>,
}

/// How one pod of a run ended, as only Kubernetes knows it; reaches `scorer archive` by a ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodEnd {
    /// The pod's name.
    pub pod: String,
    /// The pod's UID, which names the attempt.
    pub uid: String,
    /// The item (the pod's completion index).
    pub index: u32,
    /// The node it ran on; empty where it never had one.
    pub node: String,
    /// When its container started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// The container's exit code; absent where it never ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Kubernetes' word for the end: `Completed`, `Error`, `OOMKilled`, `Evicted`, `DisruptionTarget`, `Vanished`, …
    pub reason: String,
    /// The image that its container ran, by digest; empty where it got none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// Sensors with a final outcome `Succeeded`, as the pod reported.
    #[serde(default)]
    pub succeeded: u32,
    /// Sensors with a final outcome `Failed`, as the pod reported.
    #[serde(default)]
    pub failed: u32,
    /// First failures that the pod reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<crate::report::SensorFailure>,
    /// What else Kubernetes tells of a pod that did not report; of the first such pods of a run only.
    #[serde(default, skip_serializing_if = "EndDetails::is_empty")]
    pub details: EndDetails,
}

/// What Kubernetes tells of the end of a pod that did not report by itself. All of it is bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndDetails {
    /// Why, in Kubernetes' words, such as what a node had run out of.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The pod's last warning events, oldest first: reason and message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// The last that its container printed, as the kubelet kept it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
}

impl EndDetails {
    /// Whether nothing is told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.message.is_empty() && self.events.is_empty() && self.output.is_empty()
    }
}

/// The pod ends of a run: what the operator hands to `scorer archive`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Packed", into = "Packed")]
pub struct PodEnds {
    /// Every ended pod, in the order in which the operator saw them.
    pub ends: Vec<PodEnd>,
    /// What the nodes were for the run; absent until that is known for good, and where nobody could reckon it.
    pub spent: Option<Spent>,
}

/// What the nodes were for a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spent {
    /// Seconds for which nodes were there for it, summed over nodes.
    pub node_seconds: u64,
    /// What they cost; absent where no price is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// The currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
}
