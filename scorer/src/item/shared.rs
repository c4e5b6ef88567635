//! Sensors of an item that write to one file: in the manifest's order, so that its bytes are the same each time.
//!
//! The file is there whole or not at all, so a sensor has succeeded only once the file is finished, and another attempt
//! at the item makes the whole file anew. It replaces the file of an earlier attempt only when it lacks nothing of it.

use std::collections::BTreeSet;

use futures::StreamExt;
use spec::SensorKeys;
use store::{LogFile, Outcome, Status, Upload};

use super::AT_ONCE;
use super::data::DataFiles;
use super::ledger::Ledger;
use super::sensor::{Done, Problem, SensorJob};
use crate::context::Context;
use crate::engine::{Encoder, Header, PredictionsError};

/// Scores the sensors of all jobs and writes their predictions to `path`. `earlier` are those in the file that an
/// earlier attempt left there.
pub(super) async fn work_on(
    context: &Context,
    path: &str,
    jobs: Vec<SensorJob>,
    earlier: &BTreeSet<&SensorKeys>,
    data: &DataFiles,
    ledger: &Ledger,
) {
    let mut file = context.store.upload(path).map_err(|e| Problem::of_store(&e)).map(File::new);
    let mut written: Vec<(SensorJob, Outcome)> = Vec::new();
    let jobs = futures::stream::iter(jobs).map(|mut job| async move {
        let done = job.score(context, data, ledger).await;
        (job, done)
    });
    let mut scored = std::pin::pin!(jobs.buffered(AT_ONCE));
    while let Some((job, mut done)) = scored.next().await {
        if let Ok(found) = &done {
            let added = match &mut file {
                Ok(file) => file.add(context, job.sensor(), found, &ledger.log(job.sensor())).await,
                Err(problem) => Err(Refused::Sensor(problem.clone())),
            };
            match added {
                Ok(()) => {}
                Err(Refused::Sensor(problem)) => done = Err(problem),
                Err(Refused::File(problem)) => {
                    done = Err(problem.clone());
                    file = Err(problem);
                }
            }
        }
        let outcome = job.end(context, done, ledger).await;
        if outcome.status == Status::Succeeded {
            written.push((job, outcome));
        } else if !earlier.contains(job.sensor()) {
            ledger.add(outcome).await;
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
            Ok(()) => ledger.add(outcome).await,
            // Its predictions are in the earlier file.
            Err(_) if earlier.contains(job.sensor()) => {}
            Err(problem) => ledger.add(job.failed(context, problem.clone())).await,
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

/// The file under way.
struct File {
    upload: Upload,
    /// Begun by the first sensor, whose columns are the file's.
    encoder: Option<Encoder>,
    ready: Vec<u8>,
}

/// Why predictions could not be added.
enum Refused {
    /// Those of this sensor alone cannot be part of the file.
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

    async fn add(&mut self, context: &Context, sensor: &SensorKeys, done: &Done, log: &LogFile) -> Result<(), Refused> {
        let (kind, started) = (&context.request.work.predictions, (context.clock)());
        let rows = done.rows(sensor).map_err(Refused::Sensor)?;
        let header = Header::of(kind, &done.loaded.readings.layout, sensor)?;
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => none.insert(Encoder::begin(kind.format, header.clone(), &mut self.ready)?),
        };
        encoder.has(&header)?;
        encoder.write(&done.scored.block(sensor, rows), &mut self.ready)?;
        self.send().await.map_err(Refused::File)?;
        let what = format!("adding {} rows to {}", done.scored.scored, context.store.uri(self.upload.path()));
        log.chunk(&what, (context.clock)().duration_since(started));
        Ok(())
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
