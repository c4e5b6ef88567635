//! What people see of a cluster: counts and conditions.

use crds::cluster::{AgentPoolStatus, NextDemand, NodeCounts, QUEUE, QueuedRun, SlotCounts};
use crds::{AksPool, ScoringCluster, ScoringClusterStatus};
use jiff::{SignedDuration, Timestamp};
use planner::capacity::Resources;
use planner::pool::{Lost, NOT_READY_LIMIT, OUTAGE_LIMIT, PoolDecision, PoolView, Wait};
use planner::slots::{Grants, Queued};
use planner::warmth::Expected;

use super::cost::EXCEEDED;
use super::memory::Memory;
use super::trouble::Trouble;
use super::{external, too_large};
use crate::aks::Kind;
use crate::conditions::{Conditions, whole_seconds};

/// How long a node is idle before that is worth writing down.
const WORTH_NOTING: SignedDuration = SignedDuration::from_secs(5);

/// Most nodes of a pool are lost at once.
pub(super) const NODES_LOST: &str = "NodesLost";

/// Why a cluster's pool is not touched at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// In one word.
    pub(super) reason: &'static str,
    /// What is wrong, and what to do.
    pub(super) message: String,
}

/// Everything that a status is made of.
pub(super) struct Report<'a> {
    /// The cluster.
    pub(super) cluster: &'a ScoringCluster,
    /// What is remembered of it.
    pub(super) memory: &'a Memory,
    /// The pool, where it could be seen.
    pub(super) pool: Option<(&'a PoolView, &'a PoolDecision)>,
    /// Slots.
    pub(super) grants: &'a Grants,
    /// The next work that a tick will bring, and its schedule.
    pub(super) next: Option<&'a (String, Expected)>,
    /// What a node has, as learned.
    pub(super) learned: Option<&'a Resources>,
    /// Why the pool is not touched, if so.
    pub(super) refusal: Option<&'a Refusal>,
    /// Now.
    pub(super) now: Timestamp,
}

/// The status as it should be.
#[must_use]
pub(super) fn status(report: &Report<'_>) -> ScoringClusterStatus {
    // What was written last; the cache may be behind it.
    let before = report.memory.status.as_ref().or(report.cluster.status.as_ref()).cloned().unwrap_or_default();
    let generation = report.cluster.metadata.generation;
    let mut conditions = Conditions::of(&before.conditions, generation, report.now);
    match report.cluster.spec.node_pool.aks() {
        Some(aks) => {
            ready(report, aks, &mut conditions);
            scaling(report, &mut conditions);
            degraded(report, &mut conditions);
        }
        None => external::conditions(report, &mut conditions),
    }
    let old_enough = |since: &Timestamp| report.now.duration_since(*since) >= WORTH_NOTING;
    let idle = report.memory.machines.idle_since.iter().filter(|(_, since)| old_enough(since));
    let seen = report.memory.pool.as_ref().map(|(pool, _)| AgentPoolStatus {
        count: pool.count(),
        provisioning_state: pool.provisioning_state().to_owned(),
        node_taints: pool.taints().map(str::to_owned).collect(),
    });
    ScoringClusterStatus {
        observed_generation: generation,
        nodes: report.pool.map_or_else(|| before.nodes.clone(), |(view, decision)| counts(view, decision)),
        slots: SlotCounts { given: report.grants.given, waiting: report.grants.waiting, total: report.grants.total },
        queue: report.grants.queue.iter().take(QUEUE).map(queued).collect(),
        node_capacity: report.learned.map(Resources::to_quantities).filter(|map| !map.is_empty()),
        node_vm_size: report.learned.and(report.memory.vm_size().or(before.node_vm_size)),
        provisioning: report.memory.machines.timing.status(),
        next_demand: report.next.map(|(schedule, next)| NextDemand {
            schedule: schedule.clone(),
            at: whole_seconds(next.at),
            pods: next.pods,
        }),
        cost: report.memory.cost.shown().cloned(),
        idle_since: idle.map(|(name, since)| (name.clone(), whole_seconds(*since))).collect(),
        agent_pool: seen.or(before.agent_pool),
        put_bucket: report.memory.bucket(report.now),
        conditions: conditions.into_vec(),
    }
}

fn queued(run: &Queued) -> QueuedRun {
    QueuedRun { run: run.run.clone(), priority: run.priority, slots: run.slots, waiting: run.waiting }
}

fn counts(view: &PoolView, decision: &PoolDecision) -> NodeCounts {
    let nodes = || view.machines.iter().filter_map(|machine| machine.node.as_ref());
    let size = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let draining = |node: &planner::pool::Node| node.draining_since.is_some();
    let ready = size(nodes().filter(|node| node.ready.is_ready()).count());
    let busy = size(nodes().filter(|node| node.busy).count());
    let machines = size(view.machines.iter().filter(|machine| machine.listed).count());
    let leaving = size(view.machines.iter().filter(|machine| machine.leaving).count());
    let lost = Lost::of(view).machines;
    let there = size(lost.iter().filter(|machine| machine.listed && !machine.leaving).count());
    let coming = if view.running { view.count.max(machines) } else { machines };
    NodeCounts {
        desired: decision.desired,
        provisioning: coming.saturating_sub(leaving).saturating_sub(ready).saturating_sub(there),
        ready,
        busy,
        idle: size(nodes().filter(|node| node.ready.is_ready() && !node.busy && !draining(node)).count()),
        draining: size(nodes().filter(|node| draining(node)).count()),
        lost: size(lost.len()),
    }
}

fn ready(report: &Report<'_>, aks: &AksPool, conditions: &mut Conditions) {
    let spec = &report.cluster.spec;
    let pool = &aks.agent_pool;
    if let Some(refusal) = report.refusal {
        conditions.set("Ready", false, refusal.reason, refusal.message.clone());
    } else if super::hold::deleted(report.cluster).is_some() {
        let message = "idle nodes are being deleted; those with pods stay until the pods have ended";
        conditions.set("Ready", false, "Deleting", message);
    } else if let Some(trouble) = report.memory.trouble().filter(|trouble| stops_everything(trouble)) {
        conditions.set("Ready", false, trouble.kind.reason(), trouble.told());
    } else if report.memory.pool.is_none() {
        conditions.set("Ready", false, "Starting", format!("agent pool {pool} has not been read yet"));
    } else if spec.paused {
        conditions.set(
            "Ready",
            true,
            "Paused",
            "no new slots are given and no nodes are added while spec.paused is true",
        );
    } else if report.memory.cost.paused(report.cluster, report.now) {
        conditions.set("Ready", true, "Paused", "no new slots are given and no nodes are added; see Degraded");
    } else {
        let message = format!("agent pool {pool} is used with {} to {} nodes", spec.min_nodes, spec.max_nodes);
        conditions.set("Ready", true, "PoolReady", message);
    }
}

fn scaling(report: &Report<'_>, conditions: &mut Conditions) {
    let Some((view, decision)) = report.pool else {
        conditions.set("Scaling", false, "NotKnown", "the pool is not touched");
        return;
    };
    let machines = view.machines.iter().filter(|machine| machine.listed && !machine.leaving).count();
    let (is, reason, message) = match decision.wait {
        Some(Wait::Bucket) => {
            (true, "WaitingForRequests", "the PUTs of this pool are used up; one comes back a minute")
        }
        Some(Wait::Requests) => {
            (true, "WaitingForRequests", "the requests of this subscription are used up; one comes back a second")
        }
        Some(Wait::BackOff) if report.memory.trouble().is_some() => {
            (true, "BackingOff", "the last step did not work; see Degraded")
        }
        _ if view.machines.iter().any(|machine| machine.leaving) => (true, "ScalingDown", "machines are being deleted"),
        _ if decision.desired as usize > machines => (true, "ScalingUp", "nodes are asked for"),
        Some(Wait::BackOff) => (true, "OperationInProgress", "AKS was asked a moment ago, and that may not show yet"),
        Some(Wait::Settling) => (true, "ScalingDown", "idle nodes are cordoned before they are deleted"),
        Some(Wait::Pods) => (true, "ScalingDown", "nodes above maxNodes are deleted when their pods have ended"),
        Some(Wait::Nodes) => (true, "ScalingUp", "nodes are on their way"),
        Some(Wait::Operation) => (true, "OperationInProgress", "AKS works on the agent pool"),
        _ if decision.action.is_some() => (true, "Changing", "the next step is being taken"),
        _ => (false, "AtRest", "there are as many nodes as are wanted"),
    };
    conditions.set("Scaling", is, reason, message);
}

fn degraded(report: &Report<'_>, conditions: &mut Conditions) {
    if let Some(refusal) = report.refusal {
        conditions.set("Degraded", true, refusal.reason, refusal.message.clone());
    } else if let Some(trouble) = report.memory.trouble().filter(|trouble| trouble.is_worth_telling()) {
        conditions.set("Degraded", true, trouble.kind.reason(), trouble.told());
    } else if let Some(outage) = report.pool.and_then(|(view, _)| outage(view)) {
        conditions.set("Degraded", true, NODES_LOST, outage);
    } else if let Some(spent) = report.memory.cost.exceeded(report.cluster, report.now) {
        conditions.set("Degraded", true, EXCEEDED, spent.message);
    } else if let Some(run) = report.grants.too_large.first() {
        conditions.set("Degraded", true, too_large::REASON, too_large::sentence(run));
    } else {
        conditions.set("Degraded", false, "AsExpected", "");
    }
}

/// What is said of an outage, in which most nodes are lost at once, if it is one.
#[must_use]
pub(super) fn outage(view: &PoolView) -> Option<String> {
    let lost = Lost::of(view);
    let (count, of) = (lost.machines.len(), view.machines.iter().filter(|machine| machine.node.is_some()).count());
    lost.outage.then(|| {
        format!(
            "{count} of {of} nodes are not Ready, more than half: rather the way to them is broken than all of them. \
             Their pods are left alone; a machine is deleted after {} min instead of {}. Look whether the nodes reach \
             the API server",
            OUTAGE_LIMIT.as_mins(),
            NOT_READY_LIMIT.as_mins()
        )
    })
}

/// Trouble without which nothing can be said of the pool at all.
fn stops_everything(trouble: &Trouble) -> bool {
    let settings = [Kind::Credentials, Kind::Denied, Kind::NotFound, Kind::Autoscaler];
    settings.contains(&trouble.kind) || trouble.kind == Kind::Unavailable && trouble.times >= 5
}

/// Whether a status differs from the one before in more than counts, which may wait a little to be written together.
#[must_use]
pub(super) fn is_urgent(before: Option<&ScoringClusterStatus>, after: &ScoringClusterStatus) -> bool {
    let Some(before) = before else { return true };
    let plain = |status: &ScoringClusterStatus| ScoringClusterStatus {
        nodes: NodeCounts { desired: status.nodes.desired, lost: status.nodes.lost, ..NodeCounts::default() },
        slots: SlotCounts {
            given: u32::from(status.slots.given > 0),
            waiting: u32::from(status.slots.waiting > 0),
            total: None,
        },
        queue: Vec::new(),
        idle_since: std::collections::BTreeMap::new(),
        agent_pool: None,
        put_bucket: None,
        provisioning: None,
        next_demand: None,
        cost: None,
        ..status.clone()
    };
    plain(before) != plain(after)
}

#[cfg(test)]
mod tests;
