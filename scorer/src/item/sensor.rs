//! One sensor: model, readings, predictions. Whatever goes wrong, it fails alone.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use spec::SensorKeys;
use spec::work::{Columns, PredictionFormat};
use store::{LogFile, Outcome, PlannedSensor, Status};

use super::data::DataFiles;
use super::ledger::Ledger;
use crate::context::Context;
use crate::engine::{Counts, Model, Scorer, SensorFile, Tally, Totals};
use crate::feed::Feed;
use crate::model::{MAX_BYTES, sha256};
use crate::problem::Problem;

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

/// The work on one sensor.
pub(super) struct SensorJob {
    planned: PlannedSensor,
    started: Timestamp,
}

/// A sensor whose model and columns are known.
pub(super) struct Ready {
    pub(super) feed: Feed,
    pub(super) scorer: Scorer,
    pub(super) model_hash: String,
    /// What is to be said of the model.
    pub(super) warnings: Vec<String>,
}

/// What scoring found, and what it was done with.
pub(super) struct Done {
    pub(super) tally: Tally,
    counts: Counts,
    columns: Columns,
    model_hash: String,
    warnings: Vec<String>,
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
        let done = match self.begin(context, data, ledger).await {
            Ok(ready) => self.write(context, ready, ledger).await,
            Err(problem) => Err(problem),
        };
        self.end(context, done, ledger).await
    }

    /// Says what became of the sensor, and ends its log.
    pub(super) async fn end(&self, context: &Context, done: Result<Done, Problem>, ledger: &Ledger) -> Outcome {
        let log = ledger.log(&self.planned.sensor);
        let (mut outcome, how) = match done {
            Ok(done) => {
                let how = format!(
                    "succeeded: {} rows, {} scored, {} anomalies, {} bad rows",
                    done.counts.rows, done.tally.scored, done.tally.anomalies, done.counts.bad_rows
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
        outcome.rows = done.counts.rows;
        outcome.scored = done.tally.scored;
        outcome.anomalies = done.tally.anomalies;
        outcome.bad_rows = done.counts.bad_rows;
        outcome.model_hash = Some(done.model_hash);
        outcome.warnings = done.warnings;
        outcome.columns = Some(done.columns);
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

    /// Starts to read the sensor's readings, and gets its model ready for them.
    pub(super) async fn begin(
        &mut self,
        context: &Context,
        data: &DataFiles,
        ledger: &Ledger,
    ) -> Result<Ready, Problem> {
        let log = ledger.log(&self.planned.sensor);
        if log.is_empty() {
            self.started = (context.clock)();
            self.start_log(context, ledger);
        }
        let (sensor, clock) = (&self.planned.sensor, &context.clock);
        let path = self.data_path(context)?;
        let mut feed = data.feed(context, &path, sensor)?;
        if !needs_whole(context) {
            feed.claim();
        }
        let started = clock();
        let bytes = self.model_bytes(context).await?;
        log.chunk(&format!("fetching the model ({} bytes)", bytes.len()), clock().duration_since(started));
        let name = context.store.uri(&self.planned.model.path);
        let model = tokio::task::spawn_blocking(move || {
            let model = Model::from_bytes(&name, &bytes).map_err(|e| Problem::of_bad_model(&e))?;
            Ok::<_, Problem>((sha256(&bytes), model.warnings(), Arc::new(model)))
        });
        let (model_hash, warnings, model) = model.await.map_err(|e| Problem::internal("reading the model", e))??;
        let scorer = match Scorer::new(model, feed.head().await?) {
            Ok(scorer) => scorer,
            Err(error) => {
                // That there are no readings is the more useful thing to know.
                if feed.next().await?.is_none() {
                    let totals = feed.end().await?;
                    self.check(context, &feed, &totals, Tally::default())?;
                }
                return Err(Problem::failed(error.reason(), error.to_string()));
            }
        };
        Ok(Ready { feed, scorer, model_hash, warnings })
    }

    /// Scores the readings as they come, and writes the predictions to a file of the sensor's own.
    async fn write(&self, context: &Context, ready: Ready, ledger: &Ledger) -> Result<Done, Problem> {
        let Ready { mut feed, scorer, model_hash, warnings } = ready;
        let (clock, store, log) = (&context.clock, &context.store, ledger.log(self.sensor()));
        let kind = &context.request.work.predictions;
        let unread_time = if needs_whole(context) {
            let totals = feed.end().await?;
            feed.counts(&totals).and_then(|counts| counts.unread_time.clone())
        } else {
            None
        };
        let path = context.paths.prediction(ledger.index, self.sensor());
        let mut upload = store.upload(&path).map_err(|e| Problem::of_store(&e))?;
        let columns = scorer.layout().to_columns();
        let file = SensorFile::begin(kind, self.sensor(), scorer, unread_time.as_deref());
        let mut file = file.map_err(|e| Problem::of_predictions(&e))?;
        let (mut times, mut bytes) = (Times::default(), 0);
        loop {
            let started = clock();
            let Some(rows) = feed.next().await? else {
                times.reading += clock().duration_since(started);
                break;
            };
            let read = clock();
            let scored = tokio::task::spawn_blocking(move || file.add(rows).map(|()| file)).await;
            file = scored.map_err(|e| Problem::internal("scoring", e))?.map_err(|e| Problem::of_predictions(&e))?;
            let scored = clock();
            let ready = file.ready();
            bytes += ready.len();
            upload.write(ready).await.map_err(|e| Problem::of_store(&e))?;
            ready.clear();
            times.reading += read.duration_since(started);
            times.scoring += scored.duration_since(read);
            times.writing += clock().duration_since(scored);
        }
        let totals = feed.end().await?;
        let tally = file.tally().clone();
        log.chunk(&format!("reading {}", store.uri(&self.data_path(context)?)), times.reading);
        log.chunk(&format!("scoring {} rows", tally.scored), times.scoring);
        let done = self.check(context, &feed, &totals, tally)?;
        let started = clock();
        let last = tokio::task::spawn_blocking(move || file.finish()).await;
        let last = last.map_err(|e| Problem::internal("writing", e))?.map_err(|e| Problem::of_predictions(&e))?;
        bytes += last.len();
        upload.write(&last).await.map_err(|e| Problem::of_store(&e))?;
        upload.finish().await.map_err(|e| Problem::of_store(&e))?;
        times.writing += clock().duration_since(started);
        log.chunk(&format!("writing {bytes} bytes to {}", store.uri(&path)), times.writing);
        Ok(self.done(done, columns, model_hash, warnings, &totals, &log))
    }

    /// What is known of the sensor once it is scored.
    pub(super) fn done(
        &self,
        (tally, counts): (Tally, Counts),
        columns: Columns,
        model_hash: String,
        mut warnings: Vec<String>,
        totals: &Totals,
        log: &LogFile,
    ) -> Done {
        warnings.extend(counts.warnings(totals));
        for warning in &warnings {
            log.warn(warning);
        }
        Done { tally, counts, columns, model_hash, warnings }
    }

    /// The path of the sensor's readings.
    fn data_path(&self, context: &Context) -> Result<String, Problem> {
        let path = context.request.work.data.path.render(&self.planned.sensor);
        path.map_err(|e| Problem::failed("InvalidRequest", e.to_string()))
    }

    async fn model_bytes(&self, context: &Context) -> Result<bytes::Bytes, Problem> {
        let (store, model) = (&context.store, &self.planned.model);
        store.check(&model.path).map_err(|e| Problem::of_model(&e))?;
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

    /// What only the end of the readings tells: whether there were enough, and enough of them good. `tally` may lack what
    /// was not scored yet, but for the bad rows.
    pub(super) fn check(
        &self,
        context: &Context,
        feed: &Feed,
        totals: &Totals,
        tally: Tally,
    ) -> Result<(Tally, Counts), Problem> {
        let uri = context.store.uri(&self.data_path(context)?);
        let mut counts = feed.counts(totals).cloned().unwrap_or_default();
        if counts.rows == 0 {
            let why = match (counts.outside, context.request.window) {
                (outside @ 1.., Some(w)) => {
                    let unclear = match counts.unclear_outside {
                        0 => String::new(),
                        rows => format!(
                            " {rows} of them have a local time that comes twice or never, where clocks change: write \
                             times in UTC or with their offset"
                        ),
                    };
                    format!(
                        "{uri} has no reading of it from {} up to {}, and {outside} outside of that; is the data late \
                         (window.delay), or its time zone not UTC?{unclear}",
                        w.start, w.end
                    )
                }
                _ => {
                    format!("{uri} has no reading of it; correct data.path or data.columns.keys, or look at the sensor")
                }
            };
            return Err(Problem::failed("NoReadings", why));
        }
        counts.add_bad(tally.bad_rows, tally.first_bad.clone());
        let most = context.request.work.data.max_bad_rows;
        if let Some(why) = most.and_then(|most| counts.too_many_bad(&totals.unplaced, most)) {
            return Err(Problem::failed("TooManyBadRows", format!("{uri}: {why}")));
        }
        if let Some(why) = counts.all_bad() {
            return Err(Problem::failed("DataInvalid", format!("{uri}: {why}")));
        }
        Ok((tally, counts))
    }
}

/// Whether the readings must have ended before the first of a sensor's rows is written: where a shared file must not have
/// rows of a sensor that fails; and because a Parquet file says before its rows what it has for times, which is not known
/// without a window.
fn needs_whole(context: &Context) -> bool {
    let kind = &context.request.work.predictions;
    kind.layout.is_shared() || (kind.format == PredictionFormat::Parquet && context.request.window.is_none())
}

/// What the parts of the work took.
#[derive(Default)]
struct Times {
    reading: SignedDuration,
    scoring: SignedDuration,
    writing: SignedDuration,
}
