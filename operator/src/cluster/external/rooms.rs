//! What nodes have for scorer pods that others use as well: the pods of those are in no cache, and are listed now and then.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crds::{ScoringCluster, names};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod};
use planner::capacity::Resources;

use crate::cluster::{PoolNodes, act, capacity, pods};
use crate::context::{label, name_of};
use crate::schedule::goes_on;
use crate::{Ctx, Error};

/// How long what others take of a node counts while runs go on, at least.
const FRESH: SignedDuration = SignedDuration::from_secs(30);
/// Of many nodes it counts for longer, so that no more are asked for in a second than 5.
const EACH: SignedDuration = SignedDuration::from_millis(200);
/// How many nodes are looked at in one look: in a cluster of thousands, one after the other.
const AT_A_TIME: usize = 8;

/// What others take of each node, by name, and when that was seen.
#[derive(Debug, Default)]
pub(in crate::cluster) struct Strangers(BTreeMap<String, (Timestamp, Resources)>);

/// Looks at the nodes that were not looked at for the longest, while the cluster has runs that go on.
///
/// # Errors
/// When the API server refuses or is not reached.
pub(super) async fn look(cluster: &ScoringCluster, ctx: &Ctx, strangers: &mut Strangers) -> Result<(), Error> {
    let pool = PoolNodes::of(cluster);
    let nodes = ctx.caches.nodes.all();
    let there: BTreeSet<&str> = nodes.iter().filter(|node| pool.have(node)).map(|node| name_of(&**node)).collect();
    strangers.0.retain(|name, _| there.contains(name.as_str()));
    let runs = ctx.caches.runs.all();
    let mut runs = runs.iter().filter_map(|guard| guard.0.as_ref().ok());
    let of_cluster =
        |run: &crds::ScoringRun| run.status.as_ref().and_then(|s| s.cluster.as_deref()) == Some(name_of(cluster));
    if !runs.any(|run| goes_on(run) && of_cluster(run)) {
        return Ok(());
    }
    for name in strangers.due(&there, ctx.now()) {
        let all = act::pods_on(ctx, &name).await?;
        strangers.0.insert(name, (ctx.now(), taken(&all, name_of(cluster))));
    }
    Ok(())
}

impl Strangers {
    /// The nodes to look at now: those that never were, then the stalest.
    fn due(&self, there: &BTreeSet<&str>, now: Timestamp) -> Vec<String> {
        let at = |name: &str| self.0.get(name).map(|(at, _)| *at);
        let fresh = FRESH.max(EACH * i32::try_from(there.len()).unwrap_or(i32::MAX));
        let stale = |at: &Option<Timestamp>| at.is_none_or(|at| now.duration_since(at) >= fresh);
        let mut due: Vec<_> = there.iter().map(|name| (at(name), *name)).filter(|(at, _)| stale(at)).collect();
        due.sort_unstable();
        due.into_iter().take(AT_A_TIME).map(|(_, name)| name.to_owned()).collect()
    }
}

/// What pods take of their node that are not this cluster's items, and do not give way to them either.
fn taken(all: &[Pod], cluster: &str) -> Resources {
    let role = |pod: &Pod| label(pod, names::ROLE).map(str::to_owned);
    let ours = |pod: &Pod| pods::is_item(pod) && label(pod, names::POOL) == Some(cluster);
    let gives_way = |pod: &Pod| role(pod).as_deref() == Some(super::placeholders::ROLE);
    let stays = |pod: &&Pod| !ours(pod) && !gives_way(pod) && !pods::has_ended(pod);
    all.iter().filter(stays).fold(Resources::default(), |sum, pod| sum.plus(&pods::takes(pod)))
}

/// So many of the roomiest nodes.
pub(super) fn roomiest(mut rooms: Vec<Resources>, most: usize) -> Vec<Resources> {
    let size = |room: &Resources| ["cpu", "memory"].map(|name| room.milli(name));
    rooms.sort_by_key(|room| Reverse(size(room)));
    rooms.truncate(most);
    rooms
}

/// What each node has for scorer pods.
pub(super) struct Rooms<'a> {
    strangers: &'a Strangers,
    /// What the spec says a node has for them at most.
    said: Resources,
    /// What a node has of which nothing is known.
    learned: Option<&'a Resources>,
}

impl<'a> Rooms<'a> {
    /// Of a cluster's nodes.
    pub(super) fn of(cluster: &ScoringCluster, strangers: &'a Strangers, learned: Option<&'a Resources>) -> Self {
        Self { strangers, said: capacity::said(cluster), learned }
    }

    /// What this node has for all scorer pods together: what others leave, and no more than the spec says.
    pub(super) fn room(&self, node: &Node) -> Resources {
        let Some((_, taken)) = self.strangers.0.get(name_of(node)) else {
            return self.learned.cloned().unwrap_or_default();
        };
        let status = node.status.as_ref();
        pods::quantities(status.and_then(|status| status.allocatable.as_ref())).less(taken).at_most(&self.said)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn resources(amounts: &[(&str, &str)]) -> Resources {
        Resources::parse(amounts.iter().copied()).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn pod(labels: &Value, cpu: &str, phase: &str) -> Pod {
        let container = json!({ "name": "c", "resources": { "requests": { "cpu": cpu } } });
        serde_json::from_value(json!({
            "metadata": { "name": "p", "labels": labels }, "spec": { "containers": [container] },
            "status": { "phase": phase },
        }))
        .unwrap()
    }

    #[test]
    fn what_others_take_is_everything_but_this_clusters_items_and_pods_that_give_way() {
        let label = |role: &str, pool: &str| json!({ (names::ROLE): role, (names::POOL): pool });
        let all = [
            pod(&json!({}), "1", "Running"),
            pod(&json!({}), "8", "Succeeded"),
            pod(&label("item", "cpu"), "16", "Running"),
            pod(&label("item", "other"), "2", "Pending"),
            pod(&label("plan", "cpu"), "100m", "Running"),
            pod(&label(super::super::placeholders::ROLE, "other"), "32", "Running"),
        ];
        assert_eq!(taken(&all, "cpu"), resources(&[("cpu", "3100m"), ("pods", "3")]));
    }

    #[test]
    fn nodes_are_looked_at_in_turn_those_first_that_never_were() {
        let mut strangers = Strangers::default();
        let names: Vec<String> = (0..12).map(|n| format!("n{n:02}")).collect();
        let there: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let first = strangers.due(&there, at(0));
        assert_eq!(first, names[..AT_A_TIME]);
        strangers.0.extend(first.into_iter().map(|name| (name, (at(0), Resources::default()))));
        assert_eq!(strangers.due(&there, at(1)), names[AT_A_TIME..]);
        assert_eq!(strangers.due(&there, at(30)).len(), AT_A_TIME);
    }

    #[test]
    fn of_many_nodes_each_is_looked_at_less_often() {
        let names: Vec<String> = (0..1_000).map(|n| format!("n{n:03}")).collect();
        let there: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let seen = names.iter().map(|name| (name.clone(), (at(0), Resources::default()))).collect();
        let strangers = Strangers(seen);
        assert_eq!((strangers.due(&there, at(199)).len(), strangers.due(&there, at(200)).len()), (0, AT_A_TIME));
    }

    #[test]
    fn of_more_nodes_than_may_be_used_the_roomiest_count() {
        let rooms = ["2", "4", "1", "4"].map(|cpu| resources(&[("cpu", cpu)])).to_vec();
        let cpus: Vec<u128> = roomiest(rooms, 2).iter().filter_map(|room| room.milli("cpu")).collect();
        assert_eq!(cpus, [4_000, 4_000]);
    }

    #[test]
    fn a_node_has_what_others_leave_and_no_more_than_the_spec_says() {
        let node: Node = serde_json::from_value(json!({
            "metadata": { "name": "n" }, "status": { "allocatable": { "cpu": "8", "memory": "16Gi", "pods": "110" } },
        }))
        .unwrap();
        let cluster = |capacity: Value| -> ScoringCluster {
            serde_json::from_value(json!({
                "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringCluster", "metadata": { "name": "cpu" },
                "spec": { "maxNodes": 3, "nodeCapacity": capacity,
                    "nodePool": { "external": { "nodeSelector": { "disk": "ssd" } } } },
            }))
            .unwrap()
        };
        let taken = resources(&[("cpu", "3"), ("memory", "1Gi"), ("pods", "10")]);
        let seen = Strangers([("n".to_owned(), (at(0), taken))].into());
        let room = |capacity: Value| Rooms::of(&cluster(capacity), &seen, None).room(&node);
        assert_eq!(room(json!({})), resources(&[("cpu", "5"), ("memory", "15Gi"), ("pods", "100")]));
        assert_eq!(room(json!({ "cpu": "2" })), resources(&[("cpu", "2"), ("memory", "15Gi"), ("pods", "100")]));
        let learned = resources(&[("cpu", "7")]);
        let unseen = Strangers::default();
        assert_eq!(Rooms::of(&cluster(json!({})), &unseen, Some(&learned)).room(&node), learned);
    }
}
