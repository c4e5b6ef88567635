//! What is refused, or taken away by somebody, while a run is at work is told by the run, and ends it where nothing helps.

use anyhow::{Result, ensure};
use crds::ScoringRun;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;

use crate::cluster::{Shared, until};
use crate::manifests;
use crate::whole::has;

const NAMESPACE: &str = "e2e-midrun";
const SCHEDULE: &str = "disturbed";

/// Why the run is not Complete: reason and message.
fn told(run: &ScoringRun) -> (&str, &str) {
    let conditions = run.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let complete = conditions.iter().find(|condition| condition.type_ == "Complete");
    complete.map(|condition| (condition.reason.as_str(), condition.message.as_str())).unwrap_or_default()
}

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    cluster.inputs().await?;
    cluster.namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    let mut schedule = cluster.schedule(NAMESPACE, SCHEDULE, "0 0 1 1 *");
    // So that most items have not begun when the run's Job is deleted.
    schedule["spec"]["scorer"]["resources"] = manifests::whole_node();
    cluster.apply(&schedule).await?;
    // A limit below what items request: the Job is taken, its pods are not.
    let limits = json!({
        "apiVersion": "v1", "kind": "LimitRange", "metadata": {"namespace": NAMESPACE, "name": "small"},
        "spec": {"limits": [{"type": "Container", "default": {"cpu": "150m"}}]},
    });
    cluster.apply(&limits).await?;
    let runs = cluster.runs(NAMESPACE);
    cluster.kubectl_with(&["create", "-f", "-"], &manifests::run_now(NAMESPACE, "refused", SCHEDULE)).await?;
    until("the run to tell that its pods are refused", 180, async || {
        let run = runs.get("refused").await?;
        let (reason, message) = told(&run);
        Ok((reason == "FailedCreate" && message.contains("150m")).then_some(()))
    })
    .await?;

    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), NAMESPACE);
    maps.delete("refused-request", &DeleteParams::default()).await?;
    let run = until("the run that lost its request to end", 120, async || {
        Ok(Some(runs.get("refused").await?).filter(|run| has(run, "Failed", "True")))
    })
    .await?;
    ensure!(told(&run).0 == "RequestGone" && has(&run, "Archived", "False"), "{:?}", told(&run));

    cluster.kubectl(&["delete", "limitrange", "small", "--namespace", NAMESPACE]).await?;
    cluster.kubectl_with(&["create", "-f", "-"], &manifests::run_now(NAMESPACE, "without", SCHEDULE)).await?;
    until("the run's Job to be seen", 180, async || {
        Ok(has(&runs.get("without").await?, "Admitted", "True").then_some(()))
    })
    .await?;
    let jobs: Api<Job> = Api::namespaced(cluster.client.clone(), NAMESPACE);
    jobs.delete("without", &DeleteParams::background()).await?;
    let run = cluster.ended(NAMESPACE, "without").await?;
    ensure!(told(&run).0 == "JobGone" && has(&run, "Failed", "True"), "{:?}", told(&run));
    ensure!(has(&run, "Archived", "True"), "it was not archived");
    cluster.delete_namespace(NAMESPACE).await?;
    cluster.pool_is_empty().await
}
