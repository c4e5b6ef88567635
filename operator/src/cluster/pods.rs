//! What pods ask for, and which of them must not be lost.

use std::collections::BTreeMap;

use crds::names;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use planner::capacity::Resources;

use crate::context::label;

/// What an item's pod asks for where its schedule says nothing.
const DEFAULT: [(&str, &str); 2] = [("cpu", "250m"), ("memory", "128Mi")];

/// Whether the pod has come to its end.
#[must_use]
pub(super) fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// The node that the pod is on.
#[must_use]
pub(super) fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

/// Whether it is a pod that scores an item.
#[must_use]
pub(super) fn is_item(pod: &Pod) -> bool {
    label(pod, names::ROLE) == Some("item")
}

/// Whether the pod belongs to its node, and goes with it: of a DaemonSet, or written by the kubelet itself.
#[must_use]
pub(super) fn belongs_to_node(pod: &Pod) -> bool {
    let owners = pod.metadata.owner_references.iter().flatten();
    let mirrored = pod.metadata.annotations.iter().flatten().any(|(key, _)| key == "kubernetes.io/config.mirror");
    mirrored
        || owners
            .into_iter()
            .any(|owner| owner.controller == Some(true) && matches!(owner.kind.as_str(), "DaemonSet" | "Node"))
}

/// What a pod asks for, as the scheduler counts it.
#[must_use]
pub(super) fn request(spec: &PodSpec) -> Resources {
    let sum = |containers: &mut dyn Iterator<Item = &Container>| {
        containers.fold(Resources::default(), |sum, c| sum.plus(&requirements(c.resources.as_ref())))
    };
    let restarts = |c: &&Container| c.restart_policy.as_deref() == Some("Always");
    let init = || spec.init_containers.iter().flatten();
    let running = sum(&mut spec.containers.iter().chain(init().filter(restarts)));
    let starting = init().filter(|c| !restarts(c)).map(|c| requirements(c.resources.as_ref()));
    let most = starting.fold(running, |most, one| most.max(&one));
    most.plus(&quantities(spec.overhead.as_ref()))
}

/// What a pod takes of its node.
#[must_use]
pub(super) fn takes(pod: &Pod) -> Resources {
    let one = Resources::parse([("pods", "1")]).unwrap_or_default();
    pod.spec.as_ref().map(request).unwrap_or_default().plus(&one)
}

/// What an item's pod of a schedule will ask for.
#[must_use]
pub(crate) fn request_of_schedule(resources: Option<&ResourceRequirements>) -> Resources {
    let default = || Resources::parse(DEFAULT).unwrap_or_default();
    resources.map_or_else(default, |resources| requirements(Some(resources)))
}

/// A map of quantities; what is no quantity, the API server has refused already.
#[must_use]
pub(super) fn quantities(map: Option<&BTreeMap<String, Quantity>>) -> Resources {
    let named = map.into_iter().flatten().filter(|(_, quantity)| quantity.0 != "0");
    let one = |(name, quantity): (&String, &Quantity)| Resources::parse([(name.as_str(), quantity.0.as_str())]).ok();
    named.filter_map(one).fold(Resources::default(), |all, one| all.plus(&one))
}

/// Requests; where there is none but a limit, the limit.
fn requirements(resources: Option<&ResourceRequirements>) -> Resources {
    let part = |map: Option<&BTreeMap<String, Quantity>>| quantities(map);
    let limits = part(resources.and_then(|r| r.limits.as_ref()));
    limits.overlaid(&part(resources.and_then(|r| r.requests.as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resources(amounts: &[(&str, &str)]) -> Resources {
        Resources::parse(amounts.iter().copied()).unwrap()
    }

    #[test]
    fn a_pod_asks_for_the_sum_of_its_containers_or_its_largest_init_container() {
        let spec: PodSpec = serde_json::from_value(json!({
            "initContainers": [{ "name": "i", "resources": { "requests": { "cpu": "2" } } }],
            "containers": [
                { "name": "a", "resources": { "requests": { "cpu": "250m", "memory": "128Mi" } } },
                { "name": "b", "resources": { "limits": { "cpu": "500m" } } },
            ],
        }))
        .unwrap();
        assert_eq!(request(&spec), resources(&[("cpu", "2"), ("memory", "128Mi")]));
    }

    #[test]
    fn a_silent_schedule_asks_for_the_default() {
        assert_eq!(request_of_schedule(None), resources(&[("cpu", "250m"), ("memory", "128Mi")]));
    }

    #[test]
    fn pods_of_daemon_sets_and_of_the_kubelet_go_with_their_node() {
        let of = |kind: &str| -> Pod {
            let owner = json!({ "apiVersion": "v1", "kind": kind, "name": "x", "uid": "u", "controller": true });
            serde_json::from_value(json!({ "metadata": { "name": "p", "ownerReferences": [owner] } })).unwrap()
        };
        assert!(belongs_to_node(&of("DaemonSet")) && belongs_to_node(&of("Node")));
        assert!(!belongs_to_node(&of("Job")) && !belongs_to_node(&Pod::default()));
    }
}
