//! ScoringSchedule: what to score, when, where.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spec::Packing;
use spec::window::Window;
use spec::work::{DataSource, Logs, ModelSource, Predictions, Sensors, StoreRef, Work};
use spec::{Limit, Retention, Span, Task, Training};

use crate::cost::{LastRunCost, ScheduleCost};
use crate::{Condition, Scorer};

/// What to score, when, where.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "batchscoring.dev",
    version = "v1alpha1",
    kind = "ScoringSchedule",
    doc = "What to score, when, where: every sensor's readings, with the sensor's own model, at each tick of a schedule, on the nodes of a ScoringCluster.",
    namespaced,
    status = "ScoringScheduleStatus",
    shortname = "ssc",
    category = "batchscoring",
    validation = Rule::new("self.metadata.name.size() <= 44 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("the name of a ScoringSchedule is a DNS label of at most 44 characters: a-z, 0-9 and -, because its runs, Jobs and pods are named after it"),
    validation = Rule::new("!has(self.spec.training) || (has(self.spec.task) && self.spec.task == 'Train')").message("training is how task: Train trains models; leave it out, or write task: Train"),
    validation = Rule::new("!has(self.spec.task) || self.spec.task != 'Train' || (!has(self.spec.model.version) && !has(self.spec.model.challenger))").message("model.version and model.challenger are what task: Score scores with; leave them out, or write task: Score"),
    printcolumn(name = "SCHEDULE", type_ = "string", json_path = ".spec.schedule"),
    printcolumn(name = "VALID", type_ = "string", json_path = r#".status.conditions[?(@.type=="Valid")].status"#),
    printcolumn(name = "SUSPEND", type_ = "boolean", json_path = ".spec.suspend"),
    printcolumn(name = "NEXT", type_ = "string", json_path = ".status.nextTick"),
    printcolumn(name = "LAST", type_ = "date", json_path = ".status.lastScheduledTick"),
    printcolumn(name = "RESULT", type_ = "string", json_path = r#".status.conditions[?(@.type=="LastRunSucceeded")].reason"#),
    printcolumn(name = "COST", type_ = "string", json_path = ".status.cost.cost", priority = 1),
    printcolumn(name = "MESSAGE", type_ = "string", json_path = r#".status.conditions[?(@.type=="Valid")].message"#, priority = 1),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ScoringScheduleSpec {
    /// The ScoringCluster whose nodes score.
    pub cluster_ref: ClusterRef,
    /// When, as cron has it: `"*/5 * * * *"`, `@hourly`, …
    #[schemars(length(min = 1, max = 256))]
    pub schedule: String,
    /// The time zone of `schedule`, such as `Europe/Berlin`. Default UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
    /// True: no runs are started, and ticks are missed. What waits to be caught up waits on.
    #[serde(default)]
    pub suspend: bool,
    /// What to do when a tick comes and a run still goes on: `Forbid` (default) misses the tick, or lets it wait to be
    /// caught up; `Allow` starts a second run; `Replace` cancels the run that goes on, and starts the next at once.
    #[serde(default)]
    pub concurrency_policy: ConcurrencyPolicy,
    /// How late a run may start, in seconds; later, the tick is missed, or waits to be caught up. From 1 to 315360000 (ten
    /// years). Default 600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 315_360_000))]
    pub starting_deadline_seconds: Option<u32>,
    /// Up to how long after its ticks the schedule's runs start, such as `5m`, so that many schedules of the same time do
    /// not start at once. How long it is follows from the schedule's namespace and name, and is the same at every tick;
    /// ticks keep their times, windows and names. Default `0s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Span>,
    /// What to do about ticks that could not run in time. Default: they are missed.
    #[serde(default)]
    #[x_kube(validation = Rule::new("!has(self.limit) || self.policy == 'All'").message("catchUp.limit is how many ticks are caught up with catchUp.policy: All; leave it out with None and Latest"))]
    pub catch_up: CatchUp,
    /// Runs of a higher priority get slots first. Default 0.
    #[serde(default)]
    pub priority: i32,
    /// What is done with each sensor at a tick: `Score` (default) scores its readings with its model; `Train` trains its
    /// model on them, and publishes it at `model.path` as `training.promote` says.
    #[serde(default)]
    pub task: Task,
    /// How models are trained, with `task: Train`. Absent: with the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.nu > 0.0 && self.nu <= 1.0").message("training.nu is a number above 0 and at most 1, such as 0.1"), validation = Rule::new("!has(self.gamma) || self.gamma > 0.0").message("training.gamma is a number above 0; leave it out for scikit-learn's scale"), validation = Rule::new("self.margin >= 0.0 && self.margin < 1.0").message("training.margin is a number from 0 to below 1, such as 0.5"), validation = Rule::new("string(self.holdOut).matches('^([1-9]|[1-4][0-9]|50)%$')").message("training.holdOut is a share from 1% to 50%, such as 20%"))]
    pub training: Option<Training>,
    /// Where models, data, predictions, records and logs are.
    pub store: StoreRef,
    /// Which sensors to score. Absent: those for which `model.path` matches a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("has(self.list) != has(self.matrix)").message("sensors takes either list or matrix, not both and not neither; leave sensors out to score those that model.path matches"))]
    pub sensors: Option<Sensors>,
    /// Each sensor's model.
    pub model: ModelSource,
    /// The readings.
    #[x_kube(validation = Rule::new("has(self.path) != has(self.sql)").message("data takes either path or sql, not both and not neither"), validation = Rule::new("!has(self.complete) || has(self.complete.watermark) != has(self.complete.marker)").message("data.complete takes either watermark or marker, not both and not neither; leave complete out to wait for nothing"))]
    pub data: DataSource,
    /// Which readings a tick scores. Absent: every row. `{}`: those since the tick before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("!has(self.length) || self.length.matches('[1-9]')").message("window.length must be longer than 0s; leave it out for windows from tick to tick, or leave window out to score every row"))]
    pub window: Option<Window>,
    /// Where and how predictions are written.
    #[serde(default)]
    pub predictions: Predictions,
    /// Where and how logs are written.
    #[serde(default)]
    pub logs: Logs,
    /// How many sensors one pod scores.
    #[serde(default)]
    pub packing: Packing,
    /// How often an item is tried again. Default 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub retries: Option<u32>,
    /// How long a run may take, from when it is made; then it is stopped and archived as it is. Default `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.matches('[1-9]')").message("deadline must be longer than 0s, such as 1h"))]
    pub deadline: Option<Span>,
    /// How many sensors may fail, as a number or a percentage, before the run itself is Failed. Default `100%` less
    /// one: a run fails when every sensor failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_failed_sensors: Option<Limit>,
    /// How many ended runs stay as objects.
    #[serde(default)]
    pub history: History,
    /// How long what runs leave in the store is kept, by when it was last written: `{runs: 90d, logs: 30d, predictions:
    /// 365d}`. What is older is deleted once a day, when a run ends. Absent: kept for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("!has(self.runs) || self.runs.matches('^0*[1-9][0-9]*d|^(0+d)?0*(2[4-9]|[3-9][0-9]|[1-9][0-9][0-9]+)h') || (!self.runs.contains('d') && duration(self.runs) >= duration('24h'))").message("retention.runs must be at least 1d, such as 90d; leave it out to keep runs for ever"), validation = Rule::new("!has(self.logs) || self.logs.matches('^0*[1-9][0-9]*d|^(0+d)?0*(2[4-9]|[3-9][0-9]|[1-9][0-9][0-9]+)h') || (!self.logs.contains('d') && duration(self.logs) >= duration('24h'))").message("retention.logs must be at least 1d, such as 30d; leave it out to keep logs for ever"), validation = Rule::new("!has(self.predictions) || self.predictions.matches('^0*[1-9][0-9]*d|^(0+d)?0*(2[4-9]|[3-9][0-9]|[1-9][0-9][0-9]+)h') || (!self.predictions.contains('d') && duration(self.predictions) >= duration('24h'))").message("retention.predictions must be at least 1d, such as 365d; leave it out to keep predictions for ever"))]
    pub retention: Option<Retention>,
    /// The scorer pod.
    #[serde(default)]
    pub scorer: Scorer,
}

impl ScoringScheduleSpec {
    /// The part that says what to score.
    #[must_use]
    pub fn work(&self) -> Work {
        Work {
            task: self.task,
            training: self.training,
            store: self.store.clone(),
            sensors: self.sensors.clone(),
            model: self.model.clone(),
            data: self.data.clone(),
            window: self.window,
            predictions: self.predictions.clone(),
            logs: self.logs.clone(),
            packing: self.packing,
            retention: self.retention,
            command: self.scorer.command(),
        }
    }
}

/// The name of a ScoringCluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterRef {
    /// The ScoringCluster's name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

/// What to do when a tick comes and a run still goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConcurrencyPolicy {
    /// The tick is missed, or waits to be caught up.
    #[default]
    Forbid,
    /// A second run starts.
    Allow,
    /// The run that goes on is cancelled, and the next starts at once.
    Replace,
}

/// What to do about ticks that could not run in time: nobody looked, the schedule was not valid, or a run went on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CatchUp {
    /// `None` (default): they are missed. `Latest`: the latest of them runs as soon as it can, however late. `All`: the
    /// latest `limit` run as soon as they can, one after the other, the oldest first; a tick that comes meanwhile goes
    /// before them.
    #[serde(default)]
    pub policy: CatchUpPolicy,
    /// How many ticks are caught up at most with `All`; older ones are missed. Default 24.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
}

/// Which ticks are caught up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CatchUpPolicy {
    /// None.
    #[default]
    None,
    /// The latest one.
    Latest,
    /// The latest ones up to the limit, the oldest first.
    All,
}

/// How many ended runs stay as objects; their records stay in the store, for as long as `retention` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// Complete runs, at most 10000. Default 3. What the next tick will need is foreseen by the last run that is there: with
    /// 0, nodes are neither made before a tick (`prewarm`) nor kept for it.
    #[serde(default = "three")]
    #[schemars(range(max = 10_000))]
    pub successful: u32,
    /// Failed runs, at most 10000. Default 3.
    #[serde(default = "three")]
    #[schemars(range(max = 10_000))]
    pub failed: u32,
}

fn three() -> u32 {
    3
}

impl Default for History {
    fn default() -> Self {
        Self { successful: 3, failed: 3 }
    }
}

/// What is known of a schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScoringScheduleStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// By which `schedule` and `timeZone` ticks are told below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_schedule: Option<ObservedSchedule>,
    /// The next tick; of a schedule that is suspended, the one that will be missed next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_tick: Option<Timestamp>,
    /// The last tick for which a run was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_scheduled_tick: Option<Timestamp>,
    /// The last tick whose run is Complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_tick: Option<Timestamp>,
    /// The last tick for which no run was made, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_missed: Option<MissedTick>,
    /// The ticks that wait to be caught up, the oldest first. Of a schedule that is not valid, also the one whose run could
    /// still start in time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub waiting: Vec<Timestamp>,
    /// Up to when it is decided what becomes of ticks: each up to then has a run, was missed, or waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_until: Option<Timestamp>,
    /// The runs that go on, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<String>,
    /// What the nodes were for the schedule's runs, this month so far. Written by the cluster's controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<ScheduleCost>,
    /// What they were for the run of the last tick that has ended, once that is known for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_cost: Option<LastRunCost>,
    /// `Valid`, `Suspended`, `LastRunSucceeded`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// What tells when a schedule ticks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObservedSchedule {
    /// `spec.schedule`.
    pub schedule: String,
    /// `spec.timeZone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

impl ObservedSchedule {
    /// That of a spec.
    #[must_use]
    pub fn of(spec: &ScoringScheduleSpec) -> Self {
        Self { schedule: spec.schedule.clone(), time_zone: spec.time_zone.clone() }
    }
}

/// A tick for which no run was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MissedTick {
    /// The tick.
    pub tick: Timestamp,
    /// Why, in one CamelCase word: `Forbidden`, `TooLate`, `Invalid`, `Superseded`, `CatchUpLimit`, `Rescheduled`,
    /// `Suspended` or `NameTaken`.
    pub reason: String,
    /// When that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
}
