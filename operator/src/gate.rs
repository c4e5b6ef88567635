//! The scheduling gate of items' pods.
//!
//! A Job makes its pods when it likes, and lowering its parallelism kills some. So all of them come with a gate, of which
//! Kubernetes' scheduler knows that they are not to be placed yet, and this operator takes it away from as many pods as
//! the run has slots. Nobody can put it back.

use crds::names;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::runtime::reflector::ObjectRef;
use serde_json::json;

use crate::context::{name_of, namespace_of, uid_of};
use crate::error::is_code;
use crate::{Ctx, Error};

/// Whether the pod waits for a slot.
#[must_use]
pub(crate) fn is_held(pod: &Pod) -> bool {
    let gates = pod.spec.as_ref().and_then(|spec| spec.scheduling_gates.as_deref()).unwrap_or_default();
    gates.iter().any(|gate| gate.name == names::SLOT_GATE)
}

/// Lets a pod go, and tells whether it did: of one that is gone, or has changed at this moment, the next look tells more.
///
/// # Errors
/// When the API server refuses or is not reached.
pub(crate) async fn let_go(ctx: &Ctx, pod: &Pod) -> Result<bool, Error> {
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), namespace_of(pod));
    // Only ours goes: other gates are somebody else's.
    let patch = json!({
        "metadata": {"uid": uid_of(pod)},
        "spec": {"schedulingGates": [{"name": names::SLOT_GATE, "$patch": "delete"}]},
    });
    match api.patch(name_of(pod), &PatchParams::default(), &Patch::Strategic(&patch)).await {
        Err(error) if is_code(&error, 404) || is_code(&error, 409) => Ok(false),
        result => result.map(|_| true).map_err(Error::api("let go", &ObjectRef::from_obj(pod))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

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
}
