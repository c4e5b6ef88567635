//! What the pods of a run tell of its store. The operator has no credential for it, and asks them only.

use std::sync::Arc;

use crds::{Condition, ScoringRun};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Resource;
use serde::Deserialize;
use spec::report::{Failure, is_of_store};

use super::pods::{self, Trouble};
use crate::conditions::{Conditions, find};
use crate::context::Ctx;

/// The condition of a run whose store was away, or refused.
pub(super) const STORE_READY: &str = "StoreReady";
const ANSWERS: &str = "StoreAnswers";

/// What the pods tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It does what it is there for.
    Answers,
    /// It is away, or refuses.
    Fails(Trouble),
}

/// What all pods' answers have in common.
#[derive(Default, Deserialize)]
struct Answer {
    #[serde(default)]
    store: Option<Failure>,
    #[serde(default)]
    error: Option<Failure>,
}

/// What the last pod that ended and can tell says; nothing where none can. Of two that ended in the same second, the one
/// that complains.
pub(super) fn told(pods: &[Arc<Pod>]) -> Option<Told> {
    let answers = pods.iter().filter(|pod| pods::ended(pod)).filter_map(|pod| answer(pod));
    answers.max_by_key(|(at, told)| (*at, *told != Told::Answers)).map(|(_, told)| told)
}

fn answer(pod: &Pod) -> Option<(Timestamp, Told)> {
    let at = pods::terminated(pod)?.finished_at.as_ref()?.0;
    let answer: Answer = pods::answer(pod)?;
    let failure = answer.store.or(answer.error.filter(|error| is_of_store(&error.reason)));
    Some((at, failure.map_or(Told::Answers, |why| Told::Fails(Trouble::new(why.reason, why.message)))))
}

/// Says so in the run's conditions. Nothing is written of a store that never failed.
pub(super) fn record(conditions: &mut Conditions, current: &[Condition], told: Option<&Told>) {
    match told {
        Some(Told::Fails(why)) => drop(conditions.set(STORE_READY, false, &why.reason, why.message.clone())),
        Some(Told::Answers) if find(current, STORE_READY).is_some_and(|was| was.status == "False") => {
            conditions.set(STORE_READY, true, ANSWERS, "the store answers again");
        }
        _ => {}
    }
}

/// Tells people by an event that the store began to fail, in another way than before, or answers again.
pub(super) async fn tell(ctx: &Ctx, run: &ScoringRun, now: &[Condition]) {
    let before = run.status.as_ref().and_then(|status| find(&status.conditions, STORE_READY));
    let Some(now) = find(now, STORE_READY) else { return };
    if before.is_some_and(|before| before.reason == now.reason) {
        return;
    }
    let about = run.object_ref(&());
    if now.status == "True" {
        ctx.events.normal(&about, &now.reason, "Store", &now.message).await;
    } else {
        ctx.events.warning(&about, &now.reason, "Store", &now.message).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(second: u32, message: &str) -> Arc<Pod> {
        let terminated =
            json!({"exitCode": 69, "finishedAt": format!("2026-01-01T00:00:{second:02}Z"), "message": message});
        Arc::new(
            serde_json::from_value(
                json!({"metadata": {"name": "p"}, "spec": {"containers": []}, "status": {"phase": "Failed",
                "containerStatuses": [{"name": "scorer", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": terminated}}]}}),
            )
            .unwrap(),
        )
    }

    fn away() -> Value {
        json!({"reason": "StoreUnavailable", "message": "https://acct/data: the store is not available"})
    }

    fn fails(why: &Value) -> Option<Told> {
        let text = |key: &str| why[key].as_str().unwrap().to_owned();
        Some(Told::Fails(Trouble::new(text("reason"), text("message"))))
    }

    #[test]
    fn the_last_pod_that_can_tell_says_how_the_store_is() {
        let well = pod(10, r#"{"index": 0, "succeeded": 1, "failed": 0, "retry": 0}"#);
        let gone = pod(20, &json!({"index": 1, "succeeded": 0, "failed": 0, "retry": 1, "store": away()}).to_string());
        let killed = pod(30, "Killed");
        let again = pod(40, r#"{"index": 1, "succeeded": 1, "failed": 0, "retry": 0}"#);
        assert_eq!(told(&[]), None);
        assert_eq!(told(std::slice::from_ref(&killed)), None);
        assert_eq!(told(&[gone.clone(), well.clone(), killed.clone()]), fails(&away()));
        assert_eq!(told(&[gone, again, well, killed]), Some(Told::Answers));
    }

    #[test]
    fn what_a_request_lacks_is_no_failure_of_the_store_and_a_refusal_is() {
        let error = |reason: &str| json!({"reason": reason, "message": "no"});
        let plan = |reason: &str| {
            pod(1, &json!({"sensors": 0, "items": 0, "manifest": "", "error": error(reason)}).to_string())
        };
        assert_eq!(told(&[plan("NoSensors")]), Some(Told::Answers));
        assert_eq!(told(&[plan("AccessDenied")]), fails(&error("AccessDenied")));
    }

    #[test]
    fn of_a_store_that_never_failed_nothing_is_written_and_of_one_that_did_since_when() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let after = |before: &[Condition], second: i64, told: Option<&Told>| {
            let mut conditions = Conditions::of(before, None, at(second));
            record(&mut conditions, before, told);
            conditions.into_vec()
        };
        assert_eq!(after(&[], 1, Some(&Told::Answers)), []);
        let first = after(&[], 100, fails(&away()).as_ref());
        let later = after(&first, 200, fails(&away()).as_ref());
        assert_eq!((later[0].status.as_str(), later[0].last_transition_time), ("False", at(100)));
        assert_eq!(after(&later, 250, None), later);
        let well = after(&later, 300, Some(&Told::Answers));
        assert_eq!((well[0].reason.as_str(), well[0].last_transition_time), ("StoreAnswers", at(300)));
    }
}
