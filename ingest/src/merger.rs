//! Windows over the topic: puts together what partitions have of them, once all have it.
//!
//! How far it is stands in a mark of its own: up to `durable` all is put together, and nothing before its `watermark` waits for a
//! partition that begins only now. Shares are deleted only after that mark, and it is looked at after they were read: so whoever
//! puts together what somebody else has put together already either learns of it, or makes the same.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::watch;

use crate::Micros;
use crate::config::Config;
use crate::mark::Mark;
use crate::marks::{Grip, Marks};
use crate::metrics::Metrics;
use crate::out::Sink;
use crate::window::{Merge, Rules};
use crate::write::{WriteError, Writer, until_done};

/// So many slices are put together before it is told.
const SLICES: usize = 16;
/// Shares of a slice that are read at the same time.
const AT_ONCE: usize = 4;
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
}

/// How far it is.
#[derive(Clone, Debug)]
struct At {
    mark: Mark,
    grip: Grip,
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
        })
    }

    /// Goes on until somebody else does it. `first`: up to when the first partition is in the store.
    pub async fn run(&self, mut first: watch::Receiver<Option<Micros>>) {
        let mut at = until_done(&self.metrics, None, || self.take_over()).await;
        while let Some(now) = &at {
            self.metrics.merged(now.mark.durable);
            let Some(next) = until_done(&self.metrics, None, || self.step(now)).await else { break };
            if next.is_some() {
                at = next;
                continue;
            }
            // While the first partition is no further, nothing can be.
            let durable = now.mark.durable;
            if first.wait_for(|first| *first > durable).await.is_err() {
                return;
            }
            tokio::time::sleep(self.pause).await;
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

    /// Does what is next, and tells how far it is then; none where nothing is to be done. Only its last deed moves the mark.
    async fn step(&self, at: &At) -> Result<Option<At>, WriteError> {
        let Some(all) = self.marks.durable().await?.filter(|all| Some(*all) > at.mark.durable) else { return Ok(None) };
        let aim = at.mark.watermark.filter(|aim| Some(*aim) > at.mark.durable);
        let mark = match aim {
            // Then it is looked again which partitions there are.
            None => Mark { watermark: Some(all), ..at.mark.clone() },
            Some(aim) if aim > all => return Ok(None),
            Some(aim) => Mark { durable: Some(self.put_together(at, aim).await?), ..at.mark.clone() },
        };
        let grip = self.merged.write(&at.grip, &mark).await?;
        if mark.durable > at.mark.durable {
            self.sweep(mark.durable).await;
        }
        Ok(Some(At { mark, grip }))
    }

    fn end(&self, start: Micros) -> Micros {
        start.saturating_add(self.rules.every)
    }

    /// Puts some slices together, the first that are due, and tells up to when.
    async fn put_together(&self, at: &At, aim: Micros) -> Result<Micros, WriteError> {
        let shares = self.sink.shares.list().await?;
        let is_due = |start: &Micros| self.end(*start) <= aim && Some(self.end(*start)) > at.mark.durable;
        let due: Vec<_> = shares.into_iter().filter(|(start, _)| is_due(start)).take(SLICES + 1).collect();
        for (start, shares) in due.iter().take(SLICES) {
            let reads: Vec<_> = shares.values().map(|path| self.sink.shares.read(*start, path)).collect();
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
        Ok(due.get(SLICES).map_or(aim, |(start, _)| *start))
    }

    /// Deletes shares that were put together, and those that somebody wrote again since.
    async fn sweep(&self, until: Option<Micros>) {
        match self.sink.shares.list().await {
            Ok(shares) => {
                let old = shares.into_iter().filter(|(start, _)| Some(self.end(*start)) <= until);
                let old: Vec<String> = old.flat_map(|(_, shares)| shares.into_values()).collect();
                self.sink.shares.delete(&old).await;
            }
            Err(error) => tracing::warn!("shares of windows that were put together are left for now: {error}"),
        }
    }
}

#[cfg(test)]
mod tests;
