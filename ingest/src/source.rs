//! The broker: a consumer of the group, what it is assigned, and what it knows of the log.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::config::Kafka;

mod error;
mod group;
mod login;
mod observed;

pub use error::SourceError;
pub use group::{Assigned, Group, Load, Offsets, PATIENCE, PAUSE};
pub use login::Secrets;
pub use observed::Observed;

/// How often the client tells what it knows.
pub const OBSERVED_EVERY: Duration = Duration::from_secs(1);
/// How long an answer of the broker is waited for.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// For so long the client is heard before the broker is asked whether the topic is there.
const HEARD: Duration = Duration::from_millis(200);

/// A consumer, subscribed to its topic.
pub struct Source {
    /// To poll.
    pub consumer: BaseConsumer<Group>,
    topic: String,
}

impl Source {
    /// Joins the group. `load` makes a partition this process's, and says where it begins.
    ///
    /// # Errors
    /// When the settings cannot be used, the broker does not answer, or there is no such topic.
    pub fn join(kafka: &Kafka, secrets: &Secrets, name: &str, load: Load) -> Result<Self, SourceError> {
        let mut config = settings(kafka, name);
        let token = login::apply(&mut config, kafka, secrets)?;
        let group = Group::new(load, kafka.start_at, token);
        let consumer: BaseConsumer<Group> =
            config.create_with_context(group).map_err(|source| SourceError::Settings(source.to_string()))?;
        let partitions = partitions(&consumer, &kafka.topic)?;
        consumer.context().set_partitions(partitions);
        consumer.subscribe(&[&kafka.topic]).map_err(|source| SourceError::Settings(source.to_string()))?;
        Ok(Self { consumer, topic: kafka.topic.clone() })
    }

    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }
}

fn settings(kafka: &Kafka, name: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", kafka.brokers.join(","))
        .set("client.id", name)
        .set("group.id", &kafka.group)
        // A partition goes from one replica to another without the others being stopped.
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", "12000")
        // Each step of sharing the partitions anew waits for a heartbeat.
        .set("heartbeat.interval.ms", "1000")
        .set("enable.partition.eof", "true")
        // Offsets are committed by us, once what they stand for is durable.
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // An offset that is gone is no reason to begin elsewhere without a word.
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("statistics.interval.ms", OBSERVED_EVERY.as_millis().to_string())
        // What is fetched ahead is memory, too.
        .set("queued.min.messages", "20000")
        .set("queued.max.messages.kbytes", "4096")
        // Once that is full it is asked again soon: by default only after a second, in which nothing would be read.
        .set("fetch.queue.backoff.ms", "10")
        .set("fetch.message.max.bytes", "1048576")
        .set("fetch.wait.max.ms", "250")
        // As Event Hubs asks, so that idle connections are not cut without a word.
        .set("socket.keepalive.enable", "true")
        // Partitions that the topic gets are looked for so often.
        .set("topic.metadata.refresh.interval.ms", "20000")
        .set("metadata.max.age.ms", "60000")
        .set("reconnect.backoff.max.ms", "5000");
    config
}

/// How many partitions the topic has.
fn partitions(consumer: &BaseConsumer<Group>, topic: &str) -> Result<u32, SourceError> {
    let asked = Instant::now();
    loop {
        // Signing in is done by callbacks, which only polling makes, one at a time; so is telling why it failed.
        let until = Instant::now() + HEARD;
        while Instant::now() < until {
            let _ = consumer.poll(until.saturating_duration_since(Instant::now()));
        }
        match consumer.fetch_metadata(Some(topic), ANSWER) {
            Ok(found) => {
                let count = found
                    .topics()
                    .iter()
                    .find(|found| found.name() == topic)
                    .map_or(0, |found| found.partitions().len());
                return match u32::try_from(count) {
                    Ok(count) if count > 0 => Ok(count),
                    _ => Err(SourceError::NoTopic(topic.to_owned())),
                };
            }
            Err(error) if asked.elapsed() < PATIENCE / 2 => {
                tracing::warn!("the broker does not answer: {error}; it is asked again");
            }
            Err(error) => {
                let brokers = "the brokers of kafka.brokers".to_owned();
                return Err(SourceError::Away { brokers, detail: error.to_string() });
            }
        }
    }
}
