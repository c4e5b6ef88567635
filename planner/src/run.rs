//! What a run needs next.
//!
//! [`decide`] looks at a run as it is observed and says what to do. Every action may be the last that a dying process
//! gets done: whatever was done and whatever was not, deciding anew from what is then observed ends the run once and whole.

use jiff::{SignedDuration, Timestamp};

mod verdict;
#[cfg(test)]
mod world;

pub use verdict::{MaxFailed, MaxFailedError, Tally, Verdict, verdict};

/// How long after its deletion a run is held for archiving, such as when its Secret or ServiceAccount are gone.
pub const HOLD_DELETED: SignedDuration = SignedDuration::from_mins(10);
/// How long after deadline and last pod archiving is tried.
pub const HOLD_UNARCHIVED: SignedDuration = SignedDuration::from_hours(1);
/// How long pods may take to end once nothing wants them any more. On a lost node they never do.
pub const SETTLE: SignedDuration = SignedDuration::from_mins(3);
/// How long the watch may lag behind the Job's own count of ended pods.
pub const CATCH_UP: SignedDuration = SignedDuration::from_secs(15);
/// How long to wait before archiving is tried again.
pub const ARCHIVE_AGAIN: SignedDuration = SignedDuration::from_mins(1);

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
    /// When it was Complete or Failed.
    pub finished: Option<Timestamp>,
    /// Since when it is suspended.
    pub suspended: Option<Timestamp>,
    /// Ended pods, as the Job itself counts them.
    pub counted: u32,
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
    /// Whether our finalizer is on it.
    pub finalizer: bool,
    /// When it must have ended.
    pub deadline: Timestamp,
    /// Whether no request can be made of it: its schedule is gone or not valid.
    pub refused: bool,
    /// Whether its request is frozen.
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
    /// Item pods that have not ended.
    pub living: u32,
    /// Ended item pods that are not in the checkpoint.
    pub unfolded: u32,
    /// Ended item pods in the checkpoint; nothing where there is no checkpoint.
    pub folded: Option<u32>,
    /// Whether the last checkpoint is old enough for another while pods go on.
    pub checkpoint_due: bool,
    /// The archive.
    pub archive: Helper,
    /// Whether it is recorded that the run is Complete or Failed.
    pub ended: bool,
    /// Jobs of the run, all roles.
    pub jobs: u32,
    /// ConfigMaps of the run.
    pub config_maps: u32,
}

/// Why a run is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody deleted it.
    Deleted,
    /// Somebody cancelled it.
    Cancelled,
    /// Its deadline passed.
    DeadlineExceeded,
}

impl Stop {
    /// As conditions have it.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Deleted => "Deleted",
            Self::Cancelled => "Cancelled",
            Self::DeadlineExceeded => "DeadlineExceeded",
        }
    }
}

/// One step, done by one write. Each may be done twice without harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Hold the run until it is archived.
    AddFinalizer,
    /// Freeze the request.
    CreateRequest,
    /// Make the plan Job.
    CreatePlan,
    /// Delete the plan Job, so that another answers.
    DeletePlan,
    /// Record the plan in the status.
    RecordPlan,
    /// Make the Job of items.
    CreateJob {
        /// Its parallelism.
        parallelism: u32,
    },
    /// Raise the Job's parallelism; it is never lowered.
    Raise {
        /// To how many pods.
        parallelism: u32,
    },
    /// Suspend the Job, which ends its pods.
    StopJob,
    /// Write the ended pods into the checkpoint.
    Checkpoint,
    /// Make the archive Job.
    CreateArchive,
    /// Delete the archive Job, so that another tries.
    DeleteArchive,
    /// Record in the status how the run ended.
    Finish(Finish),
    /// Delete the run's Jobs.
    DeleteJobs,
    /// Delete the run's ConfigMaps.
    DeleteConfigMaps,
    /// Let the run go.
    RemoveFinalizer,
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The archive answered.
    Archived,
    /// There is nothing to archive: no request could be made.
    Refused,
    /// There is nothing to archive: the plan failed.
    PlanFailed,
    /// There is nothing to archive: it was stopped before it was planned.
    StoppedBeforePlan(Stop),
    /// Archiving was tried for as long as it is held.
    NotArchived,
}

/// Why the run is to stop, if it is.
#[must_use]
pub fn stop(view: &RunView) -> Option<Stop> {
    match () {
        () if view.deleted.is_some() => Some(Stop::Deleted),
        () if view.cancelled => Some(Stop::Cancelled),
        () if view.now >= view.deadline => Some(Stop::DeadlineExceeded),
        () => None,
    }
}

/// Why the run was stopped, if anything was: a Job that ended by itself was not.
#[must_use]
pub fn stopped(view: &RunView) -> Option<Stop> {
    let by_itself = view.job.is_some_and(|job| job.finished.is_some() && job.suspended.is_none());
    stop(view).filter(|_| !by_itself)
}

/// What the run needs next, in order.
#[must_use]
pub fn decide(view: &RunView) -> Vec<Action> {
    if view.ended {
        return clean_up(view);
    }
    if !view.finalizer {
        // Without it a deleted run is gone before we can do anything for it, and its children with it.
        return if view.deleted.is_some() { Vec::new() } else { vec![Action::AddFinalizer] };
    }
    match view.planned {
        None => plan(view),
        Some(items) => score(view, items),
    }
}

fn plan(view: &RunView) -> Vec<Action> {
    if let Some(stop) = stop(view) {
        return vec![Action::Finish(Finish::StoppedBeforePlan(stop))];
    }
    if !view.request {
        return vec![if view.refused { Action::Finish(Finish::Refused) } else { Action::CreateRequest }];
    }
    match view.plan {
        Helper::Absent => vec![Action::CreatePlan],
        Helper::Going => Vec::new(),
        Helper::Answered => vec![Action::RecordPlan],
        Helper::Failed { .. } => vec![Action::Finish(Finish::PlanFailed)],
        Helper::Lost => vec![Action::DeletePlan],
    }
}

fn score(view: &RunView, items: u32) -> Vec<Action> {
    let mut actions = Vec::new();
    let stop = stop(view);
    let settled = settled(view, items, stop.is_some());
    // Before anything relies on the pods' ends they are in the checkpoint, and the archive mounts it even when empty.
    if (view.unfolded > 0 && (view.checkpoint_due || view.living == 0 || settled)) || (settled && view.folded.is_none())
    {
        actions.push(Action::Checkpoint);
    }
    match view.job {
        None if settled || view.slots == 0 => {}
        None => actions.push(Action::CreateJob { parallelism: view.slots.min(items) }),
        Some(job) if job.finished.is_some() || job.suspended.is_some() => {}
        Some(_) if stop.is_some() => actions.push(Action::StopJob),
        Some(job) if view.slots.min(items) > job.parallelism => {
            actions.push(Action::Raise { parallelism: view.slots.min(items) });
        }
        Some(_) => {}
    }
    if settled && view.folded.is_some() && view.unfolded == 0 {
        actions.extend(archive(view));
    }
    actions
}

/// Whether no pod of an item will end any more that the archive should know of.
fn settled(view: &RunView, items: u32, stopped: bool) -> bool {
    // Once an archive is there, what it was made for holds, whatever else comes to light.
    if view.archive != Helper::Absent {
        return true;
    }
    let Some(job) = view.job else {
        // Never made, and not to be made; or made and then deleted by somebody: its pods go with it.
        return stopped || items == 0 || view.admitted;
    };
    let Some(since) = job.finished.or(job.suspended.filter(|_| stopped)) else { return false };
    let quiet = view.now.duration_since(since);
    let seen = view.folded.unwrap_or(0).saturating_add(view.unfolded) >= job.counted || quiet >= CATCH_UP;
    (view.living == 0 && seen) || quiet >= SETTLE
}

/// Until when archiving is tried.
#[must_use]
pub fn archive_until(view: &RunView) -> Timestamp {
    let still =
        view.job.and_then(|job| job.finished.or(job.suspended)).map_or(view.deadline, |at| at.max(view.deadline));
    match view.deleted {
        Some(at) => later(at, HOLD_DELETED),
        None => later(still, HOLD_UNARCHIVED),
    }
}

fn archive(view: &RunView) -> Option<Action> {
    let give_up = view.now >= archive_until(view);
    match view.archive {
        Helper::Answered => Some(Action::Finish(Finish::Archived)),
        _ if give_up => Some(Action::Finish(Finish::NotArchived)),
        Helper::Absent => Some(Action::CreateArchive),
        Helper::Going => None,
        Helper::Lost => Some(Action::DeleteArchive),
        Helper::Failed { at } => (view.now >= later(at, ARCHIVE_AGAIN)).then_some(Action::DeleteArchive),
    }
}

fn clean_up(view: &RunView) -> Vec<Action> {
    let mut actions = Vec::new();
    if view.jobs > 0 {
        actions.push(Action::DeleteJobs);
    }
    if view.config_maps > 0 {
        actions.push(Action::DeleteConfigMaps);
    }
    if actions.is_empty() && view.finalizer {
        actions.push(Action::RemoveFinalizer);
    }
    actions
}

/// The latest moment at which to decide again, though nothing seems to change.
#[must_use]
pub fn wake(view: &RunView) -> Option<Timestamp> {
    if view.ended {
        return None;
    }
    let mut times = vec![view.deadline, archive_until(view)];
    if let Helper::Failed { at } = view.archive {
        times.push(later(at, ARCHIVE_AGAIN));
    }
    if let Some(at) = view.job.and_then(|job| job.finished.or(job.suspended)) {
        times.extend([later(at, CATCH_UP), later(at, SETTLE)]);
    }
    if view.unfolded > 0 {
        times.push(later(view.now, SignedDuration::from_secs(1)));
    }
    times.into_iter().filter(|at| *at > view.now).min()
}

/// The run's state in one word.
#[must_use]
pub fn state(view: &RunView) -> &'static str {
    let Some(items) = view.planned else { return "Planning" };
    match view.job {
        _ if settled(view, items, stop(view).is_some()) => "Archiving",
        None => "Waiting",
        Some(_) if stop(view).is_some() => "Stopping",
        Some(_) => "Running",
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
