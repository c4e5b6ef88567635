//! A replica that is stopped with a batch in its hands, and goes on when its partitions are another's.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rdkafka::producer::BaseProducer;
use rustix::process::Signal;

use crate::dying::{compare, compare_letters};
use crate::replica::Replica;
use crate::stream::{Expected, Sensors};
use crate::world::{TOPIC, WATERMARKS, World, flush, send};

const PARTITIONS: u32 = 2;
/// Of a partition, in an hour of the events' time.
const EVENTS: u64 = 20_000;

/// The stream, of which there is more and more.
struct Stream {
    producer: BaseProducer,
    partitions: Vec<Sensors>,
    expected: Expected,
}

impl Stream {
    /// Of an hour, so many minutes more.
    fn go_on(&mut self, minutes: u64) -> Result<()> {
        for _ in 0..EVENTS * minutes / 60 {
            for (partition, sensors) in self.partitions.iter_mut().enumerate() {
                let record = sensors.next(&mut self.expected);
                send(&self.producer, i32::try_from(partition)?, record.stamp, record.payload)?;
            }
        }
        flush(&self.producer)
    }

    fn end(&mut self) -> Result<()> {
        for (partition, sensors) in self.partitions.iter_mut().enumerate() {
            let record = sensors.last();
            send(&self.producer, i32::try_from(partition)?, record.stamp, record.payload)?;
        }
        flush(&self.producer)
    }
}

/// Returns once a replica has said of each partition that it is no more its own.
async fn lets_go(replica: &Replica) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(60);
    let has = |said: &str, partition: u32| {
        let gone = |line: &str| line.contains("goes to another replica") || line.contains("another replica writes its");
        said.lines().any(|line| gone(line) && line.contains(&format!("partition={partition}")))
    };
    loop {
        let said = replica.said();
        if (0..PARTITIONS).all(|partition| has(&said, partition)) {
            return Ok(());
        }
        ensure!(Instant::now() < end, "it has not let go of its partitions:\n{said}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Returns once this replica owns all marks.
async fn owns(world: &World, name: &str) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        let marks = world.marks(WATERMARKS, PARTITIONS).await?;
        if marks.iter().all(|mark| mark.metadata.contains(&format!("\"owner\":\"{name}-"))) {
            return Ok(());
        }
        ensure!(Instant::now() < end, "{name} has not taken the partitions over: {marks:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(crate) async fn stopped() -> Result<()> {
    let seed = StdRng::from_os_rng().random_range(0..1_000_000);
    eprintln!("broker: the stream's seed is {seed}");
    let mut world = World::with_blobs(PARTITIONS.cast_signed()).await?;
    let config = world.configure("windows: {aggregates: [avg, max, count], idleAfter: 1d}\n")?;
    let partitions = (0..PARTITIONS).map(|partition| Sensors::new(seed, partition, PARTITIONS, EVENTS)).collect();
    let mut stream = Stream { producer: world.producer()?, partitions, expected: Expected::default() };

    stream.go_on(15)?;
    let mut first = [world.named(&config, "first")?];
    world.complete(PARTITIONS, "2026-01-01T00:10:00Z", 60, &mut first).await?;
    let [mut first] = first;
    // The store is away until it is stopped: so it has a batch in its hands, which it will want to write.
    world.blobs()?.emulator.stop().await?;
    stream.go_on(15)?;
    first.has("ingest_write_errors_total", 60, |errors| errors >= 2.0).await?;
    first.signal(Signal::STOP)?;
    world.blobs()?.emulator.resume().await?;

    let stopped = Instant::now();
    let mut second = [world.named(&config, "second")?];
    owns(&world, "second").await?;
    eprintln!("broker: another has the partitions after {} s", stopped.elapsed().as_secs());
    stream.go_on(15)?;
    world.complete(PARTITIONS, "2026-01-01T00:40:00Z", 60, &mut second).await?;
    first.signal(Signal::CONT)?;
    lets_go(&first).await?;
    stream.go_on(15)?;
    stream.end()?;
    world.complete(PARTITIONS, "2026-01-01T01:00:00Z", 120, &mut second).await?;
    eprintln!("broker: the one that was stopped {}", if first.runs() { "works on" } else { "has ended" });
    let [second] = second;
    second.stop().await?;
    if first.runs() {
        first.stop().await?;
    }

    compare(&stream.expected, &world.rows(3).await?)?;
    compare_letters(&stream.expected, &world.letters().await?)?;
    for (partition, mark) in world.marks(WATERMARKS, PARTITIONS).await?.iter().enumerate() {
        let end = world.kafka.offsets(TOPIC, i32::try_from(partition)?).await?.end;
        // The last event's window is still open.
        ensure!(
            mark.offset == end - 1,
            "the mark of partition {partition} is at {}, the log ends at {end}",
            mark.offset
        );
    }
    Ok(())
}
