//! Windows over the topic: puts together what partitions have of them, once all have it.
//!
//! How far it is stands in a mark of its own: up to `durable` all is put together, and nothing before its `watermark` waits for a
//! partition that begins only now. Shares are deleted only after that mark, and it is looked at after they were read: so whoever
//! puts together what somebody else has put together already either learns of it, or makes the same.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Micros;
use crate::config::Config;
use crate::mark::Mark;
use crate::marks::{Grip, Marks};
use crate::metrics::Metrics;
use crate::out::Sink;
use crate::window::{Merge, Rules};
use crate::write::{WriteError, Writer, until_done};

/// Shares of a slice that are read at the same time.
const AT_ONCE: usize = 2;
/// After somebody else has put windows together.
const FENCED: Duration = Duration::from_secs(10);

/// Puts windows together.
pub struct Merger {
    rules: Rules,
    sink: Arc<Sink>,
    /// Those of partitions.
    marks: Marks,
    /// Its own.
    merged: Marks,
    metrics: Metrics,
    /// Between two looks at how far partitions are.
    pause: Duration,
    /// For so long slices are put together before it is told how far they are.
    at_most: Duration,
}

/// How far it is.
#[derive(Clone, Debug)]
struct At {
    mark: Mark,
    grip: Grip,
}

/// What was done: the mark that says so, and shares that nobody needs once it stands in the store.
struct Done {
    mark: Mark,
    shares: Vec<String>,
}

/// What came of a step.
enum Next {
    At(At),
    Nothing(At),
    /// Somebody else does it.
    Fenced,
}

impl Merger {
    /// As configured; none where windows are over partitions.
    #[must_use]
    pub fn new(config: &Config, writer: &Writer) -> Option<Self> {
        let rules = Rules::new(config);
        let pause = Duration::from_micros(rules.every.unsigned_abs() / 20);
        Some(Self {
            merged: writer.merged.clone()?,
            rules,
            sink: Arc::clone(&writer.sink),
            marks: writer.marks.clone(),
            metrics: writer.metrics.clone(),
            pause: pause.clamp(Duration::from_millis(250), Duration::from_secs(5)),
            at_most: Duration::from_secs(10),
        })
    }

    /// Goes on until somebody else does it. `first`: up to when the first partition is in the store.
    pub async fn run(&self, mut first: watch::Receiver<Option<Micros>>) {
        let mut at = until_done(&self.metrics, None, || self.take_over()).await;
        while let Some(now) = at {
            self.metrics.merged(now.mark.durable);
            let durable = now.mark.durable;
            at = match self.next(now).await {
                Next::At(next) => Some(next),
                Next::Fenced => None,
                Next::Nothing(now) => {
                    // While the first partition is no further, nothing can be.
                    if first.wait_for(|first| *first > durable).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(self.pause).await;
                    Some(now)
                }
            };
        }
        tracing::info!("another replica puts windows together");
        tokio::time::sleep(FENCED).await;
    }

    /// It is not done here any more.
    pub fn ended(&self) {
        self.metrics.merged(None);
    }

    async fn take_over(&self) -> Result<At, WriteError> {
        let (mark, grip, _) = self.merged.take_over(0, &Mark::default()).await?;
        Ok(At { mark, grip })
    }

    /// Does what is next, and then says so in the mark. What it is is decided once: the same mark is written until it stands there,
    /// since others go by it as soon as it does.
    async fn next(&self, at: At) -> Next {
        let Some(done) = until_done(&self.metrics, None, || self.step(&at)).await else { return Next::Fenced };
        let Some(Done { mark, shares }) = done else { return Next::Nothing(at) };
        let write = async || Ok(self.merged.write(&at.grip, &mark).await?);
        let Some(grip) = until_done(&self.metrics, None, write).await else { return Next::Fenced };
        if !shares.is_empty() {
            self.sink.shares.delete(&shares).await;
        }
        Next::At(At { mark, grip })
    }

    /// Does what is next; none where nothing is to be done.
    async fn step(&self, at: &At) -> Result<Option<Done>, WriteError> {
        let Some(all) = self.marks.durable().await?.filter(|all| Some(*all) > at.mark.durable) else { return Ok(None) };
        match at.mark.watermark.filter(|aim| Some(*aim) > at.mark.durable) {
            // Then it is looked again which partitions there are.
            None => Ok(Some(Done { mark: Mark { watermark: Some(all), ..at.mark.clone() }, shares: Vec::new() })),
            Some(aim) if aim > all => Ok(None),
            Some(aim) => Ok(Some(self.put_together(at, aim).await?)),
        }
    }

    fn end(&self, start: Micros) -> Micros {
        start.saturating_add(self.rules.every)
    }

    /// Puts some slices together, the first that are due.
    async fn put_together(&self, at: &At, aim: Micros) -> Result<Done, WriteError> {
        let began = Instant::now();
        let mut listed = self.sink.shares.list().await?;
        listed.retain(|start, _| self.end(*start) <= aim);
        let due = listed.range(at.mark.durable.unwrap_or(Micros::MIN)..);
        let mut until = aim;
        for (number, (start, shares)) in due.enumerate() {
            if number > 0 && began.elapsed() >= self.at_most {
                until = *start;
                break;
            }
            self.sink.shares.fit(shares)?;
            let reads: Vec<_> = shares.values().map(|(path, _)| self.sink.shares.read(*start, path)).collect();
            let add = |mut all: Merge, share| async move {
                all.add(share);
                Ok(all)
            };
            let all = stream::iter(reads).buffered(AT_ONCE).try_fold(Merge::default(), add).await?;
            // Somebody else may have put them together, and deleted some, before they were read.
            self.merged.check(&at.grip).await?;
            let slice = all.finish(*start).finish(&self.rules.aggregates);
            self.metrics.written(&self.sink.finished.write(None, &[slice]).await?);
        }
        // Those of before, too: somebody may have written one again since.
        let done = listed.into_iter().filter(|(start, _)| self.end(*start) <= until);
        let shares = done.flat_map(|(_, shares)| shares.into_values()).map(|(path, _)| path).collect();
        Ok(Done { mark: Mark { durable: Some(until), ..at.mark.clone() }, shares })
    }
}

#[cfg(test)]
mod tests;
