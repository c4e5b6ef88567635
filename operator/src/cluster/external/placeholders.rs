//! Placeholder pods: each holds a node for work that a tick is going to bring.
//!
//! Whoever scales the pool adds a node for one that waits, and keeps the node that it is on. Its priority is negative and it
//! preempts nobody, so a pod of a run takes its room whenever that needs it; and it goes as soon as the run has its slots.

use crds::{ScoringCluster, names};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource};
use planner::capacity::Resources;
use serde_json::{Value, json};

use crate::cluster::memory::Memory;
use crate::cluster::reconcile::{Scene, about};
use crate::cluster::{PoolNodes, pods};
use crate::context::{name_of, uid_of};
use crate::error::is_code;
use crate::{Ctx, Error};

/// The role of these pods, by their label.
pub(super) const ROLE: &str = "placeholder";
/// Each ends by itself after so many seconds and is made anew while it is wanted: where the operator is gone, so are they.
const LIFE: u32 = 3_600;
/// How much of what a node has for scorer pods one asks for, in percent: of two none fits beside the other, and another node
/// of this kind, with a little less, has room too.
const PART: u128 = 90;
/// What every request is told in, beside what the pods of runs ask for.
const ORDINARY: [&str; 2] = ["cpu", "memory"];

/// What to do.
#[derive(Debug, Default, PartialEq, Eq)]
struct Change {
    /// How many to make.
    make: u32,
    /// Which to delete, by index.
    delete: Vec<usize>,
    /// How many of those that stay wait for a node.
    waiting: u32,
}

/// Makes placeholders or deletes some, so that there are as many as are wanted. What stands in the way is remembered and told,
/// and is no reason to hold up work.
pub(super) async fn keep(cluster: &ScoringCluster, ctx: &Ctx, memory: &mut Memory, scene: &Scene, wanted: u32) {
    let none = wanted == 0 && memory.external.placeholders == Some(0);
    let kept = if none { Ok(()) } else { bring(cluster, ctx, memory, scene, wanted).await };
    let Err(error) = kept else {
        memory.external.refused = None;
        memory.told.remove(REFUSED);
        return;
    };
    let note = format!("placeholders, which hold nodes for the next tick: {error}");
    tracing::warn!(cluster = name_of(cluster), "{note}");
    if memory.told.insert(REFUSED, note.clone()).as_ref() != Some(&note) {
        ctx.events.warning(&about(cluster), REFUSED, "Hold", &note).await;
    }
    memory.external.refused = Some(note);
}

/// Why there are not as many placeholders as are wanted.
#[derive(Debug, thiserror::Error)]
enum HoldError {
    /// The operator does not know what they are to be.
    #[error("the operator was started without --placeholders, their PriorityClass and ServiceAccount")]
    Unnamed,
    /// The API server refuses, or is not reached.
    #[error(transparent)]
    Kubernetes(#[from] Error),
}

async fn bring(
    cluster: &ScoringCluster,
    ctx: &Ctx,
    memory: &mut Memory,
    scene: &Scene,
    wanted: u32,
) -> Result<(), HoldError> {
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), &ctx.settings.namespace);
    let of_pool = format!("{}={},{}={ROLE}", names::POOL, name_of(cluster), names::ROLE);
    // Also where this ends half-way, some may be there.
    memory.external.placeholders = None;
    let about_all = ObjectRef::<Pod>::new("placeholders").within(&ctx.settings.namespace);
    let there = api.list(&ListParams::default().labels(&of_pool)).await.map_err(Error::api("list", &about_all))?.items;
    let request = request(scene);
    let change = change(&there, wanted, &request);
    for pod in change.delete.iter().filter_map(|at| there.get(*at)) {
        delete(&api, pod).await?;
    }
    let stay = u32::try_from(there.len() - change.delete.len()).unwrap_or(u32::MAX);
    memory.external.placeholders = Some(stay);
    let now = ctx.now();
    if change.make == 0 {
        if change.waiting == 0 {
            // All have their nodes: what comes now was not asked for.
            memory.machines.timing.asked(0, now);
        }
        return Ok(());
    }
    let name = ctx.settings.placeholders.as_deref().ok_or(HoldError::Unnamed)?;
    tracing::info!(cluster = name_of(cluster), more = change.make, "hold nodes for the next tick");
    let pod = placeholder(cluster, &request, name, ctx)?;
    for _ in 0..change.make {
        // It may have been made though there was no answer: the next look lists them.
        memory.external.placeholders = None;
        api.create(&PostParams::default(), &pod).await.map_err(Error::api("create", &about_all))?;
    }
    memory.external.placeholders = Some(wanted);
    if change.waiting == 0 {
        memory.machines.timing.asked(usize::try_from(change.make).unwrap_or(usize::MAX), now);
    }
    Ok(())
}

/// The key under which it is remembered that people were told.
const REFUSED: &str = "PlaceholdersRefused";

async fn delete(api: &Api<Pod>, pod: &Pod) -> Result<(), Error> {
    let exactly = Preconditions { uid: Some(uid_of(pod).to_owned()), resource_version: None };
    let params = DeleteParams { preconditions: Some(exactly), ..DeleteParams::default().grace_period(0) };
    match api.delete(name_of(pod), &params).await {
        Err(error) if is_code(&error, 404) || is_code(&error, 409) => Ok(()),
        result => result.map(drop).map_err(Error::api("delete", &ObjectRef::from_obj(pod))),
    }
}

/// What brings them to the wanted number: those that have ended go, then those that have no node, the youngest first. One
/// without a node that asks for something else than is asked for by now is made anew.
fn change(there: &[Pod], wanted: u32, request: &Resources) -> Change {
    let going = |pod: &Pod| pod.metadata.deletion_timestamp.is_some();
    let asks = |pod: &Pod| pod.spec.as_ref().map(pods::request).unwrap_or_default();
    let waits = |pod: &Pod| pods::node_of(pod).is_none();
    let useless = |pod: &Pod| !going(pod) && (pods::has_ended(pod) || waits(pod) && asks(pod) != *request);
    let mut delete: Vec<usize> = (0..there.len()).filter(|at| useless(&there[*at])).collect();
    let mut good: Vec<usize> = (0..there.len()).filter(|at| !going(&there[*at]) && !useless(&there[*at])).collect();
    let created = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    good.sort_by_key(|at| (waits(&there[*at]), created(&there[*at]), name_of(&there[*at]).to_owned()));
    let keep = usize::try_from(wanted).unwrap_or(usize::MAX).min(good.len());
    delete.extend(good.split_off(keep));
    let waiting = good.iter().filter(|at| waits(&there[**at])).count();
    let make = wanted.saturating_sub(u32::try_from(keep).unwrap_or(u32::MAX));
    Change { make, delete, waiting: u32::try_from(waiting).unwrap_or(u32::MAX) }
}

/// What one asks for: most of what a node has of what the pods of runs ask for. While no node was ever seen, as much as the
/// largest of these pods.
fn request(scene: &Scene) -> Resources {
    let coming = scene.foresight.coming.iter().map(|(_, expected)| &expected.request);
    let largest = coming.fold(Resources::default(), |most, request| most.max(request));
    let Some(node) = &scene.capacity else { return largest };
    let mut asked: Vec<String> = largest.to_quantities().into_keys().collect();
    asked.extend(ORDINARY.map(str::to_owned));
    part(node, &asked)
}

fn part(node: &Resources, names: &[String]) -> Resources {
    let amounts = names.iter().filter_map(|name| {
        let whole = node.milli(name).filter(|milli| *milli > 0 && name != "pods")?;
        // A device cannot be divided.
        let part = if is_extended(name) { whole } else { whole * PART / 100 };
        Some((name.clone(), format!("{part}m")))
    });
    let amounts: Vec<(String, String)> = amounts.collect();
    Resources::parse(amounts.iter().map(|(name, amount)| (name.as_str(), amount.as_str()))).unwrap_or_default()
}

/// Whether limits have to be what is requested.
fn is_extended(name: &str) -> bool {
    name.contains('/') || name.starts_with("hugepages-")
}

/// One placeholder.
fn placeholder(cluster: &ScoringCluster, request: &Resources, name: &str, ctx: &Ctx) -> Result<Pod, Error> {
    let image = &ctx.settings.scorer_image;
    let pod = describe(cluster, request, name, image, &ctx.settings.namespace);
    let doing = format!("describe a placeholder of {}", name_of(cluster));
    serde_json::from_value(pod).map_err(|source| Error::Json { doing, source })
}

fn describe(cluster: &ScoringCluster, request: &Resources, name: &str, image: &str, namespace: &str) -> Value {
    let requests = request.to_quantities();
    let mut limits = requests.clone();
    limits.retain(|name, _| is_extended(name));
    let owner = cluster.controller_owner_ref(&());
    json!({
        "metadata": {
            "generateName": format!("{ROLE}-{}-", name_of(cluster)),
            "namespace": namespace,
            "labels": {names::POOL: name_of(cluster), names::ROLE: ROLE},
            "ownerReferences": owner.map(|owner| vec![owner]),
        },
        "spec": {
            "priorityClassName": name,
            "serviceAccountName": name,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "restartPolicy": "Always",
            "activeDeadlineSeconds": LIFE,
            // Whoever takes its room need not wait for it.
            "terminationGracePeriodSeconds": 0,
            "nodeSelector": PoolNodes::of(cluster).selector(),
            "tolerations": [
                {"key": names::POOL, "operator": "Equal", "value": name_of(cluster), "effect": "NoSchedule"},
            ],
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": ROLE,
                "image": image,
                "args": ["hold"],
                "resources": {"requests": requests, "limits": limits},
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
            }],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(amounts: &[(&str, &str)]) -> Resources {
        Resources::parse(amounts.iter().copied()).unwrap()
    }

    fn pod(second: u8, node: &str, phase: &str) -> Pod {
        let container = json!({ "name": ROLE, "resources": { "requests": { "cpu": "3" } } });
        serde_json::from_value(json!({
            "metadata": { "name": format!("p{second}"), "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z") },
            "spec": { "containers": [container], "nodeName": node }, "status": { "phase": phase },
        }))
        .unwrap()
    }

    fn three() -> Resources {
        resources(&[("cpu", "3")])
    }

    #[test]
    fn as_many_are_made_as_are_missing_and_the_youngest_without_a_node_go_first() {
        let there = [pod(1, "", "Pending"), pod(2, "a", "Running"), pod(3, "", "Pending")];
        let of = |wanted| change(&there, wanted, &three());
        assert_eq!(of(5), Change { make: 2, delete: vec![], waiting: 2 });
        assert_eq!(of(3), Change { make: 0, delete: vec![], waiting: 2 });
        assert_eq!(of(2), Change { make: 0, delete: vec![2], waiting: 1 });
        assert_eq!(of(1), Change { make: 0, delete: vec![0, 2], waiting: 0 });
        assert_eq!(of(0), Change { make: 0, delete: vec![1, 0, 2], waiting: 0 });
    }

    #[test]
    fn one_that_has_ended_is_replaced_and_one_that_is_going_is_not_waited_for() {
        let mut going = pod(2, "a", "Running");
        going.metadata.deletion_timestamp = going.metadata.creation_timestamp.clone();
        assert_eq!(change(&[pod(1, "a", "Failed")], 1, &three()), Change { make: 1, delete: vec![0], waiting: 0 });
        assert_eq!(change(&[going.clone()], 1, &three()), Change { make: 1, delete: vec![], waiting: 0 });
        assert_eq!(change(&[going], 0, &three()), Change::default());
    }

    #[test]
    fn one_that_waits_asks_for_what_nodes_have_by_now_and_one_with_a_node_keeps_it() {
        let larger = resources(&[("cpu", "7")]);
        let there = [pod(1, "", "Pending"), pod(2, "a", "Running")];
        assert_eq!(change(&there, 2, &larger), Change { make: 1, delete: vec![0], waiting: 0 });
    }

    #[test]
    fn one_fills_a_node_of_what_pods_ask_for_and_leaves_a_little() {
        let node =
            resources(&[("cpu", "4"), ("memory", "10Gi"), ("pods", "30"), ("nvidia.com/gpu", "2"), ("x/y", "1")]);
        let names = ["cpu", "memory", "nvidia.com/gpu", "pods", "ephemeral-storage"].map(str::to_owned);
        let gpu = resources(&[("cpu", "3600m"), ("memory", "9Gi"), ("nvidia.com/gpu", "2")]);
        assert_eq!(part(&node, &names), gpu);
    }

    #[test]
    fn one_is_of_the_lowest_rank_goes_with_its_cluster_and_asks_for_devices_as_limits_too() {
        let cluster: ScoringCluster = serde_json::from_value(json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringCluster",
            "metadata": { "name": "gpu", "uid": "u" },
            "spec": { "maxNodes": 3, "nodePool": { "external": { "nodeSelector": { "disk": "ssd" } } } },
        }))
        .unwrap();
        let asks = resources(&[("cpu", "3600m"), ("nvidia.com/gpu", "2")]);
        let pod = describe(&cluster, &asks, "scoring-placeholder", "scorer:1", "system");
        let whole: Pod = serde_json::from_value(pod.clone()).unwrap();
        assert_eq!(whole.spec.as_ref().map(pods::request), Some(asks));
        for (path, expected) in [
            ("/metadata/ownerReferences/0/uid", json!("u")),
            ("/metadata/ownerReferences/0/kind", json!("ScoringCluster")),
            ("/metadata/generateName", json!("placeholder-gpu-")),
            ("/metadata/labels", json!({ (names::POOL): "gpu", (names::ROLE): "placeholder" })),
            ("/spec/priorityClassName", json!("scoring-placeholder")),
            ("/spec/terminationGracePeriodSeconds", json!(0)),
            ("/spec/nodeSelector", json!({ "disk": "ssd" })),
            ("/spec/tolerations/0/value", json!("gpu")),
            ("/spec/containers/0/image", json!("scorer:1")),
            ("/spec/containers/0/resources/limits", json!({ "nvidia.com/gpu": "2" })),
        ] {
            assert_eq!(pod.pointer(path), Some(&expected), "{path}");
        }
    }
}
