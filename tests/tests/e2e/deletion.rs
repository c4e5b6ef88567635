//! Whoever deletes something while it is at work gets rid of all of it: the run, its pods, the nodes.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use crate::cluster::{Shared, until};
use crate::manifests;

const NAMESPACE: &str = "e2e-deletion";

/// A namespace that is deleted lets nothing be made in it any more, so that its run cannot be archived.
pub(crate) async fn namespace(cluster: Shared) -> Result<()> {
    cluster.inputs().await?;
    cluster.namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    let mut schedule = cluster.schedule(NAMESPACE, "deleted", "0 0 1 1 *");
    // At full speed, an item is seen to run for less than it takes to look.
    schedule["spec"]["scorer"]["resources"] = manifests::slow();
    cluster.apply(&schedule).await?;
    cluster.kubectl_with(&["create", "-f", "-"], &manifests::run_now(NAMESPACE, "cut-short", "deleted")).await?;
    until("an item to run", 120, async || {
        let pods = cluster.observer.seen().pods_of(NAMESPACE, "cut-short");
        Ok(pods.iter().any(|pod| pod.role == "item" && pod.phase == "Running").then_some(()))
    })
    .await?;
    cluster.delete_namespace(NAMESPACE).await?;
    cluster.pool_is_empty().await
}

/// A ScoringCluster is held until its nodes are gone.
pub(crate) async fn scoring_cluster(cluster: Shared) -> Result<()> {
    cluster.pool_is_empty().await?;
    let since = cluster.pool_changes(0).await?.last;
    let nodes_before = cluster.observer.seen().nodes;
    let mut pool = cluster.pool("3s");
    pool["spec"]["minNodes"] = 1.into();
    cluster.apply(&pool).await?;
    until("a node", 60, async || Ok((cluster.pool_nodes().await? == 1).then_some(()))).await?;
    cluster.kubectl(&["delete", "scoringcluster", cluster.scoring_cluster, "--wait=true", "--timeout=60s"]).await?;
    ensure!(cluster.pool_nodes().await? == 0, "the ScoringCluster is gone, its node is not");
    let changes = cluster.pool_changes(since).await?;
    ensure!(changes.lowered.is_empty(), "the count was lowered, so Azure chose the victims: {:?}", changes.lowered);
    let made: BTreeSet<_> = cluster.observer.seen().nodes.difference(&nodes_before).cloned().collect();
    let deleted: BTreeSet<_> = changes.deleted.into_iter().collect();
    ensure!(made == deleted, "made {made:?}, deleted by name {deleted:?}");
    cluster.pool_is_empty().await
}

/// Of two runs by hand that have ended, the one goes that was to; and one that cannot be read ends too, and goes.
pub(crate) async fn ttl(cluster: Shared) -> Result<()> {
    const NAMESPACE: &str = "e2e-ttl";
    const SEEN: &str = "e2e.batchscoring.dev/seen";
    cluster.namespace(NAMESPACE).await?;
    let stays = manifests::run_now(NAMESPACE, "stays", "absent");
    let mut goes = manifests::run_now(NAMESPACE, "goes", "absent");
    goes["spec"]["ttlSecondsAfterFinished"] = 1.into();
    for run in [&stays, &goes] {
        cluster.kubectl_with(&["create", "-f", "-"], run).await?;
    }
    // Beyond what the operator's clock knows; the API server takes it.
    let mut unreadable = manifests::run_now(NAMESPACE, "unreadable", "absent");
    unreadable["spec"]["tick"] = "9999-12-31T23:59:59Z".into();
    unreadable["spec"]["ttlSecondsAfterFinished"] = 1.into();
    // So that it does not go before it has been looked at.
    unreadable["metadata"]["finalizers"] = serde_json::json!([SEEN]);
    cluster.kubectl_with(&["create", "-f", "-"], &unreadable).await?;
    let conditions = "--output=jsonpath={.status.state} {.status.conditions[*].reason}";
    until("the run that cannot be read to end", 30, async || {
        let told = cluster.kubectl(&["get", "scoringrun", "unreadable", "--namespace", NAMESPACE, conditions]).await?;
        Ok((told == "Failed InvalidSpec InvalidSpec").then_some(()))
    })
    .await?;
    let runs = cluster.runs(NAMESPACE);
    until("the run that cannot be read to be deleted, and held by this test alone", 30, async || {
        let left = runs.get_metadata("unreadable").await?.metadata;
        let held = left.finalizers.unwrap_or_default();
        Ok((left.deletion_timestamp.is_some() && held == [SEEN]).then_some(()))
    })
    .await?;
    let seen = r#"{"metadata": {"finalizers": null}}"#;
    cluster
        .kubectl(&["patch", "scoringrun", "unreadable", "--namespace", NAMESPACE, "--type=merge", "--patch", seen])
        .await?;
    until("the run with a ttl to end and go", 120, async || Ok(runs.get_opt("goes").await?.is_none().then_some(())))
        .await?;
    let stayed = until("the other run to end", 60, async || {
        let run = runs.get("stays").await?;
        Ok(run.status.as_ref().and_then(|status| status.ended).map(|_| run.clone()))
    });
    ensure!(stayed.await?.metadata.deletion_timestamp.is_none(), "a run without a ttl is being deleted");
    let cancel = r#"{"spec": {"cancel": true}}"#;
    cluster
        .kubectl(&["patch", "scoringrun", "stays", "--namespace", NAMESPACE, "--type=merge", "--patch", cancel])
        .await?;
    until("the edit of the ended run to be observed", 30, async || {
        let run = runs.get("stays").await?;
        let observed = run.status.as_ref().and_then(|status| status.observed_generation);
        Ok((observed == Some(2) && run.metadata.generation == observed).then_some(()))
    })
    .await?;
    until("the run that cannot be read to go", 60, async || {
        Ok(runs.get_metadata_opt("unreadable").await?.is_none().then_some(()))
    })
    .await?;
    cluster.delete_namespace(NAMESPACE).await
}
