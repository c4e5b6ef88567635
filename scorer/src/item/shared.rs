//! Sensors of an item that write to one file: in the manifest's order, so that its bytes are the same each time.
//!
//! The file is there whole or not at all, so a sensor has succeeded only once the file is finished, and another attempt
//! at the item makes the whole file anew. It replaces the file of an earlier attempt only when it lacks nothing of it.
//!
//! A sensor that fails must leave no rows in the file. So its rows stay in its feed until the readings have ended and it is
//! known that it will not.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt;
use spec::SensorKeys;
use spec::report::STORE_UNAVAILABLE;
use store::{LogFile, Outcome, Status, Upload};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::AT_ONCE;
use super::challenger::Challenger;
use super::data::DataFiles;
use super::job::SensorJob;
use super::ledger::Ledger;
use super::sensor::{Done, Ready};
use super::table::PredictionsTable;
use crate::context::Context;
use crate::engine::{Encoder, Header, Layout, PredictionsError, Scored, Tally, Totals};
use crate::feed::Feed;
use crate::problem::Problem;

/// Blocks of a sensor that are scored ahead of the file.
const AHEAD: usize = 2;

/// Scores the sensors of all jobs and writes their predictions to one file. `earlier` are those in the file that is
/// there already. With `one_by_one` each is announced before it is begun.
pub(super) async fn work_on(
    context: &Context,
    jobs: Vec<SensorJob>,
    earlier: &BTreeSet<SensorKeys>,
    data: &DataFiles,
    ledger: &Ledger,
    one_by_one: bool,
) {
    let Some(first) = jobs.first() else { return };
    let path = context.paths.prediction(ledger.index, first.sensor());
    let mut file = context.store.upload(&path).map_err(|e| Problem::of_store(&e)).map(File::new);
    let mut written: Vec<(SensorJob, Outcome)> = Vec::new();
    let jobs = futures::stream::iter(jobs).map(|mut job| async move {
        if context.is_away() || (one_by_one && ledger.announce(std::iter::once(job.sensor())).await.is_err()) {
            return None;
        }
        let scoring = Scoring::begin(&mut job, context, data, ledger).await;
        Some((job, scoring))
    });
    let mut scored = std::pin::pin!(jobs.buffered(if one_by_one { 1 } else { AT_ONCE }));
    while let Some(begun) = scored.next().await {
        let Some((job, scoring)) = begun else {
            let (reason, why) = context.was_away().unwrap_or((STORE_UNAVAILABLE, "the store was away"));
            file = Err(Problem::again(reason, format!("{why} while the item's other sensors were scored")));
            continue;
        };
        let done = match (scoring, &mut file) {
            (Err(problem), _) => Err(problem),
            (Ok(_), Err(problem)) => Err(problem.clone()),
            (Ok(scoring), Ok(open)) => match open.add(context, &job, scoring, &ledger.log(job.sensor())).await {
                Ok(done) => Ok(done),
                Err(Refused::Sensor(problem)) => Err(problem),
                Err(Refused::File(problem)) => {
                    file = Err(problem.clone());
                    Err(problem)
                }
            },
        };
        let outcome = job.end(context, done, ledger).await;
        if outcome.status == Status::Succeeded {
            written.push((job, outcome));
        } else if !earlier.contains(job.sensor()) {
            ledger.add(outcome);
        } else if file.is_ok() {
            file = Err(lost(job.sensor()));
        }
    }
    let finished = match file {
        // Not one sensor has predictions: no file.
        Ok(_) if written.is_empty() => Ok(()),
        Ok(file) => file.finish().await,
        Err(problem) => Err(problem),
    };
    for (job, outcome) in written {
        match &finished {
            Ok(()) => ledger.add(outcome),
            // Its predictions are in the earlier file.
            Err(_) if earlier.contains(job.sensor()) => {}
            Err(problem) => ledger.add(job.failed(context, problem.clone())),
        }
    }
}

fn lost(sensor: &SensorKeys) -> Problem {
    Problem::again(
        "PredictionsKept",
        format!(
            "sensor {sensor} of the same item was scored by an earlier attempt and could not be now (its log says why); \
             the file of that attempt is kept, this one's is not"
        ),
    )
}

/// What is left of a sensor whose rows are all scored.
type Ended = (Feed, Tally, Option<Challenger>);

/// A sensor whose readings are all there, and which is scored ahead of the file.
struct Scoring {
    layout: Layout,
    model_hash: String,
    warnings: Vec<String>,
    totals: Arc<Totals>,
    unread_time: Option<String>,
    blocks: mpsc::Receiver<Scored>,
    task: JoinHandle<Result<Ended, Problem>>,
}

impl Scoring {
    async fn begin(job: &mut SensorJob, context: &Context, data: &DataFiles, ledger: &Ledger) -> Result<Self, Problem> {
        let Ready { mut feed, mut scorer, model_hash, warnings } = job.begin(context, data, ledger).await?;
        let (log, started) = (ledger.log(job.sensor()), (context.clock)());
        let totals = feed.end().await?;
        log.chunk("reading", (context.clock)().duration_since(started));
        let mut tally = Tally::default();
        if context.request.work.data.max_bad_rows.is_some() {
            feed.look(|rows| {
                let (bad_rows, first) = scorer.unusable(rows);
                tally.add_bad(bad_rows, first);
            })
            .await?;
        }
        job.check(context, &feed, &totals, tally)?;
        let unread_time = feed.counts(&totals).and_then(|counts| counts.unread_time.clone());
        let layout = scorer.layout().clone();
        let mut challenger = job.challenger(context, &feed, unread_time.as_deref()).await?;
        let (send, blocks) = mpsc::channel(AHEAD);
        let task = tokio::spawn(async move {
            while let Some(rows) = feed.next().await? {
                let scored = tokio::task::spawn_blocking(move || {
                    let beside = challenger.as_ref().map(|_| rows.clone());
                    let published = scorer.score(rows);
                    if let (Some(challenger), Some(rows)) = (&mut challenger, beside) {
                        challenger.add(rows, &published);
                    }
                    (published, scorer, challenger)
                });
                let published;
                (published, scorer, challenger) = scored.await.map_err(|e| Problem::internal("scoring", e))?;
                if let Some(challenger) = &mut challenger {
                    challenger.send().await;
                }
                if send.send(published).await.is_err() {
                    break;
                }
            }
            Ok((feed, scorer.tally().clone(), challenger))
        });
        Ok(Self { layout, model_hash, warnings, totals, unread_time, blocks, task })
    }
}

/// The file under way.
struct File {
    upload: Upload,
    /// Begun by the first sensor, whose columns are the file's.
    encoder: Option<Encoder>,
    ready: Vec<u8>,
}

/// Why predictions could not be added.
enum Refused {
    /// Those of this sensor alone cannot be part of the file, and none of them is.
    Sensor(Problem),
    /// The file cannot be written.
    File(Problem),
}

impl From<PredictionsError> for Refused {
    fn from(error: PredictionsError) -> Self {
        Self::Sensor(Problem::of_predictions(&error))
    }
}

impl File {
    fn new(upload: Upload) -> Self {
        Self { upload, encoder: None, ready: Vec::new() }
    }

    async fn add(
        &mut self,
        context: &Context,
        job: &SensorJob,
        mut scoring: Scoring,
        log: &LogFile,
    ) -> Result<Done, Refused> {
        let (kind, started) = (&context.request.work.predictions, (context.clock)());
        let header = Header::of(kind, &scoring.layout, job.sensor())?;
        let unread_time = scoring.unread_time.as_deref();
        if let Some(encoder) = &self.encoder {
            encoder.has(&header, unread_time)?;
        }
        let table = PredictionsTable::begin(context, job.sensor(), &scoring.layout, unread_time).await;
        let mut table = table.map_err(Refused::Sensor)?;
        while let Some(scored) = scoring.blocks.recv().await {
            if scored.rows.is_empty() {
                continue;
            }
            if let Some(table) = &mut table {
                // The file has rows of the sensor by then, and cannot be as it is to be without the rest.
                table.add(&scored).await.map_err(Refused::File)?;
            }
            let mut encoder = match self.encoder.take() {
                Some(encoder) => encoder,
                None => Encoder::begin(kind.format, header.clone(), unread_time, &mut self.ready)?,
            };
            let (mut ready, sensor) = (std::mem::take(&mut self.ready), job.sensor().clone());
            let encoded = tokio::task::spawn_blocking(move || {
                let written = encoder.write(&scored.block(&sensor), &mut ready);
                written.map(|()| (encoder, ready))
            });
            let encoded = encoded.await.map_err(|e| Refused::File(Problem::internal("writing", e)))?;
            let (encoder, ready) = encoded.map_err(|e| Refused::File(Problem::of_predictions(&e)))?;
            (self.encoder, self.ready) = (Some(encoder), ready);
            self.send().await.map_err(Refused::File)?;
        }
        let ended = scoring.task.await.map_err(|e| Refused::File(Problem::internal("scoring", e)))?;
        let (feed, tally, challenger) = ended.map_err(Refused::File)?;
        let what = format!("adding {} rows to {}", tally.scored, context.store.uri(self.upload.path()));
        log.chunk(&what, (context.clock)().duration_since(started));
        let checked = job.check(context, &feed, &scoring.totals, tally).map_err(Refused::Sensor)?;
        if let Some(table) = table {
            table.finish(context, log).await.map_err(Refused::File)?;
        }
        let columns = scoring.layout.to_columns();
        let challenger = match challenger {
            Some(challenger) => Some(challenger.finish(&mut scoring.warnings, log).await),
            None => None,
        };
        let model = (scoring.model_hash, challenger);
        Ok(job.done(checked, columns, model, scoring.warnings, &scoring.totals, log))
    }

    async fn send(&mut self) -> Result<(), Problem> {
        self.upload.write(&self.ready).await.map_err(|e| Problem::of_store(&e))?;
        self.ready.clear();
        Ok(())
    }

    async fn finish(mut self) -> Result<(), Problem> {
        if let Some(encoder) = self.encoder.take() {
            encoder.finish(&mut self.ready).map_err(|e| Problem::of_predictions(&e))?;
        }
        self.send().await?;
        self.upload.finish().await.map_err(|e| Problem::of_store(&e))
    }
}
