//! What became of an item's sensors so far, in the store soon after: a killed pod leaves what it had finished, and what it
//! was at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use spec::SensorKeys;
use store::outcome::{Attempted, UnderWay};
use store::{Attempt, LogFile, Outcome, RequestCounts, Status};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::Pod;
use super::job::outcome;
use crate::context::{Context, StepError};

const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long outcomes are kept in hand, at the end of an item, for a store that is away.
const LAST_WAIT: Duration = Duration::from_secs(10);
/// How often they are offered to it meanwhile.
const OFFER_AGAIN: Duration = Duration::from_secs(1);

/// The outcomes of one attempt at an item, and the logs of the sensors under way.
pub(super) struct Ledger {
    context: Context,
    path: String,
    pub(super) index: u32,
    pub(super) pod: Pod,
    started: Timestamp,
    before: RequestCounts,
    state: Mutex<State>,
    /// Something is new.
    news: Notify,
    /// Whether no sensor is worked on any more.
    over: watch::Sender<bool>,
    /// One writer at a time, so that what is older never overwrites what is newer; and when the last one was done.
    writing: tokio::sync::Mutex<Instant>,
}

struct State {
    attempted: Attempted,
    logs: BTreeMap<SensorKeys, (LogFile, Timestamp)>,
    /// Whether there is something that should be in the store soon.
    is_new: bool,
}

impl Ledger {
    /// `before`: what the store had been asked before this attempt.
    pub(super) fn start(context: &Context, index: u32, pod: &Pod, before: RequestCounts) -> Self {
        let under_way = UnderWay { index, pod_uid: pod.uid.as_str().to_owned(), ..UnderWay::default() };
        let run_uid = context.request.run_uid.clone();
        let attempted = Attempted { run_uid, under_way: Some(under_way), ..Attempted::default() };
        Self {
            context: context.clone(),
            path: context.paths.outcome(index, &pod.uid),
            before,
            index,
            pod: pod.clone(),
            started: (context.clock)(),
            state: Mutex::new(State { attempted, logs: BTreeMap::new(), is_new: false }),
            news: Notify::new(),
            over: watch::Sender::new(false),
            writing: tokio::sync::Mutex::new(Instant::now()),
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

    /// Notes that a sensor is begun: where its pod dies, attempts to come know.
    pub(super) fn begins(&self, sensor: &SensorKeys) {
        if let Some(under_way) = &mut self.state().attempted.under_way
            && !under_way.sensors.contains(sensor)
        {
            under_way.sensors.push(sensor.clone());
        }
    }

    /// Adds what became of a sensor; it is in the store soon.
    pub(super) fn add(&self, mut outcome: Outcome) {
        outcome.index = self.index;
        outcome.pod_uid = self.pod.uid.as_str().to_owned();
        outcome.node.clone_from(&self.pod.node);
        let mut state = self.state();
        state.logs.remove(&outcome.sensor);
        if let Some(under_way) = &mut state.attempted.under_way {
            under_way.sensors.retain(|sensor| sensor != &outcome.sensor);
        }
        state.attempted.outcomes.push(outcome);
        state.is_new = true;
        self.news.notify_one();
    }

    /// The sensors that have predictions by now.
    pub(super) fn succeeded(&self) -> BTreeSet<SensorKeys> {
        let state = self.state();
        let succeeded = state.attempted.outcomes.iter().filter(|outcome| outcome.status == Status::Succeeded);
        succeeded.map(|outcome| outcome.sensor.clone()).collect()
    }

    /// Writes which sensors are begun next, and what became of those before: nothing else is begun until this is called
    /// again. None: that there is an attempt.
    pub(super) async fn announce(&self, sensors: impl Iterator<Item = &SensorKeys>) -> Result<(), StepError> {
        if let Some(under_way) = &mut self.state().attempted.under_way {
            under_way.sensors = sensors.cloned().collect();
            under_way.alone = !under_way.sensors.is_empty();
        }
        self.write().await
    }

    /// Writes what is new, at growing intervals, until [`Ledger::close`].
    pub(super) async fn keep_written(&self) {
        let (mut over, mut wait) = (self.over.subscribe(), FIRST_WAIT);
        loop {
            tokio::select! {
                biased;
                _ = over.wait_for(|over| *over) => return,
                () = self.due(wait) => {}
            }
            // A write is not broken off: its content may arrive all the same, after that of the next.
            let closed = async {
                let _ = over.wait_for(|over| *over).await;
                tokio::time::sleep(LAST_WAIT).await;
            };
            tokio::select! {
                written = self.write() => if let Err(error) = written {
                    // What the store refuses now is written at the end, where it counts.
                    tracing::warn!(%error, "outcomes could not be written yet");
                },
                () = closed => return,
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Ends [`Ledger::keep_written`]: no sensor is worked on any more.
    pub(super) fn close(&self) {
        self.over.send_replace(true);
    }

    /// Waits until something is new, and so long has passed since the last write.
    async fn due(&self, wait: Duration) {
        loop {
            while !self.state().is_new {
                self.news.notified().await;
            }
            let due = *self.writing.lock().await + wait;
            if Instant::now() >= due {
                return;
            }
            tokio::time::sleep_until(due).await;
        }
    }

    /// Ends the logs of sensors under way, and leaves all that are not done to another attempt, for this reason.
    pub(super) async fn leave(&self, sensors: impl Iterator<Item = &SensorKeys>, (reason, why): (&str, &str)) {
        let (logs, missing) = {
            let mut state = self.state();
            let logs = std::mem::take(&mut state.logs);
            let missing: Vec<SensorKeys> =
                sensors.filter(|s| state.attempted.outcomes.iter().all(|o| &&o.sensor != s)).cloned().collect();
            (logs, missing)
        };
        let now = (self.context.clock)();
        // At once: each may have to wait for a store that is away.
        let end = logs.values().map(|(log, _)| async move {
            log.warn(format_args!("{why}; another attempt goes on from here"));
            if let Err(error) = log.end("stopped").await {
                tracing::warn!(%error, log = log.uri(), "a log could not be written");
            }
        });
        futures::future::join_all(end).await;
        for sensor in missing {
            let started = logs.get(&sensor).map_or(now, |(_, at)| *at);
            let log = logs.get(&sensor).map(|(log, _)| log.uri());
            let message = format!("sensor {sensor}: not scored, since {why}");
            let mut outcome = outcome(sensor, Status::Retry, started, now);
            (outcome.reason, outcome.message, outcome.log) = (Some(reason.to_owned()), Some(message), log);
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
            let mut state = self.state();
            state.attempted.under_way = None;
            state.attempted.attempt = Some(Attempt {
                index: self.index,
                pod_uid: self.pod.uid.as_str().to_owned(),
                node: self.pod.node.clone(),
                started: self.started,
                seconds,
                store_requests: self.context.store.requests() - self.before,
            });
        }
        let until = Instant::now() + LAST_WAIT;
        while let Err(error) = self.write().await {
            if !matches!(&error, StepError::Store(error) if error.is_retryable()) || Instant::now() >= until {
                return Err(error);
            }
            tracing::warn!(%error, "outcomes could not be written yet");
            tokio::time::sleep(OFFER_AGAIN).await;
        }
        Ok(std::mem::take(&mut self.state().attempted.outcomes))
    }

    async fn write(&self) -> Result<(), StepError> {
        let mut last = self.writing.lock().await;
        let ndjson = {
            let mut state = self.state();
            state.is_new = false;
            state.attempted.to_ndjson()?
        };
        let written = self.context.store.put(&self.path, ndjson).await;
        *last = Instant::now();
        if written.is_err() {
            self.state().is_new = true;
            self.news.notify_one();
        }
        Ok(written?)
    }
}

#[cfg(test)]
mod tests;
