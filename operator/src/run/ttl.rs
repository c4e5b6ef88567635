//! How long a run that was made by hand stays as an object once it has ended.

use crds::ScoringRun;
use jiff::{SignedDuration, Timestamp};
use kube::api::ObjectMeta;
use kube::runtime::controller::Action;
use serde_json::Value;

use super::owned;
use crate::Error;
use crate::context::Ctx;
use crate::guard::Broken;

/// Deletes a run that has ended long enough ago, or looks again when it will have.
pub(super) async fn expire(ctx: &Ctx, run: &ScoringRun) -> Result<Action, Error> {
    let ended = run.status.as_ref().and_then(|status| status.ended);
    expire_if(ctx, &run.metadata, left(&run.metadata, run.spec.ttl_seconds_after_finished, ended, ctx.now())).await
}

/// The same for a run whose spec cannot be read, by what of the object can.
pub(super) async fn expire_unreadable(ctx: &Ctx, run: &Broken) -> Result<Action, Error> {
    let ttl = run.object.pointer("/spec/ttlSecondsAfterFinished").and_then(Value::as_u64);
    let ttl = ttl.and_then(|ttl| u32::try_from(ttl).ok());
    expire_if(ctx, &run.metadata, left(&run.metadata, ttl, ended(&run.object), ctx.now())).await
}

/// When a run ended whose spec cannot be read, of whose object this is all.
pub(super) fn ended(object: &Value) -> Option<Timestamp> {
    object.pointer("/status/ended")?.as_str()?.parse().ok()
}

async fn expire_if(ctx: &Ctx, run: &ObjectMeta, left: Option<SignedDuration>) -> Result<Action, Error> {
    let Some(left) = left else { return Ok(Action::await_change()) };
    if left.is_positive() {
        return Ok(Action::requeue(left.unsigned_abs()));
    }
    if owned::delete_object(ctx, run).await? {
        tracing::info!(run = run.name, "deleted: it ended longer ago than its ttlSecondsAfterFinished");
    }
    Ok(Action::await_change())
}

/// How long an ended run still stays; none if for ever, or if it is being deleted already.
fn left(metadata: &ObjectMeta, ttl: Option<u32>, ended: Option<Timestamp>, now: Timestamp) -> Option<SignedDuration> {
    let left = SignedDuration::from_secs(ttl?.into()) - now.duration_since(ended?);
    metadata.deletion_timestamp.is_none().then_some(left)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seconds_left(ttl: Option<u32>, ended: Option<&str>, deleted: Option<&str>) -> Option<i64> {
        let metadata = serde_json::from_value(json!({"name": "r", "deletionTimestamp": deleted})).unwrap();
        let ended = super::ended(&json!({"status": {"ended": ended}}));
        left(&metadata, ttl, ended, "2026-01-01T00:01:00Z".parse().unwrap()).map(|left| left.as_secs())
    }

    const END: Option<&str> = Some("2026-01-01T00:00:00Z");

    #[test]
    fn a_run_stays_for_its_time_after_its_end() {
        assert_eq!(seconds_left(Some(100), END, None), Some(40));
        assert_eq!(seconds_left(Some(60), END, None), Some(0));
        assert_eq!(seconds_left(Some(0), END, None), Some(-60));
    }

    #[test]
    fn a_run_stays_that_goes_on_or_says_nothing_or_is_being_deleted() {
        assert_eq!(seconds_left(Some(0), None, None), None);
        assert_eq!(seconds_left(None, END, None), None);
        assert_eq!(seconds_left(Some(0), END, END), None);
    }
}
