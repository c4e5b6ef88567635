//! A log of which the beginning is deleted before it was read.

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::policies::{BEGIN, event, row};
use crate::world::{TOPIC, World, flush, send};

/// Six records, and one of a window that was open, are gone when a replica comes back: they are counted and told, and the four that
/// are left count.
pub(crate) async fn lost() -> Result<()> {
    let world = World::new(1).await?;
    let config = world.configure("windows: {aggregates: [avg, count]}\n")?;
    let producer = world.producer()?;
    let tell = |second: i64, value: f64| -> Result<()> {
        send(&producer, 0, BEGIN + second * 1000, event(second, value).as_bytes())?;
        flush(&producer)
    };
    tell(0, 1.0)?;
    tell(7200, 0.0)?;
    let mut replicas = [world.named(&config, "first")?];
    world.complete(1, "2026-01-01T01:00:00Z", 60, &mut replicas).await?;
    let [first] = replicas;
    ensure!(first.metric("ingest_lost_records_total").await == Some(0.0), "{}", first.said());
    first.stop().await?;

    for offset in 2..12_i32 {
        tell(7210, f64::from(offset))?;
    }
    world.kafka.delete_records(TOPIC, 0, 8).await?;
    tell(20_000, 0.0)?;
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
    let world = World::new(1).await?;
    let config = world.configure("windows: {aggregates: [avg, count]}\n")?;
    let producer = world.producer()?;
    let tell = |second: i64, value: f64| -> Result<()> {
        send(&producer, 0, BEGIN + second * 1000, event(second, value).as_bytes())?;
        flush(&producer)
    };
    tell(0, 1.0)?;
    tell(7200, 0.0)?;
    let mut replicas = [world.named(&config, "first")?];
    world.complete(1, "2026-01-01T01:00:00Z", 60, &mut replicas).await?;
    let [first] = replicas;
    first.signal(Signal::STOP)?;
    // What it has asked for is answered with the first of these, if at all.
    for offset in 2..12_i32 {
        tell(7210, f64::from(offset))?;
    }
    world.kafka.delete_records(TOPIC, 0, 8).await?;
    first.signal(Signal::CONT)?;
    first.says("reading the topic broke off", 60).await?;
    let status = first.ended().await?;
    ensure!(status.code() == Some(1), "{status}");

    tell(20_000, 0.0)?;
    let mut replicas = [world.named(&config, "second")?];
    world.complete(1, "2026-01-01T05:00:00Z", 60, &mut replicas).await?;
    let [second] = replicas;
    ensure!(second.metric("ingest_lost_records_total").await == Some(7.0), "{}", second.said());
    second.stop().await?;
    let rows = world.rows(3).await?;
    ensure!(rows[&row("2026-01-01T02:00:10Z")] == ["9.5", "4"], "{rows:?}");
    Ok(())
}
