//! A node that is lost in the middle of a run: others take over what was on it, soon, and at the cost of no retry.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use crds::names;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use store::Status;

use crate::cluster::{Cluster, Shared, tell, until};
use crate::inputs::sensor;
use crate::manifests;
use crate::pods::phase;
use crate::processes::{is_in_group, is_of_node, signal};

const NAMESPACE: &str = "e2e-lost-node";
const RUN: &str = "goes-on";
/// The promise: a pod on a node that is lost is replaced within two minutes.
const PROMISE: i64 = 120;

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    cluster.inputs().await?;
    cluster.namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    let sensors = [sensor(1, 1), sensor(1, 2)];
    let schedule = cluster.schedule(NAMESPACE, "lost", "0 0 1 1 *");
    let mut schedule = manifests::with_sensors(schedule, &sensors);
    // One failure that counts would be the end of an item; and so slow, items do not end before their node does.
    schedule["spec"]["retries"] = 0.into();
    schedule["spec"]["scorer"]["resources"] = manifests::slow();
    cluster.apply(&schedule).await?;
    cluster.kubectl_with(&["create", "-f", "-"], &manifests::run_now(NAMESPACE, RUN, "lost")).await?;

    let node = until("an item to run", 120, async || {
        let running = |pod: &&Pod| phase(pod) == "Running";
        Ok(items(&cluster).await?.iter().find(running).and_then(node_of))
    })
    .await?;
    let stopped = freeze(&node, "STOP")?;
    let lost: BTreeMap<String, Pod> = items(&cluster)
        .await?
        .into_iter()
        .filter(|pod| node_of(pod).as_ref() == Some(&node) && !has_ended(pod))
        .map(|pod| (index(&pod), pod))
        .collect();
    tell(&format!("{node} stopped at {stopped} with {} pods on it", lost.len()));
    ensure!(!lost.is_empty(), "every pod on {node} had ended");

    let replacements = until("the pods' replacement", 180, async || {
        let news: Vec<Pod> = items(&cluster).await?;
        let of = |(index_, old): (&String, &Pod)| {
            news.iter().find(|new| index(new) == *index_ && new.uid() != old.uid()).cloned()
        };
        Ok(lost.iter().map(of).collect::<Option<Vec<Pod>>>())
    })
    .await?;
    tell_of_the_node(&cluster, &node, stopped).await?;
    for pod in &replacements {
        let seconds = seconds_since(stopped, pod.creation_timestamp().map(|time| time.0))?;
        tell(&format!("{} was made {seconds} s after its node's stop", pod.name_any()));
        ensure!(seconds <= PROMISE, "{} was made {seconds} s after the node's stop", pod.name_any());
        let counted = pod.annotations().get("batch.kubernetes.io/job-index-failure-count").map(String::as_str);
        ensure!(counted == Some("0"), "{} has {counted:?} failures behind it", pod.name_any());
    }

    let ended = cluster.complete(NAMESPACE, RUN, &sensors).await?;
    ensure!(ended.record.outcomes.iter().all(|outcome| outcome.status == Status::Succeeded), "{:?}", ended.record);
    for (index, pod) in &lost {
        let ends: Vec<_> = ended.record.pod_ends.iter().filter(|end| end.index.to_string() == *index).collect();
        let [first, second] = ends.as_slice() else { anyhow::bail!("item {index} ended so: {ends:?}") };
        ensure!(Some(&first.uid) == pod.uid().as_ref() && first.node == node, "{first:?}");
        ensure!(first.reason == "DisruptionTarget", "the lost pod's end is told as {first:?}");
        ensure!(second.reason == "Completed" && second.node != node, "{second:?}");
    }
    let told = ["get", "events", "-A", "--field-selector=reason=NodeLost", "-o", "jsonpath={.items[*].message}"];
    let told = cluster.kubectl(&told).await?;
    ensure!(told.contains(&node), "no event tells of {node}: {told:?}");

    freeze(&node, "CONT")?;
    until("the node to be back in service, or gone", 60, async || {
        let nodes: Api<Node> = Api::all(cluster.client.clone());
        let there = nodes.get_opt(&node).await?;
        Ok(there.is_none_or(|node| taint(&node).is_none()).then_some(()))
    })
    .await?;
    cluster.pool_is_empty().await
}

/// Stops everything on a node, as a machine that hangs, or lets it go on. Gives when.
fn freeze(node: &str, how: &str) -> Result<Timestamp> {
    let count = signal(how, |process| is_of_node(process, node) || is_in_group(process, &format!("/{node}")))?;
    ensure!(count > 2, "only {count} processes are those of {node}");
    Ok(Timestamp::now())
}

async fn items(cluster: &Cluster) -> Result<Vec<Pod>> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), NAMESPACE);
    let items = ListParams::default().labels(&format!("{}={RUN},{}=item", names::RUN, names::ROLE));
    Ok(pods.list(&items).await?.items)
}

fn node_of(pod: &Pod) -> Option<String> {
    pod.spec.as_ref()?.node_name.clone()
}

fn has_ended(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

fn index(pod: &Pod) -> String {
    pod.annotations().get("batch.kubernetes.io/job-completion-index").cloned().unwrap_or_default()
}

/// When the operator declared the node out of service.
fn taint(node: &Node) -> Option<Timestamp> {
    let taints = node.spec.as_ref()?.taints.as_ref()?;
    let taint = taints.iter().find(|taint| taint.key == "node.kubernetes.io/out-of-service")?;
    taint.time_added.as_ref().map(|time| time.0)
}

async fn tell_of_the_node(cluster: &Cluster, name: &str, stopped: Timestamp) -> Result<()> {
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let node = nodes.get(name).await?;
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.into_iter().flatten().find(|condition| condition.type_ == "Ready");
    let unknown = ready.and_then(|ready| ready.last_transition_time.as_ref()).map(|time| time.0);
    tell(&format!(
        "{name}: Ready={} {} s after its stop, out of service after {} s",
        ready.map_or("?", |ready| &ready.status),
        seconds_since(stopped, unknown)?,
        seconds_since(stopped, taint(&node))?
    ));
    Ok(())
}

fn seconds_since(start: Timestamp, end: Option<Timestamp>) -> Result<i64> {
    Ok(end.context("it never happened")?.as_second() - start.as_second())
}
