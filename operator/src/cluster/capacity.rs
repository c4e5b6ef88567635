//! What a node of a pool has for scorer pods: said, or learned from one that is there.

use crds::ScoringCluster;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Node;
use planner::capacity::Resources;

use super::memory::Memory;
use super::{PoolNodes, act, machines, pods};
use crate::context::name_of;
use crate::{Ctx, Error};

/// How soon, and until when, a new node's capacity is learned anew: its DaemonSet pods come one by one.
const LEARN_AGAIN: SignedDuration = SignedDuration::from_secs(15);
const LEARN_UNTIL: SignedDuration = SignedDuration::from_secs(120);
/// How soon that of an older node is: a DaemonSet may be new.
const LEARN_LATER: SignedDuration = SignedDuration::from_mins(5);

/// What an empty node has for scorer pods: what the spec says, and for the rest what was learned.
pub(crate) fn capacity(cluster: &ScoringCluster, learned: Option<Resources>) -> Option<Resources> {
    let said = said(cluster);
    match learned {
        Some(learned) => Some(learned.overlaid(&said)),
        None => Some(said).filter(|said| !said.is_empty()),
    }
}

/// How many of these pods the cluster has room for at a time, all its nodes there; as long as nothing is known of these, one on
/// each.
pub(crate) fn slots(cluster: &ScoringCluster, request: &Resources) -> u32 {
    let on_one = capacity(cluster, known(cluster)).map_or(1, |empty| empty.fits(request));
    on_one.saturating_mul(cluster.spec.max_nodes)
}

/// What the spec says that a node has for scorer pods.
pub(super) fn said(cluster: &ScoringCluster) -> Resources {
    let said = cluster.spec.node_capacity.iter().flatten().map(|(name, amount)| (name.as_str(), amount.as_str()));
    // The API server has refused what is no quantity.
    Resources::parse(said).unwrap_or_default()
}

/// What was learned of a node before, as the status has it.
pub(super) fn known(cluster: &ScoringCluster) -> Option<Resources> {
    let known = cluster.status.as_ref()?.node_capacity.as_ref()?;
    Resources::parse(known.iter().map(|(name, amount)| (name.as_str(), amount.as_str()))).ok()
}

/// Learns what a node has from the youngest Ready one: allocatable less the pods that belong to every node.
pub(super) async fn learn(
    cluster: &ScoringCluster,
    ctx: &Ctx,
    memory: &mut Memory,
) -> Result<Option<Resources>, Error> {
    let pool = PoolNodes::of(cluster);
    let now = ctx.now();
    let created = |node: &Node| node.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let nodes = ctx.caches.nodes.all();
    let ours = nodes.iter().filter(|node| pool.have(node) && machines::is_ready(node));
    let Some(node) = ours.max_by_key(|node| (created(node), name_of(&***node).to_owned())) else {
        return Ok(memory.capacity.clone().or_else(|| known(cluster)));
    };
    let settled = created(node).is_some_and(|at| now.duration_since(at) >= LEARN_UNTIL);
    let every = if settled { LEARN_LATER } else { LEARN_AGAIN };
    let fresh = |(name, at): &(String, Timestamp)| name == name_of(&**node) && now.duration_since(*at) < every;
    if memory.learned.as_ref().is_some_and(fresh) && memory.capacity.is_some() {
        return Ok(memory.capacity.clone());
    }
    let status = node.status.as_ref();
    let allocatable = pods::quantities(status.and_then(|status| status.allocatable.as_ref()));
    let everywhere = act::pods_on(ctx, name_of(&**node)).await?;
    let everywhere = everywhere.iter().filter(|pod| pods::belongs_to_node(pod) && !pods::has_ended(pod));
    let used = everywhere.fold(Resources::default(), |used, pod| used.plus(&pods::takes(pod)));
    memory.learned = Some((name_of(&**node).to_owned(), now));
    memory.capacity = Some(allocatable.less(&used));
    Ok(memory.capacity.clone())
}
