//! A world in which runs are decided and actions may be the last: what must hold whatever happens.

use std::mem::{Discriminant, discriminant};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

mod tests;

const ITEMS: u32 = 4;

/// What Kubernetes holds of one run, and what it does with it.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) view: RunView,
    pub(super) pods: Vec<Pod>,
    jobs_made: u32,
    pub(super) finishes: u32,
    pub(super) released: bool,
    /// Actions that the API server refuses, or is not well enough to do: always.
    pub(super) faults: Faults,
    archive_broken: bool,
    folded_vanished: u32,
}

/// Which actions fail.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub(super) actions: Vec<Discriminant<Action>>,
    pub(super) refused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pod {
    index: u32,
    pub(super) ended: bool,
    folded: bool,
    succeeded: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    /// The operator looks, decides, and dies after this many actions.
    Reconcile(usize),
    Time(i64),
    Slots(u32),
    PodEnds(usize, bool),
    /// A node goes, with an ended pod on it whose end is in the checkpoint.
    PodVanishes(usize),
    PlanAnswers(bool),
    PlanPodVanishes,
    /// It is told what the nodes were for the run.
    Reckoned,
    ArchiveAnswers,
    ArchiveFails,
    Cancel,
    Delete,
    JobDeleted,
    NamespaceDeleted,
    RequestDeleted,
}

impl World {
    pub(super) fn new(archive_broken: bool) -> Self {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let view = RunView {
            now,
            deleted: None,
            cancelled: false,
            replaced: false,
            closing: false,
            stalled: None,
            finalizer: true,
            deadline: now + SignedDuration::from_hours(1),
            refused: false,
            request: false,
            plan: Helper::Absent,
            planned: None,
            admitted: false,
            slots: 0,
            job: None,
            living: 0,
            unfolded: 0,
            folded: None,
            checkpoint_due: true,
            reckoned: Reckoned::Open,
            last_end: None,
            archive: Helper::Absent,
            ended: false,
            jobs: 0,
            config_maps: 0,
        };
        Self {
            view,
            pods: Vec::new(),
            jobs_made: 0,
            finishes: 0,
            released: false,
            faults: Faults::default(),
            archive_broken,
            folded_vanished: 0,
        }
    }

    /// What the Job controller does, and what the operator sees of it. Of the Job's pods as many are let go as there are
    /// slots; the others are not to be seen here.
    fn sync(&mut self) {
        let view = &mut self.view;
        if let Some(job) = &mut view.job {
            if job.finished.is_none() && job.suspended.is_none() {
                let living = self.pods.iter().filter(|p| !p.ended).count();
                let mut room = (job.parallelism.min(view.slots) as usize).saturating_sub(living);
                for index in 0..ITEMS {
                    let tried = self.pods.iter().any(|p| p.index == index);
                    if room > 0 && !tried {
                        self.pods.push(Pod { index, ended: false, folded: false, succeeded: false });
                        room -= 1;
                    }
                }
                let done = (0..ITEMS).all(|i| self.pods.iter().any(|p| p.index == i && p.ended));
                job.finished = done.then_some(view.now);
            }
            job.counted = u32::try_from(self.pods.iter().filter(|p| p.ended).count()).unwrap();
        }
        view.living = u32::try_from(self.pods.iter().filter(|p| !p.ended).count()).unwrap();
        view.unfolded = u32::try_from(self.pods.iter().filter(|p| p.ended && !p.folded).count()).unwrap();
        let jobs = [view.plan != Helper::Absent, view.job.is_some(), view.archive != Helper::Absent];
        view.jobs = u32::try_from(jobs.iter().filter(|there| **there).count()).unwrap();
        view.config_maps = u32::from(view.request) + u32::from(view.folded.is_some());
        // The status says that the Job was made as soon as it is seen.
        view.admitted |= view.job.is_some();
    }

    pub(super) fn happen(&mut self, event: &Event) {
        match *event {
            Event::Reconcile(survives) => self.reconcile(survives),
            Event::Time(seconds) => self.view.now += SignedDuration::from_secs(seconds),
            Event::Slots(slots) => self.view.slots = self.view.slots.max(slots),
            Event::PodEnds(at, succeeded) => {
                if let Some(pod) = self.pods.get_mut(at) {
                    (pod.succeeded, pod.ended) = (succeeded || pod.succeeded, true);
                    self.view.last_end = Some(self.view.now);
                }
            }
            Event::PodVanishes(at) => {
                if let Some(pod) = self.pods.get_mut(at).filter(|pod| pod.folded) {
                    pod.succeeded = true;
                    self.folded_vanished += 1;
                }
            }
            Event::PlanAnswers(ok) if self.view.plan == Helper::Going => {
                self.view.plan = if ok { Helper::Answered } else { Helper::Failed { at: self.view.now } };
            }
            Event::PlanPodVanishes if self.view.plan == Helper::Answered => self.view.plan = Helper::Lost,
            Event::Reckoned if self.view.living == 0 && self.view.reckoned == Reckoned::Open => {
                self.view.reckoned = Reckoned::Told;
            }
            Event::ArchiveAnswers if self.view.archive == Helper::Going && !self.archive_broken => {
                self.view.archive = Helper::Answered;
            }
            Event::ArchiveFails if self.view.archive == Helper::Going => {
                self.view.archive = Helper::Failed { at: self.view.now };
            }
            Event::Cancel => self.view.cancelled = true,
            Event::Delete => {
                self.view.deleted = self.view.deleted.or(Some(self.view.now));
                self.released |= !self.view.finalizer;
            }
            Event::NamespaceDeleted => self.view.closing = true,
            Event::RequestDeleted if self.view.planned.is_some() => self.view.request = false,
            Event::JobDeleted if self.view.admitted => {
                self.view.job = None;
                self.pods.iter_mut().for_each(|p| p.ended = true);
            }
            _ => {}
        }
        self.sync();
    }

    fn reconcile(&mut self, survives: usize) {
        if self.released {
            return;
        }
        let actions = decide(&self.view);
        let (survived, mut failed) = (survives >= actions.len(), false);
        for action in actions.into_iter().take(survives) {
            match self.fails(action) {
                true => failed = true,
                false => self.apply(action),
            }
        }
        // What stands in the way is recorded with the status, after all actions.
        if survived {
            let now = Stalled { since: self.view.now, refused: self.faults.refused };
            self.view.stalled = failed.then(|| self.view.stalled.unwrap_or(now));
        }
    }

    fn fails(&self, action: Action) -> bool {
        let creates = matches!(
            action,
            Action::CreateRequest | Action::CreatePlan | Action::CreateJob { .. } | Action::CreateArchive
        );
        let first = action == Action::Checkpoint && self.view.folded.is_none();
        self.faults.actions.contains(&discriminant(&action)) || (self.view.closing && (creates || first))
    }

    fn apply(&mut self, action: Action) {
        let now = self.view.now;
        match action {
            Action::AddFinalizer => self.view.finalizer = true,
            Action::CreateRequest => self.view.request = true,
            Action::CreatePlan => self.view.plan = Helper::Going,
            Action::DeletePlan => self.view.plan = Helper::Absent,
            Action::RecordPlan => {
                assert_eq!(self.view.plan, Helper::Answered, "a plan is recorded from its answer");
                self.view.planned = Some(ITEMS);
            }
            Action::CreateJob { parallelism } => {
                assert!(self.view.planned.is_some() && (1..=ITEMS).contains(&parallelism));
                assert!(self.view.archive == Helper::Absent, "no Job once the archive is made");
                if self.view.job.is_none() {
                    self.jobs_made += 1;
                    self.view.job = Some(Job { parallelism, gated: true, ..Job::default() });
                }
            }
            Action::Raise { parallelism } => {
                let job = self.view.job.as_mut().unwrap();
                let started = u32::try_from(self.pods.iter().filter(|p| !p.ended).count()).unwrap();
                assert!(parallelism >= started, "parallelism {parallelism} would kill one of {started} pods");
                assert!(parallelism > job.parallelism, "parallelism only rises");
                job.parallelism = parallelism;
            }
            Action::StopJob => {
                assert!(stop(&self.view).is_some(), "only what is to stop is stopped");
                self.view.job.as_mut().unwrap().suspended = Some(now);
            }
            Action::Checkpoint => {
                self.pods.iter_mut().filter(|p| p.ended).for_each(|p| p.folded = true);
                self.view.folded = Some(u32::try_from(self.pods.iter().filter(|p| p.folded).count()).unwrap());
                if self.view.reckoned == Reckoned::Told {
                    self.view.reckoned = Reckoned::Written;
                }
            }
            Action::CreateArchive => {
                let waited = self
                    .view
                    .job
                    .and_then(|j| j.finished.or(j.suspended))
                    .is_some_and(|at| now.duration_since(at) >= SETTLE);
                let stalled = self.view.stalled.is_some_and(|s| now.duration_since(s.since) >= HOLD_STALLED);
                assert!(
                    self.pods.iter().all(|p| p.folded) || waited || stalled,
                    "all ends are in the checkpoint before the archive"
                );
                assert!(self.view.folded.is_some(), "the archive mounts the checkpoint");
                let since = self.view.job.and_then(|j| j.finished.or(j.suspended)).max(self.view.last_end);
                let long = since.is_none_or(|at| now.duration_since(at) >= HOLD_RECKONED);
                assert!(self.view.reckoned == Reckoned::Written || long, "what the nodes were is in the checkpoint");
                self.view.archive = Helper::Going;
            }
            Action::DeleteArchive => self.view.archive = Helper::Absent,
            Action::Finish(finish) => {
                self.finishes += 1;
                if finish == Finish::Archived {
                    assert_eq!(self.view.archive, Helper::Answered);
                }
                self.view.ended = true;
            }
            Action::DeleteJobs => {
                (self.view.plan, self.view.job, self.view.archive) = (Helper::Absent, None, Helper::Absent);
                self.pods.clear();
            }
            Action::DeleteConfigMaps => (self.view.request, self.view.folded) = (false, None),
            Action::RemoveFinalizer => {
                assert!(self.view.ended, "only an ended run is let go");
                let long = self.view.deleted.is_some_and(|at| now.duration_since(at) >= HOLD_DELETED);
                let left = (self.view.jobs, self.view.config_maps);
                assert!(left == (0, 0) || long, "nothing is left behind");
                (self.view.finalizer, self.released) = (false, true);
            }
        }
    }

    /// From here on all goes well, apart from an archive that cannot: the run must end.
    fn go_on(&mut self) {
        for _ in 0..400 {
            if self.released {
                return;
            }
            for event in [Event::Reconcile(99), Event::Slots(2), Event::PlanAnswers(true), Event::ArchiveAnswers] {
                self.happen(&event);
            }
            let stopped = self.view.job.is_some_and(|job| job.suspended.is_some());
            if let Some(at) = self.pods.iter().position(|p| !p.ended) {
                self.happen(&Event::PodEnds(at, !stopped));
            }
            if self.view.archive == Helper::Going {
                self.happen(&Event::ArchiveFails);
            }
            self.happen(&Event::Time(60));
        }
        panic!("the run never ends: {self:?}");
    }
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (0usize..4).prop_map(Event::Reconcile),
        2 => (1i64..30).prop_map(Event::Time),
        1 => (60i64..1800).prop_map(Event::Time),
        4 => (0u32..7).prop_map(Event::Slots),
        6 => (0usize..6, any::<bool>()).prop_map(|(at, ok)| Event::PodEnds(at, ok)),
        2 => (0usize..6).prop_map(Event::PodVanishes),
        4 => prop::bool::weighted(0.9).prop_map(Event::PlanAnswers),
        1 => Just(Event::PlanPodVanishes),
        2 => Just(Event::Reckoned),
        2 => Just(Event::ArchiveAnswers),
        1 => Just(Event::ArchiveFails),
        1 => Just(Event::Cancel),
        1 => Just(Event::Delete),
        1 => Just(Event::JobDeleted),
    ]
}
