//! The work on one sensor, whatever it is: when it began, its log, and what became of it.

use jiff::Timestamp;
use spec::SensorKeys;
use store::log::START;
use store::{LogFile, ModelFile, Outcome, PlannedSensor, Status};

use super::header::Header;
use super::ledger::Ledger;
use crate::context::Context;
use crate::problem::Problem;
use crate::shown;

/// An outcome with nothing in it yet.
pub(crate) fn outcome(sensor: SensorKeys, status: Status, started: Timestamp, now: Timestamp) -> Outcome {
    Outcome {
        sensor,
        status,
        reason: None,
        message: None,
        rows: 0,
        scored: 0,
        anomalies: 0,
        bad_rows: 0,
        started,
        seconds: now.duration_since(started).as_secs_f64(),
        exit_code: None,
        cpu_seconds: None,
        peak_memory_bytes: None,
        model_hash: None,
        input_means: Vec::new(),
        drift: Vec::new(),
        challenger: None,
        warnings: Vec::new(),
        columns: None,
        predictions: None,
        training: None,
        log: None,
        index: 0,
        pod_uid: String::new(),
        node: String::new(),
    }
}

/// The work on one sensor.
pub(super) struct SensorJob {
    pub(super) planned: PlannedSensor,
    pub(super) started: Timestamp,
    /// Since when it waits for its turn.
    waits: Option<Timestamp>,
}

impl SensorJob {
    pub(super) fn new(context: &Context, planned: &PlannedSensor, ledger: &Ledger, log_now: bool) -> Self {
        let job = Self { planned: planned.clone(), started: (context.clock)(), waits: None };
        if log_now {
            job.start_log(context, ledger);
        }
        job
    }

    /// Notes that work on the sensor begins now.
    pub(super) fn start(&mut self, context: &Context, ledger: &Ledger) {
        self.open_log(context, ledger);
        self.started = (context.clock)();
    }

    /// Notes that the sensor waits for its turn from now on.
    pub(super) fn waits(&mut self, context: &Context) {
        self.waits = Some((context.clock)());
    }

    /// Notes that its turn has come: the time in which it waited is not the sensor's.
    pub(super) fn goes_on(&mut self, context: &Context) {
        let waited = self.waits.take().map(|since| (context.clock)().duration_since(since));
        self.started = waited.and_then(|time| self.started.checked_add(time).ok()).unwrap_or(self.started);
    }

    fn start_log(&self, context: &Context, ledger: &Ledger) -> LogFile {
        let log = ledger.log(&self.planned.sensor);
        let header = Header {
            request: &context.request,
            planned: &self.planned,
            index: ledger.index,
            pod_uid: ledger.pod.uid.as_str(),
            node: &ledger.pod.node,
            image: &ledger.pod.image,
        };
        log.line(START, header.text());
        log
    }

    /// The log of the sensor, begun now if it was not before.
    pub(super) fn open_log(&mut self, context: &Context, ledger: &Ledger) -> LogFile {
        let log = ledger.log(&self.planned.sensor);
        ledger.begins(&self.planned.sensor);
        if log.is_empty() {
            self.started = (context.clock)();
            self.start_log(context, ledger);
        }
        log
    }

    /// The path of its published model.
    pub(super) fn model_path(&self) -> &str {
        &self.planned.model.path
    }

    /// The sensor.
    pub(super) fn sensor(&self) -> &SensorKeys {
        &self.planned.sensor
    }

    /// The sensor's model.
    pub(super) fn model(&self) -> &ModelFile {
        &self.planned.model
    }

    /// Ends the sensor's log with how it went.
    pub(super) async fn close(
        &self,
        context: &Context,
        done: Result<(Outcome, String), Problem>,
        ledger: &Ledger,
    ) -> Outcome {
        let log = ledger.log(&self.planned.sensor);
        let (mut outcome, how) = match done {
            Ok(done) => done,
            Err(problem) => {
                let how = if problem.retry { "to be tried again" } else { "failed" };
                log.error(format_args!("{}: {}", problem.reason, problem.message));
                (self.failed(context, problem), how.to_owned())
            }
        };
        outcome.log = Some(log.uri());
        if let Err(error) = log.end(&how).await {
            // A run whose logs are lost is not whole, and why a sensor failed may be nowhere else: another attempt does both again.
            let problem = Problem::of_store(&error);
            tracing::warn!(%error, "a log could not be written");
            if problem.retry {
                outcome = self.failed(context, problem);
            } else {
                outcome.log = None;
            }
        }
        outcome
    }

    /// That of a sensor that is done, with nothing else in it yet.
    pub(super) fn outcome(&self, context: &Context) -> Outcome {
        outcome(self.planned.sensor.clone(), Status::Succeeded, self.started, (context.clock)())
    }

    pub(super) fn failed(&self, context: &Context, problem: Problem) -> Outcome {
        let status = if problem.retry { Status::Retry } else { Status::Failed };
        let mut outcome = outcome(self.planned.sensor.clone(), status, self.started, (context.clock)());
        outcome.reason = Some(problem.reason);
        let message = format!("sensor {}: {}", self.planned.sensor, problem.message);
        outcome.message = Some(shown::lines(&message));
        outcome
    }
}
