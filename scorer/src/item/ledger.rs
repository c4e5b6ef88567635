//! What became of an item's sensors so far, in the store soon after: a killed pod leaves what it had finished.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use spec::SensorKeys;
use store::outcome::Attempted;
use store::{Attempt, LogFile, Outcome, RequestCounts, Status};
use tokio::time::Instant;

use super::Pod;
use super::sensor::outcome;
use crate::context::{Context, StepError};

const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The outcomes of one attempt at an item, and the logs of the sensors under way.
pub(super) struct Ledger {
    context: Context,
    path: String,
    pub(super) index: u32,
    pub(super) pod: Pod,
    started: Timestamp,
    before: RequestCounts,
    state: Mutex<State>,
    /// One writer at a time; when the next write is due.
    writing: tokio::sync::Mutex<(Instant, Duration)>,
}

struct State {
    attempted: Attempted,
    logs: BTreeMap<SensorKeys, (LogFile, Timestamp)>,
}

impl Ledger {
    /// `before`: what the store had been asked before this attempt.
    pub(super) fn start(context: &Context, index: u32, pod: &Pod, before: RequestCounts) -> Self {
        let attempted = Attempted { run_uid: context.request.run_uid.clone(), ..Attempted::default() };
        Self {
            context: context.clone(),
            path: context.paths.outcome(index, &pod.uid),
            before,
            index,
            pod: pod.clone(),
            started: (context.clock)(),
            state: Mutex::new(State { attempted, logs: BTreeMap::new() }),
            writing: tokio::sync::Mutex::new((Instant::now() + FIRST_WAIT, FIRST_WAIT)),
        }
    }

    /// Keeps what this very attempt had written before its container was started again.
    pub(super) fn keep<'a>(&self, earlier: impl Iterator<Item = &'a Outcome>) {
        let own = earlier.filter(|o| o.pod_uid == self.pod.uid.as_str() && o.status.is_final());
        self.state().attempted.outcomes.extend(own.cloned());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log of a sensor under way.
    pub(super) fn log(&self, sensor: &SensorKeys) -> LogFile {
        let log = || {
            let (paths, sensor, uid) = (self.context.paths.clone(), sensor.clone(), self.pod.uid.clone());
            LogFile::start(self.context.store.clone(), self.context.clock.clone(), move |part| {
                paths.log(&sensor, &uid, part)
            })
        };
        let now = (self.context.clock)();
        self.state().logs.entry(sensor.clone()).or_insert_with(|| (log(), now)).0.clone()
    }

    /// Adds what became of a sensor; written at growing intervals.
    pub(super) async fn add(&self, mut outcome: Outcome) {
        outcome.index = self.index;
        outcome.pod_uid = self.pod.uid.as_str().to_owned();
        outcome.node.clone_from(&self.pod.node);
        {
            let mut state = self.state();
            state.logs.remove(&outcome.sensor);
            state.attempted.outcomes.push(outcome);
        }
        let mut due = self.writing.lock().await;
        if Instant::now() >= due.0 {
            // What the store refuses now is written at the end, where it counts.
            if let Err(error) = self.write().await {
                tracing::warn!(%error, "outcomes could not be written yet");
            }
            due.1 = (due.1 * 2).min(LONGEST_WAIT);
            due.0 = Instant::now() + due.1;
        }
    }

    /// Ends the logs of sensors under way, and leaves all that are not done to another attempt.
    pub(super) async fn stop(&self, sensors: impl Iterator<Item = &SensorKeys>) {
        let (logs, missing) = {
            let mut state = self.state();
            let logs = std::mem::take(&mut state.logs);
            let missing: Vec<SensorKeys> =
                sensors.filter(|s| state.attempted.outcomes.iter().all(|o| &&o.sensor != s)).cloned().collect();
            (logs, missing)
        };
        let now = (self.context.clock)();
        for (log, _) in logs.values() {
            log.warn("the pod was told to stop (SIGTERM); another attempt goes on from here");
            if let Err(error) = log.end("stopped").await {
                tracing::warn!(%error, log = log.uri(), "a log could not be written");
            }
        }
        for sensor in missing {
            let started = logs.get(&sensor).map_or(now, |(_, at)| *at);
            let log = logs.get(&sensor).map(|(log, _)| log.uri());
            let message = format!("sensor {sensor}: the pod was told to stop before it was scored");
            let mut outcome = outcome(sensor, Status::Retry, started, now);
            (outcome.reason, outcome.message, outcome.log) = (Some("Stopped".to_owned()), Some(message), log);
            outcome.index = self.index;
            outcome.pod_uid = self.pod.uid.as_str().to_owned();
            outcome.node.clone_from(&self.pod.node);
            self.state().attempted.outcomes.push(outcome);
        }
    }

    /// Writes all outcomes, with what the attempt took, and gives them.
    pub(super) async fn end(self) -> Result<Vec<Outcome>, StepError> {
        {
            let seconds = (self.context.clock)().duration_since(self.started).as_secs_f64();
            self.state().attempted.attempt = Some(Attempt {
                index: self.index,
                pod_uid: self.pod.uid.as_str().to_owned(),
                node: self.pod.node.clone(),
                started: self.started,
                seconds,
                store_requests: self.context.store.requests() - self.before,
            });
        }
        let _one = self.writing.lock().await;
        self.write().await?;
        Ok(std::mem::take(&mut self.state().attempted.outcomes))
    }

    async fn write(&self) -> Result<(), StepError> {
        let ndjson = self.state().attempted.to_ndjson()?;
        Ok(self.context.store.put(&self.path, ndjson).await?)
    }
}
