//! Windows over the topic.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::BaseProducer;

use crate::policies::{BEGIN, event, row};
use crate::world::{TOPIC, WATERMARKS, World, flush, send};

/// Sends an event of the sensor in a second, which the broker gets then.
fn tell(producer: &BaseProducer, partition: i32, second: i64) -> Result<()> {
    send(producer, partition, BEGIN + second * 1000, event(second, 1.0).as_bytes())
}

const CONFIG: &str =
    "windows: {length: 1s, allowedLateness: 1s, idleAfter: 1d, aggregates: [count], over: Topic}\nfiles: {every: 5s}\n";

pub(crate) async fn later_partition() -> Result<()> {
    let world = World::new(2).await?;
    let config = world.configure(CONFIG)?;
    let producer = world.producer()?;
    for partition in [0, 1] {
        tell(&producer, partition, 0)?;
        tell(&producer, partition, 20)?;
    }
    flush(&producer)?;
    let mut replicas = [world.replica(&config)?];
    world.complete(1, "2026-01-01T00:00:15Z", 60, &mut replicas).await?;

    let mut client = rdkafka::ClientConfig::new();
    let client: AdminClient<DefaultClientContext> =
        client.set("bootstrap.servers", world.kafka.bootstrap()).create()?;
    let made = client.create_partitions(&[NewPartitions::new(TOPIC, 3)], &AdminOptions::new()).await?;
    ensure!(made.iter().all(Result::is_ok), "{made:?}");
    let end = Instant::now() + Duration::from_secs(120);
    let found = loop {
        if let Some(mark) = world.marks(&format!("{WATERMARKS}-shares/marks"), 3).await?.get(2) {
            break mark.watermark;
        }
        ensure!(Instant::now() < end, "nobody has found the partition in two minutes:\n{}", world.tail());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    ensure!(found.is_none_or(|at| at.as_millisecond() == BEGIN + 15_000), "it begins at {found:?}");
    // A producer of its own knows the partition at once.
    let producer = world.producer()?;
    tell(&producer, 2, 1)?;
    for partition in [0, 1, 2] {
        tell(&producer, partition, 21)?;
        tell(&producer, partition, 40)?;
    }
    flush(&producer)?;
    world.complete(1, "2026-01-01T00:00:35Z", 60, &mut replicas).await?;
    let [replica] = replicas;
    replica.stop().await?;

    let rows = world.rows(3).await?;
    let count = |second: &str| -> Result<&str> {
        Ok(&rows.get(&row(&format!("2026-01-01T00:00:{second}Z"))).with_context(|| format!("{rows:?}"))?[0])
    };
    ensure!((count("00")?, count("20")?, count("21")?, rows.len()) == ("2", "2", "3", 3), "{rows:?}");
    let letters = world.letters().await?;
    let told: Vec<_> = letters.iter().map(|(place, letter)| (place.0, letter["reason"].as_str())).collect();
    ensure!(told == [(2, Some("Late"))], "{told:?}");
    Ok(())
}

/// Whichever partition a replica gets.
pub(crate) async fn refused() -> Result<()> {
    let world = World::new(2).await?;
    let producer = world.producer()?;
    for partition in [0, 1] {
        tell(&producer, partition, 0)?;
        tell(&producer, partition, 20)?;
    }
    flush(&producer)?;
    let mut replicas = [world.replica(&world.configure(CONFIG)?)?];
    world.complete(1, "2026-01-01T00:00:15Z", 60, &mut replicas).await?;
    let [replica] = replicas;
    replica.stop().await?;
    let config = world.configure(&CONFIG.replace("over: Topic", "over: Partition"))?;
    let status = world.replica(&config)?.ended().await?;
    ensure!(status.code() == Some(1), "it ended with {status}");
    let said = world.tail();
    ensure!(said.contains("1s/5s over the topic by Device,Tag") && said.contains("windows.over"), "{said}");
    ensure!(world.marks(WATERMARKS, 2).await?.len() == 1, "it wrote a mark all the same");
    Ok(())
}
