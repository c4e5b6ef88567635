//! Topics: made, grown, shortened, and looked at.

use std::ops::Range;
use std::time::Duration;

use anyhow::{bail, ensure};

use super::wire::{
    Answer, CREATE_PARTITIONS, CREATE_TOPICS, DELETE_RECORDS, LIST_OFFSETS, METADATA, Request, ask, check,
};
use super::{Kafka, LIMIT};

/// How long the broker may take for a change, in milliseconds.
const PATIENCE: i32 = 30_000;
/// What stands for the ends of a partition in place of a time.
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;
const OFFSET_OUT_OF_RANGE: i16 = 1;

/// A topic, as the broker tells it.
struct Topic {
    error: i16,
    name: String,
    partitions: Vec<Partition>,
}

struct Partition {
    error: i16,
    index: i32,
}

impl Topic {
    fn has_leaders(&self) -> bool {
        self.error == 0 && self.partitions.iter().all(|partition| partition.error == 0)
    }
}

impl Kafka {
    /// Makes a topic with settings such as `("retention.ms", "60000")`. Returns when clients find it.
    ///
    /// # Errors
    /// When the broker refuses, or there is one of this name.
    pub async fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> anyhow::Result<()> {
        // No assignment of the one copy.
        let mut request = Request::default().i32(1).text(name)?.i32(partitions).i16(1).i32(0);
        request = request.i32(i32::try_from(configs.len())?);
        for (key, value) in configs {
            request = request.text(key)?.text(value)?;
        }
        self.change(CREATE_TOPICS, request, &format!("cannot make the topic {name}")).await?;
        self.await_partitions(name, partitions).await
    }

    /// Has a topic have so many partitions in all. Returns when clients find them.
    ///
    /// # Errors
    /// When the broker refuses, as it does where that were no more than now.
    pub async fn add_partitions(&self, topic: &str, partitions: i32) -> anyhow::Result<()> {
        let request = Request::default().i32(1).text(topic)?.i32(partitions).i32(-1);
        self.change(CREATE_PARTITIONS, request, &format!("cannot add partitions to the topic {topic}")).await?;
        self.await_partitions(topic, partitions).await
    }

    /// A request about one topic, that is answered with an error or none.
    async fn change(&self, kind: super::wire::Kind, request: Request, what: &str) -> anyhow::Result<()> {
        // Really, not only tried.
        let mut answer = ask(&self.bootstrap(), kind, request.i32(PATIENCE).i8(0)).await?;
        let (_throttled, count, _name) = (answer.i32()?, answer.i32()?, answer.text()?);
        ensure!(count == 1, "{what}: the broker answers for {count} topics");
        let (code, said) = (answer.i16()?, answer.text()?);
        check(what, code, &said)
    }

    /// Deletes a partition's records before an offset, as their age would do.
    ///
    /// # Errors
    /// When the broker refuses, or has no such offset.
    pub async fn delete_records(&self, topic: &str, partition: i32, before: i64) -> anyhow::Result<()> {
        let request = Request::default().i32(1).text(topic)?.i32(1).i32(partition).i64(before).i32(PATIENCE);
        let mut answer = ask(&self.bootstrap(), DELETE_RECORDS, request).await?;
        answer.i32()?;
        one_partition(&mut answer)?;
        let (_low, code) = (answer.i64()?, answer.i16()?);
        let said = if code == OFFSET_OUT_OF_RANGE { "there is no such offset" } else { "" };
        check(&format!("cannot delete records of {topic}/{partition} before {before}"), code, said)
    }

    /// A partition's offsets: from its first record on to behind its last.
    ///
    /// # Errors
    /// When there is no such partition.
    pub async fn offsets(&self, topic: &str, partition: i32) -> anyhow::Result<Range<i64>> {
        Ok(self.offset(topic, partition, EARLIEST).await?..self.offset(topic, partition, LATEST).await?)
    }

    async fn offset(&self, topic: &str, partition: i32, end: i64) -> anyhow::Result<i64> {
        // As a client, which is no broker's copy.
        let request = Request::default().i32(-1).i32(1).text(topic)?.i32(1).i32(partition).i64(end);
        let mut answer = ask(&self.bootstrap(), LIST_OFFSETS, request).await?;
        one_partition(&mut answer)?;
        let code = answer.i16()?;
        check(&format!("cannot find offsets of {topic}/{partition}"), code, "")?;
        answer.i64()?;
        answer.i64()
    }

    /// How many partitions a topic has; none: it is not there.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn partitions(&self, topic: &str) -> anyhow::Result<Option<usize>> {
        let known = self.topics(Some(topic)).await?;
        Ok(known.first().filter(|topic| topic.error == 0).map(|topic| topic.partitions.len()))
    }

    async fn await_partitions(&self, topic: &str, partitions: i32) -> anyhow::Result<()> {
        let wanted = usize::try_from(partitions)?;
        let found = async {
            loop {
                let found = self.topics(Some(topic)).await?;
                let has_all = found.iter().any(|it| it.partitions.len() == wanted);
                if has_all && self.leads(&found).await? {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        match tokio::time::timeout(LIMIT, found).await {
            Ok(found) => found,
            Err(_) => bail!("the topic {topic} has not got its {wanted} partitions after {LIMIT:?}"),
        }
    }

    /// Whether the broker answers for each partition of each topic.
    pub(super) async fn is_ready(&self) -> anyhow::Result<bool> {
        let topics = self.topics(None).await?;
        self.leads(&topics).await
    }

    /// Whether the broker answers for these. It has led none yet for a moment after it has told that it leads them.
    async fn leads(&self, topics: &[Topic]) -> anyhow::Result<bool> {
        if !topics.iter().all(Topic::has_leaders) {
            return Ok(false);
        }
        let mut request = Request::default().i32(-1).i32(i32::try_from(topics.len())?);
        for topic in topics {
            request = request.text(&topic.name)?.i32(i32::try_from(topic.partitions.len())?);
            request = topic.partitions.iter().fold(request, |request, it| request.i32(it.index).i64(LATEST));
        }
        let mut answer = ask(&self.bootstrap(), LIST_OFFSETS, request).await?;
        let mut leads = true;
        for _ in 0..answer.i32()? {
            answer.text()?;
            for _ in 0..answer.i32()? {
                let (_partition, error, _time, _offset) = (answer.i32()?, answer.i16()?, answer.i64()?, answer.i64()?);
                leads &= error == 0;
            }
        }
        Ok(leads)
    }

    /// The topic of a name, or all.
    async fn topics(&self, name: Option<&str>) -> anyhow::Result<Vec<Topic>> {
        let request = match name {
            Some(name) => Request::default().i32(1).text(name)?,
            None => Request::default().i32(-1),
        };
        let mut answer = ask(&self.bootstrap(), METADATA, request).await?;
        let brokers = answer.i32()?;
        ensure!(brokers == 1, "the broker tells of {brokers} brokers");
        let (_broker, _host, _port, _rack) = (answer.i32()?, answer.text()?, answer.i32()?, answer.text()?);
        let (_controller, count) = (answer.i32()?, answer.i32()?);
        (0..count).map(|_| read_topic(&mut answer)).collect()
    }
}

fn read_topic(answer: &mut Answer) -> anyhow::Result<Topic> {
    let (error, name, _is_internal) = (answer.i16()?, answer.text()?, answer.i8()?);
    let count = answer.i32()?;
    let partitions = (0..count).map(|_| {
        let (error, index, _leader) = (answer.i16()?, answer.i32()?, answer.i32()?);
        for _ in ["copies", "those in sync"] {
            for _ in 0..answer.i32()? {
                answer.i32()?;
            }
        }
        Ok(Partition { error, index })
    });
    let partitions = partitions.collect::<anyhow::Result<_>>()?;
    Ok(Topic { error, name, partitions })
}

/// Reads up to the answer for the one partition that was asked for.
fn one_partition(answer: &mut Answer) -> anyhow::Result<()> {
    let (topics, _topic, partitions) = (answer.i32()?, answer.text()?, answer.i32()?);
    ensure!((topics, partitions) == (1, 1), "the broker answers for {topics} topics and {partitions} partitions");
    answer.i32().map(drop)
}
