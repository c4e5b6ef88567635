//! What one process remembers of a cluster between two looks. Nothing in it is needed after a restart: what is, is in
//! the ScoringCluster's status, on the nodes, and at AKS.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crds::ScoringClusterStatus;
use crds::cluster::BucketStatus;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use planner::bucket::{Bucket, Rate};
use planner::capacity::Resources;

use super::cost::Books;
use super::external::Kept;
use super::machines::Remembered;
use super::timing::Timing;
use crate::aks::{AgentPool, AksError, Kind};
use crate::conditions::whole_seconds;
use crate::context::uid_of;
use crate::gate::is_held;

/// How long a deletion that was accepted may take to show.
const LEAVING: SignedDuration = SignedDuration::from_mins(3);
/// How long a node on which a live look found something counts as busy.
const HELD: SignedDuration = SignedDuration::from_secs(30);
/// How long an accepted PUT may take to show.
const PUT_SHOWS: SignedDuration = SignedDuration::from_secs(3);

/// Trouble with the pool.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// Its kind.
    pub(super) kind: Kind,
    /// What was asked, and the answer.
    pub(super) message: String,
    /// How often in a row.
    pub(super) times: u32,
    /// When it was first seen in this row, and last.
    pub(super) since: Timestamp,
    pub(super) last: Timestamp,
}

/// What is remembered of one cluster.
#[derive(Debug)]
pub(super) struct Memory {
    /// The agent pool as last read, and when.
    pub(super) pool: Option<(AgentPool, Timestamp)>,
    /// When its machines were last listed, and at which state of the pool.
    pub(super) listed: Option<(Timestamp, u32, String)>,
    /// Machines by name.
    pub(super) machines: Remembered,
    /// PUTs left.
    pub(super) puts: Bucket,
    /// The last trouble, until something works again.
    pub(super) trouble: Option<Trouble>,
    /// No operation before this.
    pub(super) not_before: Option<Timestamp>,
    /// No reading before this.
    pub(super) no_read_before: Option<Timestamp>,
    /// The last PUT's count and the machines there were, and how often it was the same.
    pub(super) last_put: Option<(u32, usize, u32)>,
    /// Something is under way: look often.
    pub(super) active: bool,
    /// What a node has, learned from which node, and when.
    pub(super) learned: Option<(String, Timestamp)>,
    /// The capacity that was learned.
    pub(super) capacity: Option<Resources>,
    /// What is remembered of nodes that are somebody else's.
    pub(super) external: Kept,
    /// When the status was last written.
    pub(super) written: Option<Timestamp>,
    /// The status that was last written, until the cache shows it.
    pub(super) status: Option<ScoringClusterStatus>,
    /// What the pool costs.
    pub(super) cost: Books,
    /// Slots last written, by run's UID, and when.
    pub(super) slots: BTreeMap<String, (u32, Timestamp)>,
    /// Pods that were let go, by UID, until the cache shows it.
    pub(super) let_go: BTreeSet<String>,
    /// The generation of the spec that was last seen.
    pub(super) generation: Option<i64>,
    /// Whether the cluster is held since the finalizer was written, and the version of the cluster before that.
    pub(super) held: Option<(Option<String>, bool)>,
    /// Event reasons last published, so that a state is told once.
    pub(super) told: BTreeMap<&'static str, String>,
}

impl Memory {
    /// What a status tells a new process.
    #[must_use]
    pub(super) fn restore(status: Option<&ScoringClusterStatus>, now: Timestamp) -> Self {
        let saved = status.and_then(|status| status.put_bucket.as_ref());
        let puts = saved.map_or(Bucket::full(Rate::PUT, now), |b| Bucket::restore(Rate::PUT, b.left, b.at));
        let idle_since = status.map(|status| status.idle_since.clone()).unwrap_or_default();
        let timing = Timing::restore(status.and_then(|status| status.provisioning.as_ref()));
        Self {
            pool: None,
            listed: None,
            machines: Remembered { idle_since, timing, ..Remembered::default() },
            puts,
            trouble: None,
            not_before: None,
            no_read_before: None,
            last_put: None,
            active: true,
            learned: None,
            capacity: None,
            external: Kept::default(),
            written: None,
            status: None,
            cost: Books::default(),
            slots: BTreeMap::new(),
            let_go: BTreeSet::new(),
            generation: None,
            held: None,
            told: BTreeMap::new(),
        }
    }

    /// What to write down of the bucket; nothing while it is full.
    #[must_use]
    pub(super) fn bucket(&self, now: Timestamp) -> Option<BucketStatus> {
        let (left, at) = self.puts.saved();
        (self.puts.left(now) < Rate::PUT.size).then(|| BucketStatus { left, at: whole_seconds(at) })
    }

    /// Forgets which pods were let go, of those that are gone or that the cache shows to be.
    pub(super) fn still_held(&mut self, pods: &[Arc<Pod>]) {
        if !self.let_go.is_empty() {
            let held: HashSet<&str> = pods.iter().filter(|pod| is_held(pod)).map(|pod| uid_of(&**pod)).collect();
            self.let_go.retain(|uid| held.contains(uid.as_str()));
        }
    }

    /// Forgets what has lasted long enough.
    pub(super) fn age(&mut self, now: Timestamp, running: bool) {
        if !running {
            self.machines.leaving.retain(|_, since| now.duration_since(*since) < LEAVING);
        }
        self.machines.held.retain(|_, since| now.duration_since(*since) < HELD);
    }

    /// The spec was edited: what was refused may work now, so it is tried at once.
    pub(super) fn edited(&mut self, generation: Option<i64>) {
        if self.generation != generation {
            self.generation = generation;
            self.not_before = None;
            self.no_read_before = None;
            self.last_put = None;
        }
    }

    /// Something did not work. Returns whether people should hear of it now.
    pub(super) fn failed(&mut self, error: &AksError, now: Timestamp) -> bool {
        self.troubled(error.kind, error.to_string(), error.retry_after, now)
    }

    /// An operation on the pool ended in failure, or a request did.
    pub(super) fn troubled(
        &mut self,
        kind: Kind,
        message: String,
        retry_after: Option<Duration>,
        now: Timestamp,
    ) -> bool {
        let before = self.trouble.take().filter(|trouble| trouble.kind == kind);
        let since = before.as_ref().map_or(now, |trouble| trouble.since);
        let times = before.map_or(0, |trouble| trouble.times).saturating_add(1);
        let wait = retry_after.unwrap_or_default().max(kind.backoff(times));
        let wait = SignedDuration::try_from(wait).unwrap_or(LEAVING);
        self.not_before = Some(now.saturating_add(wait).unwrap_or(now));
        self.trouble = Some(Trouble { kind, message, times, since, last: now });
        times == 1 && !matches!(kind, Kind::Busy | Kind::Changed | Kind::Unavailable)
    }

    /// Whether the pool is to have machines. (Those that are deallocated or about to go may still be listed.)
    #[must_use]
    pub(super) fn has_machines(&self) -> bool {
        self.pool.as_ref().is_some_and(|(pool, _)| pool.count() > 0)
    }

    /// A read worked.
    pub(super) fn read(&mut self) {
        let about_reads = [Kind::Unavailable, Kind::Credentials, Kind::NotFound, Kind::Unexpected];
        self.trouble.take_if(|trouble| about_reads.contains(&trouble.kind));
    }

    /// An operation was accepted. Whether there are machines to be had is only known at its end.
    pub(super) fn accepted(&mut self) {
        self.trouble.take_if(|trouble| !trouble.kind.shows_at_the_end());
    }

    /// An operation came to a good end.
    pub(super) fn succeeded(&mut self) {
        self.trouble = None;
    }

    /// No operation is wanted any more, so what stood in its way is no trouble.
    pub(super) fn unneeded(&mut self) {
        let about_reads = [Kind::Unavailable, Kind::Credentials, Kind::Denied, Kind::NotFound, Kind::Unexpected];
        self.trouble.take_if(|trouble| !about_reads.contains(&trouble.kind));
    }

    /// The picture is old: look again before the next step.
    pub(super) fn look_again(&mut self) {
        self.pool = self.pool.take().map(|(pool, _)| (pool, Timestamp::UNIX_EPOCH));
        self.list_again();
    }

    fn list_again(&mut self) {
        self.listed = self.listed.take().map(|(_, count, state)| (Timestamp::UNIX_EPOCH, count, state));
    }

    /// What AKS lists. Where that has changed since the last PUT, it had an effect.
    pub(super) fn list(&mut self, machines: BTreeSet<String>) {
        if machines != self.machines.listed {
            self.last_put = None;
        }
        self.machines.listed = machines;
    }

    /// A PUT was accepted. The same one again and again without effect gets rarer.
    pub(super) fn put(&mut self, count: u32, pool: AgentPool, now: Timestamp) {
        let machines = self.machines.listed.len();
        let more = usize::try_from(count).unwrap_or(usize::MAX).saturating_sub(machines);
        if more > 0 {
            self.machines.timing.asked(more, now);
        }
        let before = self.last_put.filter(|(c, m, _)| (*c, *m) == (count, machines));
        let repeats = before.map_or(0, |(_, _, repeats)| repeats + 1);
        self.last_put = Some((count, machines, repeats));
        let wait = PUT_SHOWS * 2i32.saturating_pow(repeats.min(7));
        self.not_before = Some(now.saturating_add(wait).unwrap_or(now));
        self.pool = Some((pool, now));
        self.list_again();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + secs).unwrap()
    }

    #[test]
    fn a_restart_remembers_the_bucket_and_since_when_nodes_are_idle() {
        let mut before = Memory::restore(None, at(0));
        assert_eq!(before.bucket(at(0)), None);
        assert!(before.puts.take(at(0)));
        let status = ScoringClusterStatus {
            put_bucket: before.bucket(at(1)),
            idle_since: [("n".to_owned(), at(-5))].into(),
            ..ScoringClusterStatus::default()
        };
        let after = Memory::restore(Some(&status), at(30));
        assert_eq!(after.puts.left(at(30)), 19);
        assert_eq!(after.machines.idle_since["n"], at(-5));
    }

    #[test]
    fn the_same_put_without_effect_gets_rarer() {
        let mut memory = Memory::restore(None, at(0));
        let waits: Vec<i64> = (0..3)
            .map(|_| {
                memory.put(2, AgentPool::default(), at(0));
                memory.not_before.unwrap().duration_since(at(0)).as_secs()
            })
            .collect();
        assert_eq!(waits, [3, 6, 12]);
        memory.put(3, AgentPool::default(), at(0));
        assert_eq!(memory.not_before, Some(at(3)));
    }

    #[test]
    fn the_same_put_hour_after_hour_waits_for_nothing_since_machines_came_and_went_in_between() {
        let mut memory = Memory::restore(None, at(0));
        for hour in 0..24 {
            let now = at(hour * 3_600);
            memory.put(1, AgentPool::default(), now);
            assert_eq!(memory.not_before, Some(now + PUT_SHOWS), "in hour {hour}");
            memory.list([format!("machine-{hour}")].into());
            memory.list(BTreeSet::new());
        }
    }

    #[test]
    fn people_hear_of_trouble_once_and_not_at_all_of_what_passes_by_itself() {
        let mut memory = Memory::restore(None, at(0));
        assert!(memory.troubled(Kind::Quota, "m".into(), None, at(0)));
        assert!(!memory.troubled(Kind::Quota, "m".into(), None, at(0)));
        assert!(!memory.troubled(Kind::Busy, "m".into(), None, at(0)));
        memory.edited(Some(7));
        assert_eq!(memory.not_before, None);
    }
}
