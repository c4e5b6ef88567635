//! A stream that is read by three replicas that are killed all the time, from a broker that is, into files and a table of a database
//! that is, too. Its sensors keep to their partitions, or do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use local_aks::Progress;
use local_aks::pki::Authority;
use local_aks::postgres::{self, Postgres};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::replica::Replica;
use crate::stream::{Expected, Sensors};
use crate::world::{Letters, Rows, TOPIC, WATERMARKS, World, flush, send};

const PARTITIONS: u32 = 4;
const REPLICAS: usize = 3;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn tell(text: &str) {
    eprintln!("broker: {text}");
}

/// A database with a role, and the folder of the Secret that names it.
async fn database(world: &World) -> Result<(Postgres, std::path::PathBuf)> {
    let folder = world.folder.path();
    let authority = Authority::alone(&folder.join("pki"))?;
    let data = folder.join("postgres");
    let server = Postgres::start(&postgres::Settings::new(&data, &authority), &Progress::lines()).await?;
    server.create_database("plant", "ingest", "secret").await?;
    let secret = folder.join("secret");
    std::fs::create_dir_all(&secret)?;
    std::fs::write(secret.join("url"), server.url("plant", "ingest", "secret"))?;
    std::fs::copy(authority.certificate(), secret.join("ca.crt"))?;
    Ok((server, secret))
}

/// Sensors keep to their partitions.
pub(crate) async fn keyed() -> Result<()> {
    whatever_dies(false).await
}

/// Sensors are in all partitions.
pub(crate) async fn spread() -> Result<()> {
    whatever_dies(true).await
}

async fn whatever_dies(spread: bool) -> Result<()> {
    // Of how many partitions it is told, and where the marks of all of them are.
    let (over, partitions, marks) = match spread {
        false => ("Partition", PARTITIONS, WATERMARKS.to_owned()),
        true => ("Topic", 1, format!("{WATERMARKS}-shares/marks")),
    };
    let events = number("STREAM_EVENTS", 400_000);
    let kills = number("STREAM_KILLS", if spread { 1 } else { 3 });
    let seed = number("STREAM_SEED", StdRng::from_os_rng().random_range(0..1_000_000));
    tell(&format!("STREAM_EVENTS={events} STREAM_KILLS={kills} STREAM_SEED={seed}"));
    let mut world = World::new(PARTITIONS.cast_signed()).await?;
    let (mut server, secret) = database(&world).await?;
    let secret = secret.display().to_string();
    let config = world.configure(&format!(
        "windows: {{aggregates: [avg, max, count], idleAfter: 1d, over: {over}}}\nfiles: {{every: 1m}}\nsql: {{table: windows}}\n",
    ))?;
    let mut random = StdRng::seed_from_u64(seed);
    let start = |world: &World, name: &str| {
        Replica::start(&config, &world.log(), &[("--sql-secret-dir", &secret), ("--name", name)])
    };
    let mut names: Vec<String> = (0..REPLICAS).map(|number| format!("r{number}n0")).collect();
    let mut replicas: Vec<Replica> = names.iter().map(|name| start(&world, name)).collect::<Result<_>>()?;
    // Each of them as often as the others, in any order.
    let mut order: Vec<usize> = (0..kills).flat_map(|_| 0..REPLICAS).collect();
    order.shuffle(&mut random);
    let rounds = order.len();
    // The stream is as long as the dying: before each death, there is more of it.
    let each = events / u64::from(PARTITIONS);
    let (allowed, arrived) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (more, told) = (Arc::clone(&allowed), Arc::clone(&arrived));

    let producer = world.producer()?;
    let producing = tokio::task::spawn_blocking(move || -> Result<Expected> {
        let mut expected = Expected::default();
        let mut partitions: Vec<Sensors> = (0..PARTITIONS)
            .map(|partition| Sensors::new(seed, partition, if spread { 1 } else { PARTITIONS }, each))
            .collect();
        for number in 0..each {
            while number >= more.load(Ordering::Relaxed) {
                flush(&producer)?;
                told.store(number, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
            for (partition, sensors) in partitions.iter_mut().enumerate() {
                let record = sensors.next(&mut expected);
                send(&producer, i32::try_from(partition)?, record.stamp, record.payload)?;
            }
        }
        for (partition, sensors) in partitions.iter_mut().enumerate() {
            let record = sensors.last();
            send(&producer, i32::try_from(partition)?, record.stamp, record.payload)?;
        }
        flush(&producer)?;
        Ok(expected)
    });

    let began = Instant::now();
    let mut peak = 0;
    let mut reached = -1;
    for (round, which) in order.into_iter().enumerate() {
        allowed.store(each * (round as u64 + 1) / (rounds as u64 + 1), Ordering::Relaxed);
        reached = until_at_work(&world, &marks, &names[which], reached).await?;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..500))).await;
        peak = peak.max(replicas[which].peak_mib().unwrap_or(0));
        ensure!(replicas[which].runs(), "a replica has ended by itself:\n{}", world.tail());
        names[which] = format!("r{which}n{}", round + 1);
        std::mem::replace(&mut replicas[which], start(&world, &names[which])?).kill().await?;
        // The broker and the database twice each, in the middle.
        if round == rounds / 3 || round == rounds * 2 / 3 {
            // Records are of long ago, so a broker that starts again does not remember who sent them: one that was sent again, since its
            // answer was lost, would be there twice.
            while arrived.load(Ordering::Relaxed) < allowed.load(Ordering::Relaxed) {
                ensure!(!producing.is_finished(), "sending has ended");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            tell("the broker is killed");
            world.kafka.kill().await?;
            world.kafka.restart().await?;
        }
        if round == rounds / 4 || round == rounds / 2 {
            tell("the database is killed");
            server.kill().await?;
            tokio::time::sleep(Duration::from_millis(random.random_range(0..3000))).await;
            server.restart().await?;
        }
    }
    allowed.store(each, Ordering::Relaxed);
    let expected = producing.await??;
    for partition in 0..PARTITIONS {
        let offsets = world.kafka.offsets(TOPIC, partition.cast_signed()).await?;
        let records = (offsets.end - offsets.start).unsigned_abs();
        ensure!(
            records == each + 1,
            "partition {partition} has {records} records of {}: sending failed, not reading",
            each + 1
        );
    }
    world.complete(partitions, "2026-01-01T01:00:00Z", 600, &mut replicas).await?;
    tell(&format!(
        "{rounds} kills of replicas, 2 of the broker, 2 of the database; all is there after {} s",
        began.elapsed().as_secs()
    ));
    for replica in replicas {
        peak = peak.max(replica.peak_mib().unwrap_or(0));
        replica.stop().await?;
    }
    tell(&format!("a replica had {peak} MiB at most"));

    compare(&expected, &world.rows(3).await?).context("the files")?;
    let told = server.sql("plant", "SELECT to_char(\"TS\" AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \"Device\", \"Tag\", avg, max, count FROM windows").await?;
    let mut table = Rows::new();
    for line in told.lines() {
        let mut fields: Vec<String> = line.split(',').map(str::to_owned).collect();
        let values = fields.split_off(3);
        table.insert(fields, values);
    }
    compare(&expected, &table).context("the table")?;

    compare_letters(&expected, &world.letters().await?)?;
    tell(&format!("{} windows are those of a batch, in files and in the table", expected.windows.len()));
    Ok(())
}

/// Returns once this replica has a partition, and marks are further than this: so what dies is in the middle of it. Gives how far.
async fn until_at_work(world: &World, folder: &str, name: &str, than: i64) -> Result<i64> {
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        let marks = world.marks(folder, PARTITIONS).await?;
        let reached = marks.iter().map(|mark| mark.offset).sum();
        let has_one = marks.iter().any(|mark| mark.metadata.contains(&format!("\"owner\":\"{name}-")));
        if has_one && reached > than {
            return Ok(reached);
        }
        ensure!(
            Instant::now() < end,
            "{name} has had no partition, or nothing was written, for two minutes:\n{}",
            world.tail()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) fn compare(expected: &Expected, rows: &Rows) -> Result<()> {
    for ((start, device, tag), window) in &expected.windows {
        let time = Timestamp::from_second(*start)?;
        let name = vec![time.to_string(), device.to_string(), tag.to_string()];
        let found = rows.get(&name).with_context(|| format!("{name:?} is not there"))?;
        let number = |at: usize| found[at].parse::<f64>().with_context(|| format!("{name:?}: {found:?}"));
        let avg = window.sum / window.count as f64;
        ensure!(
            (number(0)? - avg).abs() <= 1e-9 * avg.abs().max(1.0),
            "{name:?} has the average {}, and not {avg}",
            found[0]
        );
        ensure!(number(1)? == window.max, "{name:?} has the maximum {}, and not {}", found[1], window.max);
        ensure!(found[2] == window.count.to_string(), "{name:?} has {} values, and not {}", found[2], window.count);
    }
    let more = rows.len() - expected.windows.len();
    ensure!(more == 0, "{more} windows are there that should not be");
    Ok(())
}

/// Whether there are as many dead letters of each reason as there are to be.
pub(crate) fn compare_letters(expected: &Expected, letters: &Letters) -> Result<()> {
    for reason in ["Late", "Future", "Malformed"] {
        let told = letters.values().filter(|letter| letter["reason"] == reason).count() as u64;
        let is = expected.dead.get(reason).copied().unwrap_or(0);
        ensure!(told == is, "{told} dead letters are {reason}, and {is} events");
        tell(&format!("{reason}: {is}"));
    }
    Ok(())
}
