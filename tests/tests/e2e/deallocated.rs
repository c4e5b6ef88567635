//! A pool that keeps the machines that go, deallocated: they are no nodes until they are needed, and those that run then.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use crds::ScoringCluster;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::administrator::Administrator;
use crate::agent_pools::is_ready;
use crate::cluster::{Cluster, Shared, tell, until};
use crate::inputs::sensors;
use crate::manifests;

const NAMESPACE: &str = "e2e-deallocated";
const RUN: &str = "woken";
const MACHINES: u32 = 2;

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    cluster.inputs().await?;
    cluster.namespace(NAMESPACE).await?;
    let mut pool = cluster.pool("3s");
    pool["spec"]["minNodes"] = json!(MACHINES);
    pool["spec"]["maxNodes"] = json!(MACHINES);
    cluster.apply(&pool).await?;
    until("two nodes", 120, async || {
        let nodes = cluster.nodes_of_pool().await?;
        Ok((nodes.iter().filter(|node| is_ready(node)).count() == MACHINES as usize).then_some(()))
    })
    .await?;
    let machines: BTreeSet<String> = cluster.nodes_of_pool().await?.iter().map(ResourceExt::name_any).collect();

    // Paused, since the operator would have as many as it is told to have.
    pool["spec"]["paused"] = json!(true);
    cluster.apply(&pool).await?;
    until("the pause", 10, async || Ok((nodes(&cluster).await?.0 == "Paused").then_some(()))).await?;
    let administrator = Administrator::open(&cluster.client, &cluster.facts).await?;
    administrator.update(&json!({"count": 0, "scaleDownMode": "Deallocate"})).await?;
    until("the machines to stop", 120, async || {
        let nodes = cluster.nodes_of_pool().await?;
        Ok((nodes.len() == MACHINES as usize && !nodes.iter().any(is_ready)).then_some(()))
    })
    .await?;
    let asked = cluster.pool_changes(0).await?.last;
    pool["spec"]["minNodes"] = json!(0);
    pool["spec"]["paused"] = json!(false);
    cluster.apply(&pool).await?;
    until("an empty pool", 60, async || {
        let (reason, counts) = nodes(&cluster).await?;
        let none = ["desired", "provisioning", "ready", "busy", "idle", "lost"].map(|state| counts[state] == json!(0));
        Ok((reason == "PoolReady" && none == [true; 6]).then_some(()))
    })
    .await?;

    cluster.apply(&cluster.schedule(NAMESPACE, RUN, "0 0 1 1 *")).await?;
    cluster.kubectl_with(&["create", "-f", "-"], &manifests::run_now(NAMESPACE, RUN, RUN)).await?;
    cluster.complete(NAMESPACE, RUN, &sensors()).await?;
    let seen = cluster.observer.seen().pods_of(NAMESPACE, RUN);
    let used: BTreeSet<String> = seen.into_iter().filter(|pod| pod.role == "item").map(|pod| pod.node).collect();
    ensure!(used == machines, "the run was on {used:?}, not on {machines:?}, which were deallocated");
    cluster.pool_is_empty().await?;
    let changes = cluster.pool_changes(asked).await?;
    tell(&format!("asked for {:?} of two that were deallocated; deleted {:?}", changes.counts, changes.deleted));
    ensure!(changes.lowered.is_empty(), "the count was lowered: {:?}", changes.lowered);
    ensure!(changes.counts.last() == Some(&MACHINES.into()), "asked for {:?}", changes.counts);
    ensure!(changes.deleted.iter().cloned().collect::<BTreeSet<_>>() == machines, "deleted {:?}", changes.deleted);

    administrator.update(&json!({"scaleDownMode": "Delete"})).await?;
    cluster.delete_namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    cluster.pool_is_empty().await
}

/// Why the ScoringCluster is Ready, and its nodes by state.
async fn nodes(cluster: &Cluster) -> Result<(String, Value)> {
    let clusters: Api<ScoringCluster> = Api::all(cluster.client.clone());
    let status = clusters.get(cluster.scoring_cluster).await?.status.context("no status")?;
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready").context("not told Ready")?;
    Ok((ready.reason.clone(), serde_json::to_value(&status.nodes)?))
}
