//! The machines of a pool and the pods of runs on them, as the ledger has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::{ScoringRun, ScoringSchedule, names};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use planner::capacity::Resources;
use planner::cost::{Machine, Use, weight};
use planner::pool;

use crate::cluster::pods;
use crate::context::{label, name_of, namespace_of, uid_of};
use crate::guard::Guard;

/// Whose a pod is.
pub(super) struct Owner {
    pub(super) run: Arc<Guard<ScoringRun>>,
    /// The run's schedule, where it is this pool's.
    pub(super) schedule: Option<Arc<Guard<ScoringSchedule>>>,
}

impl Owner {
    pub(super) fn run(&self) -> Option<&ScoringRun> {
        self.run.0.as_ref().ok()
    }

    pub(super) fn schedule(&self) -> Option<&ScoringSchedule> {
        self.schedule.as_ref().and_then(|guard| guard.0.as_ref().ok())
    }
}

/// Since when a machine is there: its Node tells it to a process that was not there then.
fn since(machine: &pool::Machine, node: Option<&Node>, deallocates: bool) -> Timestamp {
    let created = node.and_then(|node| node.metadata.creation_timestamp.as_ref()).map(|time| time.0);
    let since = created.map_or(machine.seen, |created| created.min(machine.seen));
    // The Node of a machine that was deallocated is older than what is paid for.
    let ready = machine.node.as_ref().filter(|node| deallocates && node.ready.is_ready()).map(|node| node.since);
    ready.map_or(since, |ready| ready.max(since))
}

/// Whether there is a machine to pay for. A list may be older than a node.
fn is_there(machine: &pool::Machine, deallocates: bool) -> bool {
    match &machine.node {
        Some(node) if deallocates && node.joining => false,
        Some(node) => machine.listed || node.ready.is_ready(),
        None => machine.listed,
    }
}

/// Since when a pod has its place on the node.
fn placed(pod: &Pod) -> Option<Timestamp> {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let scheduled = conditions.into_iter().find(|c| c.type_ == "PodScheduled" && c.status == "True");
    let at = scheduled.and_then(|c| c.last_transition_time.as_ref()).or(pod.metadata.creation_timestamp.as_ref())?;
    Some(at.0)
}

/// When the last of its containers ended, if they tell.
fn ended(pod: &Pod) -> Option<Timestamp> {
    let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let ends = containers.into_iter().filter_map(|c| c.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref());
    ends.map(|time| time.0).max()
}

/// Whether all that an ended pod took is within what is reckoned up to a time. Its node's clock may be ahead.
pub(in crate::cluster) fn is_reckoned(pod: &Pod, reckoned: Timestamp) -> bool {
    ended(pod).is_none_or(|at| at <= reckoned)
}

/// What a pod takes of the node that it is on; `None` where it is no run's, or when it ended is not known.
fn used<'a>(pod: &'a Pod, owner: &'a Owner, empty: &Resources) -> Option<Use<'a>> {
    // One that ended and does not tell when ends with the look that finds it.
    let until = if pods::has_ended(pod) { Some(ended(pod)?) } else { None };
    let request = pod.spec.as_ref().map(pods::request).unwrap_or_default();
    Some(Use {
        pod: uid_of(pod),
        run: owner.run().map_or("", uid_of),
        schedule: owner.schedule().map_or("", uid_of),
        weight: weight(&request, empty),
        since: placed(pod)?,
        until,
    })
}

/// The machines that are there, with the pods of runs that are or were on them.
pub(super) fn machines<'a>(
    machines: &'a [pool::Machine],
    (nodes, deallocates): (&[Arc<Node>], bool),
    pods: &'a [Arc<Pod>],
    owners: &'a BTreeMap<String, Owner>,
    empty: &Resources,
) -> Vec<Machine<'a>> {
    let nodes: BTreeMap<&str, &Node> = nodes.iter().map(|node| (name_of(&**node), &**node)).collect();
    let mut uses: BTreeMap<&str, Vec<Use<'_>>> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| pods::is_item(pod)) {
        let Some((node, run)) = pods::node_of(pod).zip(label(&**pod, names::RUN)) else { continue };
        let owner = owners.get(&format!("{}/{run}", namespace_of(&**pod)));
        if let Some(used) = owner.and_then(|owner| used(pod, owner, empty)) {
            uses.entry(node).or_default().push(used);
        }
    }
    let there = machines.iter().filter(|machine| is_there(machine, deallocates));
    let one = |machine: &'a pool::Machine| Machine {
        name: &machine.name,
        since: since(machine, nodes.get(machine.name.as_str()).copied(), deallocates),
        uses: uses.remove(machine.name.as_str()).unwrap_or_default(),
    };
    there.map(one).collect()
}
