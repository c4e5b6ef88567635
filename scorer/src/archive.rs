//! Archiving: outcomes and pod ends become the record. Done twice, it leaves the same record.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use jiff::Timestamp;
use spec::report::{ArchiveReport, MAX_FAILURES, TrainingTotals};
use spec::request::{PodEnd, PodEnds};
use spec::{SensorKeys, Task};
use store::manifest::MAX_ITEMS;
use store::outcome::{self, Attempted};
use store::record::{ChallengerTotals, Record, StoreRequests, Timings, Totals, VERSION};
use store::{Attempt, Outcome, RequestCounts, Status};

use crate::context::{Context, StepError, shards};
use crate::retention;

mod announce;
mod drift;
mod logs;

use announce::announce;
use logs::Logs;

/// Requests under way at once.
const AT_ONCE: usize = 32;
/// How often an item may have been tried, as a bound on what is listed.
pub(crate) const ATTEMPTS: usize = 20;

/// The exit codes from here on say by which signal a container was ended.
const BY_SIGNAL: i32 = 128;
/// Kubernetes' word for a pod that went with its node, or was drained from it.
const DISRUPTED: &str = "DisruptionTarget";

/// Folds a run into its record.
///
/// # Errors
/// When the run has no manifest, or the store fails.
pub async fn archive(context: &Context, ends: &PodEnds) -> Result<(Record, ArchiveReport), StepError> {
    let before = context.store.requests();
    let manifest = context.manifest().await?;
    let store = &context.store;
    let shards = shards(store, &context.paths, &manifest).await?;
    let attempted = read_outcomes(context).await?;
    // What it asks of the store depends on how far an earlier try came, and the record must not.
    let spent = store.requests() - before;
    let logs = logs::close(context, &shards, &attempted, &ends.ends).await?;

    let mut best: BTreeMap<_, &Outcome> = BTreeMap::new();
    for outcome in attempted.iter().flat_map(|a| &a.outcomes) {
        let kept = best.entry(&outcome.sensor).or_insert(outcome);
        if rank(outcome) > rank(kept) {
            *kept = outcome;
        }
    }
    let killers = killers(&attempted, &ends.ends);
    let mut unfinished = 0_u32;
    let mut outcomes: Vec<Outcome> = shards
        .iter()
        .flat_map(|s| &s.items)
        .flat_map(|item| item.sensors.iter().map(move |sensor| (item.index, sensor)))
        .map(|(index, planned)| match best.get(&planned.sensor) {
            Some(outcome) if outcome.status.is_final() => (*outcome).clone(),
            last => {
                unfinished += 1;
                let killed = killers.get(&planned.sensor).copied();
                given_up(context, index, &planned.sensor, (last.copied(), killed), &ends.ends, &logs)
            }
        })
        .collect();
    drift::flag(context, &mut outcomes).await;
    let mut attempts: Vec<Attempt> = attempted.iter().filter_map(|a| a.attempt.clone()).collect();
    attempts.sort_by(|a, b| (a.index, a.started, &a.pod_uid).cmp(&(b.index, b.started, &b.pod_uid)));

    let mut totals = totals(&manifest, &outcomes, &attempted, &attempts, &ends.ends);
    totals.challenger = context.request.work.model.challenger.as_ref().map(|_| challenged(&outcomes));
    if let Some(spent) = &ends.spent {
        totals.node_seconds = Some(spent.node_seconds);
        (totals.cost, totals.currency) = (spent.cost, spent.currency.clone());
    }
    totals.training = (context.request.work.task == Task::Train).then(|| trained(&outcomes));
    let failed = outcomes.iter().filter(|o| o.status != Status::Succeeded);
    let mut failures: BTreeMap<String, u32> = BTreeMap::new();
    for outcome in failed.clone() {
        *failures.entry(outcome.reason.clone().unwrap_or_default()).or_default() += 1;
    }
    let first = failed.take(MAX_FAILURES).map(Outcome::to_failure).collect();
    let of_sensors =
        outcomes.iter().flat_map(|o| o.warnings.iter().map(move |warning| format!("sensor {}: {warning}", o.sensor)));
    let first_warning = of_sensors.clone().next();
    let warnings = manifest.warnings.iter().cloned().chain(of_sensors).take(MAX_FAILURES).collect();
    let request = &context.request;
    let record = Record {
        version: VERSION,
        namespace: request.namespace.clone(),
        schedule: request.schedule.clone(),
        run: request.run.clone(),
        run_uid: request.run_uid.clone(),
        tick: request.tick,
        window: request.window,
        rerun_failed_of: request.rerun_failed_of.clone(),
        changes: manifest.changes.clone(),
        manifest: store.uri(&context.paths.manifest()),
        predictions: store.uri(&context.paths.predictions()),
        logs: store.uri(&context.paths.logs()),
        timings: timings(&outcomes, &attempts, &ends.ends),
        totals,
        failures,
        warnings,
        store_requests: requests(manifest.store_requests, &attempts, spent),
        outcomes,
        attempts,
        pod_ends: ends.ends.clone(),
    };
    store.put_json(&context.paths.record(), "record", &record).await?;
    // Whether the run is Complete is the operator's to judge. What is known here: nothing is left that could have been
    // written, and something was.
    if unfinished == 0 && record.totals.succeeded > 0 && context.request.work.task == Task::Score {
        announce(context, &record).await?;
    }
    let report = ArchiveReport {
        sensors: record.totals.sensors,
        succeeded: record.totals.succeeded,
        failed: record.totals.failed,
        warned: record.totals.warned,
        // A sensor's name may be long, and the termination message is not.
        warning: first_warning.map(|warning| warning.chars().take(256).collect()),
        rows: record.totals.scored,
        anomalies: record.totals.anomalies,
        training: record.totals.training,
        pod_seconds: record.totals.pod_seconds,
        record: store.uri(&context.paths.record()),
        logs: record.logs.clone(),
        failures: first,
        // Last, since it may take its time.
        retention: retention::retain(context, retention::BUDGET).await,
        error: None,
    };
    Ok((record, report))
}

/// What the attempts of this run left; those of another run of the same name are no part of it.
async fn read_outcomes(context: &Context) -> Result<Vec<Attempted>, StepError> {
    let store = &context.store;
    let files = store.list(&context.paths.outcomes(), MAX_ITEMS as usize * ATTEMPTS).await?;
    let read: Vec<Option<Attempted>> = futures::stream::iter(files.into_iter().map(Ok::<_, StepError>))
        .map_ok(|file| async move {
            let bytes = store.get(&file.path, outcome::MAX_BYTES).await?;
            Ok(Attempted::from_ndjson(&bytes)
                .inspect_err(
                    |error| tracing::warn!(path = file.path, %error, "outcomes that cannot be read are ignored"),
                )
                .ok())
        })
        .try_buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(read.into_iter().flatten().filter(|a| a.run_uid == context.request.run_uid).collect())
}

/// Success before failure before neither; then the later one.
fn rank(outcome: &Outcome) -> (u8, Timestamp) {
    let status = match outcome.status {
        Status::Succeeded => 2,
        Status::Failed => 1,
        Status::Retry => 0,
    };
    (status, outcome.started)
}

/// In how many attempts that were killed then a sensor alone was under way. One that ended itself may lack the end of its
/// outcomes because the store did not take it, and one whose node went is not a sensor's fault.
fn killers<'a>(attempted: &'a [Attempted], ends: &[PodEnd]) -> BTreeMap<&'a SensorKeys, u32> {
    let is_blameless = |end: &PodEnd| end.exit_code.is_some_and(|code| code < BY_SIGNAL) || end.reason == DISRUPTED;
    let blameless: BTreeSet<&str> = ends.iter().filter(|end| is_blameless(end)).map(|end| end.uid.as_str()).collect();
    let mut killers = BTreeMap::new();
    let killed = attempted.iter().filter(|attempted| attempted.attempt.is_none());
    for under_way in killed.filter_map(|attempted| attempted.under_way.as_ref()).filter(|under_way| under_way.alone) {
        if let [sensor] = under_way.sensors.as_slice()
            && !blameless.contains(under_way.pod_uid.as_str())
        {
            *killers.entry(sensor).or_default() += 1;
        }
    }
    killers
}

/// The outcome of a sensor that no attempt finished: how the last pod ended is why. `killed`: pods that did while it alone
/// was under way.
fn given_up(
    context: &Context,
    index: u32,
    sensor: &SensorKeys,
    (last, killed): (Option<&Outcome>, Option<u32>),
    ends: &[PodEnd],
    logs: &Logs,
) -> Outcome {
    let end = ends.iter().rev().find(|e| e.index == index);
    let end_says = end.map(|e| {
        let code = e.exit_code.map_or_else(String::new, |c| format!(", exit code {c}"));
        let node = if e.node.is_empty() { "no node".to_owned() } else { format!("node {}", e.node) };
        let why = if e.details.message.is_empty() { String::new() } else { format!(" ({})", e.details.message) };
        format!("its last pod {} on {node} ended: {}{code}{why}", e.pod, e.reason)
    });
    // What the last pod said itself comes first.
    let said = last.filter(|outcome| killed.is_none() || end.is_none_or(|end| end.uid == outcome.pod_uid));
    let (reason, message) = match (said, killed) {
        (None, Some(pods)) => {
            let pods = if pods == 1 { "a pod".to_owned() } else { format!("{pods} pods") };
            let end = end_says.map_or_else(String::new, |e| format!("; {e}"));
            ("PodFailed".to_owned(), format!("sensor {sensor}: {pods} died while it alone was worked on{end}"))
        }
        (Some(o), _) => {
            let what = o.message.clone().unwrap_or_else(|| format!("sensor {sensor}"));
            let end = end_says.map_or_else(String::new, |e| format!("; {e}"));
            (o.reason.clone().unwrap_or_else(|| "NoOutcome".to_owned()), format!("{what}; no attempt is left{end}"))
        }
        (None, None) => {
            let why = end_says.unwrap_or_else(|| "no pod of it had started when the run ended".to_owned());
            ("NoOutcome".to_owned(), format!("sensor {sensor}: item {index} left no outcome for it: {why}"))
        }
    };
    let started = end.and_then(|e| e.started).unwrap_or(context.request.tick);
    let mut outcome = last.cloned().unwrap_or_else(|| {
        let mut none = crate::item::empty_outcome(sensor.clone(), Status::Failed, started, started);
        none.index = index;
        none.pod_uid = end.map(|e| e.uid.clone()).unwrap_or_default();
        none.node = end.map(|e| e.node.clone()).unwrap_or_default();
        none
    });
    outcome.status = Status::Failed;
    outcome.reason = Some(reason);
    outcome.message = Some(message);
    outcome.log = outcome.log.or_else(|| logs.of(context, sensor, &end?.uid));
    outcome
}

fn totals(
    manifest: &store::ManifestIndex,
    outcomes: &[Outcome],
    attempted: &[Attempted],
    attempts: &[Attempt],
    ends: &[PodEnd],
) -> Totals {
    let mut totals = Totals { sensors: manifest.sensors, items: manifest.items, ..Totals::default() };
    for outcome in outcomes {
        if outcome.status == Status::Succeeded {
            totals.succeeded += 1;
        } else {
            totals.failed += 1;
        }
        totals.warned += u32::from(!outcome.warnings.is_empty());
        totals.drifted += u32::from(!outcome.drift.is_empty());
        totals.rows += outcome.rows;
        totals.scored += outcome.scored;
        totals.anomalies += outcome.anomalies;
        totals.bad_rows += outcome.bad_rows;
    }
    let ended: BTreeSet<(u32, &str)> = ends.iter().map(|e| (e.index, e.uid.as_str())).collect();
    let mut all = ended.clone();
    all.extend(attempted.iter().filter_map(|a| a.outcomes.first()).map(|o| (o.index, o.pod_uid.as_str())));
    all.extend(attempted.iter().filter_map(|a| a.under_way.as_ref()).map(|u| (u.index, u.pod_uid.as_str())));
    all.extend(attempts.iter().map(|a| (a.index, a.pod_uid.as_str())));
    totals.attempts = u32::try_from(all.len()).unwrap_or(u32::MAX);
    let by_kubernetes: f64 =
        ends.iter().filter_map(|e| Some(e.ended?.duration_since(e.started?).as_secs_f64().max(0.0))).sum();
    let by_themselves: f64 =
        attempts.iter().filter(|a| !ended.contains(&(a.index, a.pod_uid.as_str()))).map(|a| a.seconds).sum();
    totals.pod_seconds = (by_kubernetes + by_themselves).ceil() as u64;
    totals
}

/// What the challengers of a run did.
fn challenged(outcomes: &[Outcome]) -> ChallengerTotals {
    outcomes.iter().filter_map(|outcome| outcome.challenger.as_ref()).fold(ChallengerTotals::default(), |sum, one| {
        ChallengerTotals {
            sensors: sum.sensors + u32::from(one.reason.is_none()),
            failed: sum.failed + u32::from(one.reason.is_some()),
            scored: sum.scored + one.scored,
            anomalies: sum.anomalies + one.anomalies,
            disagreements: sum.disagreements + one.compared.map_or(0, |compared| compared.disagreements),
        }
    })
}

/// What became of the models of a run that trains.
fn trained(outcomes: &[Outcome]) -> TrainingTotals {
    let count = |which: &dyn Fn(&Outcome) -> bool| {
        u32::try_from(outcomes.iter().filter(|outcome| which(outcome)).count()).unwrap_or(u32::MAX)
    };
    TrainingTotals {
        trained: count(&|outcome| outcome.training.is_some()),
        promoted: count(&|outcome| outcome.training.as_ref().is_some_and(|trained| trained.promoted)),
        refused: count(&|outcome| outcome.reason.as_deref() == Some("ModelDegenerate")),
    }
}

fn timings(outcomes: &[Outcome], attempts: &[Attempt], ends: &[PodEnd]) -> Timings {
    let ended_at =
        |a: &Attempt| a.started.checked_add(jiff::SignedDuration::from_millis((a.seconds * 1e3) as i64)).ok();
    let first_started = attempts.iter().map(|a| a.started).chain(ends.iter().filter_map(|e| e.started)).min();
    let last_ended = attempts.iter().filter_map(ended_at).chain(ends.iter().filter_map(|e| e.ended)).max();
    let mut seconds: Vec<f64> = outcomes.iter().map(|o| o.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let at = |share: usize| {
        seconds.get((seconds.len() * share).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
    };
    Timings {
        first_started,
        last_ended,
        seconds: first_started.zip(last_ended).map(|(from, to)| to.duration_since(from).as_secs_f64()),
        sensor_seconds: seconds.iter().sum(),
        sensor_p50: at(50),
        sensor_p95: at(95),
    }
}

fn requests(plan: RequestCounts, attempts: &[Attempt], archive: RequestCounts) -> StoreRequests {
    let mut items = RequestCounts::default();
    attempts.iter().for_each(|a| items += a.store_requests);
    StoreRequests { plan, items, archive, total: plan.total() + items.total() + archive.total() }
}

#[cfg(test)]
mod tests {
    use spec::request::PodEnd;
    use store::outcome::UnderWay;

    use super::*;

    #[test]
    fn only_a_pod_that_was_killed_is_a_sensors_fault() {
        let sensor: SensorKeys = [("device", "a")].into_iter().collect();
        let under_way = UnderWay { index: 0, pod_uid: "try-1".to_owned(), sensors: vec![sensor.clone()], alone: true };
        let attempted = [Attempted { under_way: Some(under_way), ..Attempted::default() }];
        for (reason, exit_code, killed) in [
            ("OOMKilled", Some(137), true),
            ("Vanished", None, true),
            ("Error", Some(75), false),
            ("Error", Some(69), false),
            ("DisruptionTarget", None, false),
        ] {
            let end = serde_json::json!({"pod": "p", "uid": "try-1", "index": 0, "node": "n", "reason": reason, "exitCode": exit_code});
            let end: PodEnd = serde_json::from_value(end).unwrap();
            assert_eq!(killers(&attempted, &[end]).contains_key(&sensor), killed, "{reason} {exit_code:?}");
        }
    }
}
