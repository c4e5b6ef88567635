//! Machines of a pool that keeps those that go, deallocated (`scaleDownMode: Deallocate`).
//!
//! AKS lists them, and their Nodes stay registered, though they are no part of the pool's count. When more are asked for, AKS
//! starts these first. Until then they are not there: neither room, nor lost, nor paid for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};

use super::machines::{Remembered, readiness};
use super::pods;
use crate::context::name_of;

/// Which machines of a pool with this count are deallocated: as many as are listed beyond the count, of those without a Node that
/// is Ready and without pods; first those that have been so for longest.
#[must_use]
pub(super) fn of_pool(
    nodes: &[Arc<Node>],
    pods: &[Arc<Pod>],
    remembered: &Remembered,
    count: u32,
    now: Timestamp,
) -> BTreeSet<String> {
    // One that is being deleted may be listed for a while after it has left the count.
    let leaving = |name: &&String| remembered.leaving.contains_key(*name);
    let listed: Vec<&String> = remembered.listed.iter().filter(|name| !leaving(name)).collect();
    let surplus = listed.len().saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
    if surplus == 0 {
        return BTreeSet::new();
    }
    let nodes: BTreeMap<&str, &Node> = nodes.iter().map(|node| (name_of(&**node), &**node)).collect();
    let living = pods.iter().filter(|pod| !pods::has_ended(pod));
    let busy: BTreeSet<&str> = living.filter_map(|pod| pods::node_of(pod)).collect();
    let mut stopped: Vec<(Timestamp, &String)> = listed
        .into_iter()
        .filter(|name| !busy.contains(name.as_str()))
        .filter_map(|name| match nodes.get(name.as_str()).map(|node| readiness(node, now)) {
            Some((ready, _)) if ready.is_ready() => None,
            Some((_, since)) => Some((since, name)),
            None => Some((now, name)),
        })
        .collect();
    stopped.sort_by_key(|(since, name)| (*since, Reverse(*name)));
    stopped.into_iter().take(surplus).map(|(_, name)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + secs).unwrap()
    }

    fn node(name: &str, ready: &str, since: i64) -> Arc<Node> {
        let condition = json!({ "type": "Ready", "status": ready, "lastTransitionTime": at(since).to_string() });
        let node = json!({ "metadata": { "name": name }, "status": { "conditions": [condition] } });
        Arc::new(serde_json::from_value(node).unwrap())
    }

    fn pod(node: &str) -> Arc<Pod> {
        let pod = json!({ "metadata": {}, "spec": { "containers": [], "nodeName": node } });
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn deallocated(nodes: &[Arc<Node>], pods: &[Arc<Pod>], count: u32, leaving: &[&str]) -> Vec<String> {
        let remembered = Remembered {
            listed: nodes.iter().map(|node| name_of(&**node).to_owned()).collect(),
            leaving: leaving.iter().map(|name| ((*name).to_owned(), at(0))).collect(),
            ..Remembered::default()
        };
        of_pool(nodes, pods, &remembered, count, at(1_000)).into_iter().collect()
    }

    #[test]
    fn those_beyond_the_count_that_have_been_stopped_for_longest_are_deallocated() {
        let nodes = [node("a", "Unknown", 0), node("b", "True", 0), node("c", "False", 990), node("d", "Unknown", 10)];
        assert_eq!(deallocated(&nodes, &[], 2, &[]), ["a", "d"]);
        assert_eq!(deallocated(&nodes, &[], 1, &[]), ["a", "c", "d"]);
        assert_eq!(deallocated(&nodes, &[], 0, &[]), ["a", "c", "d"], "one that is Ready is there");
    }

    #[test]
    fn once_more_are_asked_for_those_that_were_stopped_are_on_their_way() {
        let nodes = [node("a", "Unknown", 0), node("b", "True", 0), node("c", "False", 990)];
        assert_eq!(deallocated(&nodes, &[], 3, &[]), [""; 0]);
    }

    #[test]
    fn a_node_that_only_blinks_or_boots_is_none_of_them() {
        let nodes = [node("a", "True", 0), node("b", "Unknown", 900), node("c", "False", 990)];
        assert_eq!(deallocated(&nodes, &[pod("b")], 3, &[]), [""; 0]);
        assert_eq!(deallocated(&nodes, &[pod("b")], 2, &[]), ["c"]);
        assert_eq!(deallocated(&nodes, &[], 2, &["a"]), [""; 0], "it is still listed that is being deleted");
    }
}
