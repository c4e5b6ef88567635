//! Why a run gets no slots for its pods: its ScoringCluster is gone, not for it, or not able to give any.

use crds::{ScoringCluster, ScoringRun};

use super::manifests::Frozen;
use super::pods::Trouble;
use crate::cluster::too_large;
use crate::conditions::find;
use crate::context::{Ctx, key_of, namespace_of};
use crate::schedule::check_cluster;

/// What its cluster tells. Where that gives slots in time, nothing.
pub(super) fn told(ctx: &Ctx, run: &ScoringRun, frozen: &Frozen) -> Option<Trouble> {
    let schedule = &frozen.schedule;
    let name = &schedule.cluster_ref.name;
    if let Err(why) = check_cluster(ctx, name, namespace_of(run)) {
        return Some(Trouble::new(why.reason(), format!("{why}. The run waits for it until its deadline")));
    }
    let cluster = ctx.caches.clusters.get_global(name)?;
    let cluster = cluster.0.as_ref().ok()?;
    let large = || too_large::told(cluster, &key_of(run), schedule.scorer.resources.as_ref());
    of_cluster(name, cluster).or_else(|| Some(Trouble::new(too_large::REASON, large()?)))
}

/// What its conditions tell: that it is not ready, or paused.
fn of_cluster(name: &str, cluster: &ScoringCluster) -> Option<Trouble> {
    let ready = find(&cluster.status.as_ref()?.conditions, "Ready")?;
    let message = format!("ScoringCluster {name}: {}: {}", ready.reason, ready.message);
    match (ready.status.as_str(), ready.reason.as_str()) {
        // It is so for a moment after each start of the operator.
        (_, "Starting") => None,
        (_, "Paused") => Some(Trouble::new("ClusterPaused", message)),
        ("False", _) => Some(Trouble::new("ClusterNotReady", message)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_run_is_told_of_a_cluster_that_is_paused_or_not_ready_and_not_of_one_that_starts() {
        let told = |status: &str, reason: &str| {
            let pool = json!({"external": {"nodeSelector": {"disk": "ssd"}}});
            let ready = json!({"type": "Ready", "status": status, "reason": reason, "message": "so it is",
                "lastTransitionTime": "2026-01-01T00:00:00Z"});
            let cluster = serde_json::from_value(json!({"apiVersion": "batchscoring.dev/v1alpha1",
                "kind": "ScoringCluster", "metadata": {"name": "cpu"}, "spec": {"maxNodes": 3, "nodePool": pool},
                "status": {"conditions": [ready]}}))
            .unwrap();
            of_cluster("cpu", &cluster)
        };
        assert_eq!((told("True", "PoolReady"), told("False", "Starting")), (None, None));
        assert_eq!(told("True", "Paused").unwrap().reason, "ClusterPaused");
        let refused = told("False", "PoolAutoscalerEnabled");
        let message = "ScoringCluster cpu: PoolAutoscalerEnabled: so it is";
        assert_eq!(refused, Some(Trouble::new("ClusterNotReady", message)));
    }
}
