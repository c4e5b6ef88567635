//! One owner per pool: two would undo each other's work, or count the same room twice.

use crds::{AksPool, NodePool, ScoringCluster};
use jiff::Timestamp;

use super::PoolNodes;
use super::report::Refusal;
use crate::context::{name_of, uid_of};

/// The claim of an older ScoringCluster on the same pool, if there is one.
#[must_use]
pub(super) fn refusal<'a>(
    cluster: &ScoringCluster,
    all: impl IntoIterator<Item = &'a ScoringCluster>,
) -> Option<Refusal> {
    let rank = |c: &ScoringCluster| {
        let created = c.metadata.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0);
        (created, uid_of(c).to_owned())
    };
    let others = all.into_iter().filter(|other| uid_of(*other) != uid_of(cluster) && same(other, cluster));
    let owner = others.min_by_key(|other| rank(other)).filter(|other| rank(other) < rank(cluster))?;
    let (whose, other) = (name_of(owner), PoolNodes::of(owner));
    let message = match &cluster.spec.node_pool {
        NodePool::Aks(pool) => format!(
            "agent pool {} of {} belongs to ScoringCluster {whose}, which is older; delete one of the two, or name another agent pool",
            pool.agent_pool, pool.cluster_name
        ),
        NodePool::External(_) => format!(
            "the nodes with {} belong to ScoringCluster {whose}, which is older and has those with {other}; delete one of the \
             two, or name a label by which the nodes of each are not the other's",
            PoolNodes::of(cluster)
        ),
    };
    Some(Refusal { reason: "PoolClaimed", message })
}

/// Whether the nodes of one are the other's, or some of the other's, whatever nodes there are. Labels that say nothing of each
/// other may meet on a node all the same, today or tomorrow: there each counts the other's pods as strangers.
fn same(a: &ScoringCluster, b: &ScoringCluster) -> bool {
    match (&a.spec.node_pool, &b.spec.node_pool) {
        (NodePool::Aks(a), NodePool::Aks(b)) => is_same_agent_pool(a, b),
        // All nodes of an agent pool have more labels than its own, and its taint: who selects by another is kept away.
        _ => PoolNodes::of(a).include(&PoolNodes::of(b)),
    }
}

/// Azure compares names without case.
fn is_same_agent_pool(a: &AksPool, b: &AksPool) -> bool {
    let parts = |pool: &AksPool| {
        [&pool.subscription_id, &pool.resource_group, &pool.cluster_name, &pool.agent_pool]
            .map(|part| part.to_ascii_lowercase())
    };
    parts(a) == parts(b)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(name: &str, created: &str, pool: &Value) -> ScoringCluster {
        serde_json::from_value(json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringCluster",
            "metadata": { "name": name, "uid": name, "creationTimestamp": created },
            "spec": { "maxNodes": 3, "nodePool": pool },
        }))
        .unwrap()
    }

    fn cluster(name: &str, group: &str, created: &str) -> ScoringCluster {
        let aks = json!({ "subscriptionId": "00000000-0000-0000-0000-000000000000", "resourceGroup": group,
            "clusterName": "c", "agentPool": "scoring" });
        of(name, created, &json!({ "aks": aks }))
    }

    /// Whether the second, younger one is refused.
    fn clash(old: &Value, young: &Value) -> bool {
        let pool = |labels: &Value| json!({ "external": { "nodeSelector": labels } });
        let (old, young) =
            (of("old", "2026-01-01T00:00:00Z", &pool(old)), of("young", "2026-01-02T00:00:00Z", &pool(young)));
        let all = [old.clone(), young.clone()];
        assert_eq!(refusal(&old, &all), None);
        refusal(&young, &all).is_some_and(|refusal| refusal.message.contains("ScoringCluster old"))
    }

    #[test]
    fn the_oldest_owns_the_pool_and_the_other_is_told_whose_it_is() {
        let old = cluster("b", "RG", "2026-01-01T00:00:00Z");
        let young = cluster("a", "rg", "2026-01-02T00:00:00Z");
        let elsewhere = cluster("c", "other", "2025-01-01T00:00:00Z");
        let all = [old.clone(), young.clone(), elsewhere.clone()];
        assert_eq!(refusal(&old, &all), None);
        assert_eq!(refusal(&elsewhere, &all), None);
        let refused = refusal(&young, &all).unwrap();
        assert_eq!(refused.reason, "PoolClaimed");
        assert!(refused.message.contains("ScoringCluster b"), "{}", refused.message);
    }

    #[test]
    fn of_two_made_in_one_second_exactly_one_owns_the_pool() {
        let all = [cluster("a", "rg", "2026-01-01T00:00:00Z"), cluster("b", "rg", "2026-01-01T00:00:00Z")];
        assert_eq!(all.iter().filter(|c| refusal(c, &all).is_none()).count(), 1);
    }

    #[test]
    fn nodes_are_claimed_by_the_same_labels_and_by_fewer_or_more_of_them() {
        let linux = json!({ "kubernetes.io/os": "linux" });
        let ssd = json!({ "kubernetes.io/os": "linux", "disk": "ssd" });
        let zone = json!({ "zone": "1" });
        assert!(clash(&linux, &linux) && clash(&linux, &ssd) && clash(&ssd, &linux));
        assert!(!clash(&ssd, &json!({ "kubernetes.io/os": "linux", "disk": "hdd" })));
        assert!(!clash(&ssd, &zone), "which of their nodes are the same may change");
    }

    #[test]
    fn an_agent_pool_is_claimed_by_its_label_too() {
        let aks = cluster("aks", "rg", "2026-01-02T00:00:00Z");
        let by = |labels: Value, created: &str| of("by", created, &json!({ "external": { "nodeSelector": labels } }));
        let label = json!({ "kubernetes.azure.com/agentpool": "scoring", "disk": "ssd" });
        assert!(refusal(&by(label.clone(), "2026-01-03T00:00:00Z"), [&aks]).is_some());
        assert!(refusal(&aks, [&by(label, "2026-01-01T00:00:00Z")]).is_some());
        assert!(refusal(&aks, [&by(json!({ "disk": "ssd" }), "2026-01-01T00:00:00Z")]).is_none());
    }
}
