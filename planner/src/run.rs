//! What a run needs next.
//!
//! [`decide`] looks at a run as it is observed and says what to do. Every action may be the last that a dying process
//! gets done: whatever was done and whatever was not, deciding anew from what is then observed ends the run once and whole.

use jiff::{SignedDuration, Timestamp};

#[cfg(test)]
mod faults;
mod verdict;
mod view;
#[cfg(test)]
mod world;

pub use verdict::{Tally, Verdict, verdict};
pub use view::{Helper, Job, Reckoned, RunView, Stalled};

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

/// How long archiving waits to be told what the nodes were for the run. Where nobody looks at the pool, it never is.
pub const HOLD_RECKONED: SignedDuration = SignedDuration::from_secs(20);
/// How long writing the checkpoint, or suspending the Job, may fail before the run ends without it.
pub const HOLD_STALLED: SignedDuration = SignedDuration::from_mins(10);
/// How long the API server may refuse the Job of items before the run ends: it holds slots meanwhile.
pub const HOLD_REFUSED: SignedDuration = SignedDuration::from_mins(1);

/// Why a run is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Its namespace is being deleted.
    NamespaceTerminating,
    /// Somebody deleted it.
    Deleted,
    /// Somebody cancelled it.
    Cancelled,
    /// Its schedule cancelled it for the run of a later tick.
    Replaced,
    /// Its deadline passed.
    DeadlineExceeded,
    /// What was frozen for it is gone, and so no pod of it can start.
    RequestGone,
    /// Somebody deleted its Job of items, and the pods with it.
    JobGone,
}

impl Stop {
    /// As conditions have it.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::NamespaceTerminating => "NamespaceTerminating",
            Self::Deleted => "Deleted",
            Self::Cancelled => "Cancelled",
            Self::Replaced => "Replaced",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::RequestGone => "RequestGone",
            Self::JobGone => "JobGone",
        }
    }

    /// As a sentence ends: "… before it was cancelled".
    #[must_use]
    pub fn clause(self) -> &'static str {
        match self {
            Self::NamespaceTerminating => "its namespace was deleted",
            Self::Deleted => "it was deleted",
            Self::Cancelled => "it was cancelled",
            Self::Replaced => "the run of a later tick replaced it",
            Self::DeadlineExceeded => "its deadline passed",
            Self::RequestGone => "its frozen request was deleted",
            Self::JobGone => "its Job was deleted",
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
    /// There is nothing to archive: the API server refuses the Job of items.
    JobRefused,
    /// There is no record: archiving was tried for as long as the run is held, or cannot be tried.
    NotArchived,
}

/// Why the run is to stop, if it is.
#[must_use]
pub fn stop(view: &RunView) -> Option<Stop> {
    match () {
        () if view.closing => Some(Stop::NamespaceTerminating),
        () if view.deleted.is_some() => Some(Stop::Deleted),
        () if view.cancelled && view.replaced => Some(Stop::Replaced),
        () if view.cancelled => Some(Stop::Cancelled),
        () if view.now >= view.deadline => Some(Stop::DeadlineExceeded),
        () if view.lost_request() => Some(Stop::RequestGone),
        () if view.admitted && view.job.is_none() => Some(Stop::JobGone),
        () => None,
    }
}

/// Why the run was stopped, if anything was: a Job that ended by itself was not.
#[must_use]
pub fn stopped(view: &RunView) -> Option<Stop> {
    let by_itself = view.job.is_some_and(|job| job.finished.is_some() && job.suspended.is_none());
    stop(view).filter(|_| !by_itself)
}

/// What the run needs next, in order. All of it is decided upon what is observed, so that none relies on the ones before
/// it: where one fails, the others are done all the same.
#[must_use]
pub fn decide(view: &RunView) -> Vec<Action> {
    if view.ended {
        return clean_up(view);
    }
    if view.closing {
        return vec![Action::Finish(match view.planned {
            Some(_) if view.archive == Helper::Answered => Finish::Archived,
            Some(_) => Finish::NotArchived,
            None => Finish::StoppedBeforePlan(Stop::NamespaceTerminating),
        })];
    }
    if !view.finalizer && view.deleted.is_some() {
        // Without it a deleted run is gone before we can do anything for it, and its children with it.
        return Vec::new();
    }
    if !view.finalizer && stop(view).is_none() {
        return vec![Action::AddFinalizer];
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
    if view.refused {
        return vec![Action::Finish(Finish::Refused)];
    }
    if !view.request {
        return vec![Action::CreateRequest];
    }
    match view.plan {
        Helper::Absent => vec![Action::CreatePlan],
        Helper::Going => Vec::new(),
        Helper::Answered => vec![Action::RecordPlan],
        Helper::Failed { .. } => vec![Action::Finish(Finish::PlanFailed)],
        Helper::Lost => vec![Action::DeletePlan],
    }
}

/// How many pods a Job is to have: one for each slot, and for each four one that waits to be let go as soon as another ends.
/// Kubernetes takes a second to make one; more would only be objects, and count against quotas. Pods of a Job of an earlier
/// version have no gate and start by themselves.
fn pods(slots: u32, items: u32, gated: bool) -> u32 {
    let waiting = if gated { slots.div_ceil(4) } else { 0 };
    slots.saturating_add(waiting).min(items)
}

fn score(view: &RunView, items: u32) -> Vec<Action> {
    let mut actions = Vec::new();
    let stop = stop(view);
    let settled = settled(view, items, stop.is_some());
    let going = view.job.filter(|job| job.finished.is_none() && job.suspended.is_none());
    match (view.job, going) {
        (None, _) if settled || view.slots == 0 => {}
        (None, _) if view.stalled.is_some_and(|stalled| stalled.refused && stalled_for(view, HOLD_REFUSED)) => {
            return vec![Action::Finish(Finish::JobRefused)];
        }
        (None, _) => actions.push(Action::CreateJob { parallelism: pods(view.slots, items, true) }),
        // What stops a run comes first: it frees nodes and slots.
        (_, Some(_)) if stop.is_some() => actions.push(Action::StopJob),
        (_, Some(job)) if pods(view.slots, items, job.gated) > job.parallelism => {
            actions.push(Action::Raise { parallelism: pods(view.slots, items, job.gated) });
        }
        _ => {}
    }
    // Before anything relies on the pods' ends they are in the checkpoint, and the archive mounts it even when empty.
    let due = view.unfolded > 0 && (view.checkpoint_due || view.living == 0 || settled);
    let news = view.folded.is_none() || view.archive == Helper::Absent && view.reckoned == Reckoned::Told;
    if !view.lost_request() && (due || (settled && news)) {
        actions.push(Action::Checkpoint);
    }
    actions.extend(end(view, settled, going.is_some() && stop.is_some()));
    actions
}

/// The step towards the end of a run whose pods have ended. It waits for the checkpoint, but not for ever.
fn end(view: &RunView, settled: bool, stopping: bool) -> Option<Action> {
    let give_up = view.now >= archive_until(view);
    if !settled {
        // A Job that cannot even be suspended is deleted with all the rest once the run has ended.
        let stuck = stopping && give_up && stalled_for(view, HOLD_STALLED);
        return stuck.then_some(Action::Finish(Finish::NotArchived));
    }
    let whole = view.folded.is_some() && view.unfolded == 0;
    let without = stalled_for(view, HOLD_STALLED);
    match view.archive {
        Helper::Answered if whole || without || give_up => Some(Action::Finish(Finish::Archived)),
        _ if give_up || view.lost_request() => Some(Action::Finish(Finish::NotArchived)),
        _ if without && view.folded.is_none() => Some(Action::Finish(Finish::NotArchived)),
        _ if !whole && !without => None,
        Helper::Absent if view.reckoned != Reckoned::Written && view.now < reckoned_until(view) => None,
        Helper::Absent => Some(Action::CreateArchive),
        Helper::Answered | Helper::Going => None,
        Helper::Lost => Some(Action::DeleteArchive),
        Helper::Failed { at } => (view.now >= later(at, ARCHIVE_AGAIN)).then_some(Action::DeleteArchive),
    }
}

fn stalled_for(view: &RunView, time: SignedDuration) -> bool {
    view.stalled.is_some_and(|stalled| view.now.duration_since(stalled.since) >= time)
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

/// Until when archiving waits to be told what the nodes were for the run.
fn reckoned_until(view: &RunView) -> Timestamp {
    let job = view.job.and_then(|job| job.finished.or(job.suspended));
    job.max(view.last_end).map_or(Timestamp::MIN, |at| later(at, HOLD_RECKONED))
}

fn clean_up(view: &RunView) -> Vec<Action> {
    let mut actions = Vec::new();
    if view.jobs > 0 {
        actions.push(Action::DeleteJobs);
    }
    if view.config_maps > 0 {
        actions.push(Action::DeleteConfigMaps);
    }
    // What cannot be deleted by us goes with the run, which owns it.
    let held_long = view.deleted.is_some_and(|at| view.now >= later(at, HOLD_DELETED));
    if (actions.is_empty() || held_long) && view.finalizer {
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
    let mut times = vec![view.deadline, archive_until(view), reckoned_until(view)];
    if let Some(Stalled { since, .. }) = view.stalled {
        times.extend([later(since, HOLD_REFUSED), later(since, HOLD_STALLED)]);
    }
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
