//! A batch on its way: made sure that the partition still is ours, written, marked. What fails is tried again, for as long as it
//! takes: nothing is lost, and meanwhile nothing more is read than memory may hold.

use std::sync::Arc;
use std::time::Duration;

use crate::mark::Mark;
use crate::marks::{Grip, Marks, MarksError};
use crate::metrics::Metrics;
use crate::out::{Batch, Sink, SinkError};

/// Between two attempts, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// Of an attempt: many times what the largest batch takes.
const LONGEST: Duration = Duration::from_secs(300);

/// What writes.
#[derive(Clone)]
pub struct Writer {
    /// Where windows, dead letters and the archive go.
    pub sink: Arc<Sink>,
    /// Where marks go.
    pub marks: Marks,
    /// Where it stands how far windows are that are over the topic.
    pub merged: Option<Marks>,
    /// What is counted.
    pub metrics: Metrics,
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Marks(#[from] MarksError),
    #[error("writing took more than {} s", .0.as_secs())]
    Hangs(Duration),
}

impl WriteError {
    fn category(&self) -> &'static str {
        match self {
            Self::Sink(error) => error.category(),
            Self::Marks(MarksError::Store(error)) => error.reason(),
            Self::Marks(MarksError::Mark { .. }) => "MarkInvalid",
            Self::Marks(MarksError::Fenced { .. }) => "Fenced",
            Self::Hangs(_) => "Timeout",
        }
    }
}

/// Tries until it is done, for as long as it takes. None: what is written is another replica's now.
pub(crate) async fn until_done<T, A: Future<Output = Result<T, WriteError>>>(
    metrics: &Metrics,
    partition: Option<u32>,
    attempt: impl Fn() -> A,
) -> Option<T> {
    let mut pause = FIRST_PAUSE;
    loop {
        // One that hangs, such as with a server that takes connections and does nothing, is given up.
        let ended = tokio::time::timeout(LONGEST, attempt()).await.unwrap_or(Err(WriteError::Hangs(LONGEST)));
        match ended {
            Ok(done) => return Some(done),
            Err(WriteError::Marks(MarksError::Fenced { .. })) => return None,
            Err(error) => {
                metrics.write_errors.with_label_values(&[error.category()]).inc();
                let category = error.category();
                tracing::warn!(partition, category, "{error}; it is tried again in {} s", pause.as_secs_f32());
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

impl Writer {
    /// Has a batch and then its mark be durable. None: the partition is another replica's now.
    pub async fn write(&self, partition: u32, batch: &Batch, mark: &Mark, grip: Grip) -> Option<Grip> {
        let timer = self.metrics.write_seconds.start_timer();
        let attempt = || self.attempt(partition, batch, mark, &grip);
        let Some(grip) = until_done(&self.metrics, Some(partition), attempt).await else {
            timer.stop_and_discard();
            return None;
        };
        timer.observe_duration();
        Some(grip)
    }

    async fn attempt(&self, partition: u32, batch: &Batch, mark: &Mark, grip: &Grip) -> Result<Grip, WriteError> {
        let is_empty = batch.windows.is_empty() && batch.letters.is_none() && batch.raw.is_none();
        if !is_empty {
            // A replica that was stopped for a while may have lost the partition to one that judges otherwise.
            let seen = self.sink.look(partition, batch).await?;
            self.marks.check(grip).await?;
            let written = self.sink.write(partition, batch, &seen).await?;
            self.metrics.written(&written);
        }
        Ok(self.marks.write(grip, mark).await?)
    }
}
