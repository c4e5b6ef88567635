//! `maxNodes` and `minNodes` edited in the middle of a run, and after it.

use std::time::Instant;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::cluster::{Shared, tell, until};
use crate::inputs::sensors;
use crate::manifests;
use crate::pods::{is_held, phase};

const NAMESPACE: &str = "e2e-edits";
const RUN: &str = "edited";
/// Within so many seconds an edit acts.
const PROMISED: u64 = 10;
/// Pods of a node.
const EACH: usize = 2;

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    cluster.inputs().await?;
    cluster.namespace(NAMESPACE).await?;
    let mut pool = cluster.pool("3s");
    pool["spec"]["nodeCapacity"] = json!({"pods": EACH.to_string()});
    pool["spec"]["maxNodes"] = json!(1);
    cluster.apply(&pool).await?;
    let mut schedule = cluster.schedule(NAMESPACE, RUN, "0 0 1 1 *");
    // Slower than slow: most items are still to come when there are three nodes.
    schedule["spec"]["scorer"]["resources"] = json!({"requests": {"cpu": "10m"}, "limits": {"cpu": "10m"}});
    cluster.apply(&schedule).await?;
    cluster.kubectl_with(&["create", "-f", "-"], &manifests::run_now(NAMESPACE, RUN, RUN)).await?;
    until("all slots of one node", 120, async || Ok((at_work(&cluster).await? == EACH).then_some(()))).await?;

    let asked = cluster.pool_changes(0).await?.last;
    edit(&cluster, &mut pool, "maxNodes", 3, async || Ok(cluster.pool_changes(asked).await?.counts.last() == Some(&3)))
        .await?;
    until("all slots of three nodes", 120, async || Ok((at_work(&cluster).await? == 3 * EACH).then_some(()))).await?;

    edit(&cluster, &mut pool, "maxNodes", 1, async || Ok(cordoned(&cluster).await? == 2)).await?;
    // None of its pods was killed: each would be tried again.
    let ended = cluster.complete(NAMESPACE, RUN, &sensors()).await?;
    ensure!(ended.record.pod_ends.len() == sensors().len(), "{:?}", ended.record.pod_ends);
    cluster.pool_is_empty().await?;

    let asked = cluster.pool_changes(0).await?.last;
    edit(&cluster, &mut pool, "minNodes", 1, async || Ok(cluster.pool_changes(asked).await?.counts.last() == Some(&1)))
        .await?;
    until("the node", 60, async || Ok((cluster.pool_nodes().await? == 1).then_some(()))).await?;
    edit(&cluster, &mut pool, "minNodes", 0, async || Ok(!cluster.pool_changes(asked).await?.deleted.is_empty()))
        .await?;
    cluster.delete_namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    cluster.pool_is_empty().await
}

/// Edits a field and waits, no longer than was promised, until it has acted.
async fn edit(
    cluster: &Shared,
    pool: &mut Value,
    field: &str,
    to: u32,
    has_acted: impl AsyncFn() -> Result<bool>,
) -> Result<()> {
    pool["spec"][field] = json!(to);
    cluster.apply(pool).await?;
    let edited = Instant::now();
    until(&format!("{field}: {to} to act"), PROMISED, async || Ok(has_acted().await?.then_some(()))).await?;
    tell(&format!("{field}: {to} acted within {:.1} s", edited.elapsed().as_secs_f64()));
    Ok(())
}

/// How many pods of the run are let go and have not ended.
async fn at_work(cluster: &Shared) -> Result<usize> {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), NAMESPACE);
    let items = ListParams::default().labels(&format!("{}={RUN},{}=item", crds::names::RUN, crds::names::ROLE));
    let is_at_work = |pod: &&Pod| !is_held(pod) && phase(pod) != "Succeeded";
    Ok(api.list(&items).await?.iter().filter(is_at_work).count())
}

/// How many nodes take no pods.
async fn cordoned(cluster: &Shared) -> Result<usize> {
    let nodes = cluster.nodes_of_pool().await?;
    Ok(nodes.iter().filter(|node| node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false)).count())
}
