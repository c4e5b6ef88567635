//! Partitions without events: their watermarks go on with the clock, or with the other partitions.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;

use super::{Member, TICK};
use crate::Micros;
use crate::hand::Hand;
use crate::marks::MarksError;

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
        for (partition, to) in silent {
            self.jump(partition, to, "Silence", stop);
        }
        self.follow_others(stop);
    }

    /// Partitions without events follow the least of the others, which they would hold up else.
    fn follow_others(&mut self, stop: &AtomicBool) {
        if let Some(Ok(least)) = self.others.as_ref().map(Receiver::try_recv) {
            self.others = None;
            let after = |(partition, hand): (&u32, &Hand)| Some((*partition, hand.after_others(least)?));
            let behind: Vec<(u32, Micros)> = self.hands.iter().filter_map(after).collect();
            for (partition, to) in behind {
                self.jump(partition, to, "Others", stop);
            }
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

    /// Has a watermark go on, once it stands in the store that it does. While the store is away nothing else is done: nothing else
    /// could be written either.
    pub(super) fn jump(&mut self, partition: u32, to: Micros, reason: &'static str, stop: &AtomicBool) {
        let Some((mark, grip)) = self.hands.get_mut(&partition).and_then(|hand| hand.jump(to)) else { return };
        let mut pause = TICK;
        let written = loop {
            match self.runtime.block_on(self.writer.marks.write(&grip, &mark)) {
                Ok(grip) => break Some(grip),
                Err(MarksError::Fenced { .. }) => break None,
                Err(error) => tracing::warn!(partition, "{error}; it is tried again in {} s", pause.as_secs_f32()),
            }
            if stop.load(Ordering::Relaxed) {
                break None;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LAST_PAUSE);
        };
        match written {
            Some(grip) => {
                self.metrics.jumps.with_label_values(&[reason]).inc();
                self.marked(partition, mark, grip);
            }
            None => self.lose(partition),
        }
    }

    /// Another replica writes its marks: it is no more this one's.
    pub(super) fn lose(&mut self, partition: u32) {
        tracing::info!(partition, "another replica writes its marks: it is no more this one's");
        self.hands.remove(&partition);
        self.fenced.insert(partition, Instant::now());
    }
}
