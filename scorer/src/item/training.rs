//! One sensor's model: fitted to the first part of its readings, judged by the last, written as a version, published.

use std::sync::Arc;

use bytes::Bytes;
use spec::{ModelVersion, Training};
use store::outcome::Trained as TrainedModel;
use store::versions::{Evaluation, Promotion, PublishError, Publishing, TrainedVersion, Trial, VersionPaths, Versions};
use store::{LogFile, Outcome, Seen, StoreError};

use super::data::DataFiles;
use super::job::SensorJob;
use super::ledger::Ledger;
use crate::context::Context;
use crate::engine::{Head, Model, ScoreError, Scorer, Tally};
use crate::model::{MAX_BYTES, ModelError, Trained, sha256};
use crate::problem::{AMBIGUOUS_MODEL_PATH, Problem};
use crate::train::{Divided, Fitted, History, Published, TrainError, TrainOptions, Verdict, judge, train};

/// Bytes of kernel columns that the fit of one sensor holds at most: several are under way at once.
const CACHE_BYTES: usize = 32 << 20;

/// A new model, and how it was judged.
struct New {
    bytes: Bytes,
    hash: String,
    data_hash: String,
    trial: Trial,
    published: Published,
    /// The published model's file, as it was then.
    seen: Option<Seen>,
}

impl SensorJob {
    /// Trains the sensor's model, and says what became of it.
    pub(super) async fn train(mut self, context: &Context, data: &DataFiles, ledger: &Ledger) -> Outcome {
        let done = self.fit(context, data, ledger).await.map(|outcome| {
            let how = outcome.training.as_ref().map(|trained| {
                let is = if trained.promoted { "is published" } else { "is not published" };
                format!("succeeded: version {} {is}: {}", trained.version, trained.why)
            });
            (outcome, how.unwrap_or_default())
        });
        self.close(context, done, ledger).await
    }

    async fn fit(&mut self, context: &Context, data: &DataFiles, ledger: &Ledger) -> Result<Outcome, Problem> {
        let log = self.open_log(context, ledger);
        self.check_path()?;
        let (training, clock) = (context.request.work.training.unwrap_or_default(), &context.clock);
        let path = self.data_path(context)?;
        let mut feed = data.feed(context, &path, self.sensor())?;
        feed.claim();
        let started = clock();
        let head = feed.head().await?;
        let max_rows = usize::try_from(training.max_rows).unwrap_or(usize::MAX);
        let mut history = History::new(Arc::clone(&head), max_rows, training.held_back());
        let mut tally = Tally::default();
        while let Some(rows) = feed.next().await? {
            let added = tokio::task::spawn_blocking(move || (history.add(rows), history)).await;
            let (unusable, rest) = added.map_err(|e| Problem::internal("reading", e))?;
            tally.add_bad(unusable.bad_rows, unusable.first_bad);
            history = rest;
        }
        let totals = feed.end().await?;
        log.chunk(&format!("reading {}", context.data_uri(&path)), clock().duration_since(started));
        let (_, counts) = self.check(context, &feed, &totals, tally)?;
        let mut warnings = counts.warnings(&totals);
        if head.layout.time.is_some() && !history.is_timed() {
            warnings.push("not all times can be read: the last readings in the files are held back".to_owned());
        }
        warnings.iter().for_each(|warning| log.warn(warning));

        let (started, uri) = (clock(), context.data_uri(&path));
        let fitted = tokio::task::spawn_blocking(move || fit(history, &training, &uri)).await;
        let (fitted, divided) = fitted.map_err(|e| Problem::internal("training", e))??;
        log.chunk(&format!("fitting to {} readings", fitted.rows), clock().duration_since(started));
        let new = self.judged(context, fitted, divided, &head, &path, &log).await?;

        let model_hash = new.hash.clone();
        let trained = self.keep(context, new, &training, path, &mut warnings, &log).await?;
        let mut outcome = self.outcome(context);
        outcome.rows = counts.rows;
        outcome.bad_rows = counts.bad_rows;
        outcome.model_hash = Some(model_hash);
        outcome.columns = Some(head.layout.to_columns());
        outcome.training = Some(trained);
        outcome.warnings = warnings;
        Ok(outcome)
    }

    /// The new model's file, with what it and the published one say of the readings that were held back.
    async fn judged(
        &self,
        context: &Context,
        fitted: Fitted,
        divided: Divided,
        head: &Arc<Head>,
        path: &str,
        log: &LogFile,
    ) -> Result<New, Problem> {
        let training = context.request.work.training.unwrap_or_default();
        let (published, useless, seen) = self.published(context).await?;
        let (head, started, rows) = (Arc::clone(head), (context.clock)(), fitted.rows as u64);
        let origin = Trained { data: path.to_owned(), rows, nu: training.nu, margin: training.margin };
        let judging = tokio::task::spawn_blocking(move || judged(fitted, &divided, &head, &origin, published, useless));
        let mut new: New = judging.await.map_err(|e| Problem::internal("judging", e))??;
        new.seen = seen;
        let rows = new.trial.evaluation.rows;
        log.chunk(
            &format!("judging by {rows} readings that were held back"),
            (context.clock)().duration_since(started),
        );
        Ok(new)
    }

    /// The published model as it is now, with what it was seen to be: an earlier attempt may have published another one than
    /// there was when the run was planned. Or why it is of no use; neither where there is none.
    async fn published(&self, context: &Context) -> Result<(Option<Model>, Option<String>, Option<Seen>), Problem> {
        let (store, path) = (&context.store, self.model_path());
        store.check(path).map_err(|e| Problem::of_model(&e))?;
        let (bytes, seen) = match store.get_seen(path, MAX_BYTES).await {
            Ok((Some(bytes), seen)) => (bytes, seen),
            Ok((None, seen)) => return Ok((None, None, Some(seen))),
            Err(error @ StoreError::TooLarge { .. }) => return Ok((None, Some(error.to_string()), None)),
            Err(error) => return Err(Problem::of_store(&error)),
        };
        let name = store.uri(path);
        let read = tokio::task::spawn_blocking(move || match Model::from_bytes(&name, &bytes) {
            Ok(model) => match model.warnings().into_iter().next() {
                None => (Some(model), None),
                Some(degenerate) => (None, Some(degenerate)),
            },
            Err(error) => (None, Some(error.to_string())),
        });
        let (model, useless) = read.await.map_err(|e| Problem::internal("reading the published model", e))?;
        Ok((model, useless, Some(seen)))
    }

    /// Writes the version, publishes it if it is to be, and lets go of the oldest.
    async fn keep(
        &self,
        context: &Context,
        new: New,
        training: &Training,
        data: String,
        warnings: &mut Vec<String>,
        log: &LogFile,
    ) -> Result<TrainedModel, Problem> {
        let (store, request, model) = (&context.store, &context.request, self.model_path());
        let failed = |e: StoreError| Problem::of_store(&e);
        let (paths, started) = (VersionPaths::of(model), (context.clock)());
        let version = ModelVersion::at(request.window.map_or(request.tick, |window| window.end));
        let run = format!("{}/{}", request.namespace, request.run);
        let file = paths.file(&version);
        let publishing = Publishing::begin(store, model, Some(self.sensor()), new.seen).await.map_err(of_publishing)?;
        store.put(&file, new.bytes.clone()).await.map_err(failed)?;
        let trained = TrainedVersion {
            version: version.clone(),
            run: run.clone(),
            trained: started,
            data,
            window: request.window,
            data_hash: new.data_hash,
            model_hash: new.hash.clone(),
            training: *training,
            trial: new.trial.clone(),
        };
        let change = |known: &mut Versions| {
            let decided = judge(training.promote, &version, &new.trial, &new.published, known);
            if decided.promoted {
                let (model_hash, why) = (new.hash.clone(), decided.why.clone());
                let (version, run, at) = (version.clone(), Some(run.clone()), (context.clock)());
                known.promoted = Some(Promotion { version, model_hash, run, at, why });
            }
            known.sensor = self.sensor().clone();
            known.add(trained.clone());
            let gone = known.forget(training.keep_versions, &version);
            (decided.promoted, (decided, gone))
        };
        let (decided, gone) = publishing.run(&new.bytes, change).await.map_err(of_publishing)?;
        let gone: Vec<String> = gone.iter().map(|version| paths.file(version)).collect();
        if let Some(error) = store.delete(&gone).await.map_err(failed)?.failed {
            warnings.push(format!("old versions of the model could not be deleted: {error}"));
        }
        let took = (context.clock)().duration_since(started);
        log.chunk(&format!("writing version {version} to {}", store.uri(&file)), took);
        let Verdict { promoted, reason, why } = decided;
        let (model, reason) = (store.uri(&file), reason.to_owned());
        Ok(TrainedModel { version, model, trial: new.trial, promoted, reason, why })
    }
}

fn of_publishing(error: PublishError) -> Problem {
    match error {
        PublishError::Store(error) => Problem::of_store(&error),
        PublishError::OfOther { .. } => Problem::failed(AMBIGUOUS_MODEL_PATH, error.to_string()),
        PublishError::Contended { .. } => Problem::again("VersionsContended", error.to_string()),
    }
}

/// Fits a model to the first part of the readings.
fn fit(history: History, training: &Training, data: &str) -> Result<(Fitted, Divided), Problem> {
    let divided = history.divide(training.held_back());
    let fitted = train(&divided.fitted, divided.n_features, &TrainOptions::of(training, CACHE_BYTES));
    let fitted = fitted.map_err(|error| {
        let reason = match error {
            TrainError::TooFew { .. } => "TooFewReadings",
            TrainError::Parameter { .. } => "InvalidTraining",
            TrainError::Solver(_) => "TrainingFailed",
        };
        let held_back = divided.held_back.len() / divided.n_features.max(1);
        Problem::failed(reason, format!("{data}: {error}; {held_back} more were held back"))
    })?;
    match fitted.degenerate {
        Some(why) => Err(Problem::failed("ModelDegenerate", format!("{data}: {why}; no version of it was written"))),
        None => Ok((fitted, divided)),
    }
}

/// Makes the model's file, and compares it with the published one.
fn judged(
    Fitted { model, rows, outside, .. }: Fitted,
    divided: &Divided,
    head: &Arc<Head>,
    origin: &Trained,
    published: Option<Model>,
    mut useless: Option<String>,
) -> Result<New, Problem> {
    let bytes = model.to_bytes(origin).map_err(|e| Problem::internal("writing the model", e))?;
    ModelError::check_size("that was trained", bytes.len() as u64)
        .map_err(|error| Problem::failed(error.reason(), format!("{error}; lower training.maxRows or training.nu")))?;
    let evaluate = |model: Model| {
        let scorer = Scorer::new(Arc::new(model), Arc::clone(head))?;
        let rows = divided.held_back.len() / divided.n_features.max(1);
        Ok::<_, ScoreError>(Evaluation::of(rows as u64, scorer.anomalies(&divided.held_back)))
    };
    let mut trial = Trial {
        rows: rows as u64,
        expected_rate: Evaluation::of(rows as u64, outside as u64).anomaly_rate,
        evaluation: evaluate(model).map_err(|e| Problem::internal("judging", e))?,
        published: None,
    };
    if let Some(published) = published {
        match evaluate(published) {
            Ok(evaluation) => trial.published = Some(evaluation),
            Err(error) => useless = Some(error.to_string()),
        }
    }
    let published = match (useless, &trial.published) {
        (Some(why), _) => Published::Useless(why),
        (None, Some(_)) => Published::Judged,
        (None, None) => Published::None,
    };
    let values: Vec<u8> = divided.fitted.iter().flat_map(|value| value.to_le_bytes()).collect();
    Ok(New { hash: sha256(&bytes), bytes: bytes.into(), data_hash: sha256(&values), trial, published, seen: None })
}
