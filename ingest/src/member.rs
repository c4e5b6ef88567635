//! A member of the group: reads records, and sees to it that what came of them is written. One thread; what waits for the network
//! are tasks beside it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use tokio::runtime::Handle;

use crate::config::{Config, Over};
use crate::error::IngestError;
use crate::event::Decoder;
use crate::hand::Hand;
use crate::mark::Mark;
use crate::marks::Grip;
use crate::merger::Merger;
use crate::metrics::Metrics;
use crate::out::Record;
use crate::partition::Partition;
use crate::source::{Assigned, Source, SourceError};
use crate::window::Rules;
use crate::write::Writer;
use crate::{Micros, timestamp};

mod memory;
mod merging;
mod silence;

/// So often is looked after what is not records.
const TICK: Duration = Duration::from_millis(100);
/// For how long a partition may be assigned to this member while another one writes its marks.
const CONTENDED: Duration = Duration::from_secs(60);
/// How long what is on its way may take when the process is told to end.
const LAST_WORDS: Duration = Duration::from_secs(20);

/// A member of the group.
pub struct Member {
    source: Source,
    decoder: Decoder,
    rules: Arc<Rules>,
    archives: bool,
    limits: memory::Limits,
    hands: BTreeMap<u32, Hand>,
    /// Partitions that are assigned, and that another member's marks took away.
    fenced: BTreeMap<u32, Instant>,
    writer: Writer,
    metrics: Metrics,
    runtime: Handle,
    written: (Sender<Written>, Receiver<Written>),
    paused: bool,
    /// When it was last asked how far the other partitions are.
    followed: Option<Instant>,
    others: Option<Receiver<Micros>>,
    merging: Option<merging::Merging>,
    /// Whether it was told that records have no key.
    told_of_keys: bool,
}

/// A batch came to its end: with its mark and what entitles to the next one, or the partition is another's.
struct Written {
    partition: u32,
    life: u64,
    mark: Mark,
    grip: Option<Grip>,
}

impl Member {
    /// A member that has joined.
    ///
    /// # Errors
    /// When the filter cannot be used.
    pub fn new(config: &Config, source: Source, writer: Writer, runtime: Handle) -> Result<Self, IngestError> {
        Ok(Self {
            source,
            decoder: Decoder::new(&config.event)?,
            rules: Arc::new(Rules::new(config)),
            archives: config.archive.is_some(),
            limits: memory::Limits::new(config.limits),
            hands: BTreeMap::new(),
            fenced: BTreeMap::new(),
            metrics: writer.metrics.clone(),
            merging: Merger::new(config, &writer).map(|merger| merging::Merging::new(merger, runtime.clone())),
            told_of_keys: false,
            writer,
            runtime,
            written: channel(),
            paused: false,
            followed: None,
            others: None,
        })
    }

    /// Reads until told to stop. `ready` is set once the group has taken this member in.
    ///
    /// # Errors
    /// When it cannot go on.
    pub fn run(&mut self, stop: &AtomicBool, ready: &AtomicBool) -> Result<(), IngestError> {
        while !stop.load(Ordering::Relaxed) {
            let until = Instant::now() + TICK;
            self.read_until(until)?;
            self.hear_of_partitions()?;
            let now = Instant::now();
            self.hear_of_writes();
            self.write(now, false);
            self.observe(now);
            self.jump_for_silence(stop);
            self.keep_to_memory(stop);
            if let Some(merging) = &mut self.merging {
                merging.tend(self.hands.get(&0));
            }
            self.metrics.tell(self.hands.values());
            if let Some((partition, _)) = self.fenced.iter().find(|(_, since)| now.duration_since(**since) > CONTENDED)
            {
                return Err(IngestError::Contended(*partition));
            }
            ready.store(self.source.consumer.context().has_joined(), Ordering::Relaxed);
        }
        self.last_words();
        Ok(())
    }

    fn read_until(&mut self, until: Instant) -> Result<(), IngestError> {
        let (mut count, mut has_keys) = (0_u64, true);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match self.source.consumer.poll(left) {
                // Also where partitions came or went: what is to be known of them is heard before their records.
                None => break,
                Some(Ok(message)) => {
                    let record = record(&message);
                    has_keys &= record.key.is_some();
                    if let Some(hand) = self.hands.get_mut(&record.partition) {
                        hand.read(&mut self.decoder, &record, &self.metrics);
                    }
                    count += 1;
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    let hand = u32::try_from(partition).ok().and_then(|partition| self.hands.get_mut(&partition));
                    if let Some(hand) = hand {
                        hand.has_all();
                    }
                }
                Some(Err(error)) => judge(error)?,
            }
        }
        if !has_keys && !self.told_of_keys {
            self.tell_of_keys();
        }
        self.metrics.records.inc_by(count);
        Ok(())
    }

    /// Records may be gone from the log, whose retention was too short: those that were never read, and those of windows that were
    /// open when the partition was read last.
    fn tell_of_gone(&self, partition: u32, mark: &Mark, begin: i64) {
        let gone = |from: i64| u64::try_from(begin.saturating_sub(from)).unwrap_or_default();
        let (lost, again) = (gone(mark.offset.max(mark.side)), gone(mark.offset));
        self.metrics.lost.inc_by(again);
        if lost > 0 {
            tracing::error!(
                partition,
                lost,
                "records were gone from the log before they were read: its retention is too short"
            );
        }
        if again > lost {
            tracing::error!(
                partition,
                lost = again - lost,
                "records of windows that were open were gone from the log: those from {} on have what is left",
                mark.durable.map_or_else(|| "the first".to_owned(), |durable| timestamp(durable).to_string())
            );
        }
    }

    /// Nobody but who sends events knows whether those of a sensor are in one partition.
    fn tell_of_keys(&mut self) {
        self.told_of_keys = true;
        if self.rules.over == Over::Partition && self.source.consumer.context().partitions() > 1 {
            tracing::warn!(
                "records have no key: a sensor whose events are in several partitions has a row for each of them; give records the sensor \
                 as their key, or have windows.over: Topic"
            );
        }
    }

    fn hear_of_partitions(&mut self) -> Result<(), IngestError> {
        let group = self.source.consumer.context().clone();
        for partition in group.revoked() {
            self.hands.remove(&partition);
            self.fenced.remove(&partition);
            tracing::info!(partition, "it goes to another replica");
        }
        let assigned = group.assigned()?;
        if !assigned.is_empty() {
            // What came is as it was when it went: paused or not.
            let paused = self.paused;
            self.paused = !paused;
            self.pause(paused);
        }
        for Assigned { partition, mark, grip, offsets, fresh } in assigned {
            self.tell_of_gone(partition, &mark, offsets.begin);
            let mark = Mark { offset: mark.offset.max(offsets.begin), ..mark };
            tracing::info!(
                partition,
                offset = mark.offset,
                behind = offsets.end.saturating_sub(mark.offset),
                "it is this replica's now"
            );
            // Nobody has judged anything of a partition that never had a mark.
            let judged = if fresh { mark.side } else { offsets.end };
            let resumed = Partition::resume(Arc::clone(&self.rules), mark, judged);
            self.fenced.remove(&partition);
            self.hands.insert(partition, Hand::new(partition, resumed, grip, self.archives, offsets.end));
        }
        Ok(())
    }

    fn hear_of_writes(&mut self) {
        while let Ok(written) = self.written.1.try_recv() {
            self.hear_of(written);
        }
    }

    fn hear_of(&mut self, Written { partition, life, mark, grip }: Written) {
        let is_current = self.hands.get(&partition).is_some_and(|hand| hand.life() == life);
        match grip {
            Some(grip) if is_current => self.marked(partition, mark, grip),
            None if is_current => self.lose(partition),
            _ => {}
        }
    }

    /// A partition's mark stands in the store.
    fn marked(&mut self, partition: u32, mark: Mark, grip: Grip) {
        let offset = mark.offset;
        if let Some(hand) = self.hands.get_mut(&partition) {
            hand.written(mark, grip);
        }
        self.commit(partition, offset);
    }

    /// Tells the broker, for whoever watches the group's lag: what counts is the mark.
    fn commit(&self, partition: u32, offset: i64) {
        let mut list = TopicPartitionList::new();
        let partition = i32::try_from(partition).unwrap_or(i32::MAX);
        let told = list
            .add_partition_offset(self.source.topic(), partition, Offset::Offset(offset))
            .and_then(|()| self.source.consumer.commit(&list, CommitMode::Async));
        if let Err(error) = told {
            tracing::debug!(partition, "the offset is not committed: {error}");
        }
    }

    fn write(&mut self, now: Instant, at_once: bool) {
        for (partition, hand) in &mut self.hands {
            let Some((batch, mark, grip)) = hand.due(now, at_once) else { continue };
            let (writer, partition, sender) = (self.writer.clone(), *partition, self.written.0.clone());
            let life = hand.life();
            self.runtime.spawn(async move {
                let grip = writer.write(partition, &batch, &mark, grip).await;
                // Nobody may be there any more.
                let _ = sender.send(Written { partition, life, mark, grip });
            });
        }
    }

    /// Writes what is complete, and waits for it, so that whoever comes next has less to read again.
    fn last_words(&mut self) {
        let until = Instant::now() + LAST_WORDS;
        while self.hands.values().any(|hand| hand.is_writing() || hand.has_work()) && Instant::now() < until {
            self.write(Instant::now(), true);
            if let Ok(written) = self.written.1.recv_timeout(TICK) {
                self.hear_of(written);
            }
        }
    }
}

fn record<'a>(message: &'a BorrowedMessage<'_>) -> Record<'a> {
    Record {
        partition: u32::try_from(message.partition()).unwrap_or_default(),
        offset: message.offset(),
        stamp: message.timestamp().to_millis().filter(|stamp| *stamp >= 0).map(|stamp| stamp.saturating_mul(1000)),
        key: message.key(),
        value: message.payload(),
    }
}

/// Whether reading can go on.
fn judge(error: KafkaError) -> Result<(), IngestError> {
    let broken = |error: &dyn std::fmt::Display| Err(SourceError::Broken(error.to_string()).into());
    match error {
        KafkaError::MessageConsumptionFatal(code) => broken(&code),
        // What is gone is told when the partition is taken over again.
        KafkaError::MessageConsumption(
            code @ (RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset),
        ) => broken(&code),
        // A restart reads the Secret anew.
        KafkaError::MessageConsumption(code @ RDKafkaErrorCode::Authentication) => broken(&code),
        other => {
            tracing::warn!("reading: {other}; the client goes on by itself");
            Ok(())
        }
    }
}
