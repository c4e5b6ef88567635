//! What a pod says of itself.

use k8s_openapi::api::core::v1::Pod;

/// Whether it waits to be let go.
pub(crate) fn is_held(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.scheduling_gates.as_ref()).is_some_and(|gates| !gates.is_empty())
}

/// `Pending`, `Running`, `Succeeded`, `Failed`; empty before the first.
pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}
