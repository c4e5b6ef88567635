//! The room on the nodes at hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use planner::capacity::Resources;

use super::{machines, out_of_service, pods};
use crate::context::name_of;

/// The room on the nodes at hand.
#[derive(Debug, Default, PartialEq)]
pub(super) struct AtHand {
    /// What is free on each node that takes pods at this moment.
    pub(super) free: Vec<Resources>,
    /// Nodes that take none though pods are on them: no other comes in their place before they are gone.
    pub(super) stuck: u32,
}

impl AtHand {
    /// Of these nodes with the pods on them, where all pods together have so much `room` on one.
    pub(super) fn of(nodes: &[Arc<Node>], pods: &[Arc<Pod>], room: impl Fn(&Node) -> Resources) -> Self {
        let mut used: BTreeMap<&str, Resources> = BTreeMap::new();
        for pod in pods.iter().filter(|pod| !pods::has_ended(pod)) {
            let Some(node) = pods::node_of(pod) else { continue };
            let used = used.entry(node).or_default();
            *used = std::mem::take(used).plus(&pods::takes(pod));
        }
        let mut at_hand = Self::default();
        for node in nodes {
            match used.get(name_of(&**node)) {
                used if takes_pods(node) => {
                    let room = room(node);
                    at_hand.free.push(used.map_or_else(|| room.clone(), |used| room.clone().less(used)));
                }
                Some(_) => at_hand.stuck += 1,
                None => {}
            }
        }
        at_hand
    }
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
        assert_eq!(AtHand::of(&nodes, &pods, |_| cpu("2")), AtHand { free: vec![cpu("1"), cpu("2")], stuck: 0 });
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
        assert_eq!(AtHand::of(&nodes, &pods, |_| cpu("2")), AtHand { free: vec![], stuck: 2 });
    }
}
