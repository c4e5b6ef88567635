//! The planner's own decisions, as the operator takes them.

use jiff::SignedDuration;

use super::cluster::{Cluster, clock};
use super::demand::{Demand, Job};
use super::{Controller, Setting};
use crate::bucket::{Bucket, Rate};
use crate::need::Unplaced;
use crate::pool::{self, Action, PoolView, Wait, decide};
use crate::provisioning::Provisioning;
use crate::warmth::{Expected, Horizons, Policy, Prewarm, Waiting};

/// The demand beyond what can matter now that is looked at in one go: this part of what can, and in seconds at least.
const FURTHER: i64 = 8;
const AT_LEAST: i64 = 120;
/// How long a write of the pool takes that brings and takes no machine.
const WRITE: i64 = 5;

/// Asks [`decide`].
pub(super) struct Ours {
    view: PoolView,
    times: Provisioning,
    /// Runs that ticks foretell, the latest first; and how many of them are in the view.
    coming: Vec<Job>,
    /// Up to when the view has what is expected.
    known: i64,
    planning: i64,
    requests: Vec<crate::capacity::Resources>,
    puts: Bucket,
}

impl Ours {
    pub(super) fn new(setting: &Setting, demand: &Demand, policy: Policy, prewarm: Prewarm) -> Self {
        let times = Provisioning::default();
        let puts = Bucket::full(Rate::PUT, clock(0));
        let view = PoolView {
            now: clock(0),
            min: setting.min_nodes,
            max: setting.max_nodes,
            paused: false,
            policy,
            prewarm,
            measured: times.measured(),
            expected: Vec::new(),
            count: 0,
            running: false,
            tainted: true,
            machines: Vec::new(),
            capacity: Some(setting.capacity.clone()),
            work: Vec::new(),
            puts,
            back_off: pool::BackOff::default(),
        };
        let coming = demand.jobs.iter().rev().filter(|job| job.foretold).copied().collect();
        let requests = demand.requests.clone();
        Self { view, times, coming, known: -1, planning: setting.planning, requests, puts }
    }

    /// What is expected: runs that have slots by now are work.
    fn expect(&mut self, now: i64) -> Option<i64> {
        let begun = self.view.expected.partition_point(|expected| expected.at <= clock(now));
        self.view.expected.drain(..begun);
        let longest = Horizons::of(self.view.prewarm, &self.view.measured, &self.puts, clock(now)).longest();
        if now + longest.as_secs() >= self.known {
            self.known = now + longest.as_secs() + (longest.as_secs() / FURTHER).max(AT_LEAST);
            while let Some(job) = self.coming.pop_if(|job| job.at + self.planning <= self.known) {
                let at = job.at + self.planning;
                if at > now {
                    let request = self.requests[job.kind].clone();
                    let lasts = SignedDuration::from_secs(job.lasts);
                    self.view.expected.push(Expected { at: clock(at), request, pods: job.pods, lasts });
                }
            }
        }
        let more = self.coming.last().map(|job| job.at + self.planning)?;
        // What comes beyond what is known can matter only once it is that close.
        Some((more.max(self.known) - longest.as_secs()).max(now + 1))
    }

    fn work(&mut self, cluster: &Cluster) {
        self.view.work.clear();
        self.view.work.extend(cluster.pending.pods().map(|((kind, lasts), pods)| Waiting {
            pods: Unplaced { request: self.requests[kind].clone(), pods },
            lasts: Some(SignedDuration::from_secs(lasts)),
        }));
    }

    fn act(&mut self, cluster: &mut Cluster, action: Action) {
        match action {
            Action::Put { count } => {
                let _taken = self.puts.take(clock(cluster.now));
                let there = u32::try_from(cluster.machines.len()).unwrap_or(u32::MAX);
                cluster.count = count;
                let until = match count.saturating_sub(there) {
                    0 => cluster.now + WRITE,
                    some => cluster.grow(some),
                };
                cluster.operate(until);
            }
            Action::Delete { idle, lost } => {
                let until = cluster.shrink(&[idle, lost].concat());
                cluster.operate(until);
            }
            Action::Cordon(names) | Action::Retire(names) => cluster.cordon(&names, true),
            Action::Uncordon(names) => cluster.cordon(&names, false),
            // Nothing is lost here.
            Action::OutOfService(_) | Action::InService(_) | Action::Forget(_) => {}
        }
    }
}

impl Controller for Ours {
    fn look(&mut self, cluster: &mut Cluster) -> Option<i64> {
        let now = cluster.now;
        cluster.came.drain(..).for_each(|took| self.times.come.add(SignedDuration::from_secs(took)));
        cluster.went.drain(..).for_each(|took| self.times.go.add(SignedDuration::from_secs(took)));
        self.view.measured = self.times.measured();
        self.view.now = clock(now);
        self.view.puts = self.puts;
        self.view.count = cluster.count;
        self.view.running = cluster.running;
        let more = self.expect(now);
        self.work(cluster);
        std::mem::swap(&mut self.view.machines, &mut cluster.machines);
        let decision = decide(&self.view);
        std::mem::swap(&mut self.view.machines, &mut cluster.machines);
        let soon = match (&decision.action, decision.wait) {
            (Some(_), _) => Some(SignedDuration::from_secs(1)),
            (None, Some(Wait::Settling | Wait::Bucket | Wait::BackOff)) => Some(decision.requeue.min(pool::SOON)),
            // What is waited for happens, and is looked at then.
            _ => decision.next,
        };
        let soon = soon.map(|soon| now + soon.as_secs() + i64::from(soon.subsec_nanos() > 0));
        if let Some(action) = decision.action {
            self.act(cluster, action);
        }
        [soon, more].into_iter().flatten().min()
    }
}
