//! Pods that wait for a node while one has room for them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use crds::names;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use crate::agent_pools::is_ready;
use crate::cluster::Shared;
use crate::pods::{is_held, phase};

/// How long the scheduler may take, with what stands in its way for a moment: a node that is not seen to be free yet.
const PATIENCE: Duration = Duration::from_secs(20);
const EVERY: Duration = Duration::from_secs(1);

/// Looks, until it is over, whether a pod of a run of this namespace waits for long beside an idle node. Nodes are taken as idle on
/// which there is no pod of a run at all.
pub(crate) async fn watch(cluster: &Shared, namespace: &str, over: &AtomicBool) -> Result<()> {
    let mut since: BTreeMap<String, Instant> = BTreeMap::new();
    while !over.load(Ordering::SeqCst) {
        tokio::time::sleep(EVERY).await;
        // The API server may be busy; then the next look tells.
        let Ok((waiting, idle)) = look(cluster, namespace).await else { continue };
        since.retain(|pod, _| !idle.is_empty() && waiting.contains(pod));
        for pod in waiting.into_iter().filter(|_| !idle.is_empty()) {
            let waits = since.entry(pod.clone()).or_insert_with(Instant::now).elapsed();
            ensure!(waits < PATIENCE, "{pod} has waited for {} s beside {idle:?}", waits.as_secs());
        }
    }
    Ok(())
}

/// The pods that were let go and are on no node, and the nodes of the pool that take pods and have none.
async fn look(cluster: &Shared, namespace: &str) -> Result<(Vec<String>, Vec<String>)> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    let items = ListParams::default().labels(&format!("{}=item", names::ROLE));
    let (pods, nodes) = (pods.list(&items).await?, cluster.nodes_of_pool().await?);
    let node_of = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    let waits = |pod: &&Pod| !is_held(pod) && node_of(pod).is_none() && phase(pod) == "Pending";
    let is_used = |node: &str| {
        pods.iter().any(|pod| node_of(pod).as_deref() == Some(node) && !["Succeeded", "Failed"].contains(&phase(pod)))
    };
    let takes_pods = |node: &&Node| {
        let spec = node.spec.as_ref();
        let tainted = spec
            .and_then(|spec| spec.taints.as_ref())
            .is_some_and(|taints| taints.iter().any(|t| t.key != names::POOL));
        is_ready(node) && !tainted && !spec.and_then(|spec| spec.unschedulable).unwrap_or(false)
    };
    let idle = nodes.iter().filter(takes_pods).map(ResourceExt::name_any).filter(|node| !is_used(node));
    Ok((pods.iter().filter(waits).map(ResourceExt::name_any).collect(), idle.collect()))
}
