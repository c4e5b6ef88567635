//! A run as it is observed.

use jiff::Timestamp;

/// A Job of one pod that answers in its termination message: `plan` or `archive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helper {
    /// There is none.
    Absent,
    /// It has not ended.
    Going,
    /// It has ended, and its answer is here.
    Answered,
    /// It has failed for good.
    Failed {
        /// When.
        at: Timestamp,
    },
    /// It has ended, and its answer went with its pod.
    Lost,
}

/// The Job of a run's items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Job {
    /// Its parallelism.
    pub parallelism: u32,
    /// Its pods wait until they are let go.
    pub gated: bool,
    /// When it was Complete or Failed.
    pub finished: Option<Timestamp>,
    /// Since when it is suspended.
    pub suspended: Option<Timestamp>,
    /// Ended pods, as the Job itself counts them.
    pub counted: u32,
}

/// What the nodes were for the run, which somebody else reckons: whoever sees all runs on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reckoned {
    /// It is not known for good.
    Open,
    /// It is known for good.
    Told,
    /// It is in the checkpoint.
    Written,
}

/// Something that the run needs fails, each time that it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stalled {
    /// Since when.
    pub since: Timestamp,
    /// Whether the API server refuses it, for what it is or by a quota or policy; otherwise it may be a disturbance.
    pub refused: bool,
}

/// A run as it is observed. What is said to be recorded comes from its status, the rest from its children.
#[derive(Clone, Debug, PartialEq)]
pub struct RunView {
    /// Now.
    pub now: Timestamp,
    /// When somebody deleted it.
    pub deleted: Option<Timestamp>,
    /// Whether somebody cancelled it.
    pub cancelled: bool,
    /// Whether that was its schedule, for the run of a later tick.
    pub replaced: bool,
    /// Whether our finalizer is on it.
    pub finalizer: bool,
    /// Whether its namespace is being deleted: nothing can be created in it any more.
    pub closing: bool,
    /// What stands in its way, as recorded.
    pub stalled: Option<Stalled>,
    /// When it must have ended.
    pub deadline: Timestamp,
    /// Whether there is no request that can be read and none can be made: its schedule is gone or not valid.
    pub refused: bool,
    /// Whether its request is frozen in a ConfigMap.
    pub request: bool,
    /// The plan.
    pub plan: Helper,
    /// Items of the plan, once recorded.
    pub planned: Option<u32>,
    /// Whether it is recorded that the Job of items was made.
    pub admitted: bool,
    /// Slots that the cluster gives.
    pub slots: u32,
    /// The Job of items.
    pub job: Option<Job>,
    /// Item pods that were let go and have not ended.
    pub living: u32,
    /// Ended item pods that are not in the checkpoint.
    pub unfolded: u32,
    /// Ended item pods in the checkpoint; nothing where there is no checkpoint.
    pub folded: Option<u32>,
    /// Whether the last checkpoint is old enough for another while pods go on.
    pub checkpoint_due: bool,
    /// What the nodes were for the run.
    pub reckoned: Reckoned,
    /// When the last of its pods ended, as far as known.
    pub last_end: Option<Timestamp>,
    /// The archive.
    pub archive: Helper,
    /// Whether it is recorded that the run is Complete or Failed.
    pub ended: bool,
    /// Jobs of the run, all roles.
    pub jobs: u32,
    /// ConfigMaps of the run.
    pub config_maps: u32,
}

impl RunView {
    /// Whether what a planned run was to do is gone. It is not frozen anew: its schedule may have been edited since, and
    /// some of its pods have gone by what was frozen.
    #[must_use]
    pub fn lost_request(&self) -> bool {
        self.planned.is_some() && (self.refused || !self.request)
    }
}
