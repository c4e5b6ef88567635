//! What there is to know of a schedule, and what is decided upon it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crds::schedule::{CatchUpPolicy, ConcurrencyPolicy, ScoringScheduleSpec};
use crds::{ScoringRun, ScoringSchedule};
use jiff::{SignedDuration, Timestamp};
use planner::ticks::{self, CatchUp, Concurrency, Due, ScheduleView, Start, Ticks};

use super::edit::{Before, before};
use super::history::Run;
use super::readable::Readable;
use super::trials::{SOON, Trials};
use super::validate::Invalid;
use super::{check_cached, incomplete, is_owned};
use crate::Error;
use crate::context::{Ctx, name_of, namespace_of, uid_of};
use crate::run::trial::Verdict;

/// How late a run may start where the schedule does not say.
const STARTING_DEADLINE_SECONDS: u32 = 600;
/// How many ticks are caught up at most where the schedule does not say.
const CATCH_UP_LIMIT: u32 = 24;

/// A schedule and what there is to know of it.
pub(super) struct Observed {
    pub(super) now: Timestamp,
    pub(super) runs: Vec<Run>,
    /// Why it is not valid, or may not be.
    pub(super) checked: Checked,
    /// What was known of its ticks before.
    pub(super) before: Before,
    /// What becomes of its ticks; nothing where these are not known.
    pub(super) plan: Option<Plan>,
}

/// Whether a schedule makes sense.
#[derive(Debug)]
pub(super) enum Checked {
    Valid,
    /// It makes sense, but nobody knows whether its pods do: the reason, and what was said.
    Doubtful(&'static str, String),
    Invalid(Invalid),
}

impl Checked {
    fn of(verdict: Verdict) -> Self {
        let again = format!("runs are started; it is looked at again after {} seconds", SOON.as_secs());
        match verdict {
            Verdict::Taken => Self::Valid,
            Verdict::Invalid(why) => Self::Invalid(Invalid::Pod(why)),
            Verdict::Forbidden(why) => {
                Self::Doubtful("PodForbidden", format!("the Job of a run would be refused at present: {why}; {again}"))
            }
            Verdict::Unknown(why) => {
                Self::Doubtful("PodNotChecked", format!("whether its pods are valid is not known: {why}; {again}"))
            }
        }
    }
}

/// Checks a schedule: what can be read, what it names, and last what the API server says of its pods.
pub(super) async fn validate(ctx: &Ctx, trials: &Trials, readable: &Readable) -> Result<Checked, Error> {
    let schedule = &readable.schedule;
    if let Some(wrong) = &readable.wrong {
        return Ok(Checked::Invalid(Invalid::Spec(wrong.clone())));
    }
    match check_cached(ctx, schedule, ctx.now()) {
        Ok(_) => Ok(Checked::of(trials.verdict(ctx, schedule).await?)),
        Err(invalid) => Ok(Checked::Invalid(invalid)),
    }
}

/// What a schedule needs now.
pub(super) struct Plan {
    pub(super) ticks: Ticks,
    pub(super) start: Start,
    /// Whether what starts waited to be caught up.
    pub(super) caught_up: bool,
    /// The next tick.
    pub(super) next: Option<Timestamp>,
    /// How long after its tick a run starts.
    pub(super) jitter: SignedDuration,
    /// When it is too late for the run of a tick that waits for the schedule to be valid.
    late: Option<Timestamp>,
    /// Up to when it is decided what becomes of ticks.
    pub(super) decided: Option<Timestamp>,
}

impl Plan {
    /// Whether there is anything to do or to tell.
    pub(super) fn acts(&self, schedule: &ScoringSchedule) -> bool {
        let waiting = schedule.status.as_ref().map(|status| status.waiting.as_slice()).unwrap_or_default();
        self.start.run.is_some() || !self.start.missed.is_empty() || self.start.waiting != waiting
    }

    /// When the next tick's run starts, or there is to be told that one cannot.
    pub(super) fn wake(&self) -> Option<Timestamp> {
        let next = self.next.and_then(|next| next.checked_add(self.jitter).ok());
        next.into_iter().chain(self.late).min()
    }
}

/// How late the runs of a schedule may start after their ticks, jitter included; later ones are caught up.
fn in_time(spec: &ScoringScheduleSpec, namespace: &str, name: &str) -> SignedDuration {
    let deadline = spec.starting_deadline_seconds.unwrap_or(STARTING_DEADLINE_SECONDS);
    jitter(spec, namespace, name).saturating_add(SignedDuration::from_secs(deadline.into()))
}

/// How long after their ticks the runs of a schedule start.
pub(crate) fn jitter(spec: &ScoringScheduleSpec, namespace: &str, name: &str) -> SignedDuration {
    ticks::jitter(namespace, name, spec.jitter.unwrap_or_default().to_signed())
}

/// The runs that a schedule made itself, of these.
pub(super) fn own(schedule: &ScoringSchedule, runs: impl Iterator<Item = ScoringRun>) -> Vec<Run> {
    runs.filter(|run| namespace_of(run) == namespace_of(schedule) && is_owned(run, uid_of(schedule)))
        .filter_map(|run| Some(Run { tick: run.spec.tick?, object: Arc::new(run) }))
        .collect()
}

/// Those of the cache.
pub(super) fn cached_runs(ctx: &Ctx, schedule: &ScoringSchedule) -> Vec<Run> {
    let all = ctx.caches.runs.all();
    let name = name_of(schedule);
    let of_name = all.iter().filter_map(|guard| guard.0.as_ref().ok()).filter(|run| run.spec.schedule_name == name);
    own(schedule, of_name.cloned())
}

/// Looks at a schedule and its runs, and decides what starts.
pub(super) fn observe(
    ctx: &Ctx,
    schedule: &ScoringSchedule,
    checked: Checked,
    runs: Vec<Run>,
) -> Result<Observed, Error> {
    let now = ctx.now();
    let created = schedule.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let created = created.ok_or_else(|| incomplete(schedule, "metadata.creationTimestamp"))?;
    let invalid = matches!(checked, Checked::Invalid(_));
    let ticks = Ticks::parse(&schedule.spec.schedule, schedule.spec.time_zone.as_deref(), now).ok();
    let before = before(schedule, created, now);
    let plan = ticks.map(|ticks| plan(ticks, schedule, &before, invalid, &runs, created, now));
    Ok(Observed { now, runs, checked, before, plan })
}

fn plan(
    ticks: Ticks,
    schedule: &ScoringSchedule,
    before: &Before,
    invalid: bool,
    runs: &[Run],
    created: Timestamp,
    now: Timestamp,
) -> Plan {
    let spec = &schedule.spec;
    let jitter = jitter(spec, namespace_of(schedule), name_of(schedule));
    let catch_up = match spec.catch_up.policy {
        CatchUpPolicy::None => CatchUp::None,
        CatchUpPolicy::Latest => CatchUp::Latest,
        CatchUpPolicy::All => CatchUp::All(spec.catch_up.limit.unwrap_or(CATCH_UP_LIMIT)),
    };
    let concurrency = match spec.concurrency_policy {
        ConcurrencyPolicy::Forbid => Concurrency::Forbid,
        ConcurrencyPolicy::Allow => Concurrency::Allow,
        ConcurrencyPolicy::Replace => Concurrency::Replace,
    };
    let made: BTreeSet<Timestamp> = runs.iter().map(|run| run.tick).collect();
    let last_made = made.last().copied();
    let in_time = in_time(spec, namespace_of(schedule), name_of(schedule));
    let view = ScheduleView {
        now,
        created,
        decided: before.decided,
        waiting: before.waiting.clone(),
        made,
        suspended: spec.suspend,
        invalid,
        starting_deadline: in_time.saturating_sub(jitter),
        jitter,
        catch_up,
    };
    let due = ticks::due(&ticks, &view);
    let Due { present, next, .. } = due;
    let start = ticks::start(due, runs.iter().any(Run::goes_on), concurrency, catch_up);
    let seen = start.missed.iter().map(|(tick, _)| *tick).chain(start.run).chain(start.waiting.iter().copied());
    let decided = seen.max().max(last_made).max(before.decided);
    // A moment after the last one at which it could start.
    let late = start.waiting.last().filter(|_| invalid).and_then(|tick| tick.checked_add(in_time).ok());
    let late = late.and_then(|late| late.checked_add(SignedDuration::from_millis(1)).ok()).filter(|late| *late > now);
    Plan { ticks, caught_up: start.run != present, start, next, jitter, late, decided }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// An hourly schedule of generation 2, created at midnight, and hourly before.
    fn schedule(spec: &Value, status: &Value) -> ScoringSchedule {
        let mut object = json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringSchedule",
            "metadata": {"name": "hourly", "namespace": "plant", "uid": "u", "generation": 2},
            "spec": {
                "clusterRef": {"name": "cpu"}, "schedule": "@hourly", "store": {"url": "file:///mnt"},
                "model": {"path": "models/model_{device}"}, "data": {"path": "data/d.csv"},
            },
            "status": status,
        });
        for (key, value) in spec.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        if object["status"]["observedSchedule"].is_null() {
            object["status"]["observedSchedule"] = json!({"schedule": "@hourly"});
        }
        serde_json::from_value(object).unwrap()
    }

    fn run(tick: &str, condition: &str) -> Run {
        let object = json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun",
            "metadata": {"name": "r"}, "spec": {"scheduleName": "hourly", "tick": tick},
            "status": {"conditions": [{"type": condition, "status": "True", "reason": "R", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
        });
        Run { tick: at(tick), object: Arc::new(serde_json::from_value(object).unwrap()) }
    }

    fn decide(schedule: &ScoringSchedule, runs: &[Run], now: &str) -> Plan {
        decide_if(schedule, false, runs, now)
    }

    fn decide_if(schedule: &ScoringSchedule, invalid: bool, runs: &[Run], now: &str) -> Plan {
        let ticks = Ticks::parse(&schedule.spec.schedule, None, at(now)).unwrap();
        let (created, now) = (at("2026-01-01T00:00:00Z"), at(now));
        plan(ticks, schedule, &before(schedule, created, now), invalid, runs, created, now)
    }

    #[test]
    fn a_tick_runs_once_whether_the_status_or_only_the_run_tells_of_it() {
        let fresh = schedule(&json!({}), &json!({"observedGeneration": 2}));
        let first = decide(&fresh, &[], "2026-01-01T01:00:00.2Z");
        assert_eq!(first.start.run, Some(at("2026-01-01T01:00:00Z")));
        assert_eq!((first.decided, first.caught_up), (first.start.run, false));
        let told = schedule(&json!({}), &json!({"observedGeneration": 2, "decidedUntil": "2026-01-01T01:00:00Z"}));
        assert!(!decide(&told, &[], "2026-01-01T01:00:01Z").acts(&told));
        let died = decide(&fresh, &[run("2026-01-01T01:00:00Z", "Planned")], "2026-01-01T01:00:01Z");
        assert_eq!((died.acts(&fresh), died.decided), (false, Some(at("2026-01-01T01:00:00Z"))));
    }

    #[test]
    fn ticks_of_an_edited_schedule_that_passed_before_the_edit_are_none_of_its_own() {
        let before = json!({"observedGeneration": 1, "nextTick": "2026-01-01T13:00:00Z",
            "decidedUntil": "2026-01-01T12:00:00Z"});
        let edited = schedule(&json!({"schedule": "*/10 * * * *"}), &before);
        let plan = decide(&edited, &[], "2026-01-01T12:35:00Z");
        assert_eq!((plan.start.run, plan.start.missed.len()), (None, 0));
        // And stay so once the edit has been seen.
        let after = json!({"observedGeneration": 2, "observedSchedule": {"schedule": "*/10 * * * *"}, "nextTick": plan.next,
            "decidedUntil": plan.decided});
        let seen = schedule(&json!({"schedule": "*/10 * * * *"}), &after);
        let plan = decide(&seen, &[], "2026-01-01T12:36:00Z");
        assert_eq!((plan.start.run, plan.start.missed.len()), (None, 0));
        assert_eq!(decide(&seen, &[], "2026-01-01T12:40:00Z").start.run, Some(at("2026-01-01T12:40:00Z")));
    }

    #[test]
    fn an_edit_after_a_tick_and_before_anybody_looked_does_not_lose_the_tick() {
        let before = json!({"observedGeneration": 1, "nextTick": "2026-01-01T13:00:00Z"});
        let edited = schedule(&json!({"priority": 1}), &before);
        assert_eq!(decide(&edited, &[], "2026-01-01T13:00:01Z").start.run, Some(at("2026-01-01T13:00:00Z")));
    }

    #[test]
    fn ticks_that_passed_since_a_suspended_schedule_was_last_seen_are_those_of_the_schedule_that_is_resumed() {
        let before = json!({"observedGeneration": 1, "nextTick": "2026-01-01T13:00:00Z",
            "decidedUntil": "2026-01-01T12:00:00Z"});
        let resumed = schedule(&json!({"suspend": false}), &before);
        assert!(!decide(&resumed, &[], "2026-01-01T12:35:00Z").acts(&resumed));
        let plan = decide(&resumed, &[], "2026-01-01T14:20:00Z");
        let missed = ["2026-01-01T13:00:00Z", "2026-01-01T14:00:00Z"];
        assert_eq!(plan.start.missed, missed.map(|tick| (at(tick), ticks::Miss::TooLate)));
    }

    #[test]
    fn the_tick_of_an_invalid_schedule_waits_until_its_run_would_be_late_and_an_edit_does_not_lose_it() {
        let tick = at("2026-01-01T01:00:00Z");
        let fresh = schedule(&json!({}), &json!({"observedGeneration": 2}));
        let held = decide_if(&fresh, true, &[], "2026-01-01T01:00:00.2Z");
        assert_eq!((held.start.run, held.start.waiting.as_slice()), (None, [tick].as_slice()));
        assert_eq!(held.wake(), Some(at("2026-01-01T01:10:00.001Z")));
        let status = json!({"observedGeneration": 1, "nextTick": held.next, "decidedUntil": held.decided,
            "waiting": held.start.waiting});
        let schedule = schedule(&json!({}), &status);
        assert_eq!(decide(&schedule, &[], "2026-01-01T01:05:00Z").start.run, Some(tick));
        let late = decide_if(&schedule, true, &[], "2026-01-01T01:10:00.001Z");
        assert_eq!(late.start.missed, [(tick, ticks::Miss::Invalid)]);
        assert_eq!(late.wake(), Some(at("2026-01-01T02:00:00Z")));
    }

    #[test]
    fn a_run_that_goes_on_is_replaced_or_makes_the_tick_wait_or_miss() {
        let status = json!({"observedGeneration": 2, "decidedUntil": "2026-01-01T00:00:00Z"});
        let of = |spec: Value| {
            let runs = [run("2026-01-01T00:00:00Z", "Planned")];
            decide(&schedule(&spec, &status), &runs, "2026-01-01T01:00:01Z").start
        };
        let tick = at("2026-01-01T01:00:00Z");
        assert_eq!(of(json!({})).missed, [(tick, ticks::Miss::Forbidden)]);
        assert_eq!(of(json!({"catchUp": {"policy": "Latest"}})).waiting, [tick]);
        assert!(!of(json!({"concurrencyPolicy": "Allow"})).replace);
        let replaced = of(json!({"concurrencyPolicy": "Replace"}));
        assert_eq!((replaced.run, replaced.replace), (Some(tick), true));
    }

    #[test]
    fn what_waits_is_caught_up_when_no_run_goes_on() {
        let status = json!({"observedGeneration": 2, "decidedUntil": "2026-01-01T05:00:00Z",
            "waiting": ["2026-01-01T02:00:00Z", "2026-01-01T03:00:00Z"]});
        let schedule = schedule(&json!({"catchUp": {"policy": "All", "limit": 3}}), &status);
        let busy = decide(&schedule, &[run("2026-01-01T05:00:00Z", "Planned")], "2026-01-01T05:20:00Z");
        assert!(!busy.acts(&schedule));
        let idle = decide(&schedule, &[run("2026-01-01T05:00:00Z", "Complete")], "2026-01-01T05:20:00Z");
        assert_eq!((idle.start.run, idle.caught_up), (Some(at("2026-01-01T02:00:00Z")), true));
        assert_eq!(idle.start.waiting, [at("2026-01-01T03:00:00Z")]);
        assert_eq!(idle.decided, Some(at("2026-01-01T05:00:00Z")));
    }

    #[test]
    fn jitter_moves_the_start_and_neither_the_tick_nor_what_is_late() {
        let of = |now: &str| {
            let spec = json!({"jitter": "30m", "startingDeadlineSeconds": 60});
            let schedule = schedule(&spec, &json!({"observedGeneration": 2}));
            decide(&schedule, &[], now)
        };
        let plan = of("2026-01-01T01:00:00Z");
        let starts = plan.wake().unwrap();
        assert_eq!((plan.start.run, plan.next), (None, Some(at("2026-01-01T01:00:00Z"))));
        assert!(starts > at("2026-01-01T01:00:00Z") && starts < at("2026-01-01T01:30:00Z"), "{starts}");
        let tick = Some(at("2026-01-01T01:00:00Z"));
        assert_eq!(of(&starts.to_string()).start.run, tick);
        assert_eq!(of(&(starts + SignedDuration::from_secs(60)).to_string()).start.run, tick);
        assert_eq!(of(&(starts + SignedDuration::from_secs(61)).to_string()).start.run, None);
    }
}
