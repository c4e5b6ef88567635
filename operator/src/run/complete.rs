//! Readings that a run waits for before it is planned, or was not given in time.

use crds::{Condition, ScoringRun};
use jiff::Timestamp;
use kube::Resource;
use spec::complete::DATA_INCOMPLETE;
use spec::report::PlanReport;
use spec::request::RunRequest;

use super::pods::Trouble;
use crate::conditions::{Conditions, find};
use crate::context::Ctx;

/// The condition of a run whose schedule says when readings are complete: whether they were.
const DATA_COMPLETE: &str = "DataComplete";

/// What a plan pod waits for that runs since then. It plans within a second or so of the end of the wait, which only its log
/// tells.
pub(super) fn awaited(request: &RunRequest, since: Timestamp) -> Option<Trouble> {
    let complete = request.work.data.complete.as_ref()?;
    let until = request.wait_until.map_or_else(String::new, |until| format!(", and until {until} at most,"));
    let message = format!(
        "waiting since {since}{until} for {}; the log of the plan pod tells what is lacking",
        complete.awaited(request.window)
    );
    Some(Trouble::new("WaitingForData", message))
}

/// Says in the run's conditions whether the readings were complete when it was planned. Nothing is written of a run that did
/// not ask.
pub(super) fn record(conditions: &mut Conditions, request: Option<&RunRequest>, report: &PlanReport) {
    if let Some(why) = &report.incomplete {
        conditions.set(DATA_COMPLETE, false, DATA_INCOMPLETE, why.clone());
    } else if request.is_some_and(|request| request.work.data.complete.is_some()) {
        conditions.set(DATA_COMPLETE, true, DATA_COMPLETE, "");
    }
}

/// Tells people by an event that a run goes on with readings that are not complete.
pub(super) async fn tell(ctx: &Ctx, run: &ScoringRun, now: &[Condition]) {
    let Some(incomplete) = find(now, DATA_COMPLETE).filter(|condition| condition.status == "False") else { return };
    ctx.events.warning(&run.object_ref(&()), &incomplete.reason, "Plan", &incomplete.message).await;
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(complete: &Value) -> RunRequest {
        serde_json::from_value(json!({
            "namespace": "plant", "schedule": "hourly", "run": "hourly-1", "runUid": "u", "tick": "2026-01-01T01:00:00Z",
            "window": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"}, "waitUntil": "2026-01-01T01:10:00Z",
            "work": {
                "store": {"url": "file:///mnt"}, "model": {"path": "models/{device}"},
                "data": {"path": "d.csv", "complete": complete},
            },
        }))
        .unwrap()
    }

    fn recorded(complete: &Value, incomplete: Option<&str>) -> Vec<Condition> {
        let report = PlanReport { incomplete: incomplete.map(str::to_owned), ..PlanReport::default() };
        let mut conditions = Conditions::of(&[], None, Timestamp::UNIX_EPOCH);
        record(&mut conditions, Some(&request(complete)), &report);
        conditions.into_vec()
    }

    #[test]
    fn a_run_tells_what_it_waits_for_and_since_when_and_how_long_at_most() {
        let since = "2026-01-01T01:00:02Z".parse().unwrap();
        let told = awaited(&request(&json!({"watermark": "data/_watermarks"})), since).unwrap();
        let message = "waiting since 2026-01-01T01:00:02Z, and until 2026-01-01T01:10:00Z at most, for the watermarks in \
                       data/_watermarks to reach 2026-01-01T01:00:00Z; the log of the plan pod tells what is lacking";
        assert_eq!(told, Trouble::new("WaitingForData", message));
        assert_eq!(awaited(&request(&Value::Null), since), None);
    }

    #[test]
    fn whether_readings_were_complete_is_a_condition_where_somebody_asked() {
        let watermark = json!({"watermark": "w"});
        let late = &recorded(&watermark, Some("1 of 2 partitions have"))[0];
        assert_eq!((late.status.as_str(), late.reason.as_str()), ("False", "DataIncomplete"));
        assert_eq!(late.message, "1 of 2 partitions have");
        assert_eq!(recorded(&watermark, None)[0].status, "True");
        assert_eq!(recorded(&Value::Null, None), []);
    }
}
