//! One sensor: model, readings, predictions. Whatever goes wrong, it fails alone.

use jiff::Timestamp;
use spec::SensorKeys;
use store::{LogFile, Outcome, PlannedSensor, Status, StoreError};

use super::data::{DataFiles, Loaded};
use super::ledger::Ledger;
use crate::context::Context;
use crate::engine::{Model, PredictionsError, Readings, Scored, SensorReadings, score};
use crate::model::{MAX_BYTES, sha256};
use crate::readings::Rows;

/// Why a sensor was not scored.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    reason: String,
    message: String,
    /// Whether another attempt may score it.
    pub(super) retry: bool,
}

impl Problem {
    pub(super) fn failed(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into(), retry: false }
    }

    pub(super) fn again(reason: &str, message: impl Into<String>) -> Self {
        Self { retry: true, ..Self::failed(reason, message) }
    }

    pub(super) fn of_predictions(error: &PredictionsError) -> Self {
        Self::failed(error.reason(), error.to_string())
    }

    pub(super) fn of_store(error: &StoreError) -> Self {
        Self { reason: error.reason().to_owned(), message: error.to_string(), retry: error.is_retryable() }
    }

    pub(super) fn of_data(error: &StoreError) -> Self {
        match error {
            StoreError::NotFound { .. } => Self::failed(
                "DataNotFound",
                format!("{error}; correct data.path, or write the readings there before the tick"),
            ),
            _ => Self::of_store(error),
        }
    }

    fn of_model(error: &StoreError) -> Self {
        match error {
            StoreError::NotFound { .. } => Self::failed("ModelNotFound", format!("the model {error}")),
            StoreError::Changed { .. } => Self::failed(
                "ModelChanged",
                format!("the model {error}, when the run was planned; run again to score with the new one"),
            ),
            StoreError::TooLarge { .. } => Self::failed("ModelTooLarge", format!("the model {error}")),
            _ => Self::of_store(error),
        }
    }
}

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
        model_hash: None,
        warnings: Vec::new(),
        columns: None,
        predictions: None,
        log: None,
        index: 0,
        pod_uid: String::new(),
        node: String::new(),
    }
}

impl Done {
    /// The rows that were scored.
    pub(super) fn rows(&self, sensor: &SensorKeys) -> Result<&Rows, Problem> {
        Ok(&own(&self.loaded.readings, sensor)?.good)
    }
}

fn own<'a>(readings: &'a Readings, sensor: &SensorKeys) -> Result<&'a SensorReadings, Problem> {
    readings.sensors.get(sensor).ok_or_else(|| Problem::failed("Internal", "its readings were not kept"))
}

/// The work on one sensor.
pub(super) struct SensorJob {
    planned: PlannedSensor,
    started: Timestamp,
}

/// What scoring found, and what it was done with.
pub(super) struct Done {
    pub(super) scored: Scored,
    model_hash: String,
    warnings: Vec<String>,
    pub(super) loaded: Loaded,
}

impl SensorJob {
    pub(super) fn new(context: &Context, planned: &PlannedSensor, ledger: &Ledger, log_now: bool) -> Self {
        let job = Self { planned: planned.clone(), started: (context.clock)() };
        if log_now {
            job.start_log(context, ledger);
        }
        job
    }

    fn start_log(&self, context: &Context, ledger: &Ledger) -> LogFile {
        let log = ledger.log(&self.planned.sensor);
        let request = &context.request;
        let window = request
            .window
            .map_or_else(|| "every row".to_owned(), |w| format!("readings from {} up to {}", w.start, w.end));
        log.info(format_args!(
            "sensor {} of run {}/{} (tick {}, {window}) in pod {} on {}",
            self.planned.sensor,
            request.namespace,
            request.run,
            request.tick,
            ledger.pod.uid.as_str(),
            if ledger.pod.node.is_empty() { "this machine" } else { &ledger.pod.node },
        ));
        log
    }

    /// The sensor.
    pub(super) fn sensor(&self) -> &SensorKeys {
        &self.planned.sensor
    }

    /// Scores the sensor, writes its predictions to a file of its own, and says what became of it.
    pub(super) async fn run(mut self, context: &Context, data: &DataFiles, ledger: &Ledger) -> Outcome {
        let mut done = self.score(context, data, ledger).await;
        if let Ok(scored) = &done
            && let Err(problem) = self.write(context, scored, ledger).await
        {
            done = Err(problem);
        }
        self.end(context, done, ledger).await
    }

    /// Says what became of the sensor, and ends its log.
    pub(super) async fn end(&self, context: &Context, done: Result<Done, Problem>, ledger: &Ledger) -> Outcome {
        let log = ledger.log(&self.planned.sensor);
        let (mut outcome, how) = match done {
            Ok(done) => {
                let how = format!(
                    "succeeded: {} rows, {} scored, {} anomalies, {} bad rows",
                    done.scored.rows, done.scored.scored, done.scored.anomalies, done.scored.bad_rows
                );
                (self.succeeded(context, done, ledger.index), how)
            }
            Err(problem) => {
                let how = if problem.retry { "to be tried again" } else { "failed" };
                log.error(format_args!("{}: {}", problem.reason, problem.message));
                (self.failed(context, problem), how.to_owned())
            }
        };
        outcome.log = Some(log.uri());
        if let Err(error) = log.end(&how).await {
            // Predictions are there, but a run whose logs are lost is not whole: another attempt writes both again.
            let problem = Problem::of_store(&error);
            tracing::warn!(%error, "a log could not be written");
            if problem.retry && outcome.status == Status::Succeeded {
                outcome = self.failed(context, problem);
            } else {
                outcome.log = None;
            }
        }
        outcome
    }

    fn succeeded(&self, context: &Context, done: Done, item: u32) -> Outcome {
        let mut outcome = outcome(self.planned.sensor.clone(), Status::Succeeded, self.started, (context.clock)());
        outcome.rows = done.scored.rows;
        outcome.scored = done.scored.scored;
        outcome.anomalies = done.scored.anomalies;
        outcome.bad_rows = done.scored.bad_rows;
        outcome.model_hash = Some(done.model_hash);
        outcome.warnings = done.warnings;
        outcome.columns = Some(done.loaded.readings.layout.to_columns());
        outcome.predictions = Some(context.store.uri(&context.paths.prediction(item, &self.planned.sensor)));
        outcome
    }

    pub(super) fn failed(&self, context: &Context, problem: Problem) -> Outcome {
        let status = if problem.retry { Status::Retry } else { Status::Failed };
        let mut outcome = outcome(self.planned.sensor.clone(), status, self.started, (context.clock)());
        outcome.reason = Some(problem.reason);
        outcome.message = Some(format!("sensor {}: {}", self.planned.sensor, problem.message));
        outcome
    }

    /// Scores the sensor.
    pub(super) async fn score(
        &mut self,
        context: &Context,
        data: &DataFiles,
        ledger: &Ledger,
    ) -> Result<Done, Problem> {
        let log = ledger.log(&self.planned.sensor);
        if log.is_empty() {
            self.started = (context.clock)();
            self.start_log(context, ledger);
        }
        let (store, sensor) = (&context.store, &self.planned.sensor);
        let clock = &context.clock;
        let model_at = clock();
        let model_bytes = self.model_bytes(context).await?;
        log.chunk(&format!("fetching the model ({} bytes)", model_bytes.len()), clock().duration_since(model_at));
        let path = context.request.work.data.path.render(sensor);
        let path = path.map_err(|e| Problem::failed("InvalidRequest", e.to_string()))?;
        let loaded = data.load(context, &path).await?;
        log.chunk(&format!("reading {}", store.uri(&path)), loaded.took);
        self.check_rows(context, &loaded, &path)?;

        let score_at = clock();
        let name = store.uri(&self.planned.model.path);
        let (readings, keys) = (loaded.readings.clone(), sensor.clone());
        let model_hash = sha256(&model_bytes);
        let scored = tokio::task::spawn_blocking(move || {
            let model =
                Model::from_bytes(&name, &model_bytes).map_err(|e| Problem::failed(e.reason(), e.to_string()))?;
            let own = own(&readings, &keys)?;
            let scored = score(&model, &readings.layout, &keys, own);
            Ok((scored.map_err(|e| Problem::failed(e.reason(), e.to_string()))?, model.warnings()))
        });
        let (scored, mut warnings) =
            scored.await.map_err(|e| Problem::failed("Internal", format!("scoring broke off: {e}")))??;
        log.chunk(&format!("scoring {} rows", scored.scored), clock().duration_since(score_at));
        if scored.scored == 0 {
            return Err(Problem::failed(
                "DataInvalid",
                format!(
                    "{}: none of its {} rows is good; {}",
                    store.uri(&path),
                    scored.rows,
                    first_bad(&loaded, sensor)
                ),
            ));
        }
        warnings.extend(own(&loaded.readings, sensor)?.counts.warnings(&loaded.readings.unplaced));
        for warning in &warnings {
            log.warn(warning);
        }
        Ok(Done { scored, model_hash, warnings, loaded })
    }

    /// Writes the predictions to a file of the sensor's own.
    async fn write(&self, context: &Context, done: &Done, ledger: &Ledger) -> Result<(), Problem> {
        let (clock, store, sensor) = (&context.clock, &context.store, &self.planned.sensor);
        let started = clock();
        let own = done.rows(sensor)?;
        let file = done.scored.to_file(&context.request.work.predictions, &done.loaded.readings.layout, sensor, own);
        let file = file.map_err(|e| Problem::of_predictions(&e))?;
        let (path, bytes) = (context.paths.prediction(ledger.index, sensor), file.len());
        store.put(&path, file).await.map_err(|e| Problem::of_store(&e))?;
        let what = format!("writing {bytes} bytes to {}", store.uri(&path));
        ledger.log(sensor).chunk(&what, clock().duration_since(started));
        Ok(())
    }

    async fn model_bytes(&self, context: &Context) -> Result<bytes::Bytes, Problem> {
        let (store, model) = (&context.store, &self.planned.model);
        if model.size.is_none() {
            return Err(Problem::failed(
                "ModelNotFound",
                format!(
                    "the model {} did not exist when the run was planned; train or upload it, or take the sensor out of \
                     the schedule's sensors",
                    store.uri(&model.path)
                ),
            ));
        }
        let bytes = match &model.etag {
            Some(etag) => store.get_version(&model.path, etag, MAX_BYTES).await,
            None => store.get(&model.path, MAX_BYTES).await,
        };
        bytes.map_err(|e| Problem::of_model(&e))
    }

    fn check_rows(&self, context: &Context, loaded: &Loaded, path: &str) -> Result<(), Problem> {
        let own = loaded.readings.sensors.get(&self.planned.sensor);
        let uri = context.store.uri(path);
        if let Some(own) = own.filter(|r| r.counts.rows > 0) {
            let most = context.request.work.data.max_bad_rows;
            let why = most.and_then(|most| own.counts.too_many_bad(&loaded.readings.unplaced, most));
            return why.map_or(Ok(()), |why| Err(Problem::failed("TooManyBadRows", format!("{uri}: {why}"))));
        }
        let why = match (own.map_or(0, |r| r.counts.outside), context.request.window) {
            (outside @ 1.., Some(w)) => format!(
                "{uri} has no reading of it from {} up to {}, and {outside} outside of that; is the data late (window.delay), \
                 or its time zone not UTC?",
                w.start, w.end
            ),
            _ => format!("{uri} has no reading of it; correct data.path or data.columns.keys, or look at the sensor"),
        };
        Err(Problem::failed("NoReadings", why))
    }
}

fn first_bad(loaded: &Loaded, sensor: &SensorKeys) -> String {
    let bad = loaded.readings.sensors.get(sensor).and_then(|r| r.counts.first_bad.as_ref());
    bad.map(|b| format!("the first is {b}")).unwrap_or_default()
}
