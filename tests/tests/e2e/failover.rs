//! Two replicas: the leader dies in the middle of a run, the other takes over, the run ends once and whole.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams};
use kube::{Client, ResourceExt};

use crate::cluster::{RELEASE, SYSTEM, Shared, tell, until};
use crate::inputs::sensors;
use crate::manifests;
use crate::processes::{is_in_group, signal};

const NAMESPACE: &str = "e2e-failover";
const LEASE: &str = "batch-scoring-operator";

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    cluster.inputs().await?;
    cluster.namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    let mut schedule = cluster.schedule(NAMESPACE, "failover", "0 0 1 1 *");
    schedule["spec"]["scorer"]["resources"] = manifests::whole_node();
    cluster.apply(&schedule).await?;
    cluster.kubectl_with(&["create", "-f", "-"], &manifests::run_now(NAMESPACE, "goes-on", "failover")).await?;
    // At full speed, an item is seen to run for less than it takes to look; that it has begun stays true.
    until("an item to begin", 120, async || {
        let pods = cluster.observer.seen().pods_of(NAMESPACE, "goes-on");
        Ok(pods.iter().any(|pod| pod.role == "item" && !["", "Pending"].contains(&&*pod.phase)).then_some(()))
    })
    .await?;
    let (leader, next) = kill_leader(&cluster).await?;
    tell(&format!("{leader} led and was killed; {next} leads"));
    let ended = cluster.complete(NAMESPACE, "goes-on", &sensors()).await?;
    ensure!(ended.record.totals.succeeded == 12, "{:?}", ended.record.totals);
    cluster.happened_once(NAMESPACE, &ended).await?;
    cluster.pool_is_empty().await
}

/// Kills the replica that leads, and waits until another does. Gives the names of both.
pub(crate) async fn kill_leader(cluster: &Shared) -> Result<(String, String)> {
    let operators: Api<Pod> = Api::namespaced(cluster.client.clone(), SYSTEM);
    let of_release = ListParams::default().labels(&format!("app.kubernetes.io/instance={RELEASE}"));
    let replicas: Vec<Pod> = operators.list(&of_release).await?.items;
    ensure!(replicas.len() >= 2, "{} replicas of the operator", replicas.len());
    let leader = holder(&cluster.client).await?.context("nobody leads")?;
    let pod = replicas.iter().find(|pod| pod.name_any() == leader);
    let pod = pod.with_context(|| format!("the leader {leader} is no replica"))?;
    kill_processes_of(&pod.uid().unwrap_or_default())?;
    // Without its pod the kubelet does not start it again, which would be the same identity taking its lease back.
    operators.delete(&leader, &DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() }).await?;
    let next = until("another replica to lead", 60, async || {
        Ok(holder(&cluster.client).await?.filter(|holder| *holder != leader && !holder.is_empty()))
    })
    .await?;
    Ok((leader, next))
}

async fn holder(client: &Client) -> Result<Option<String>> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), SYSTEM);
    Ok(leases.get(LEASE).await?.spec.and_then(|spec| spec.holder_identity))
}

/// SIGKILL for the operator's process of a pod.
fn kill_processes_of(pod_uid: &str) -> Result<()> {
    let is_operator = |process: &Path| {
        let comm = fs::read_to_string(process.join("comm")).unwrap_or_default();
        comm.trim() == "operator" && is_in_group(process, pod_uid)
    };
    let killed = signal("KILL", is_operator)?;
    ensure!(killed == 1, "{killed} processes of pod {pod_uid} are the operator's");
    Ok(())
}
