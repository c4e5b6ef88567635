//! Pods that were let go to keep off some hosts, and found no other: what they kept off for may be long over, and nobody can take
//! it from them. They give way to new ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, EvictParams, Preconditions};

use super::pods;
use crate::Ctx;
use crate::context::{name_of, namespace_of, uid_of};
use crate::gate::{is_held, keeps_off};

/// How long one may look for a node.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// Since when each of them has been without a node, by UID.
#[derive(Debug, Default)]
pub(super) struct Homeless(BTreeMap<String, Timestamp>);

impl Homeless {
    /// Those that have been for too long.
    fn stuck(&mut self, pods: &[Arc<Pod>], now: Timestamp) -> Vec<Arc<Pod>> {
        let is_homeless = |pod: &&Arc<Pod>| {
            let waits = !is_held(pod) && pods::node_of(pod).is_none() && !pods::has_ended(pod);
            waits && pod.metadata.deletion_timestamp.is_none() && pods::is_item(pod) && keeps_off(pod)
        };
        let homeless: Vec<&Arc<Pod>> = pods.iter().filter(is_homeless).collect();
        let since = |pod: &Arc<Pod>| (uid_of(&**pod).to_owned(), *self.0.get(uid_of(&**pod)).unwrap_or(&now));
        self.0 = homeless.iter().map(|pod| since(pod)).collect();
        let long = |pod: &&&Arc<Pod>| now.duration_since(self.0[uid_of(&****pod)]) >= PATIENCE;
        homeless.iter().filter(long).map(|pod| (*pod).clone()).collect()
    }
}

/// Evicts those that have been without a node for too long, and are as they were seen: that is no failure of theirs, and uses up no
/// retry. What is refused is tried again by the next look.
pub(super) async fn homeless(ctx: &Ctx, pods: &[Arc<Pod>], homeless: &mut Homeless) {
    for pod in homeless.stuck(pods, ctx.now()) {
        let api: Api<Pod> = Api::namespaced(ctx.client.clone(), namespace_of(&*pod));
        let (uid, resource_version) = (pod.metadata.uid.clone(), pod.metadata.resource_version.clone());
        let same =
            DeleteParams { preconditions: Some(Preconditions { resource_version, uid }), ..DeleteParams::default() };
        let parameters = EvictParams { delete_options: Some(same), ..EvictParams::default() };
        match api.evict(name_of(&*pod), &parameters).await {
            Ok(_) => tracing::info!(pod = name_of(&*pod), "replaced: it kept off the hosts that have room"),
            Err(error) => tracing::warn!(pod = name_of(&*pod), "cannot be replaced: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn pod(uid: &str, spec: &Value) -> Arc<Pod> {
        let not_in = json!({"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["n"]});
        let terms = json!({"nodeSelectorTerms": [{"matchExpressions": [not_in]}]});
        let affinity = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}});
        let mut whole = json!({"containers": [], "affinity": affinity});
        spec.as_object().unwrap().iter().for_each(|(name, value)| whole[name] = value.clone());
        let labels = json!({crds::names::RUN: "r", crds::names::ROLE: "item"});
        let pod = json!({"metadata": {"uid": uid, "labels": labels}, "spec": whole});
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn stuck_after(seconds: i64, pods: &[Arc<Pod>]) -> Vec<String> {
        let mut homeless = Homeless::default();
        assert!(homeless.stuck(pods, at(0)).is_empty());
        homeless.stuck(pods, at(seconds)).iter().map(|pod| uid_of(&**pod).to_owned()).collect()
    }

    #[test]
    fn a_pod_that_keeps_off_hosts_has_a_minute_to_find_another() {
        let waits = [pod("a", &json!({}))];
        assert_eq!((stuck_after(59, &waits), stuck_after(60, &waits)), (vec![], vec!["a".to_owned()]));
        let others = [
            pod("on-a-node", &json!({"nodeName": "n"})),
            pod("held", &json!({"schedulingGates": [{"name": crds::names::SLOT_GATE}]})),
            pod("anywhere", &json!({"affinity": null})),
        ];
        assert_eq!(stuck_after(60, &others), [""; 0]);
    }
}
