//! The scheduling gate of items' pods.
//!
//! A Job makes its pods when it likes, and lowering its parallelism kills some. So all of them come with a gate, of which
//! Kubernetes' scheduler knows that they are not to be placed yet, and this operator takes it away from as many pods as
//! the run has slots. Nobody can put it back.

use crds::names;
use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm, Pod};
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::runtime::reflector::ObjectRef;
use serde_json::{Value, json};

use crate::cluster::HOST;
use crate::context::{name_of, namespace_of, uid_of};
use crate::error::is_code;
use crate::{Ctx, Error};

/// Whether the pod waits for a slot.
#[must_use]
pub(crate) fn is_held(pod: &Pod) -> bool {
    let gates = pod.spec.as_ref().and_then(|spec| spec.scheduling_gates.as_deref()).unwrap_or_default();
    gates.iter().any(|gate| gate.name == names::SLOT_GATE)
}

/// Lets a pod go, onto any node but those of some hosts, and tells whether it did: of one that is gone, or has changed at this
/// moment, the next look tells more.
///
/// # Errors
/// When the API server refuses or is not reached.
pub(crate) async fn let_go(ctx: &Ctx, pod: &Pod, off: &[String]) -> Result<bool, Error> {
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), namespace_of(pod));
    // Only ours goes: other gates are somebody else's.
    let mut patch = json!({
        "metadata": {"uid": uid_of(pod)},
        "spec": {"schedulingGates": [{"name": names::SLOT_GATE, "$patch": "delete"}]},
    });
    if !off.is_empty() {
        patch["spec"]["affinity"] = keep_off(pod, off);
    }
    match api.patch(name_of(pod), &PatchParams::default(), &Patch::Strategic(&patch)).await {
        Err(error) if is_code(&error, 404) || is_code(&error, 409) => Ok(false),
        result => result.map(|_| true).map_err(Error::api("let go", &ObjectRef::from_obj(pod))),
    }
}

/// Whether the pod, which has been let go, keeps off hosts for this reason, as far as its affinity tells.
#[must_use]
pub(crate) fn keeps_off(pod: &Pod) -> bool {
    let is_ours = |expression: &NodeSelectorRequirement| expression.key == HOST && expression.operator == "NotIn";
    let terms = required(pod);
    terms.into_iter().flatten().any(|term| term.match_expressions.iter().flatten().any(is_ours))
}

fn required(pod: &Pod) -> Option<&Vec<NodeSelectorTerm>> {
    let affinity = pod.spec.as_ref()?.affinity.as_ref()?.node_affinity.as_ref()?;
    Some(&affinity.required_during_scheduling_ignored_during_execution.as_ref()?.node_selector_terms)
}

/// What has a pod keep off these hosts, beside what it says itself. While it waits for its gate, this may still be added.
fn keep_off(pod: &Pod, off: &[String]) -> Value {
    // A node has to match one of the terms.
    let mut terms = required(pod).cloned().unwrap_or_else(|| vec![NodeSelectorTerm::default()]);
    for term in &mut terms {
        let not_in =
            NodeSelectorRequirement { key: HOST.to_owned(), operator: "NotIn".to_owned(), values: Some(off.to_vec()) };
        term.match_expressions.get_or_insert_default().push(not_in);
    }
    json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_gate_means_that_a_pod_waits_for_a_slot() {
        let with = |gates: Value| -> Pod {
            serde_json::from_value(json!({"metadata": {}, "spec": {"containers": [], "schedulingGates": gates}}))
                .unwrap()
        };
        assert!(is_held(&with(json!([{"name": "example.com/other"}, {"name": "batchscoring.dev/slot"}]))));
        assert!(!is_held(&with(json!([{"name": "example.com/other"}]))) && !is_held(&with(json!([]))));
        assert!(!is_held(&Pod::default()));
    }
    #[test]
    fn a_pod_keeps_off_hosts_beside_what_it_says_itself() {
        let off = ["a".to_owned(), "b".to_owned()];
        let not_in = json!({"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["a", "b"]});
        let terms = |pod: &Pod| {
            keep_off(pod, &off)["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
                .take()
        };
        assert_eq!(terms(&Pod::default()), json!([{"matchExpressions": [not_in]}]));
        let (ssd, zone) = (json!({"key": "disk", "operator": "Exists"}), json!({"key": "zone", "operator": "Exists"}));
        let own = json!([{"matchExpressions": [ssd]}, {"matchExpressions": [zone]}]);
        let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": own}});
        let pod = json!({"metadata": {}, "spec": {"containers": [], "affinity": {"nodeAffinity": required}}});
        let both = json!([{"matchExpressions": [ssd, not_in]}, {"matchExpressions": [zone, not_in]}]);
        assert_eq!(terms(&serde_json::from_value(pod).unwrap()), both);
    }
}
