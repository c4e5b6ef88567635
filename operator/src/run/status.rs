//! The status of a run.

use crds::run::{SensorCounts, Uris};
use crds::{Condition, ScoringRun, ScoringRunStatus};
use kube::runtime::events::EventType;
use kube::{Api, Resource};
use planner::run::{Action, Finish, Tally, Verdict, state, stop, stopped, verdict};
use spec::report::{Deleted, TrainingTotals};

use super::MANAGER;
use super::complete;
use super::ends::{self, Told};
use super::observe::Observed;
use super::pods::Trouble;
use super::store;
use crate::conditions::{Conditions, find, is_true, whole_seconds};
use crate::context::{Ctx, name_of, namespace_of};
use crate::{Category, Error};

/// The condition of a run that cannot have something that it needs.
pub(super) const STALLED: &str = "Stalled";

/// Writes the status, if it changed. Slots and node-seconds are the cluster controller's.
pub(super) async fn write(ctx: &Ctx, run: &ScoringRun, wanted: &ScoringRunStatus) -> Result<bool, Error> {
    let api: Api<ScoringRun> = Api::namespaced(ctx.client.clone(), namespace_of(run));
    let current = run.status.clone().map(own);
    MANAGER.status(&api, run, current.as_ref(), wanted).await
}

/// Writes of an ended run that its spec, which may still be cancelled, was seen: who waits for an edit to be observed
/// would wait for ever.
pub(super) async fn observe_generation(ctx: &Ctx, run: &ScoringRun) -> Result<(), Error> {
    let seen = as_seen(run);
    write(ctx, run, &seen).await.map(drop)
}

/// The status as it is, of the spec as it is.
pub(super) fn as_seen(run: &ScoringRun) -> ScoringRunStatus {
    let current = run.status.clone().unwrap_or_default();
    ScoringRunStatus { observed_generation: run.metadata.generation, ..own(current) }
}

/// Without what the cluster's controller writes.
fn own(status: ScoringRunStatus) -> ScoringRunStatus {
    ScoringRunStatus {
        slots: None,
        node_seconds: None,
        node_seconds_as_of: None,
        node_seconds_final: false,
        cost: None,
        currency: None,
        ..status
    }
}

/// Tells people how a run ended, by an event and in the log.
pub(super) async fn tell_end(ctx: &Ctx, run: &ScoringRun, ended: &ScoringRunStatus) {
    let state = ended.state.as_deref().unwrap_or_default();
    let is = find(&ended.conditions, state);
    let (reason, message) = is.map_or(("", ""), |c| (c.reason.as_str(), c.message.as_str()));
    tracing::info!(run = name_of(run), state, reason, "{message}");
    let about = run.object_ref(&());
    match state {
        "Complete" => ctx.events.normal(&about, reason, "Finish", message).await,
        _ => ctx.events.warning(&about, reason, "Finish", message).await,
    }
}

/// Tells people what the run's archiving deleted from the store by the schedule's `retention`.
pub(super) async fn tell_retention(ctx: &Ctx, run: &ScoringRun, deleted: &Deleted) {
    let about = run.object_ref(&());
    for (type_, reason, note) in of_retention(deleted) {
        ctx.events.publish(type_, &about, reason, "Retain", &note).await;
    }
}

/// The events of a sweep: type, reason, and note.
fn of_retention(deleted: &Deleted) -> Vec<(EventType, &'static str, String)> {
    let applied = (!deleted.is_none() || deleted.more).then(|| deleted.applied());
    let failed = deleted.problem.as_ref().map(|problem| format!("{}: {}", problem.reason, problem.message));
    let applied = applied.map(|note| (EventType::Normal, "RetentionApplied", note));
    applied.into_iter().chain(failed.map(|note| (EventType::Warning, "RetentionFailed", note))).collect()
}

/// The status as it should be after these actions.
pub(super) fn wanted(
    run: &ScoringRun,
    observed: &Observed,
    done: &[Action],
    finish: Option<Finish>,
    failure: Option<&Error>,
) -> ScoringRunStatus {
    let current = run.status.clone().unwrap_or_default();
    let view = &observed.view;
    let generation = run.metadata.generation;
    let mut conditions = Conditions::of(&current.conditions, generation, view.now);
    let given_up = finish.is_some_and(|finish| finish != Finish::Archived || view.unfolded > 0);
    stalled(&mut conditions, &current.conditions, failure, given_up);
    store::record(&mut conditions, &current.conditions, observed.store.as_ref());
    let mut status = as_seen(run);
    status.tick = Some(observed.tick);
    status.started.get_or_insert_with(|| whole_seconds(view.now));
    if let Some(frozen) = &observed.frozen {
        status.cluster = Some(frozen.schedule.cluster_ref.name.clone());
        status.window = frozen.request.window;
    }
    let trouble = observed.trouble.as_ref();
    if let Some(report) = observed.plan.as_ref().filter(|_| done.contains(&Action::RecordPlan)) {
        status.items = Some(report.items);
        status.sensors = Some(SensorCounts { total: report.sensors, waiting: report.sensors, ..Default::default() });
        status.uris.get_or_insert_default().manifest = Some(report.manifest.clone());
        let changes = report.changes.as_ref().map_or_else(String::new, |changes| {
            format!("; since {}: {} new, {} vanished", changes.since, changes.new, changes.vanished)
        });
        let message = format!("{} sensors in {} items{changes}", report.sensors, report.items);
        conditions.set("Planned", true, "Planned", message);
        complete::record(&mut conditions, observed.frozen.as_ref().map(|frozen| &frozen.request), report);
    } else if view.planned.is_none() {
        let (reason, message) = told(trouble, "Planning", "finding the sensors");
        conditions.set("Planned", false, reason, message);
    }
    if view.planned.is_some() {
        admitted(observed, &mut conditions);
        let total = status.sensors.as_ref().map_or(0, |sensors| sensors.total);
        let Told { sensors, failures, pod_seconds } = ends::count(&observed.ends, total);
        status.sensors = Some(sensors);
        status.failed_sensors = failures;
        status.pod_seconds = Some(pod_seconds);
    }
    let word = match finish {
        Some(finish) => end(&mut status, &mut conditions, observed, finish),
        None => {
            let word = if done.contains(&Action::RecordPlan) { "Waiting" } else { state(view) };
            if word == "Archiving" {
                let (reason, message) = told(trouble, "Archiving", "writing the record");
                conditions.set("Archived", false, reason, message);
            }
            let (reason, message) = told(trouble.filter(|_| word != "Planning"), word, "");
            conditions.set("Complete", false, reason, message);
            word
        }
    };
    status.state = Some(word.to_owned());
    if let Some(sensors) = &status.sensors {
        status.progress = Some(format!("{}/{}", sensors.succeeded + sensors.failed, sensors.total));
    }
    status.conditions = conditions.into_vec();
    status
}

/// Since when something fails is found again in the condition, by whichever process looks next. Nothing is written of a
/// run that goes well, nor of what is over by the next look: somebody else was faster, or an object went away. What a run
/// ended for is still in its way.
fn stalled(conditions: &mut Conditions, current: &[Condition], failure: Option<&Error>, given_up: bool) {
    match failure.map(|error| (error.category(), error)) {
        Some((Category::Conflict | Category::Gone, _)) => {}
        Some((category, error)) => drop(conditions.set(STALLED, true, category.as_str(), error.to_string())),
        None if is_true(current, STALLED) && !given_up => drop(conditions.set(STALLED, false, "GoesOn", "")),
        None => {}
    }
}

fn told<'a>(trouble: Option<&'a Trouble>, reason: &'a str, message: &'a str) -> (&'a str, &'a str) {
    trouble.map_or((reason, message), |t| (t.reason.as_str(), t.message.as_str()))
}

fn admitted(observed: &Observed, conditions: &mut Conditions) {
    let view = &observed.view;
    match view.job {
        Some(_) => conditions.set("Admitted", true, "SlotsGiven", ""),
        None if view.admitted => return,
        None if view.slots > 0 => conditions.set("Admitted", false, "SlotsGiven", "the Job is being made"),
        None => {
            let trouble = observed.trouble.as_ref();
            let (reason, message) = told(trouble, "WaitingForSlots", "the ScoringCluster has given no slots yet");
            conditions.set("Admitted", false, reason, message)
        }
    };
}

/// Records how the run ended, and gives its last state.
fn end(
    status: &mut ScoringRunStatus,
    conditions: &mut Conditions,
    observed: &Observed,
    finish: Finish,
) -> &'static str {
    let view = &observed.view;
    status.ended = Some(whole_seconds(view.now));
    let failed = |reason: &str, message: &str| (false, reason.to_owned(), message.to_owned());
    let trouble = observed.trouble.as_ref();
    let nothing = "there is nothing to archive: the run was not planned";
    let (complete, reason, message) = match finish {
        Finish::Archived => {
            let Verdict { complete, reason, message } = archived(status, observed);
            let record = status.uris.as_ref().and_then(|uris| uris.record.clone()).unwrap_or_default();
            match view.unfolded {
                0 => conditions.set("Archived", true, "Archived", record),
                pods => {
                    let (_, why) = told(trouble, "", "they could not be written down");
                    let message = format!("{record}; how {pods} pods ended is missing in it: {why}");
                    conditions.set("Archived", true, "EndsMissing", message)
                }
            };
            warned(conditions, observed);
            (complete, reason.to_owned(), message)
        }
        Finish::NotArchived if view.closing => {
            let message = "the run has no record: nothing can be created in a namespace that is being deleted";
            conditions.set("Archived", false, "NamespaceTerminating", message);
            failed("NamespaceTerminating", message)
        }
        Finish::NotArchived => {
            let (reason, message) = told(trouble, "ArchiveTimedOut", "the archive pod did not end in time");
            conditions.set("Archived", false, reason, message);
            let message = format!("the run has no record, since it could not be archived: {message}");
            let stop = stop(view).map_or("NotArchived", |stop| stop.reason());
            failed(stop, &message)
        }
        Finish::JobRefused => {
            conditions.set("Archived", false, "NothingToArchive", "there is nothing to archive: no pod was started");
            let (reason, message) = told(trouble, "Rejected", "it says no more");
            failed(reason, &format!("the API server refuses the run's Job: {message}"))
        }
        Finish::StoppedBeforePlan(stop) => {
            conditions.set("Archived", false, "NothingToArchive", nothing);
            let (_, message) = told(trouble, "", "no plan was made by then");
            failed(stop.reason(), &format!("{} before it was planned: {message}", stop.clause()))
        }
        Finish::Refused | Finish::PlanFailed => {
            conditions.set("Archived", false, "NothingToArchive", nothing);
            let (reason, message) = told(trouble, "PlanFailed", "the plan pod failed");
            failed(reason, message)
        }
    };
    conditions.set("Complete", complete, &reason, message.clone());
    if !complete {
        conditions.set("Failed", true, &reason, message);
    }
    if complete { "Complete" } else { "Failed" }
}

/// Says so if sensors were scored with models or readings that are not to be trusted.
fn warned(conditions: &mut Conditions, observed: &Observed) {
    let Some(report) = observed.archive.as_ref().filter(|report| report.warned > 0) else { return };
    let first = report.warning.as_deref().unwrap_or_default();
    let done = if report.training.is_some() { "trained" } else { "scored" };
    let message = format!("{} of {} sensors were {done} with warnings: {first}", report.warned, report.sensors);
    conditions.set("Warned", true, "SensorsWarned", message);
}

/// Takes over what the archive counted, and judges the run by it.
fn archived(status: &mut ScoringRunStatus, observed: &Observed) -> Verdict {
    let report = observed.archive.clone().unwrap_or_default();
    let waiting = report.sensors.saturating_sub(report.succeeded).saturating_sub(report.failed);
    let counts = SensorCounts { total: report.sensors, succeeded: report.succeeded, failed: report.failed, waiting };
    let tally = Tally { total: report.sensors, failed: report.sensors.saturating_sub(report.succeeded) };
    status.sensors = Some(counts);
    status.rows = Some(report.rows);
    status.anomalies = Some(report.anomalies);
    status.pod_seconds = Some(report.pod_seconds);
    status.failed_sensors = report.failures;
    let manifest = status.uris.take().and_then(|uris| uris.manifest);
    status.uris = Some(Uris { manifest, record: Some(report.record), logs: Some(report.logs) });
    let allowed = observed.frozen.as_ref().and_then(|frozen| frozen.schedule.max_failed_sensors);
    let mut verdict = verdict(tally, allowed, stopped(&observed.view));
    if let Some(TrainingTotals { trained, promoted, refused }) = report.training.filter(|_| verdict.complete) {
        let refused = if refused > 0 { format!(", {refused} refused as degenerate") } else { String::new() };
        verdict.message = format!("{trained} of {} models trained, {promoted} promoted{refused}", report.sensors);
    }
    verdict
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn refused(code: u16) -> Error {
        let answer = kube::core::Status { code, message: "exceeded quota: few".into(), ..Default::default() };
        let key = kube::runtime::reflector::ObjectRef::<ScoringRun>::new("hourly-1");
        Error::api("create", &key)(kube::Error::Api(Box::new(answer)))
    }

    #[test]
    fn what_was_deleted_and_what_could_not_be_are_an_event_each_and_nothing_is_none() {
        let denied = spec::report::Failure { reason: "AccessDenied".into(), message: "logs/plant: 403".into() };
        let told = |deleted: &Deleted| -> Vec<(&str, String)> {
            of_retention(deleted).into_iter().map(|(_, reason, note)| (reason, note)).collect()
        };
        let applied = Deleted { runs: 2, logs: 30, ..Deleted::default() };
        assert_eq!(told(&Deleted::default()), []);
        assert_eq!(told(&applied), [("RetentionApplied", applied.applied())]);
        let partly = Deleted { problem: Some(denied.clone()), ..applied };
        let failed = ("RetentionFailed", "AccessDenied: logs/plant: 403".to_owned());
        assert_eq!(told(&partly), [("RetentionApplied", partly.applied()), failed.clone()]);
        assert_eq!(told(&Deleted { problem: Some(denied), ..Deleted::default() }), [failed]);
        assert_eq!(told(&Deleted { more: true, ..Deleted::default() })[0].0, "RetentionApplied");
    }

    #[test]
    fn of_an_ended_run_that_is_cancelled_only_the_generation_is_new() {
        let run = |generation: i64, seen: i64, slots: Option<u32>| -> ScoringRun {
            serde_json::from_value(serde_json::json!({
                "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun",
                "metadata": {"name": "r", "generation": generation}, "spec": {"scheduleName": "s", "cancel": true},
                "status": {"observedGeneration": seen, "state": "Complete", "items": 3, "slots": slots,
                    "nodeSeconds": slots, "nodeSecondsFinal": slots.is_some(), "cost": slots},
            }))
            .unwrap()
        };
        assert_eq!(as_seen(&run(2, 1, Some(3))), run(2, 2, None).status.unwrap());
    }

    fn told_at(before: &[Condition], second: i64, failure: Option<&Error>, given_up: bool) -> Vec<Condition> {
        let mut conditions = Conditions::of(before, None, Timestamp::from_second(second).unwrap());
        stalled(&mut conditions, before, failure, given_up);
        conditions.into_vec()
    }

    #[test]
    fn a_run_tells_since_when_it_is_refused_what_it_needs() {
        let first = told_at(&[], 100, Some(&refused(403)), false);
        assert_eq!((first[0].reason.as_str(), first[0].status.as_str()), ("Forbidden", "True"));
        assert!(first[0].message.contains("exceeded quota: few"), "{}", first[0].message);
        let later = told_at(&first, 160, Some(&refused(422)), false);
        assert_eq!((later[0].reason.as_str(), later[0].last_transition_time.as_second()), ("Rejected", 100));
        assert_eq!(told_at(&later, 170, None, false)[0].status, "False");
    }

    #[test]
    fn of_a_run_that_goes_well_or_was_only_outrun_nothing_is_written() {
        assert_eq!(told_at(&[], 100, None, false), []);
        assert_eq!(told_at(&[], 100, Some(&refused(409)), false), []);
        assert_eq!(told_at(&[], 100, Some(&refused(404)), false), []);
    }

    #[test]
    fn a_run_that_ends_for_what_is_refused_does_not_say_that_it_goes_on() {
        let before = told_at(&[], 100, Some(&refused(403)), false);
        assert_eq!(told_at(&before, 160, None, true), before);
        assert_eq!(told_at(&[], 160, None, true), []);
    }
}
