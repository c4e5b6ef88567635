//! A broker, a store in a folder, and what replicas make of one and the other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use local_aks::kafka::{Kafka, Settings};
use local_aks::{Options, Progress};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use store::{Credentials, Store, Watermark};

use crate::blobs::Blobs;
use crate::replica::Replica;

pub(crate) const TOPIC: &str = "readings";
/// Where it stands how far windows are.
pub(crate) const WATERMARKS: &str = "data/_watermarks/readings";

/// A broker and a store.
pub(crate) struct World {
    pub(crate) kafka: Kafka,
    pub(crate) folder: tempfile::TempDir,
    /// The store, where it is no folder.
    pub(crate) blobs: Option<Blobs>,
}

/// A row of a window: its time and keys, and its aggregates as texts.
pub(crate) type Rows = BTreeMap<Vec<String>, Vec<String>>;
/// Dead letters by partition, offset and index.
pub(crate) type Letters = BTreeMap<(i64, i64, i64), serde_json::Value>;

impl World {
    pub(crate) async fn new(partitions: i32) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let root = Options::default().root;
        let data = folder.path().join("kafka");
        let settings = Settings::new(&data, &root);
        let kafka = Kafka::start(&settings, &Progress::lines()).await?;
        kafka
            .create_topic(
                TOPIC,
                partitions,
                &[("retention.ms", "-1"), ("message.timestamp.after.max.ms", "9223372036854775807")],
            )
            .await?;
        Ok(Self { kafka, folder, blobs: None })
    }

    /// With Blob Storage for a store: one that can be away, and that takes an object over only as it was left.
    pub(crate) async fn with_blobs(partitions: i32) -> Result<Self> {
        let world = Self::new(partitions).await?;
        let blobs = Blobs::start(&world.folder.path().join("azurite")).await?;
        Ok(Self { blobs: Some(blobs), ..world })
    }

    /// The emulator of Blob Storage, to be stopped and started.
    pub(crate) fn blobs(&mut self) -> Result<&mut Blobs> {
        self.blobs.as_mut().context("the store is a folder")
    }

    fn store_folder(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub(crate) fn store(&self) -> Result<Store> {
        match &self.blobs {
            Some(blobs) => blobs.store(),
            None => Ok(Store::open(&self.store_url(), &Credentials::none())?),
        }
    }

    fn store_url(&self) -> String {
        match &self.blobs {
            Some(blobs) => blobs.url(),
            None => format!("file://{}", self.store_folder().display()),
        }
    }

    /// Writes the configuration: the broker and the store, and more.
    pub(crate) fn configure(&self, more: &str) -> Result<PathBuf> {
        std::fs::create_dir_all(self.store_folder())?;
        let text = format!(
            "kafka:\n  brokers: [\"{}\"]\n  topic: {TOPIC}\nstore: {{url: \"{}\"}}\n{more}",
            self.kafka.bootstrap(),
            self.store_url()
        );
        let file = self.folder.path().join("ingest.yaml");
        std::fs::write(&file, text)?;
        Ok(file)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("ingest.log")
    }

    pub(crate) fn replica(&self, config: &Path) -> Result<Replica> {
        Replica::start(config, &self.log(), &[])
    }

    /// A replica of this name, with a log of its own.
    pub(crate) fn named(&self, config: &Path, name: &str) -> Result<Replica> {
        let log = self.folder.path().join(format!("{name}.log"));
        match &self.blobs {
            Some(blobs) => blobs.replica(config, &log, name),
            None => Replica::start(config, &log, &[("--name", name)]),
        }
    }

    pub(crate) fn producer(&self) -> Result<BaseProducer> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.kafka.bootstrap()).set("linger.ms", "20");
        // A broker that goes away meanwhile gets each record once, and in order, as long as records are not older than a day.
        config.set("enable.idempotence", "true").set("message.timeout.ms", "300000");
        Ok(config.set("queue.buffering.max.messages", "200000").create()?)
    }

    /// The marks of a folder that there are.
    pub(crate) async fn marks(&self, folder: &str, partitions: u32) -> Result<Vec<Watermark>> {
        let store = self.store()?;
        let mut marks = Vec::new();
        for partition in 0..partitions {
            marks.extend(Watermark::read(&store, folder, partition).await?);
        }
        Ok(marks)
    }

    /// Returns once all partitions are past a time.
    pub(crate) async fn complete(
        &self,
        partitions: u32,
        until: &str,
        seconds: u64,
        replicas: &mut [Replica],
    ) -> Result<()> {
        let until: Timestamp = until.parse()?;
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let all: Vec<_> = self.marks(WATERMARKS, partitions).await?.iter().map(|mark| mark.watermark).collect();
            if all.len() == partitions as usize && all.iter().all(|at| at.is_some_and(|at| at >= until)) {
                return Ok(());
            }
            for replica in &mut *replicas {
                ensure!(replica.runs(), "a replica has ended:\n{}", self.tail());
            }
            if Instant::now() > end {
                bail!("waited {seconds} s in vain for {until}: {all:?}\n{}", self.tail());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The last lines that replicas have said.
    pub(crate) fn tail(&self) -> String {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// All files below a folder of the store that end so.
    pub(crate) async fn files(&self, folder: &str, end: &str) -> Result<Vec<String>> {
        let store = self.store()?;
        let mut texts = Vec::new();
        for file in store.list(&format!("{folder}/"), 1_000_000).await? {
            if file.path.ends_with(end) && !file.path.contains("/_") {
                texts.push(String::from_utf8(store.get(&file.path, 1 << 30).await?.to_vec())?);
            }
        }
        Ok(texts)
    }

    /// All rows of windows, each of which is there once.
    pub(crate) async fn rows(&self, names: usize) -> Result<Rows> {
        let mut rows = Rows::new();
        for text in self.files("data", ".csv").await? {
            for line in text.lines().skip(1) {
                let mut fields: Vec<String> = line.split(',').map(str::to_owned).collect();
                let values = fields.split_off(names);
                ensure!(rows.insert(fields, values).is_none(), "{line} is there twice");
            }
        }
        Ok(rows)
    }

    /// All dead letters, each of which is there once.
    pub(crate) async fn letters(&self) -> Result<Letters> {
        let mut letters = BTreeMap::new();
        for text in self.files("deadletter", ".jsonl").await? {
            for line in text.lines() {
                let letter: serde_json::Value = serde_json::from_str(line)?;
                let number = |name: &str| letter[name].as_i64().with_context(|| format!("{name} in {line}"));
                let place = (number("partition")?, number("offset")?, number("index")?);
                ensure!(letters.insert(place, letter).is_none(), "{line} is there twice");
            }
        }
        Ok(letters)
    }
}

/// Sends a record; waits where the queue is full.
pub(crate) fn send(producer: &BaseProducer, partition: i32, stamp: i64, payload: &[u8]) -> Result<()> {
    let mut record = BaseRecord::<(), [u8]>::to(TOPIC).partition(partition).payload(payload).timestamp(stamp);
    loop {
        record = match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((rdkafka::error::KafkaError::MessageProduction(rdkafka::types::RDKafkaErrorCode::QueueFull), back)) => {
                producer.poll(Duration::from_millis(20));
                back
            }
            Err((error, _)) => return Err(error.into()),
        };
    }
}

/// Returns once all that was sent has arrived.
pub(crate) fn flush(producer: &BaseProducer) -> Result<()> {
    Ok(producer.flush(Duration::from_secs(300))?)
}
