//! The room on the nodes at hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crds::names;
use k8s_openapi::api::core::v1::{Node, Pod};
use planner::capacity::Resources;

use super::{machines, out_of_service, pods};
use crate::context::{label, name_of, namespace_of};

/// The label that scheduling goes by.
pub(crate) const HOST: &str = "kubernetes.io/hostname";

/// The room on the nodes at hand.
#[derive(Debug, Default, PartialEq)]
pub(super) struct AtHand {
    /// What is free on each node that takes pods at this moment.
    pub(super) free: Vec<Resources>,
    /// The host names of these nodes, by which a pod can be kept off one.
    pub(super) hosts: Vec<String>,
    /// The runs (`namespace/name`) that have pods on each of them.
    pub(super) runs_on: Vec<BTreeSet<String>>,
    /// What pods ask for that are on one of these nodes and for which it has no room, by what it is said to have.
    pub(super) overflow: Vec<Resources>,
    /// Nodes that take none though pods are on them: no other comes in their place before they are gone.
    pub(super) stuck: u32,
}

impl AtHand {
    /// Of these nodes with the pods on them, where all pods together have so much `room` on one.
    pub(super) fn of(nodes: &[Arc<Node>], pods: &[Arc<Pod>], room: impl Fn(&Node) -> Resources) -> Self {
        let mut on: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
        for pod in pods.iter().filter(|pod| !pods::has_ended(pod)) {
            if let Some(node) = pods::node_of(pod) {
                on.entry(node).or_default().push(pod);
            }
        }
        let mut at_hand = Self::default();
        for node in nodes {
            let there = on.remove(name_of(&**node)).unwrap_or_default();
            if !takes_pods(node) {
                at_hand.stuck += u32::from(!there.is_empty());
                continue;
            }
            let mut free = room(node);
            at_hand.hosts.push(label(&**node, HOST).unwrap_or(name_of(&**node)).to_owned());
            at_hand.runs_on.push(there.iter().filter_map(|pod| run_of(pod)).collect());
            for pod in there {
                let request = pod.spec.as_ref().map(pods::request).unwrap_or_default();
                match free.fits(&request) {
                    0 => at_hand.overflow.push(request),
                    _ => free = free.less(&pods::takes(pod)),
                }
            }
            at_hand.free.push(free);
        }
        at_hand
    }
}

/// The run of an item's pod.
fn run_of(pod: &Pod) -> Option<String> {
    Some(format!("{}/{}", namespace_of(pod), label(pod, names::RUN)?))
}

fn takes_pods(node: &Node) -> bool {
    let spec = node.spec.as_ref();
    let cordoned = spec.and_then(|spec| spec.unschedulable).unwrap_or(false);
    let going = node.metadata.deletion_timestamp.is_some();
    machines::is_ready(node) && !cordoned && !going && out_of_service::of(node).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn cpu(amount: &str) -> Resources {
        Resources::parse([("cpu", amount)]).unwrap()
    }

    fn node(name: &str, ready: &str, spec: &Value) -> Arc<Node> {
        Arc::new(
            serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec,
                "status": {"conditions": [{"type": "Ready", "status": ready}]}}))
            .unwrap(),
        )
    }

    fn pod(node: &str, phase: &str) -> Arc<Pod> {
        let container = json!({"name": "c", "resources": {"requests": {"cpu": "500m"}}});
        let spec = json!({"containers": [container], "nodeName": node});
        Arc::new(serde_json::from_value(json!({"metadata": {}, "spec": spec, "status": {"phase": phase}})).unwrap())
    }

    #[test]
    fn what_pods_have_taken_that_have_not_ended_is_not_free() {
        let nodes = [node("a", "True", &json!({})), node("b", "True", &json!({}))];
        let pods = [pod("a", "Running"), pod("a", "Pending"), pod("a", "Succeeded"), pod("elsewhere", "Running")];
        assert_eq!(AtHand::of(&nodes, &pods, |_| cpu("2")).free, [cpu("1"), cpu("2")]);
    }

    #[test]
    fn a_pod_for_which_a_node_is_said_to_have_no_room_is_told_apart() {
        let pods = [pod("a", "Running"), pod("a", "Running"), pod("a", "Running")];
        let at_hand = AtHand::of(&[node("a", "True", &json!({}))], &pods, |_| cpu("1"));
        assert_eq!((at_hand.free, at_hand.overflow, at_hand.stuck), (vec![cpu("0")], vec![cpu("500m")], 0));
    }

    #[test]
    fn nodes_are_told_by_their_host_names_and_with_the_runs_that_have_pods_on_them() {
        let mut other = (*node("a", "True", &json!({}))).clone();
        other.metadata.labels = Some([(HOST.to_owned(), "host-a".to_owned())].into());
        let labels = |run: &str| Some([(names::RUN.to_owned(), run.to_owned())].into());
        let of = |run: &str, phase: &str| {
            let mut pod = (*pod("a", phase)).clone();
            (pod.metadata.namespace, pod.metadata.labels) = (Some("plant".to_owned()), labels(run));
            Arc::new(pod)
        };
        let pods = [of("r1", "Running"), of("r1", "Pending"), of("r2", "Succeeded")];
        let at_hand = AtHand::of(&[Arc::new(other), node("b", "True", &json!({}))], &pods, |_| cpu("2"));
        assert_eq!(at_hand.hosts, ["host-a", "b"]);
        assert_eq!(at_hand.runs_on, [["plant/r1".to_owned()].into(), BTreeSet::new()]);
    }

    #[test]
    fn a_node_that_takes_no_pods_is_no_room_and_in_the_way_while_pods_are_on_it() {
        let lost = json!({"taints": [{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]});
        let nodes = [
            node("cordoned", "True", &json!({"unschedulable": true})),
            node("silent", "Unknown", &json!({})),
            node("lost", "True", &lost),
        ];
        let pods = [pod("silent", "Running"), pod("lost", "Running")];
        assert_eq!(AtHand::of(&nodes, &pods, |_| cpu("2")), AtHand { stuck: 2, ..AtHand::default() });
    }
}
