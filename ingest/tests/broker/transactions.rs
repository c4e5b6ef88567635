//! Records that producers write in transactions.

use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::{SignedDuration, Timestamp};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer};

use crate::policies::{BEGIN, event, row};
use crate::world::{WATERMARKS, World, flush, send};

const LIMIT: Duration = Duration::from_secs(60);

/// A producer whose records are all in transactions.
fn transactional(world: &World) -> Result<BaseProducer> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", world.kafka.bootstrap()).set("transactional.id", "plant");
    // By default the broker itself ends one that is open for a minute.
    let producer: BaseProducer = config.set("transaction.timeout.ms", "600000").create()?;
    producer.init_transactions(LIMIT)?;
    Ok(producer)
}

/// What was aborted counts in no window, moves no watermark, and is no dead letter.
pub(crate) async fn aborted() -> Result<()> {
    let world = World::new(1).await?;
    let config = world.configure("windows: {aggregates: [avg, count]}\n")?;
    let producer = transactional(&world)?;
    let tell = |second: i64, payload: &str| send(&producer, 0, BEGIN + second * 1000, payload.as_bytes());
    producer.begin_transaction()?;
    tell(0, &event(0, 1.0))?;
    tell(1, &event(1, 3.0))?;
    producer.commit_transaction(LIMIT)?;
    producer.begin_transaction()?;
    tell(2, &event(2, 100.0))?;
    tell(900, &event(900, 100.0))?;
    tell(900, "no event")?;
    flush(&producer)?;
    producer.abort_transaction(LIMIT)?;
    producer.begin_transaction()?;
    tell(3, &event(3, 5.0))?;
    tell(7200, &event(7200, 0.0))?;
    producer.commit_transaction(LIMIT)?;
    let mut replicas = [world.replica(&config)?];
    world.complete(1, "2026-01-01T01:00:00Z", 60, &mut replicas).await?;
    let [replica] = replicas;
    replica.stop().await?;
    let rows = world.rows(3).await?;
    ensure!(rows.len() == 1 && rows[&row("2026-01-01T00:00:00Z")] == ["3.0", "3"], "{rows:?}");
    let letters = world.letters().await?;
    ensure!(letters.is_empty(), "{letters:?}");
    Ok(())
}

/// Two partitions fall silent, of which one has a transaction that is open: only the other's watermark goes on. Once it is
/// committed its event counts, though the clock is far past its window, and then that watermark goes on, too.
pub(crate) async fn open() -> Result<()> {
    let world = World::new(2).await?;
    let config = world.configure("windows: {length: 1s, allowedLateness: 1s, idleAfter: 2s}\nfiles: {every: 1s}\n")?;
    let (plain, producer) = (world.producer()?, transactional(&world)?);
    let now = Timestamp::now();
    let event = |device: i32| format!("{{\"TS\":\"{now}\",\"Device\":{device},\"Tag\":1,\"Value\":1}}");
    send(&plain, 0, now.as_millisecond(), event(0).as_bytes())?;
    send(&plain, 1, now.as_millisecond(), event(1).as_bytes())?;
    flush(&plain)?;
    producer.begin_transaction()?;
    send(&producer, 1, now.as_millisecond(), event(2).as_bytes())?;
    flush(&producer)?;

    let mut replica = world.replica(&config)?;
    let at = |ahead: i64| now + SignedDuration::from_secs(ahead);
    let watermark = async |partition: usize| {
        anyhow::Ok(world.marks(WATERMARKS, 2).await?.get(partition).and_then(|mark| mark.watermark))
    };
    // Both would have gone on by now, were it for the clock; and one would follow the other.
    let mut told = None;
    let began = std::time::Instant::now();
    while told.is_none_or(|told| told < at(8)) {
        ensure!(replica.runs() && began.elapsed() < LIMIT * 2, "it is at {told:?} only:\n{}", world.tail());
        tokio::time::sleep(Duration::from_millis(100)).await;
        told = watermark(0).await?;
    }
    let held = watermark(1).await?;
    ensure!(held.is_none_or(|held| held <= now), "it went on to {held:?} while a transaction was open");
    producer.commit_transaction(LIMIT)?;
    let mut replicas = [replica];
    world.complete(2, &at(4).to_string(), 60, &mut replicas).await?;
    let [replica] = replicas;
    replica.stop().await?;
    let rows = world.rows(3).await?;
    let devices: Vec<&str> = rows.keys().map(|row| row[1].as_str()).collect();
    ensure!(devices == ["0", "1", "2"], "{rows:?}");
    let letters = world.letters().await?;
    ensure!(letters.is_empty(), "{letters:?}");
    Ok(())
}
