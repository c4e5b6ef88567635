//! One sensor: model, readings, predictions. Whatever goes wrong, it fails alone.

use std::sync::Arc;

use jiff::SignedDuration;
use spec::work::Columns;
use store::bands::MEANS;
use store::{ChallengerOutcome, LogFile, Outcome};

use super::challenger::Challenger;
use super::data::DataFiles;
use super::job::SensorJob;
use super::ledger::Ledger;
use super::model::{self, Fetched};
use super::table::PredictionsTable;
use crate::context::Context;
use crate::engine::{Counts, Model, Scorer, SensorFile, Tally, Totals};
use crate::feed::Feed;
use crate::model::sha256;
use crate::problem::{AMBIGUOUS_MODEL_PATH, Problem};

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
    challenger: Option<ChallengerOutcome>,
}

impl SensorJob {
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
        let done = done.map(|done| {
            let how = format!(
                "succeeded: {} rows, {} scored, {} anomalies, {} bad rows",
                done.counts.rows, done.tally.scored, done.tally.anomalies, done.counts.bad_rows
            );
            (self.succeeded(context, done, ledger.index), how)
        });
        self.close(context, done, ledger).await
    }

    fn succeeded(&self, context: &Context, done: Done, item: u32) -> Outcome {
        let mut outcome = self.outcome(context);
        outcome.rows = done.counts.rows;
        outcome.scored = done.tally.scored;
        outcome.anomalies = done.tally.anomalies;
        outcome.bad_rows = done.counts.bad_rows;
        outcome.model_hash = Some(done.model_hash);
        outcome.input_means = done.tally.input_means(MEANS);
        outcome.challenger = done.challenger;
        outcome.warnings = done.warnings;
        outcome.columns = Some(done.columns).filter(|columns| !columns.is_empty());
        outcome.predictions = Some(context.store.uri(&context.paths.prediction(item, &self.planned.sensor)));
        outcome
    }

    /// Starts to read the sensor's readings, and gets its model ready for them.
    pub(super) async fn begin(
        &mut self,
        context: &Context,
        data: &DataFiles,
        ledger: &Ledger,
    ) -> Result<Ready, Problem> {
        let log = self.open_log(context, ledger);
        let (sensor, clock) = (&self.planned.sensor, &context.clock);
        let path = self.data_path(context)?;
        let mut feed = data.feed(context, &path, sensor)?;
        if !needs_whole(context) {
            feed.claim();
        }
        let started = clock();
        let Fetched { model: bytes, replaced } = self.model_bytes(context).await?;
        log.chunk(&format!("fetching the model ({} bytes)", bytes.len()), clock().duration_since(started));
        let uri = context.store.uri(&self.planned.model.path);
        let name = uri.clone();
        let model = tokio::task::spawn_blocking(move || {
            let model = Model::from_bytes(&name, &bytes).map_err(|e| Problem::of_bad_model(&e))?;
            Ok::<_, Problem>((sha256(&bytes), model.warnings(), Arc::new(model)))
        });
        let (model_hash, mut warnings, model) =
            model.await.map_err(|e| Problem::internal("reading the model", e))??;
        warnings.extend(replaced.then(|| model::replaced(&uri, &model_hash)));
        log.info(format_args!("model sha256={model_hash}"));
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
        let Ready { mut feed, scorer, model_hash, mut warnings } = ready;
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
        let layout = scorer.layout().clone();
        let columns = layout.to_columns();
        let file = SensorFile::begin(kind, self.sensor(), scorer, unread_time.as_deref());
        let mut file = file.map_err(|e| Problem::of_predictions(&e))?;
        let unread_time = unread_time.as_deref();
        let mut challenger = self.challenger(context, &feed, unread_time).await?;
        let mut table = PredictionsTable::begin(context, self.sensor(), &layout, unread_time).await?;
        let (mut times, mut bytes) = (Times::default(), 0);
        loop {
            let started = clock();
            let Some(rows) = feed.next().await? else {
                times.reading += clock().duration_since(started);
                break;
            };
            let read = clock();
            let scored = tokio::task::spawn_blocking(move || {
                let beside = challenger.as_ref().map(|_| rows.clone());
                let published = file.add(rows)?;
                if let (Some(challenger), Some(rows)) = (&mut challenger, beside) {
                    challenger.add(rows, &published);
                }
                Ok((file, challenger, published))
            });
            let scored = scored.await.map_err(|e| Problem::internal("scoring", e))?;
            let published;
            (file, challenger, published) = scored.map_err(|e| Problem::of_predictions(&e))?;
            let scored = clock();
            if let Some(challenger) = &mut challenger {
                challenger.send().await;
            }
            let ready = file.ready();
            bytes += ready.len();
            upload.write(ready).await.map_err(|e| Problem::of_store(&e))?;
            ready.clear();
            if let Some(table) = &mut table {
                table.add(&published).await?;
            }
            times.reading += read.duration_since(started);
            times.scoring += scored.duration_since(read);
            times.writing += clock().duration_since(scored);
        }
        let totals = feed.end().await?;
        let tally = file.tally().clone();
        log.chunk(&format!("reading {}", context.data_uri(&self.data_path(context)?)), times.reading);
        log.chunk(&format!("scoring {} rows", tally.scored), times.scoring);
        let done = self.check(context, &feed, &totals, tally)?;
        let started = clock();
        let last = tokio::task::spawn_blocking(move || file.finish()).await;
        let last = last.map_err(|e| Problem::internal("writing", e))?.map_err(|e| Problem::of_predictions(&e))?;
        bytes += last.len();
        // Before the file, of which there is none of a sensor that fails.
        if let Some(table) = table {
            table.finish(context, &log).await?;
        }
        upload.write(&last).await.map_err(|e| Problem::of_store(&e))?;
        upload.finish().await.map_err(|e| Problem::of_store(&e))?;
        times.writing += clock().duration_since(started);
        log.chunk(&format!("writing {bytes} bytes to {}", store.uri(&path)), times.writing);
        let challenger = match challenger {
            Some(challenger) => Some(challenger.finish(&mut warnings, &log).await),
            None => None,
        };
        Ok(self.done(done, columns, (model_hash, challenger), warnings, &totals, &log))
    }

    /// The sensor's challenger, if its schedule names one.
    pub(super) async fn challenger(
        &self,
        context: &Context,
        feed: &Feed,
        unread_time: Option<&str>,
    ) -> Result<Option<Challenger>, Problem> {
        let (planned, head) = (self.planned.challenger.as_ref(), feed.head().await?);
        Ok(Challenger::begin(context, planned, self.sensor(), head, unread_time).await)
    }

    /// What is known of the sensor once it is scored.
    pub(super) fn done(
        &self,
        (tally, counts): (Tally, Counts),
        columns: Columns,
        (model_hash, challenger): (String, Option<ChallengerOutcome>),
        mut warnings: Vec<String>,
        totals: &Totals,
        log: &LogFile,
    ) -> Done {
        warnings.extend(counts.warnings(totals));
        for warning in &warnings {
            log.warn(warning);
        }
        Done { tally, counts, columns, model_hash, warnings, challenger }
    }

    /// Where the sensor's readings are.
    pub(super) fn data_path(&self, context: &Context) -> Result<String, Problem> {
        let path = context.request.work.data.place(&self.planned.sensor);
        path.map_err(|e| Problem::failed("InvalidRequest", e.to_string()))
    }

    /// Whether the path of the sensor's model is its own, as the plan found.
    pub(super) fn check_path(&self) -> Result<(), Problem> {
        match &self.planned.refused {
            None => Ok(()),
            Some(why) => Err(Problem::failed(AMBIGUOUS_MODEL_PATH, why)),
        }
    }

    /// Whether the sensor had a model when the run was planned.
    pub(super) fn check_model(&self, context: &Context) -> Result<(), Problem> {
        self.check_path()?;
        let (store, model) = (&context.store, &self.planned.model);
        store.check(&model.path).map_err(|e| Problem::of_model(&e))?;
        if model.size.is_none() {
            if let Some(version) = &context.request.work.model.version {
                return Err(Problem::failed(
                    "ModelNotFound",
                    format!(
                        "version {version} of its model, {}, did not exist when the run was planned; give model.version as \
                         one that it has, or leave it out for the published model",
                        store.uri(&model.path)
                    ),
                ));
            }
            return Err(Problem::failed(
                "ModelNotFound",
                format!(
                    "the model {} did not exist when the run was planned; train or upload it, or take the sensor out of \
                     the schedule's sensors",
                    store.uri(&model.path)
                ),
            ));
        }
        Ok(())
    }

    async fn model_bytes(&self, context: &Context) -> Result<Fetched<bytes::Bytes>, Problem> {
        self.check_model(context)?;
        model::bytes(&context.store, &self.planned.model).await
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
        let uri = context.data_uri(&self.data_path(context)?);
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
/// rows of a sensor that fails; and because a Parquet file says before its rows what it has for times, and a table names its
/// rows by them, which is not known without a window.
fn needs_whole(context: &Context) -> bool {
    let kind = &context.request.work.predictions;
    kind.layout.is_shared() || (kind.has_instants() && context.request.window.is_none())
}

/// What the parts of the work took.
#[derive(Default)]
struct Times {
    reading: SignedDuration,
    scoring: SignedDuration,
    writing: SignedDuration,
}
