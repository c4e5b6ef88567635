//! A store that is away while the log grows: no more is read than a replica may hold, and nothing is lost or there twice.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::policies::{BEGIN, event};
use crate::world::{WATERMARKS, World, flush, send};

/// More than the 8 MiB that may wait: what is read between two looks at memory.
const MOST_PENDING: f64 = 24.0 * 1024.0 * 1024.0;
/// Likewise, of 16 MiB of open windows.
const MOST_OPEN: f64 = 32.0 * 1024.0 * 1024.0;

/// Sends records (with the second in which the broker gets each) while the store is away; has it come back once the replica has
/// stopped reading for that, and waits for all of it to be there.
async fn story(more: &str, records: impl ExactSizeIterator<Item = (i64, String)>) -> Result<World> {
    let mut world = World::with_blobs(1).await?;
    let limits = "limits: {openMib: 16, pendingMib: 8}";
    let config = world.configure(&format!("{more}{limits}\n"))?;
    let count = records.len() as f64;
    let mut replicas = [world.named(&config, "only")?];
    while world.marks(WATERMARKS, 1).await?.is_empty() {
        ensure!(replicas[0].runs(), "it has ended:\n{}", replicas[0].said());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.blobs()?.emulator.stop().await?;
    let producer = world.producer()?;
    for (second, payload) in records {
        send(&producer, 0, BEGIN + second * 1000, payload.as_bytes())?;
    }
    send(&producer, 0, BEGIN + 7200 * 1000, event(7200, 0.0).as_bytes())?;
    flush(&producer)?;

    let [replica] = &replicas;
    replica.has("ingest_paused", 120, |paused| paused == 1.0).await?;
    let read = replica.metric("ingest_records_total").await;
    // It has tried again and again meanwhile.
    replica.has("ingest_write_errors_total", 120, |errors| errors >= 3.0).await?;
    let now = replica.metric("ingest_records_total").await;
    ensure!(now == read && now.is_some_and(|now| now < count / 2.0), "{now:?} of {count} are read, earlier {read:?}");
    replica.has("ingest_pending_bytes", 1, |bytes| bytes < MOST_PENDING).await?;
    replica.has("ingest_open_bytes", 1, |bytes| bytes < MOST_OPEN).await?;
    ensure!(replica.metric("ingest_paused").await == Some(1.0), "it reads on though the store is away");
    eprintln!(
        "broker: {now:?} of {count} records are read while the store is away, with {:?} MiB at most",
        replica.peak_mib()
    );

    world.blobs()?.emulator.resume().await?;
    world.complete(1, "2026-01-01T01:00:00Z", 240, &mut replicas).await?;
    let [replica] = replicas;
    ensure!(replica.metric("ingest_paused").await == Some(0.0), "it is still paused");
    replica.stop().await?;
    Ok(world)
}

/// 40 MB of dead letters, and some windows between them.
pub(crate) async fn dead_letters() -> Result<()> {
    let record = |number: u32| {
        let second = i64::from(number / 50);
        match number % 10 {
            0 => (second, event(second, f64::from(number / 250))),
            _ => (second, format!("no event {}", "x".repeat(2000))),
        }
    };
    let world = story("", (0..20_000).map(record)).await?;
    let rows = world.rows(3).await?;
    ensure!(rows.len() == 80, "{} windows", rows.len());
    for (number, (name, values)) in rows.iter().enumerate() {
        ensure!(*values == [format!("{number}.0")], "{name:?} has {values:?}, and is the window {number}");
    }
    let letters = world.letters().await?;
    ensure!(letters.len() == 18_000, "{} dead letters", letters.len());
    ensure!(letters.keys().all(|(_, offset, _)| offset % 10 != 0), "an event became a dead letter");
    Ok(())
}

/// 400,000 windows: 40, of 10,000 sensors.
pub(crate) async fn windows() -> Result<()> {
    let record = |number: u32| {
        let (window, first) = (number / 100, number % 100 * 100);
        let second = i64::from(window) * 5;
        let time = jiff::Timestamp::from_millisecond(BEGIN + second * 1000).unwrap();
        let events: Vec<String> = (first..first + 100)
            .map(|sensor| format!("{{\"TS\":\"{time}\",\"Device\":{sensor},\"Tag\":{window},\"Value\":{sensor}}}"))
            .collect();
        (second, format!("[{}]", events.join(",")))
    };
    let world =
        story("windows: {aggregates: [avg, count], allowedLateness: 5s}\nfiles: {every: 5s}\n", (0..4_000).map(record))
            .await?;
    let rows = world.rows(3).await?;
    ensure!(rows.len() == 400_000, "{} windows", rows.len());
    for (name, values) in &rows {
        let sensor: f64 = name[1].parse()?;
        ensure!(*values == [format!("{sensor:?}"), "1".to_owned()], "{name:?} has {values:?}");
    }
    ensure!(world.letters().await?.is_empty());
    Ok(())
}
