//! How long a run that was made by hand stays as an object once it has ended.

use crds::ScoringRun;
use jiff::{SignedDuration, Timestamp};
use kube::runtime::controller::Action;

use super::owned;
use crate::Error;
use crate::context::{Ctx, name_of};

/// Deletes a run that has ended long enough ago, or looks again when it will have.
pub(super) async fn expire(ctx: &Ctx, run: &ScoringRun) -> Result<Action, Error> {
    let Some(left) = left(run, ctx.now()) else { return Ok(Action::await_change()) };
    if left.is_positive() {
        return Ok(Action::requeue(left.unsigned_abs()));
    }
    if owned::delete(ctx, run).await? {
        tracing::info!(run = name_of(run), "deleted: it ended longer ago than its ttlSecondsAfterFinished");
    }
    Ok(Action::await_change())
}

/// How long an ended run still stays; none if for ever, or if it is being deleted already.
fn left(run: &ScoringRun, now: Timestamp) -> Option<SignedDuration> {
    let ttl = SignedDuration::from_secs(run.spec.ttl_seconds_after_finished?.into());
    let ended = run.status.as_ref()?.ended?;
    let stays = run.metadata.deletion_timestamp.is_none();
    stays.then(|| ttl - now.duration_since(ended))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(ttl: Option<u32>, ended: Option<&str>, deleted: Option<&str>) -> ScoringRun {
        let run = json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun",
            "metadata": {"name": "r", "deletionTimestamp": deleted},
            "spec": {"scheduleName": "s", "ttlSecondsAfterFinished": ttl},
            "status": {"ended": ended},
        });
        serde_json::from_value(run).unwrap()
    }

    fn seconds_left(run: &ScoringRun) -> Option<i64> {
        left(run, "2026-01-01T00:01:00Z".parse().unwrap()).map(|left| left.as_secs())
    }

    const END: Option<&str> = Some("2026-01-01T00:00:00Z");

    #[test]
    fn a_run_stays_for_its_time_after_its_end() {
        assert_eq!(seconds_left(&run(Some(100), END, None)), Some(40));
        assert_eq!(seconds_left(&run(Some(60), END, None)), Some(0));
        assert_eq!(seconds_left(&run(Some(0), END, None)), Some(-60));
    }

    #[test]
    fn a_run_stays_that_goes_on_or_says_nothing_or_is_being_deleted() {
        assert_eq!(seconds_left(&run(Some(0), None, None)), None);
        assert_eq!(seconds_left(&run(None, END, None)), None);
        assert_eq!(seconds_left(&run(Some(0), END, END)), None);
    }
}
