//! One owner per agent pool: two would undo each other's work.

use crds::ScoringCluster;
use crds::cluster::AksPool;
use jiff::Timestamp;

use super::report::Refusal;
use crate::context::{name_of, uid_of};

/// The claim of an older ScoringCluster on the same pool, if there is one.
#[must_use]
pub(super) fn refusal<'a>(
    cluster: &ScoringCluster,
    all: impl IntoIterator<Item = &'a ScoringCluster>,
) -> Option<Refusal> {
    let pool = &cluster.spec.node_pool.aks;
    let rank = |c: &ScoringCluster| {
        let created = c.metadata.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0);
        (created, uid_of(c).to_owned())
    };
    let others =
        all.into_iter().filter(|other| uid_of(*other) != uid_of(cluster) && same(&other.spec.node_pool.aks, pool));
    let owner = others.min_by_key(|other| rank(other)).filter(|other| rank(other) < rank(cluster))?;
    let message = format!(
        "agent pool {} of {} belongs to ScoringCluster {}, which is older; delete one of the two, or name another agent pool",
        pool.agent_pool,
        pool.cluster_name,
        name_of(owner)
    );
    Some(Refusal { reason: "PoolClaimed", message })
}

/// Azure compares names without case.
fn same(a: &AksPool, b: &AksPool) -> bool {
    let parts = |pool: &AksPool| {
        [&pool.subscription_id, &pool.resource_group, &pool.cluster_name, &pool.agent_pool]
            .map(|part| part.to_ascii_lowercase())
    };
    parts(a) == parts(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cluster(name: &str, group: &str, created: &str) -> ScoringCluster {
        serde_json::from_value(json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringCluster",
            "metadata": { "name": name, "uid": name, "creationTimestamp": created },
            "spec": { "maxNodes": 3, "nodePool": { "aks": {
                "subscriptionId": "00000000-0000-0000-0000-000000000000", "resourceGroup": group,
                "clusterName": "c", "agentPool": "scoring",
            } } },
        }))
        .unwrap()
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
}
