//! The taint `node.kubernetes.io/out-of-service`, by which Kubernetes gives up the pods on a node that is lost.
//!
//! It makes Kubernetes delete the pods and, as long as the node is not Ready, let go of them without its kubelet: they
//! end as disrupted, and their Jobs make others. Where the node is Ready it would evict what runs well, so it is written
//! only upon the node as the API server has it at that moment, and goes when the node is back.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::runtime::reflector::ObjectRef;
use planner::pool::OutOfService;
use serde_json::json;

use super::machines::readiness;
use crate::conditions::whole_seconds;
use crate::error::is_code;
use crate::{Ctx, Error};

const KEY: &str = "node.kubernetes.io/out-of-service";
/// By this value the taint is known as this operator's.
const VALUE: &str = "batchscoring.dev";
const EFFECT: &str = "NoExecute";

/// Who declared a node out of service, if anybody did.
#[must_use]
pub(super) fn of(node: &Node) -> Option<OutOfService> {
    let mut taints = taints(node).iter().filter(|taint| taint.key == KEY);
    let first = taints.next()?;
    let all_ours = is_ours(first) && taints.all(is_ours);
    Some(if all_ours { OutOfService::Ours } else { OutOfService::Theirs })
}

fn taints(node: &Node) -> &[Taint] {
    node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default()
}

fn is_ours(taint: &Taint) -> bool {
    taint.key == KEY && taint.value.as_deref() == Some(VALUE)
}

/// Declares a lost node out of service. Returns false where it is not lost any more, or changed at this very moment.
///
/// # Errors
/// When the API server refuses or is not reached.
pub(super) async fn declare(ctx: &Ctx, name: &str) -> Result<bool, Error> {
    let now = ctx.now();
    change(&Api::all(ctx.client.clone()), name, "take out of service", |node| declared(node, now)).await
}

/// Takes the declaration back. Returns false where there is none, or the node changed at this very moment.
///
/// # Errors
/// When the API server refuses or is not reached.
pub(super) async fn withdraw(ctx: &Ctx, name: &str) -> Result<bool, Error> {
    change(&Api::all(ctx.client.clone()), name, "take into service", withdrawn).await
}

/// The taints with ours, if the node is to have it.
fn declared(node: &Node, now: Timestamp) -> Option<Vec<Taint>> {
    let (ready, since) = readiness(node, now);
    if of(node).is_some() || !ready.is_lost(since, now) {
        return None;
    }
    let ours = Taint {
        key: KEY.to_owned(),
        value: Some(VALUE.to_owned()),
        effect: EFFECT.to_owned(),
        time_added: Some(Time(whole_seconds(now))),
    };
    Some(taints(node).iter().cloned().chain([ours]).collect())
}

/// The taints without ours, if the node has it.
fn withdrawn(node: &Node) -> Option<Vec<Taint>> {
    let others: Vec<Taint> = taints(node).iter().filter(|taint| !is_ours(taint)).cloned().collect();
    (others.len() < taints(node).len()).then_some(others)
}

/// Writes the taints of a node as it is now. They are one list that Kubernetes writes, too: with the version that was
/// read, nobody's change is lost.
async fn change(
    nodes: &Api<Node>,
    name: &str,
    doing: &'static str,
    taints: impl Fn(&Node) -> Option<Vec<Taint>>,
) -> Result<bool, Error> {
    let object = ObjectRef::<Node>::new(name);
    let Some(node) = nodes.get_opt(name).await.map_err(Error::api("read", &object))? else { return Ok(false) };
    let Some(taints) = taints(&node) else { return Ok(false) };
    tracing::info!(node = name, "{doing}");
    let patch = json!({
        "metadata": { "resourceVersion": node.metadata.resource_version },
        "spec": { "taints": taints },
    });
    match nodes.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Err(error) if is_code(&error, 404) || is_code(&error, 409) => Ok(false),
        result => result.map(|_| true).map_err(Error::api(doing, &object)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::testing::server;

    fn now() -> Timestamp {
        "2026-01-01T00:01:00Z".parse().unwrap()
    }

    /// A node whose Ready condition has been so for 30 s, with these taints.
    fn node(ready: &str, taints: &Value) -> Value {
        let condition = json!({ "type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:00:30Z" });
        json!({
            "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n", "resourceVersion": "7" },
            "spec": { "taints": taints }, "status": { "conditions": [condition] },
        })
    }

    fn read(node: &Value) -> Node {
        serde_json::from_value(node.clone()).unwrap()
    }

    fn unreachable() -> Value {
        json!({ "key": "node.kubernetes.io/unreachable", "effect": "NoExecute" })
    }

    fn taint(value: &str) -> Value {
        json!({ "key": KEY, "value": value, "effect": EFFECT })
    }

    fn keys(taints: &[Taint]) -> Vec<&str> {
        taints.iter().map(|taint| taint.key.as_str()).collect()
    }

    #[test]
    fn the_taint_joins_those_that_are_there_and_says_since_when() {
        let taints = declared(&read(&node("Unknown", &json!([unreachable()]))), now()).unwrap();
        assert_eq!(keys(&taints), ["node.kubernetes.io/unreachable", KEY]);
        assert_eq!((taints[1].value.as_deref(), taints[1].effect.as_str()), (Some(VALUE), "NoExecute"));
        assert_eq!(taints[1].time_added, Some(Time(now())));
    }

    #[test]
    fn a_node_that_is_ready_again_or_not_lost_yet_gets_no_taint_whatever_the_cache_says() {
        for ready in ["True", "False"] {
            assert_eq!(declared(&read(&node(ready, &json!([]))), now()), None, "{ready}");
        }
    }

    #[test]
    fn only_our_own_taint_is_taken_away() {
        let ours = read(&node("True", &json!([unreachable(), taint(VALUE)])));
        assert_eq!(of(&ours), Some(OutOfService::Ours));
        assert_eq!(keys(&withdrawn(&ours).unwrap()), ["node.kubernetes.io/unreachable"]);
        let theirs = read(&node("Unknown", &json!([taint("nodeshutdown")])));
        assert_eq!((of(&theirs), withdrawn(&theirs)), (Some(OutOfService::Theirs), None));
        assert_eq!(declared(&theirs, now()), None);
        assert_eq!(of(&read(&node("True", &json!([unreachable()])))), None);
    }

    #[tokio::test]
    async fn a_node_that_changes_meanwhile_is_looked_at_again_and_one_that_is_gone_is_no_error() {
        let lost = || node("Unknown", &json!([]));
        let refused = |code: u16, reason: &str| {
            let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "", "reason": reason, "code": code });
            (code, status)
        };
        let (client, asked) = server(vec![
            (200, lost()),
            (200, lost()),
            (200, lost()),
            refused(409, "Conflict"),
            refused(404, "NotFound"),
        ]);
        let nodes: Api<Node> = Api::all(client);
        let mut wrote = Vec::new();
        for _ in 0..3 {
            wrote.push(change(&nodes, "n", "take out of service", |node| declared(node, now())).await.unwrap());
        }
        assert_eq!(wrote, [true, false, false]);
        let asked = asked.lock().unwrap();
        assert_eq!(asked.iter().filter(|asked| *asked == "PATCH /api/v1/nodes/n").count(), 2, "{asked:?}");
    }
}
