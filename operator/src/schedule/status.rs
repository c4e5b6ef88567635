//! The status of a schedule.

use crds::cost::LastRunCost;
use crds::schedule::{MissedTick, ObservedSchedule, ScoringScheduleStatus};
use crds::{Condition, ScoringRun, ScoringSchedule};
use jiff::Timestamp;
use kube::{Api, Resource};
use serde_json::{Map, Value};

use super::history::Run;
use super::observe::Checked;
use super::validate::Invalid;
use super::{MANAGER, Observed, UNKNOWN};
use crate::Error;
use crate::conditions::{Conditions, find, whole_seconds};
use crate::context::{Ctx, name_of, namespace_of};
use crate::guard::Guard;

/// How many ticks wait at most.
const MOST_WAITING: usize = 1_000;

/// Writes the status, if it changed.
pub(super) async fn write(ctx: &Ctx, schedule: &ScoringSchedule, observed: &Observed) -> Result<(), Error> {
    let current = own(schedule.status.clone().unwrap_or_default());
    let wanted = wanted(schedule, &current, observed);
    // What is wrong with the spec comes back in the answer, too.
    let api: Api<Guard<ScoringSchedule>> = Api::namespaced(ctx.client.clone(), namespace_of(schedule));
    MANAGER.status(&api, schedule, schedule.status.clone().map(own).as_ref(), &wanted).await?;
    if let Checked::Invalid(invalid) = &observed.checked
        && find(&current.conditions, "Valid").is_none_or(|valid| valid.reason != invalid.reason())
    {
        let about = schedule.object_ref(&());
        ctx.events.warning(&about, invalid.reason(), "Validate", &invalid.to_string()).await;
    }
    Ok(())
}

/// Without what the cluster's controller writes.
fn own(status: ScoringScheduleStatus) -> ScoringScheduleStatus {
    ScoringScheduleStatus { cost: None, ..status }
}

fn wanted(schedule: &ScoringSchedule, current: &ScoringScheduleStatus, observed: &Observed) -> ScoringScheduleStatus {
    let generation = schedule.metadata.generation;
    let mut conditions = Conditions::of(&current.conditions, generation, observed.now);
    let observed_schedule = Some(ObservedSchedule::of(&schedule.spec));
    let mut status = ScoringScheduleStatus { observed_generation: generation, observed_schedule, ..current.clone() };
    match &observed.plan {
        Some(plan) => {
            status.next_tick = plan.next;
            status.last_scheduled_tick = status.last_scheduled_tick.max(plan.start.run);
            status.waiting.clone_from(&plan.start.waiting);
            status.decided_until = plan.decided;
            if let Some((tick, miss)) = plan.start.missed.last() {
                let (reason, time) = (miss.reason().to_owned(), Some(whole_seconds(observed.now)));
                status.last_missed = Some(MissedTick { tick: *tick, reason, time });
            }
        }
        None => {
            // What passed before the edit by which ticks are not known any more waits for the next edit.
            status.waiting.clone_from(&observed.before.waiting);
            status.waiting.drain(..status.waiting.len().saturating_sub(MOST_WAITING));
            status.decided_until = observed.before.decided;
            status.next_tick = None;
        }
    }
    match &observed.checked {
        Checked::Valid => conditions.set("Valid", true, "Valid", ""),
        Checked::Doubtful(reason, message) => conditions.set("Valid", true, reason, message),
        Checked::Invalid(invalid) => conditions.set("Valid", false, invalid.reason(), sentence(observed, invalid)),
    };
    let suspended = schedule.spec.suspend;
    let (reason, message) = match suspended {
        true => ("Suspended", "spec.suspend is true: no runs are started"),
        false => ("NotSuspended", ""),
    };
    conditions.set("Suspended", suspended, reason, message);
    status.active = names(observed.runs.iter().filter(|run| run.goes_on()));
    // A tick that a process ran but died before it could say so is known by its run.
    let run = observed.runs.iter().map(|run| run.tick).max();
    status.last_scheduled_tick = status.last_scheduled_tick.max(run);
    let complete = observed.runs.iter().filter(|run| run.complete()).map(|run| run.tick).max();
    status.last_successful_tick = status.last_successful_tick.max(complete);
    if let Some(last) = observed.runs.iter().filter(|run| run.ended()).max_by_key(|run| run.tick) {
        let end = end_of(last);
        let reason = end.map_or("Ended", |end| end.reason.as_str());
        let message = format!("{}: {}", name_of(&*last.object), end.map_or("", |end| end.message.as_str()));
        conditions.set("LastRunSucceeded", last.complete(), reason, message);
        status.last_run_cost = cost_of(&last.object).or(status.last_run_cost);
    }
    status.conditions = conditions.into_vec();
    status
}

/// The status of a schedule that nobody can read: what passed before waits for it to be corrected, and then its ticks count
/// from that edit on.
pub(super) fn ticks_lost(status: &mut Map<String, Value>, now: Timestamp) {
    let Ok(mut kept) = serde_json::from_value::<ScoringScheduleStatus>(Value::Object(status.clone())) else { return };
    let passed = kept.next_tick.filter(|next| *next <= now && kept.decided_until < Some(*next));
    kept.waiting.extend(passed.filter(|_| kept.waiting.len() < MOST_WAITING));
    kept.decided_until = kept.decided_until.max(passed);
    (kept.next_tick, kept.observed_schedule) = (None, None);
    if let Ok(Value::Object(kept)) = serde_json::to_value(kept) {
        *status = kept;
    }
}

/// What is wrong, and what that means for ticks.
fn sentence(observed: &Observed, invalid: &Invalid) -> String {
    match observed.plan {
        Some(_) => format!("{invalid}; until then no runs are started"),
        None => format!("{invalid}; {UNKNOWN}"),
    }
}

/// What the nodes were for a run, once that is known for good.
fn cost_of(run: &ScoringRun) -> Option<LastRunCost> {
    let status = run.status.as_ref().filter(|status| status.node_seconds_final)?;
    let (cost, currency) = (status.cost, status.currency.clone());
    Some(LastRunCost { run: name_of(run).to_owned(), node_seconds: status.node_seconds?, cost, currency })
}

fn end_of(run: &Run) -> Option<&Condition> {
    let conditions = &run.object.status.as_ref()?.conditions;
    find(conditions, if run.complete() { "Complete" } else { "Failed" })
}

fn names<'a>(runs: impl Iterator<Item = &'a Run>) -> Vec<String> {
    let mut names: Vec<String> = runs.map(|run| name_of(&*run.object).to_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_nodes_were_for_the_last_run_is_told_once_it_is_known_for_good_and_their_sum_is_anothers() {
        let run = |told: bool| -> ScoringRun {
            serde_json::from_value(json!({
                "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun",
                "metadata": {"name": "line-1"}, "spec": {"scheduleName": "line"},
                "status": {"nodeSeconds": 90, "nodeSecondsFinal": told, "cost": "0.0048", "currency": "EUR"},
            }))
            .unwrap()
        };
        assert_eq!(cost_of(&run(false)), None);
        let told = json!({"run": "line-1", "nodeSeconds": 90, "cost": "0.0048", "currency": "EUR"});
        assert_eq!(json!(cost_of(&run(true))), told);
        let status = json!({"active": ["line-2"], "lastRunCost": told,
            "cost": {"month": "2026-11", "nodeSeconds": 900, "asOf": "2026-11-10T00:00:00Z"}});
        let kept = json!(own(serde_json::from_value(status).unwrap()));
        assert_eq!(kept, json!({"active": ["line-2"], "lastRunCost": told}));
    }

    #[test]
    fn of_a_schedule_that_nobody_can_read_no_tick_is_told_and_the_one_that_passed_waits() {
        let status = json!({"observedGeneration": 1, "observedSchedule": {"schedule": "@hourly"}, "active": ["line-1"],
            "nextTick": "2026-01-01T13:00:00Z", "decidedUntil": "2026-01-01T12:00:00Z"});
        let lost = |now: &str| {
            let mut status = status.as_object().unwrap().clone();
            ticks_lost(&mut status, now.parse().unwrap());
            Value::Object(status)
        };
        let none = json!({"observedGeneration": 1, "active": ["line-1"], "decidedUntil": "2026-01-01T12:00:00Z"});
        assert_eq!(lost("2026-01-01T12:59:00Z"), none);
        let passed = json!({"observedGeneration": 1, "active": ["line-1"], "decidedUntil": "2026-01-01T13:00:00Z",
            "waiting": ["2026-01-01T13:00:00Z"]});
        assert_eq!(lost("2026-01-01T13:00:01Z"), passed);
    }
}
