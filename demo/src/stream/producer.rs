//! Sends records to one topic of the broker, each exactly once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

const PATIENCE: Duration = Duration::from_secs(60);

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

pub(crate) struct Producer {
    client: BaseProducer<Refused>,
    topic: &'static str,
}

impl Producer {
    pub(crate) fn new(bootstrap: &str, topic: &'static str) -> anyhow::Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap).set("enable.idempotence", "true").set("linger.ms", "20");
        // That of Java's clients.
        config.set("partitioner", "murmur2_random");
        Ok(Self { client: config.create_with_context(Refused::default())?, topic })
    }

    /// Sends a record under a key; the same key comes to the same partition. Waits where too many are on their way.
    pub(crate) fn send(&self, key: &str, payload: &str) -> anyhow::Result<()> {
        let mut record = BaseRecord::to(self.topic).key(key).payload(payload);
        loop {
            match self.client.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => record = again,
                Err((error, _)) => return Err(error).with_context(|| format!("cannot send to {}", self.topic)),
            }
            self.pause(Duration::from_millis(10));
        }
    }

    /// Lets time pass, and hears what the broker has taken.
    pub(crate) fn pause(&self, time: Duration) {
        let end = std::time::Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                break;
            }
            // One answer at a time: those that wait count as on their way.
            self.client.poll(left);
        }
    }

    /// Waits until the broker has taken all.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        self.client.flush(PATIENCE).context("the broker does not take what sensors send")?;
        let refused = self.client.context().0.load(Ordering::Relaxed);
        ensure!(refused == 0, "the broker has not taken {refused} events");
        Ok(())
    }
}
