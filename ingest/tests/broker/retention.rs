//! A log of which the beginning is deleted before it was read.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use rdkafka::producer::BaseProducer;
use rustix::process::Signal;

use crate::policies::{BEGIN, event, row};
use crate::replica::Replica;
use crate::world::{TOPIC, World, flush, send};

/// A replica that has read two records.
struct Begun {
    world: World,
    config: PathBuf,
    producer: BaseProducer,
    first: Replica,
}

async fn begin() -> Result<Begun> {
    let world = World::new(1).await?;
    let config = world.configure("windows: {aggregates: [avg, count]}\n")?;
    let producer = world.producer()?;
    tell(&producer, 0, 1.0)?;
    tell(&producer, 7200, 0.0)?;
    let mut replicas = [world.named(&config, "first")?];
    world.complete(1, "2026-01-01T01:00:00Z", 60, &mut replicas).await?;
    let [first] = replicas;
    Ok(Begun { world, config, producer, first })
}

fn tell(producer: &BaseProducer, second: i64, value: f64) -> Result<()> {
    send(producer, 0, BEGIN + second * 1000, event(second, value).as_bytes())?;
    flush(producer)
}

/// Ten records more, of a window; the log begins with the last four of them.
async fn go_on_without_some(world: &World, producer: &BaseProducer) -> Result<()> {
    for offset in 2..12_i32 {
        tell(producer, 7210, f64::from(offset))?;
    }
    world.kafka.delete_records(TOPIC, 0, 8).await
}

/// Six records, and one of a window that was open, are gone when a replica comes back: they are counted and told, and the four that
/// are left count.
pub(crate) async fn lost() -> Result<()> {
    let Begun { world, config, producer, first } = begin().await?;
    ensure!(first.metric("ingest_lost_records_total").await == Some(0.0), "{}", first.said());
    first.stop().await?;

    go_on_without_some(&world, &producer).await?;
    tell(&producer, 20_000, 0.0)?;
    let mut replicas = [world.named(&config, "second")?];
    world.complete(1, "2026-01-01T05:00:00Z", 60, &mut replicas).await?;
    let [second] = replicas;
    ensure!(second.metric("ingest_lost_records_total").await == Some(7.0), "{}", second.said());
    ensure!(second.said().contains("records were gone from the log before they were read"), "{}", second.said());
    ensure!(second.said().contains("lost=6"), "{}", second.said());
    ensure!(second.said().contains("those from 2026-01-01T01:59:00Z on have what is left"), "{}", second.said());
    second.stop().await?;

    let rows = world.rows(3).await?;
    // The window that was open has what is left of it: nothing.
    let wanted = [("2026-01-01T00:00:00Z", ["1.0", "1"]), ("2026-01-01T02:00:10Z", ["9.5", "4"])];
    ensure!(rows.len() == wanted.len() && wanted.iter().all(|(time, values)| rows[&row(time)] == *values), "{rows:?}");
    ensure!(world.letters().await?.is_empty());
    Ok(())
}

/// A replica that is too slow meets a log without what it would read next: it ends and says so, and the next one counts what is gone.
pub(crate) async fn overtaken() -> Result<()> {
    let Begun { world, config, producer, first } = begin().await?;
    first.signal(Signal::STOP)?;
    // What it has asked for is answered with the first of these, if at all.
    go_on_without_some(&world, &producer).await?;
    first.signal(Signal::CONT)?;
    first.says("reading the topic broke off", 60).await?;
    let status = first.ended().await?;
    ensure!(status.code() == Some(1), "{status}");

    tell(&producer, 20_000, 0.0)?;
    let mut replicas = [world.named(&config, "second")?];
    world.complete(1, "2026-01-01T05:00:00Z", 60, &mut replicas).await?;
    let [second] = replicas;
    ensure!(second.metric("ingest_lost_records_total").await == Some(7.0), "{}", second.said());
    second.stop().await?;
    let rows = world.rows(3).await?;
    ensure!(rows[&row("2026-01-01T02:00:10Z")] == ["9.5", "4"], "{rows:?}");
    Ok(())
}
