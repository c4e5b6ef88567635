//! What both sides read, and what is to come of it: readings of sensors, slightly out of order, none of them late.

use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use crate::rows::{Key, Rows, Stats};

/// The first event's time.
const BEGIN: &str = "2026-01-01T00:00:05Z";
/// How many milliseconds an event may be behind the latest, at most.
const BEHIND: u64 = 3_000;
/// By how much both sides' watermark is behind the latest event, in seconds: more than events are.
pub(crate) const DELAY: u64 = 5;
/// The length of windows, in seconds.
pub(crate) const WINDOW: u64 = 5;
/// What ingest writes together, in seconds: all is written once the watermark is at a multiple of it.
pub(crate) const SLICE: i64 = 60;

/// How many events there are, of whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) events: u64,
    pub(crate) sensors: u64,
    /// Events of a sensor in a second.
    pub(crate) rate: u64,
}

/// A reading.
#[derive(Clone, Copy, Debug)]
struct Event {
    at: Timestamp,
    sensor: u64,
    value: f64,
}

/// A sensor's tags are a device's.
const TAGS: u64 = 10;

impl Plan {
    fn begin() -> Result<Timestamp> {
        Ok(BEGIN.parse()?)
    }

    /// Milliseconds from the first event to this one, were all in order.
    fn due(&self, number: u64) -> u64 {
        number * 1_000 / (self.sensors * self.rate)
    }

    /// The end of all windows that count: a multiple of [`SLICE`] behind all events.
    pub(crate) fn end(&self) -> Result<Timestamp> {
        let last = Self::begin()?.as_second() + i64::try_from(self.due(self.events) / 1_000)?;
        Ok(Timestamp::from_second((last / SLICE + 1) * SLICE)?)
    }

    fn event(&self, begin: Timestamp, number: u64) -> Result<Event> {
        let noise = mix(number);
        // The first of all is on time, so that none is before it.
        let behind = (noise % BEHIND).min(self.due(number));
        let at = begin + SignedDuration::from_millis(i64::try_from(self.due(number) - behind)?);
        let value = u32::try_from((noise >> 32) % 10_000)?;
        Ok(Event { at, sensor: number % self.sensors, value: f64::from(value) / 100.0 })
    }

    /// Sends all of them to each of these topics, which have so many partitions; the last of each partition takes the watermark
    /// beyond all windows. Returns what is to come of them.
    pub(crate) fn produce(&self, bootstrap: &str, topics: &[(String, u64)]) -> Result<Rows> {
        let producer = Sender::new(bootstrap)?;
        let begin = Self::begin()?;
        let mut sums: HashMap<Key, Sums> = HashMap::new();
        let mut record = Vec::new();
        for number in 0..self.events {
            let event = self.event(begin, number)?;
            sums.entry((window(event.at), event.sensor / TAGS, event.sensor % TAGS)).or_default().add(event.value);
            event.write(&mut record)?;
            for (topic, partitions) in topics {
                producer.send(topic, event.sensor % partitions, event, &record)?;
            }
        }
        let at = self.end()? + SignedDuration::from_secs(i64::try_from(DELAY + WINDOW)?);
        for (topic, partitions) in topics {
            for partition in 0..*partitions {
                let last = Event { at, sensor: partition, value: 0.0 };
                last.write(&mut record)?;
                producer.send(topic, partition, last, &record)?;
            }
        }
        producer.finish()?;
        Ok(sums.into_iter().map(|(key, sums)| (key, sums.stats())).collect())
    }
}

/// A window's values so far.
#[derive(Default)]
struct Sums {
    sum: f64,
    min: Option<f64>,
    max: Option<f64>,
    count: u32,
}

impl Sums {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.min = Some(self.min.map_or(value, |min| min.min(value)));
        self.max = Some(self.max.map_or(value, |max| max.max(value)));
        self.count += 1;
    }

    fn stats(&self) -> Stats {
        let count = f64::from(self.count);
        let end = |end: Option<f64>| end.unwrap_or(f64::NAN);
        Stats { avg: self.sum / count, min: end(self.min), max: end(self.max), count }
    }
}

/// When the window of this time begins, in seconds since 1970.
fn window(at: Timestamp) -> i64 {
    let length = i64::try_from(WINDOW).unwrap_or(1);
    at.as_second().div_euclid(length) * length
}

impl Event {
    /// As the reference's simulated sensors do.
    fn write(&self, record: &mut Vec<u8>) -> Result<()> {
        let Self { at, sensor, value } = *self;
        record.clear();
        let (device, tag) = (sensor / TAGS, sensor % TAGS);
        write!(record, r#"{{"TS":"{at:.3}","Device":{device},"Tag":{tag},"Value":{value}}}"#)?;
        Ok(())
    }
}

/// Noise that is the same each time (splitmix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Counts what the broker did not take.
#[derive(Default)]
struct Refused(AtomicU64);

impl ClientContext for Refused {}

impl ProducerContext for Refused {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Sender(BaseProducer<Refused>);

impl Sender {
    fn new(bootstrap: &str) -> Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap).set("enable.idempotence", "true").set("linger.ms", "50");
        config.set("batch.size", "1000000").set("queue.buffering.max.kbytes", "65536");
        Ok(Self(config.create_with_context(Refused::default())?))
    }

    /// The record's time is the event's: a broker's own may be of another year.
    fn send(&self, topic: &str, partition: u64, event: Event, payload: &[u8]) -> Result<()> {
        let key = event.sensor.to_string();
        let record = BaseRecord::to(topic).key(&key).payload(payload).partition(i32::try_from(partition)?);
        let mut record = record.timestamp(event.at.as_millisecond());
        loop {
            match self.0.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => record = again,
                Err((error, _)) => return Err(error).with_context(|| format!("cannot send to {topic}")),
            }
            self.0.poll(Duration::from_millis(10));
        }
    }

    fn finish(self) -> Result<()> {
        self.0.flush(Duration::from_secs(120))?;
        let refused = self.0.context().0.load(Ordering::Relaxed);
        ensure!(refused == 0, "the broker has not taken {refused} events");
        Ok(())
    }
}
