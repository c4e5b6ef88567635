//! What a node of a pool has for scorer pods: said, or learned from one that is there.

use crds::ScoringCluster;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Node;
use planner::capacity::Resources;

use super::memory::Memory;
use super::{PoolNodes, act, machines, pods};
use crate::context::name_of;
use crate::{Ctx, Error};

/// How soon, and until when, a new node's capacity is learned anew: its DaemonSet pods come one by one, and devices such as GPUs
/// are told of once their plugin runs. Until then a node is taken to have those that one pod asks for.
const LEARN_AGAIN: SignedDuration = SignedDuration::from_secs(15);
const LEARN_UNTIL: SignedDuration = SignedDuration::from_mins(5);
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
    let on_one = capacity(cluster, known(cluster, None)).map_or(1, |empty| empty.fits(request));
    on_one.saturating_mul(cluster.spec.max_nodes)
}

/// What the spec says that a node has for scorer pods.
pub(super) fn said(cluster: &ScoringCluster) -> Resources {
    let said = cluster.spec.node_capacity.iter().flatten().map(|(name, amount)| (name.as_str(), amount.as_str()));
    // The API server has refused what is no quantity.
    Resources::parse(said).unwrap_or_default()
}

/// What was learned of a node before, as the status has it. Machines of another size tell nothing of those that come.
pub(super) fn known(cluster: &ScoringCluster, vm_size: Option<&str>) -> Option<Resources> {
    let status = cluster.status.as_ref()?;
    let known = status.node_capacity.as_ref()?;
    if status.node_vm_size.as_deref().zip(vm_size).is_some_and(|(before, now)| before != now) {
        return None;
    }
    Resources::parse(known.iter().map(|(name, amount)| (name.as_str(), amount.as_str()))).ok()
}

/// What a new node will have, where it does not tell yet of devices that pods ask for.
pub(super) fn with_devices(learned: Resources, requests: impl Iterator<Item = Resources>) -> Resources {
    let asked = requests.fold(Resources::default(), |most, request| most.max(&request)).to_quantities();
    let lacks = |name: &str| name.contains('/') && learned.milli(name).is_none();
    let devices = asked.iter().map(|(name, amount)| (name.as_str(), amount.as_str())).filter(|(name, _)| lacks(name));
    let devices = Resources::parse(devices).unwrap_or_default();
    learned.plus(&devices)
}

/// Learns what a node has from the youngest Ready one: allocatable less the pods that belong to every node.
pub(super) async fn learn(
    cluster: &ScoringCluster,
    ctx: &Ctx,
    memory: &mut Memory,
) -> Result<Option<Resources>, Error> {
    let pool = PoolNodes::of(cluster);
    let now = ctx.now();
    let vm_size = memory.vm_size();
    if vm_size.is_some() && memory.learned_of != vm_size {
        memory.learned_of.clone_from(&vm_size);
        (memory.learned, memory.capacity) = (None, None);
    }
    let created = |node: &Node| node.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let nodes = ctx.caches.nodes.all();
    let ours = nodes.iter().filter(|node| pool.have(node) && machines::is_ready(node));
    let Some(node) = ours.max_by_key(|node| (created(node), name_of(&***node).to_owned())) else {
        memory.is_new = false;
        return Ok(memory.capacity.clone().or_else(|| known(cluster, vm_size.as_deref())));
    };
    let settled = created(node).is_some_and(|at| now.duration_since(at) >= LEARN_UNTIL);
    memory.is_new = !settled;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_node_is_taken_to_have_the_devices_that_pods_ask_for_and_nothing_else_that_it_lacks() {
        let of = |all: &[(&str, &str)]| Resources::parse(all.iter().copied()).unwrap();
        let learned = of(&[("cpu", "4"), ("example.com/fpga", "1")]);
        let requests = [
            of(&[("cpu", "8"), ("nvidia.com/gpu", "1")]),
            of(&[("nvidia.com/gpu", "2"), ("example.com/fpga", "2"), ("memory", "1Gi")]),
        ];
        let has = with_devices(learned, requests.into_iter());
        assert_eq!(has, of(&[("cpu", "4"), ("example.com/fpga", "1"), ("nvidia.com/gpu", "2")]));
    }

    #[test]
    fn what_was_learned_of_machines_of_another_size_counts_for_nothing() {
        let cluster: ScoringCluster = serde_json::from_value(serde_json::json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringCluster", "metadata": { "name": "cpu" },
            "spec": { "maxNodes": 3, "nodePool": { "external": { "nodeSelector": { "disk": "ssd" } } } },
            "status": { "nodeCapacity": { "cpu": "4" }, "nodeVmSize": "Standard_D4s_v5" },
        }))
        .unwrap();
        let is_known = |vm_size| known(&cluster, vm_size).is_some();
        assert!(is_known(None) && is_known(Some("Standard_D4s_v5")));
        assert!(!is_known(Some("Standard_D16s_v5")));
    }
}
