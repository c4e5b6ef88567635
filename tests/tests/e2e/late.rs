//! Pods that come onto a node after it was cordoned: bound by name, past the scheduler.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::api::{Api, DeleteParams, PostParams};
use kube::{Client, ResourceExt};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::cluster::{Shared, until};
use crate::pods::phase;

const NAMESPACE: &str = "e2e-late";
/// How often pods come onto one node, so that it goes in the end (it stays for half a minute each time), and how many at a
/// time.
const TIMES: usize = 1;
const PODS: usize = 4;
/// Within so long after a cordon they come: a look before the deletion is three seconds after it.
const WITHIN: Duration = Duration::from_millis(2_500);
/// So long they stay.
const STAY: Duration = Duration::from_secs(2);

/// What became of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// They came before the deletion was asked for, and lived until this test deleted them.
    pub(crate) survived: usize,
    /// The deletion of their node had been asked for when they came.
    pub(crate) too_late: usize,
}

/// The pool's nodes that the operator is about to delete, each with since when.
pub(crate) async fn draining(cluster: &Shared) -> Result<Vec<(String, String)>> {
    let since = |node: &Node| {
        let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
        let since = node.annotations().get("batchscoring.dev/draining-since").filter(|_| cordoned)?;
        Some((node.name_any(), since.clone()))
    };
    Ok(cluster.nodes_of_pool().await?.iter().filter_map(since).collect())
}

/// Binds pods to nodes that are about to go, until it is over.
pub(crate) async fn bind(cluster: &Shared, over: &AtomicBool, seed: u64) -> Result<Tally> {
    let mut dice = StdRng::seed_from_u64(seed);
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    let namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
    namespaces.create(&PostParams::default(), &namespace).await.context("make a namespace")?;
    let mut seen: BTreeSet<(String, String)> = BTreeSet::new();
    let mut strikes = FuturesUnordered::new();
    let mut tally = Tally::default();
    while !over.load(Ordering::SeqCst) || !strikes.is_empty() {
        for (node, since) in draining(cluster).await.unwrap_or_default() {
            let times = seen.iter().filter(|(name, _)| *name == node).count();
            if times < TIMES && !over.load(Ordering::SeqCst) && seen.insert((node.clone(), since)) {
                let wait = Duration::from_millis(dice.random_range(0..WITHIN.as_millis() as u64));
                strikes.push(strike(cluster, node, wait));
            }
        }
        let look_again = tokio::time::sleep(Duration::from_millis(100));
        tokio::select! {
            Some(done) = strikes.next(), if !strikes.is_empty() => {
                let Tally { survived, too_late } = done?;
                tally.survived += survived;
                tally.too_late += too_late;
            }
            () = look_again => {}
        }
    }
    cluster.delete_namespace(NAMESPACE).await?;
    Ok(tally)
}

/// Binds some pods to a node, sees them run for a while, and deletes them.
async fn strike(cluster: &Shared, node: String, wait: Duration) -> Result<Tally> {
    tokio::time::sleep(wait).await;
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), NAMESPACE);
    let mut bound = Vec::new();
    for _ in 0..PODS {
        let pod = json!({
            "metadata": {"generateName": "late-", "namespace": NAMESPACE},
            "spec": {
                "nodeName": node, "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
                "tolerations": [{"operator": "Exists"}],
                "containers": [{"name": "pause", "image": format!("{}/local-aks/pause:1", cluster.facts.registry)}],
            },
        });
        match pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await {
            Ok(pod) => bound.push(pod.name_any()),
            // The namespace is on its way out, or the API server is busy: then nobody came.
            Err(_) => continue,
        }
    }
    if cluster.pool_changes(0).await?.deleted.contains(&node) {
        delete(&cluster.client, &bound).await?;
        return Ok(Tally { survived: 0, too_late: bound.len() });
    }
    for pod in &bound {
        until(&format!("{pod} to run on {node}"), 60, async || {
            Ok((phase(&pods.get(pod).await?) == "Running").then_some(()))
        })
        .await?;
    }
    tokio::time::sleep(STAY).await;
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    for pod in &bound {
        let seen = pods.get(pod).await.with_context(|| format!("{pod} on {node} was killed"))?;
        ensure!(phase(&seen) == "Running", "{pod} on {node} was killed: it is {}", phase(&seen));
    }
    if nodes.get_opt(&node).await?.is_none() || cluster.pool_changes(0).await?.deleted.contains(&node) {
        bail!("{node} was deleted with {bound:?} on it");
    }
    delete(&cluster.client, &bound).await?;
    Ok(Tally { survived: bound.len(), too_late: 0 })
}

async fn delete(client: &Client, names: &[String]) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    for name in names {
        match pods.delete(name, &now).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            result => result.map(drop).with_context(|| format!("delete {name}"))?,
        }
    }
    Ok(())
}
