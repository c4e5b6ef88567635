//! What Kubernetes gets to see of a machine that Azure takes back.

use std::time::Duration;

use anyhow::Context;
use futures::future::join_all;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, EvictParams, ListParams, Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};
use serde_json::json;

use super::super::properties::Taint;
use super::super::work::Restyle;
use crate::nodes::real::is_ready;

/// The taint that AKS' node auto-drain puts on a node.
const DRAINED: &str = "remediator.kubernetes.azure.com/unschedulable:NoSchedule";
/// Kubernetes calls a node that is silent for 40 s not Ready; it has some more.
const LIMIT: Duration = Duration::from_secs(300);

/// The condition and the event of AKS' node problem detector.
pub(super) async fn warn(client: &Client, name: &str, not_before: Timestamp) -> anyhow::Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let Some(node) = nodes.get_opt(name).await.with_context(|| format!("read node {name}"))? else {
        return Ok(());
    };
    let when =
        DateTimePrinter::new().timestamp_to_rfc9110_string(&not_before).context("write the time of the notice")?;
    let note = format!("Preempt Scheduled: {when}");
    let now = Timestamp::now();
    let condition = json!({
        "type": "VMEventScheduled", "status": "True", "reason": "VMEventScheduled", "message": note,
        "lastHeartbeatTime": now, "lastTransitionTime": now,
    });
    // A strategic patch leaves the kubelet's own conditions alone.
    let patch = Patch::Strategic(json!({"status": {"conditions": [condition]}}));
    nodes.patch_status(name, &PatchParams::default(), &patch).await.with_context(|| format!("warn node {name}"))?;
    let event = Event {
        type_: EventType::Warning,
        reason: "PreemptScheduled".to_owned(),
        note: Some(note),
        action: "Preempt".to_owned(),
        secondary: None,
    };
    let reporter = Reporter { controller: "custom-scheduledevents-plugin-monitor".to_owned(), instance: None };
    let recorder = Recorder::new(client.clone(), reporter);
    recorder.publish(&event, &node.object_ref(&())).await.with_context(|| format!("write an event of node {name}"))
}

/// What the drain changes about the node.
pub(super) fn drained(name: &str) -> Restyle {
    Restyle {
        nodes: vec![name.to_owned()],
        add_taints: Taint::parse(DRAINED).into_iter().collect(),
        ..Restyle::default()
    }
}

/// Cordons a node and asks its pods to leave; those of `DaemonSet`s, static ones and those that have ended stay.
pub(super) async fn drain(client: &Client, name: &str) -> anyhow::Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let patch = Patch::Merge(json!({"spec": {"unschedulable": true}}));
    nodes.patch(name, &PatchParams::default(), &patch).await.with_context(|| format!("cordon node {name}"))?;
    let here = ListParams::default().fields(&format!("spec.nodeName={name}"));
    let pods =
        Api::<Pod>::all(client.clone()).list(&here).await.with_context(|| format!("list pods of node {name}"))?;
    let leave = pods.items.into_iter().filter(may_leave).map(|pod| evict(client, pod));
    for refused in join_all(leave).await.into_iter().filter_map(Result::err) {
        // A disruption budget may keep a pod, and the machine goes nevertheless.
        tracing::info!(node = name, error = format!("{refused:#}"), "a pod does not leave");
    }
    Ok(())
}

fn may_leave(pod: &Pod) -> bool {
    let owners = pod.metadata.owner_references.iter().flatten();
    let is_mirror = pod.metadata.annotations.iter().flatten().any(|(key, _)| key == "kubernetes.io/config.mirror");
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    owners.clone().all(|owner| owner.kind != "DaemonSet")
        && !is_mirror
        && !matches!(phase, Some("Succeeded" | "Failed"))
}

async fn evict(client: &Client, pod: Pod) -> anyhow::Result<()> {
    let (namespace, name) = (pod.metadata.namespace.unwrap_or_default(), pod.metadata.name.unwrap_or_default());
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    match pods.evict(&name, &EvictParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        done => done.map(drop).with_context(|| format!("evict pod {namespace}/{name}")),
    }
}

/// Waits until a node is not Ready, or gone.
pub(super) async fn lost(client: &Client, name: &str) -> anyhow::Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let seen = kube::runtime::wait::await_condition(nodes, name, |node: Option<&Node>| {
        node.is_none_or(|node| !is_ready(node))
    });
    match tokio::time::timeout(LIMIT, seen).await {
        Ok(seen) => seen.map(drop).with_context(|| format!("watch node {name}")),
        // The machine is gone whatever its Node says.
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(meta: &serde_json::Value, phase: &str) -> Pod {
        serde_json::from_value(json!({"metadata": meta, "status": {"phase": phase}})).unwrap()
    }

    #[test]
    fn pods_leave_but_those_that_would_come_back_or_have_ended() {
        let owned =
            |kind: &str| json!({"ownerReferences": [{"apiVersion": "v1", "kind": kind, "name": "o", "uid": "u"}]});
        assert!(may_leave(&pod(&json!({}), "Running")));
        assert!(may_leave(&pod(&owned("Job"), "Pending")));
        assert!(!may_leave(&pod(&owned("DaemonSet"), "Running")));
        assert!(!may_leave(&pod(&json!({"annotations": {"kubernetes.io/config.mirror": "m"}}), "Running")));
        assert!(!may_leave(&pod(&owned("Job"), "Succeeded")));
    }
}
