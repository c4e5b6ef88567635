//! What the group assigns to this process, and takes from it.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use azure_core::credentials::TokenCredential;
use azure_identity::WorkloadIdentityCredential;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use rdkafka::{ClientContext, Offset, Statistics, TopicPartitionList};
use tokio::runtime::Handle;

use super::{ANSWER, Observed, SourceError};
use crate::config::StartAt;
use crate::mark::Mark;
use crate::marks::Grip;

/// For how long a broker or store that does not answer is borne: less than after how long a member counts as gone that does not poll.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Between two attempts.
pub const PAUSE: Duration = Duration::from_secs(1);

/// Where the log of a partition begins, and the offset behind its last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// Of the first record that there still is.
    pub begin: i64,
    /// Behind the last one.
    pub end: i64,
}

/// A partition that is this process's now.
#[derive(Debug)]
pub struct Assigned {
    /// Its number.
    pub partition: u32,
    /// Where it goes on.
    pub mark: Mark,
    /// What entitles to write its next mark.
    pub grip: Grip,
    /// Its log.
    pub offsets: Offsets,
    /// Whether it had no mark.
    pub fresh: bool,
}

/// Makes partitions this process's, of a topic with so many, and until then: each with where it begins if it has no mark. It may
/// block.
pub type Load = Arc<dyn Fn(u32, Instant, &[(u32, Offsets, Mark)]) -> Result<Vec<Assigned>, SourceError> + Send + Sync>;

/// What happened since it was last asked.
#[derive(Default)]
struct Inbox {
    assigned: Vec<Assigned>,
    revoked: Vec<u32>,
    joined: bool,
    failed: Option<SourceError>,
    observed: Option<Observed>,
    statistics: Option<Statistics>,
    partitions: u32,
}

/// Hears what the client tells.
pub struct Group {
    load: Load,
    start_at: StartAt,
    /// The scope of tokens for a workload identity, and what runs the asking.
    token: Option<(String, Handle)>,
    inbox: Mutex<Inbox>,
}

impl Group {
    pub(super) fn new(load: Load, start_at: StartAt, scope: Option<String>) -> Self {
        let token = scope.and_then(|scope| Some((scope, Handle::try_current().ok()?)));
        Self { load, start_at, token, inbox: Mutex::default() }
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_partitions(&self, partitions: u32) {
        self.inbox().partitions = partitions;
    }

    /// How many partitions the topic has.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.inbox().partitions
    }

    /// Whether the group has assigned something, be it nothing.
    #[must_use]
    pub fn has_joined(&self) -> bool {
        self.inbox().joined
    }

    /// Partitions that went to others.
    #[must_use]
    pub fn revoked(&self) -> Vec<u32> {
        std::mem::take(&mut self.inbox().revoked)
    }

    /// Partitions that came.
    ///
    /// # Errors
    /// When one that was assigned could not be taken over.
    pub fn assigned(&self) -> Result<Vec<Assigned>, SourceError> {
        let mut inbox = self.inbox();
        match inbox.failed.take() {
            Some(error) => Err(error),
            None => Ok(std::mem::take(&mut inbox.assigned)),
        }
    }

    /// What the client has told of a topic since it was last asked, if it has.
    #[must_use]
    pub fn observed(&self, topic: &str) -> Option<Observed> {
        let mut inbox = self.inbox();
        let statistics = inbox.statistics.take()?;
        let observed = Observed::of(&statistics, topic, inbox.observed.as_ref());
        inbox.observed = Some(observed.clone());
        inbox.partitions = inbox.partitions.max(observed.partitions);
        Some(observed)
    }

    /// Takes over what is assigned, and says where it begins.
    fn assign(
        &self,
        consumer: &BaseConsumer<Self>,
        list: &mut TopicPartitionList,
    ) -> Result<Vec<Assigned>, SourceError> {
        let (mut asked, until) = (Vec::new(), Instant::now() + PATIENCE);
        for element in list.elements() {
            let Ok(partition) = u32::try_from(element.partition()) else { continue };
            let (begin, end) = log_of(consumer, element.topic(), element.partition(), until)?;
            let offset = match self.start_at {
                StartAt::Earliest => begin,
                StartAt::Latest => end,
            };
            asked.push((partition, Offsets { begin, end }, Mark { offset, side: offset, ..Mark::default() }));
        }
        // One that is new may be assigned before the client tells of it.
        let most = asked.iter().map(|(partition, ..)| partition + 1).max().unwrap_or_default();
        let partitions = self.partitions().max(most);
        self.set_partitions(partitions);
        let mut assigned = (self.load)(partitions, until, &asked)?;
        let broken = |error: rdkafka::error::KafkaError| SourceError::Broken(error.to_string());
        let topic = list.elements().first().map_or_else(String::new, |element| element.topic().to_owned());
        for Assigned { partition, mark, offsets, .. } in &mut assigned {
            let partition = i32::try_from(*partition).unwrap_or(i32::MAX);
            // Whoever had it may have read on until it was taken over, but not further than this.
            offsets.end = log_of(consumer, &topic, partition, until)?.1;
            let offset = Offset::Offset(mark.offset.max(offsets.begin));
            list.set_partition_offset(&topic, partition, offset).map_err(broken)?;
        }
        consumer.incremental_assign(list).map_err(broken)?;
        Ok(assigned)
    }
}

/// Where a partition's log begins and ends; a broker that is away is waited for.
fn log_of(
    consumer: &BaseConsumer<Group>,
    topic: &str,
    partition: i32,
    until: Instant,
) -> Result<(i64, i64), SourceError> {
    loop {
        match consumer.fetch_watermarks(topic, partition, ANSWER) {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() < until => {
                tracing::warn!(partition, "where its log ends is not known: {error}; the broker is asked again");
                std::thread::sleep(PAUSE);
            }
            Err(error) => {
                let brokers = format!("the brokers of partition {partition}");
                return Err(SourceError::Away { brokers, detail: error.to_string() });
            }
        }
    }
}

impl ClientContext for Group {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::warn!("kafka client: {facility}: {message}");
            }
            RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => tracing::info!("kafka client: {facility}: {message}"),
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::debug!("kafka client: {facility}: {message}"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.inbox().statistics = Some(statistics);
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        // That a partition's end is reached comes here, too.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        tracing::warn!("kafka client: {error}: {reason}");
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let (scope, runtime) = self.token.as_ref().ok_or("kafka.login is not WorkloadIdentity")?;
        let credential = WorkloadIdentityCredential::new(None)?;
        let token = runtime.block_on(credential.get_token(&[scope], None))?;
        let until = SystemTime::from(token.expires_on).duration_since(SystemTime::UNIX_EPOCH)?;
        Ok(OAuthToken {
            token: token.token.secret().to_owned(),
            principal_name: String::new(),
            lifetime_ms: i64::try_from(until.as_millis())?,
        })
    }
}

impl ConsumerContext for Group {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let failed = |error| self.inbox().failed = Some(error);
        self.inbox().joined = true;
        if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            match self.assign(consumer, list) {
                Ok(assigned) => self.inbox().assigned.extend(assigned),
                Err(error) => failed(error),
            }
            return;
        }
        let revoked: Vec<u32> = list.elements().iter().filter_map(|one| u32::try_from(one.partition()).ok()).collect();
        let mut inbox = self.inbox();
        // What came and went before anybody looked.
        inbox.assigned.retain(|assigned| !revoked.contains(&assigned.partition));
        inbox.revoked.extend(revoked);
        drop(inbox);
        // The client remembers a pause, and would read nothing of a partition that comes back. It fails for what is not paused.
        let _ = consumer.resume(list);
        if let Err(error) = consumer.incremental_unassign(list) {
            failed(SourceError::Broken(error.to_string()));
        }
    }
}
