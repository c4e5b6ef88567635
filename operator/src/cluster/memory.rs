//! What one process remembers of a cluster between two looks. Nothing in it is needed after a restart: what is, is in
//! the ScoringCluster's status, on the nodes, and at AKS.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use crds::cluster::BucketStatus;
use crds::{ScoringClusterStatus, names};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use planner::bucket::{Bucket, Rate};
use planner::capacity::Resources;
use planner::pool::BackOff;

use super::cost::{self, Books};
use super::external::Kept;
use super::folded::Folded;
use super::lacking::Lacking;
use super::machines::{LEAVING, Remembered};
use super::replace::Homeless;
use super::timing::Timing;
use super::trouble::Trouble;
use crate::Ctx;
use crate::aks::AgentPool;
use crate::conditions::whole_seconds;
use crate::context::{label, namespace_of, uid_of};
use crate::gate::is_held;
use crate::run_pods::Unsettled;

/// How long a node on which a live look found something counts as busy.
const HELD: SignedDuration = SignedDuration::from_secs(30);
/// How long an accepted PUT may take to show.
const PUT_SHOWS: SignedDuration = SignedDuration::from_secs(3);

/// How an operation on the pool ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Well.
    Good,
    /// It failed.
    Failed,
    /// Another one took its place.
    Canceled,
    /// It failed, and somebody else had asked for it.
    Theirs,
    /// It had failed before this process began.
    Found,
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
    /// The last trouble with reading the pool, and with changing it, each until that works again.
    pub(super) reading: Option<Trouble>,
    pub(super) operating: Option<Trouble>,
    /// What holds operations back.
    pub(super) back_off: BackOff,
    /// How many more machines the last operation asked for.
    pub(super) more: u32,
    /// An operation was accepted whose end has not been seen.
    pub(super) under_way: bool,
    /// No reading before this.
    pub(super) no_read_before: Option<Timestamp>,
    /// The last PUT's count and the machines there were, and how often it was the same.
    pub(super) last_put: Option<(u32, usize, u32)>,
    /// Something is under way: look often.
    pub(super) active: bool,
    /// What a node has, learned from which node, and when.
    pub(super) learned: Option<(String, Timestamp)>,
    /// The capacity that was learned, and of which VM size.
    pub(super) capacity: Option<Resources>,
    pub(super) learned_of: Option<String>,
    /// The node that it was learned from is so new that it may not tell of all it has.
    pub(super) is_new: bool,
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
    /// Pods that keep off hosts and find no other.
    pub(super) homeless: Homeless,
    /// Runs whose Jobs cannot have all their pods.
    pub(super) lacking: Lacking,
    /// Pods that were let go, by UID, until the cache shows it.
    pub(super) let_go: BTreeSet<String>,
    /// Pods that have ended, until their end is taken down and reckoned.
    pub(super) unsettled: Unsettled,
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
            reading: None,
            operating: None,
            back_off: BackOff::default(),
            more: 0,
            under_way: false,
            no_read_before: None,
            last_put: None,
            active: true,
            learned: None,
            capacity: None,
            learned_of: None,
            is_new: false,
            external: Kept::default(),
            written: None,
            status: None,
            cost: Books::default(),
            slots: BTreeMap::new(),
            homeless: Homeless::default(),
            lacking: Lacking::default(),
            let_go: BTreeSet::new(),
            unsettled: Unsettled::default(),
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

    /// What pods took that have ended is reckoned up to a time: those whose end is taken down as well are of no more interest.
    pub(super) fn settle(&mut self, ctx: &Ctx, reckoned: Timestamp) {
        let mut folded = Folded::of(ctx, std::mem::take(&mut self.machines.folded));
        let is_known = |pod: &Pod| {
            let run = label(pod, names::RUN).unwrap_or_default();
            ctx.caches.runs.get(namespace_of(pod), run).is_some()
        };
        self.unsettled.settle(|pod| cost::is_reckoned(pod, reckoned) && is_known(pod) && folded.has(pod));
        self.machines.folded = folded.into_read();
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
            self.back_off = BackOff::default();
            self.no_read_before = None;
            self.last_put = None;
        }
    }

    /// Whether the pool is to have machines. (Those that are deallocated or about to go may still be listed.)
    #[must_use]
    pub(super) fn has_machines(&self) -> bool {
        self.pool.as_ref().is_some_and(|(pool, _)| pool.count() > 0)
    }

    /// The VM size of the pool's machines, if AKS has told.
    #[must_use]
    pub(super) fn vm_size(&self) -> Option<String> {
        self.pool.as_ref()?.0.vm_size().map(str::to_owned)
    }

    /// The picture is old: look again before the next step.
    pub(super) fn look_again(&mut self) {
        self.pool = self.pool.take().map(|(pool, _)| (pool, Timestamp::UNIX_EPOCH));
        self.list_again();
    }

    /// How an operation ended, if one has since the pool was last read.
    pub(super) fn ended(&mut self, read: &AgentPool) -> Option<End> {
        if read.is_running() {
            return None;
        }
        let is_first = self.pool.is_none();
        let was_running = self.pool.as_ref().is_some_and(|(before, _)| before.is_running());
        let asked = std::mem::take(&mut self.under_way);
        // The answer to a PUT may have been lost.
        let ours = asked || self.more > 0;
        match () {
            () if is_first => read.has_failed().then_some(End::Found),
            () if !was_running && !asked => None,
            () if read.has_failed() && ours => Some(End::Failed),
            () if read.has_failed() => Some(End::Theirs),
            () if read.was_canceled() && ours => Some(End::Canceled),
            // Of somebody else: it tells nothing of what we asked for.
            () if read.was_canceled() => None,
            () => Some(End::Good),
        }
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

    /// A PUT is about to ask for so many machines.
    pub(super) fn asks(&mut self, count: u32) {
        self.more = count.saturating_sub(u32::try_from(self.machines.running()).unwrap_or(u32::MAX));
    }

    /// A PUT was accepted. The same one again and again without effect gets rarer.
    pub(super) fn put(&mut self, count: u32, pool: AgentPool, now: Timestamp) {
        let machines = self.machines.running();
        if self.more > 0 {
            self.machines.timing.asked(self.more as usize, now);
        }
        let before = self.last_put.filter(|(c, m, _)| (*c, *m) == (count, machines));
        let repeats = before.map_or(0, |(_, _, repeats)| repeats + 1);
        self.last_put = Some((count, machines, repeats));
        let wait = PUT_SHOWS * 2i32.saturating_pow(repeats.min(7));
        self.back_off.all = Some(now.saturating_add(wait).unwrap_or(now));
        self.pool = Some((pool, now));
        self.list_again();
    }
}

#[cfg(test)]
mod tests {
    use super::super::trouble::Asked;
    use super::*;
    use crate::aks::Kind;
    use serde_json::json;

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
                memory.back_off.all.unwrap().duration_since(at(0)).as_secs()
            })
            .collect();
        assert_eq!(waits, [3, 6, 12]);
        memory.put(3, AgentPool::default(), at(0));
        assert_eq!(memory.back_off.all, Some(at(3)));
    }

    #[test]
    fn the_same_put_hour_after_hour_waits_for_nothing_since_machines_came_and_went_in_between() {
        let mut memory = Memory::restore(None, at(0));
        for hour in 0..24 {
            let now = at(hour * 3_600);
            memory.put(1, AgentPool::default(), now);
            assert_eq!(memory.back_off.all, Some(now + PUT_SHOWS), "in hour {hour}");
            memory.list([format!("machine-{hour}")].into());
            memory.list(BTreeSet::new());
        }
    }

    #[test]
    fn an_operation_is_seen_to_end_though_it_began_and_ended_between_two_looks() {
        let pool = |state: &str| {
            let object = json!({ "properties": { "provisioningState": state } });
            serde_json::from_value::<AgentPool>(object).unwrap()
        };
        let look = |memory: &mut Memory, state: &str| {
            let end = memory.ended(&pool(state));
            memory.pool = Some((pool(state), at(0)));
            end
        };
        let mut memory = Memory::restore(None, at(0));
        assert_eq!(look(&mut memory, "Failed"), Some(End::Found));
        assert_eq!(look(&mut memory, "Failed"), None, "it is known");
        memory.accepted();
        assert_eq!(look(&mut memory, "Failed"), Some(End::Failed), "that was another one");
        memory.accepted();
        assert_eq!((look(&mut memory, "Scaling"), look(&mut memory, "Canceled")), (None, Some(End::Canceled)));
        assert_eq!((look(&mut memory, "Upgrading"), look(&mut memory, "Succeeded")), (None, Some(End::Good)));
        assert_eq!((look(&mut memory, "Upgrading"), look(&mut memory, "Failed")), (None, Some(End::Theirs)));
        assert_eq!((look(&mut memory, "Upgrading"), look(&mut memory, "Canceled")), (None, None));
        assert_eq!(look(&mut Memory::restore(None, at(0)), "Succeeded"), None);
    }

    #[test]
    fn an_edit_of_the_spec_is_tried_at_once() {
        let mut memory = Memory::restore(None, at(0));
        memory.troubled(Asked::Operation, Kind::Quota, "m".into(), None, at(0));
        memory.edited(Some(7));
        assert_eq!(memory.back_off, BackOff::default());
    }
}
