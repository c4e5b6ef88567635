//! Partitions without events: their watermarks go on with the clock, or with the other partitions.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use futures::future::join_all;
use rdkafka::consumer::Consumer;

use super::{Member, TICK};
use crate::Micros;
use crate::hand::Hand;
use crate::mark::Mark;
use crate::marks::{Grip, Marks, MarksError};

/// Between two attempts at most.
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// So often it is asked how far the other partitions are.
const FOLLOW_EVERY: Duration = Duration::from_secs(15);

impl Member {
    /// Hears what the client knows of the log.
    pub(super) fn observe(&mut self, now: Instant) {
        let Some(observed) = self.source.consumer.context().observed(self.source.topic()) else { return };
        if observed.partitions > 0 {
            self.writer.marks.set_partitions(self.source.consumer.context().partitions());
        }
        for (partition, hand) in &mut self.hands {
            hand.ends(observed.ends.get(partition).copied());
            match observed.heard.contains(partition) && !self.paused {
                true => hand.heard(now, observed.drained.contains(partition)),
                false => hand.not_heard(),
            }
        }
    }

    /// Has the watermarks of silent partitions go on.
    pub(super) fn jump_for_silence(&mut self, stop: &AtomicBool) {
        let silent: Vec<(u32, Micros)> =
            self.hands.iter().filter_map(|(partition, hand)| Some((*partition, hand.after_silence()?))).collect();
        self.jump(&silent, "Silence", stop);
        self.follow_others(stop);
    }

    /// Partitions without events follow the least of the others, which they would hold up else.
    fn follow_others(&mut self, stop: &AtomicBool) {
        if let Some(Ok(least)) = self.others.as_ref().map(Receiver::try_recv) {
            self.others = None;
            let after = |(partition, hand): (&u32, &Hand)| Some((*partition, hand.after_others(least)?));
            let behind: Vec<(u32, Micros)> = self.hands.iter().filter_map(after).collect();
            self.jump(&behind, "Others", stop);
        }
        let rested = self.followed.is_none_or(|then| then.elapsed() >= FOLLOW_EVERY);
        let follows = self.hands.values().any(|hand| hand.after_others(Micros::MAX).is_some());
        if !rested || !follows {
            return;
        }
        self.followed = Some(Instant::now());
        let (sender, receiver) = channel();
        self.others = Some(receiver);
        let marks = self.writer.marks.clone();
        self.runtime.spawn(async move {
            match marks.least().await {
                // Nobody may be there any more.
                Ok(Some(least)) => drop(sender.send(least)),
                Ok(None) => {}
                Err(error) => tracing::warn!("how far the other partitions are cannot be read: {error}"),
            }
        });
    }

    /// Has watermarks go on, once it stands in the store that they do. While the store is away nothing else is done: nothing else
    /// could be written either.
    pub(super) fn jump(&mut self, jumps: &[(u32, Micros)], reason: &'static str, stop: &AtomicBool) {
        let hands = &mut self.hands;
        let jumps = jumps.iter().filter_map(|(partition, to)| {
            let (mark, grip) = hands.get_mut(partition)?.jump(*to)?;
            Some(write(&self.writer.marks, *partition, mark, grip, stop))
        });
        let jumps: Vec<_> = jumps.collect();
        for (partition, mark, grip) in self.runtime.block_on(join_all(jumps)) {
            match grip {
                Some(grip) => {
                    self.metrics.jumps.with_label_values(&[reason]).inc();
                    self.marked(partition, mark, grip);
                }
                None => self.lose(partition),
            }
        }
    }

    /// Another replica writes its marks: it is no more this one's.
    pub(super) fn lose(&mut self, partition: u32) {
        tracing::info!(partition, "another replica writes its marks: it is no more this one's");
        self.hands.remove(&partition);
        self.fenced.insert(partition, Instant::now());
    }
}

/// Writes a mark, until it stands in the store; with what entitles to the next one, unless the partition is another's now, or it is
/// told to stop.
async fn write(marks: &Marks, partition: u32, mark: Mark, grip: Grip, stop: &AtomicBool) -> (u32, Mark, Option<Grip>) {
    let mut pause = TICK;
    loop {
        match marks.write(&grip, &mark).await {
            Ok(grip) => return (partition, mark, Some(grip)),
            Err(MarksError::Fenced { .. }) => return (partition, mark, None),
            Err(error) => tracing::warn!(partition, "{error}; it is tried again in {} s", pause.as_secs_f32()),
        }
        if stop.load(Ordering::Relaxed) {
            return (partition, mark, None);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}
