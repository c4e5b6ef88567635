//! Windows over the topic are put together by whoever has its first partition.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Micros;
use crate::hand::Hand;
use crate::merger::Merger;

/// Puts windows together while the first partition is in hand.
pub(super) struct Merging {
    merger: Arc<Merger>,
    runtime: Handle,
    under_way: Option<UnderWay>,
}

struct UnderWay {
    /// Which life of the partition's it is for.
    life: u64,
    task: JoinHandle<()>,
    durable: watch::Sender<Option<Micros>>,
}

impl Merging {
    pub(super) fn new(merger: Merger, runtime: Handle) -> Self {
        Self { merger: Arc::new(merger), runtime, under_way: None }
    }

    /// Looks after it: `first` is the first partition, if it is in hand.
    pub(super) fn tend(&mut self, first: Option<&Hand>) {
        let Some(first) = first else { return self.end() };
        let durable = first.partition.marked().durable;
        match &self.under_way {
            Some(under_way) if under_way.life == first.life() && !under_way.task.is_finished() => {
                under_way.durable.send_if_modified(|told| std::mem::replace(told, durable) != durable);
            }
            _ => {
                self.end();
                let (sender, receiver) = watch::channel(durable);
                let merger = Arc::clone(&self.merger);
                let task = self.runtime.spawn(async move { merger.run(receiver).await });
                self.under_way = Some(UnderWay { life: first.life(), task, durable: sender });
            }
        }
    }

    fn end(&mut self) {
        if let Some(under_way) = self.under_way.take() {
            under_way.task.abort();
            self.merger.ended();
        }
    }
}

impl Drop for Merging {
    fn drop(&mut self) {
        self.end();
    }
}
