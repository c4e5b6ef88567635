//! Scorer pods for which no node of a pool has room.

use crds::ScoringCluster;
use k8s_openapi::api::core::v1::ResourceRequirements;

use super::{capacity, pods};

/// The reason, on the cluster and on the run.
pub(crate) const REASON: &str = "PodTooLarge";

/// What is wrong, and what to do.
pub(super) fn sentence(run: &str) -> String {
    format!(
        "a scorer pod of run {run} asks for more than an empty node has; lower scorer.resources of its schedule, or use \
         a pool of larger nodes; what nodes have that do not tell, GPUs among it, can be said in the ScoringCluster's nodeCapacity"
    )
}

/// What to tell a run whose pods ask for this, if an empty node of the pool is known not to have it.
pub(crate) fn told(cluster: &ScoringCluster, run: &str, resources: Option<&ResourceRequirements>) -> Option<String> {
    let empty = capacity::capacity(cluster, capacity::known(cluster, None))?;
    (empty.fits(&pods::request_of_schedule(resources)) == 0).then(|| sentence(run))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_run_is_told_only_where_an_empty_node_is_known_to_be_too_small() {
        let of = |capacity: Option<&str>| -> ScoringCluster {
            let capacity = capacity.map(|cpu| json!({ "cpu": cpu }));
            let pool = json!({"aks": {"subscriptionId": "", "resourceGroup": "", "clusterName": "", "agentPool": "p"}});
            serde_json::from_value(json!({"apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringCluster",
                "metadata": {"name": "cpu"}, "spec": {"maxNodes": 3, "nodePool": pool},
                "status": {"nodeCapacity": capacity}}))
            .unwrap()
        };
        let huge: ResourceRequirements = serde_json::from_value(json!({"requests": {"cpu": "64"}})).unwrap();
        let message = told(&of(Some("2")), "default/hourly-1", Some(&huge)).unwrap();
        assert!(message.starts_with("a scorer pod of run default/hourly-1 asks for more"), "{message}");
        assert_eq!(told(&of(Some("64")), "default/hourly-1", Some(&huge)), None);
        assert_eq!(told(&of(None), "default/hourly-1", Some(&huge)), None, "no node was ever seen");
    }
}
