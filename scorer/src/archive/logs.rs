//! How pods ended that did not say so themselves, in the logs of what they worked on: only Kubernetes knows it.
//!
//! Such a pod's logs that lack their last line get it. Where it left none such, one is made for the sensor that it was at, or
//! would have been next, so that every attempt has a log that says how it ended. Done twice, it leaves the same.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use spec::SensorKeys;
use spec::request::PodEnd;
use store::log::{END, POD, ROLL_BYTES, START, is_ended, last_mark, push_lines};
use store::outcome::Attempted;
use store::{Item, PlannedSensor, PodUid, Seek, Shard, StoreError};

use crate::context::{Context, StepError};
use crate::item::header::Header;

/// Logs read and written at once.
const AT_ONCE: usize = 8;
/// Logs that are looked at for a run: an attempt may have ended thousands of sensors since it last wrote their outcomes.
const MOST: usize = 10_000;
/// The most bytes of a part of a log: what it is rolled at, and the lines that were added at once.
const MAX_BYTES: u64 = 4 * ROLL_BYTES as u64;

/// The logs of pods that did not say how they ended: by pod and sensor, as paths name them, the last part.
#[derive(Default)]
pub(super) struct Logs(BTreeMap<String, BTreeMap<String, u32>>);

/// What is to be done to a log.
enum Job<'a> {
    /// It may lack its end. If `ended`, it is told though the attempt ended it.
    Add { path: String, end: &'a PodEnd, ended: bool },
    /// It is not there.
    Make { path: String, end: &'a PodEnd, planned: &'a PlannedSensor },
}

impl Logs {
    /// The log of such a pod's attempt at a sensor.
    pub(super) fn of(&self, context: &Context, sensor: &SensorKeys, pod_uid: &str) -> Option<String> {
        self.0.get(pod_uid)?.get(&sensor.slug())?;
        Some(context.store.uri(&context.paths.log(sensor, &PodUid::parse(pod_uid).ok()?, 0)))
    }
}

/// Adds to logs how pods ended, and tells which logs those pods have.
pub(super) async fn close(
    context: &Context,
    shards: &[Shard],
    attempted: &[Attempted],
    ends: &[PodEnd],
) -> Result<Logs, StepError> {
    // The last thing that an attempt writes is what it took, when all its logs are ended.
    let told: HashSet<&str> = attempted.iter().filter_map(|a| Some(a.attempt.as_ref()?.pod_uid.as_str())).collect();
    let silent = ends.iter().filter(|end| !told.contains(end.uid.as_str()));
    let silent: Vec<(&PodEnd, PodUid)> = silent.filter_map(|end| Some((end, PodUid::parse(&end.uid).ok()?))).collect();
    if silent.is_empty() {
        return Ok(Logs::default());
    }
    let mut logs = left(context, silent.iter().map(|(end, _)| end.uid.as_str()).collect()).await?;
    let done: BTreeSet<(&str, String)> =
        attempted.iter().flat_map(|a| &a.outcomes).map(|o| (o.pod_uid.as_str(), o.sensor.slug())).collect();
    let mut jobs = Vec::new();
    for (end, pod) in &silent {
        let slugs = logs.0.get(&end.uid).into_iter().flatten();
        let open = slugs.filter(|(slug, _)| !done.contains(&(end.uid.as_str(), (*slug).clone())));
        let path = |(slug, part): (&String, &u32)| context.paths.log_named(slug, pod, *part);
        jobs.extend(open.map(|log| Job::Add { path: path(log), end, ended: false }));
    }
    if jobs.len() > MOST {
        tracing::warn!(logs = jobs.len(), "only {MOST} logs of pods that were killed are told how their pods ended");
        jobs.truncate(MOST);
    }
    let told = work(context, jobs).await?;
    let items: HashMap<u32, &Item> = shards.iter().flat_map(|s| &s.items).map(|item| (item.index, item)).collect();
    let ended: BTreeSet<&SensorKeys> =
        attempted.iter().flat_map(|a| &a.outcomes).filter(|o| o.status.is_final()).map(|o| &o.sensor).collect();
    let under_way: HashMap<&str, &[SensorKeys]> =
        attempted.iter().filter_map(|a| a.under_way.as_ref()).map(|u| (u.pod_uid.as_str(), &*u.sensors)).collect();
    let mut jobs = Vec::new();
    for (end, pod) in silent.iter().filter(|(end, _)| !told.contains(end.uid.as_str())) {
        let Some(item) = items.get(&end.index) else { continue };
        let parts = logs.0.entry(end.uid.clone()).or_default();
        let was_at = under_way.get(end.uid.as_str()).copied().unwrap_or_default();
        let without = item.sensors.iter().filter(|planned| {
            let slug = planned.sensor.slug();
            !parts.contains_key(&slug) && !done.contains(&(end.uid.as_str(), slug))
        });
        // The least is the first: what was under way before what was not, what is to be done before what has been.
        let next = without.min_by_key(|p| (!was_at.contains(&p.sensor), ended.contains(&p.sensor)));
        if let Some(planned) = next {
            parts.insert(planned.sensor.slug(), 0);
            jobs.push(Job::Make { path: context.paths.log(&planned.sensor, pod, 0), end, planned });
        } else if let Some((slug, part)) = parts.last_key_value() {
            jobs.push(Job::Add { path: context.paths.log_named(slug, pod, *part), end, ended: true });
        }
    }
    work(context, jobs).await?;
    Ok(logs)
}

/// Does all jobs, and gives the pods of which a log says how they ended.
async fn work<'a>(context: &Context, jobs: Vec<Job<'a>>) -> Result<HashSet<&'a str>, StepError> {
    let jobs = futures::stream::iter(jobs).map(|job| async move {
        let uid = job.end().uid.as_str();
        match job.work(context).await {
            Ok(told) => Ok(told.then_some(uid)),
            // The run is to be archived though a log of it cannot be written to.
            Err(error) if !error.is_retryable() => {
                tracing::warn!(%error, "a log is not told how its pod ended");
                Ok(None)
            }
            Err(error) => Err(StepError::from(error)),
        }
    });
    jobs.buffer_unordered(AT_ONCE).try_filter_map(|told| async move { Ok(told) }).try_collect().await
}

/// The logs that attempts left: one listing for all of them.
async fn left(context: &Context, pods: HashSet<&str>) -> Result<Logs, StepError> {
    let paths = &context.paths;
    let wanted = |path: &str| match paths.log_of(path) {
        Some(log) if pods.contains(log.pod) => Seek::Take,
        _ => Seek::Skip,
    };
    let mut all = Logs::default();
    let mut pages = context.store.pages(&paths.logs(), false)?;
    while let Some(files) = pages.next(wanted).await? {
        for log in files.iter().filter_map(|file| paths.log_of(&file.path)) {
            let last = all.0.entry(log.pod.to_owned()).or_default().entry(log.slug.to_owned()).or_default();
            *last = log.part.max(*last);
        }
    }
    Ok(all)
}

impl<'a> Job<'a> {
    fn end(&self) -> &'a PodEnd {
        match self {
            Self::Add { end, .. } | Self::Make { end, .. } => end,
        }
    }

    /// Does it, and gives whether the log says now how the pod ended.
    async fn work(self, context: &Context) -> Result<bool, StoreError> {
        match self {
            Self::Add { path, end, ended: may_be } => {
                let log = match context.store.get(&path, MAX_BYTES).await {
                    Ok(log) => log,
                    // Retention may be at work.
                    Err(StoreError::NotFound { .. }) => return Ok(false),
                    Err(error) => return Err(error),
                };
                if is_ended(&log) && !(may_be && last_mark(&log) == END.as_bytes()) {
                    return Ok(last_mark(&log) == POD.as_bytes());
                }
                let mut log = log.to_vec();
                log.extend_from_slice(ended(context, end).as_bytes());
                context.store.put(&path, log).await?;
            }
            Self::Make { path, end, planned } => {
                let header = Header {
                    request: &context.request,
                    planned,
                    index: end.index,
                    pod_uid: &end.uid,
                    node: &end.node,
                    image: &end.image,
                };
                let mut log = String::new();
                push_lines(&mut log, end.started.unwrap_or_else(|| at(context, end)), START, header.text());
                log.push_str(&ended(context, end));
                context.store.put(&path, log).await?;
            }
        }
        Ok(true)
    }
}

fn at(context: &Context, end: &PodEnd) -> Timestamp {
    end.ended.or(end.started).unwrap_or(context.request.tick)
}

/// The lines that tell how a pod ended.
fn ended(context: &Context, end: &PodEnd) -> String {
    let node = if end.node.is_empty() { "no node".to_owned() } else { format!("node {}", end.node) };
    let mut how = format!("pod {} on {node} ended as Kubernetes saw it: {}", end.pod, end.reason);
    let mut add = |what: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            how.push_str(", ");
            how.push_str(what);
            how.push(' ');
            how.push_str(&value);
        }
    };
    add("exit code", end.exit_code.map(|code| code.to_string()));
    add("started", end.started.map(|at| at.to_string()));
    add("ended", end.ended.map(|at| at.to_string()));
    add("image", Some(end.image.clone()));
    let (at, mut lines) = (at(context, end), String::new());
    push_lines(&mut lines, at, POD, how);
    let details = &end.details;
    push_lines(&mut lines, at, POD, &details.message);
    details.events.iter().for_each(|event| push_lines(&mut lines, at, POD, format_args!("event {event}")));
    details.output.lines().for_each(|line| push_lines(&mut lines, at, POD, format_args!("last output: {line}")));
    lines
}
