//! What becomes of events that are late, ahead, malformed, there twice; and of what cannot work.

use anyhow::{Result, ensure};
use local_aks::kafka::{Kafka, Settings};
use local_aks::pki::Authority;
use local_aks::{Options, Progress};

use crate::replica::Replica;
use crate::world::{TOPIC, World, flush, send};

/// 2026-01-01T00:00:00Z, in milliseconds.
pub(crate) const BEGIN: i64 = 1_767_225_600_000;

/// An event of a second, with a value.
pub(crate) fn event(second: i64, value: f64) -> String {
    let time = jiff::Timestamp::from_millisecond(BEGIN + second * 1000).unwrap();
    format!("{{\"TS\":\"{time}\",\"Device\":1,\"Tag\":\"a\",\"Value\":{value}}}")
}

async fn run(world: &World, more: &str, records: &[(i64, String)]) -> Result<()> {
    let config = world.configure(more)?;
    let producer = world.producer()?;
    for (second, payload) in records {
        send(&producer, 0, BEGIN + second * 1000, payload.as_bytes())?;
    }
    send(&producer, 0, BEGIN + 7200 * 1000, event(7200, 0.0).as_bytes())?;
    flush(&producer)?;
    let mut replicas = [world.replica(&config)?];
    world.complete(1, "2026-01-01T01:00:00Z", 60, &mut replicas).await?;
    let [replica] = replicas;
    replica.stop().await
}

pub(crate) fn row(time: &str) -> Vec<String> {
    vec![time.to_owned(), "1".to_owned(), "a".to_owned()]
}

pub(crate) async fn dead_letters() -> Result<()> {
    let world = World::new(1).await?;
    let records = [
        (0, event(0, 1.0)),
        (1, format!("[{},{{}},{}]", event(1, 3.0), event(400, 9.0))),
        (70, event(70, 5.0)),
        (71, event(4, 7.0)),
        (71, "{\"TS\":".to_owned()),
    ];
    run(&world, "windows: {aggregates: [avg, count]}\n", &records).await?;
    let rows = world.rows(3).await?;
    ensure!(rows.len() == 2 && rows[&row("2026-01-01T00:00:00Z")] == ["2.0", "2"], "{rows:?}");
    let letters = world.letters().await?;
    let told: Vec<_> =
        letters.iter().map(|(place, letter)| (place.1, place.2, letter["reason"].as_str().unwrap())).collect();
    ensure!(told == [(1, 1, "Malformed"), (1, 2, "Future"), (3, 0, "Late"), (4, 0, "Malformed")], "{told:?}");
    let late = &letters[&(0, 3, 0)];
    ensure!(late["value"] == event(4, 7.0).as_str(), "{late}");
    ensure!(late["detail"].as_str().is_some_and(|text| text.contains("2026-01-01T00:00:10Z")), "{late}");
    Ok(())
}

pub(crate) async fn archive() -> Result<()> {
    let world = World::new(1).await?;
    let records = [(0, event(0, 1.0)), (1, "no event \u{1}".to_owned())];
    run(&world, "archive: {path: \"raw/{yyyy}\"}\n", &records).await?;
    let files = world.files("raw/2026", ".jsonl").await?;
    let lines: Vec<serde_json::Value> =
        files.iter().flat_map(|text| text.lines()).map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(lines.len() == 3, "{lines:?}");
    for (line, (second, payload)) in lines.iter().zip(records) {
        ensure!(line["value"] == payload.as_str(), "{line}");
        ensure!(line["timestamp"] == format!("2026-01-01T00:00:0{second}Z"), "{line}");
    }
    Ok(())
}

pub(crate) async fn duplicates() -> Result<()> {
    let world = World::new(1).await?;
    let records = [(0, event(1, 1.0)), (0, event(2, 3.0)), (0, event(1, 8.0)), (0, event(2, 8.0))];
    run(&world, "event: {duplicates: Drop}\n", &records).await?;
    let rows = world.rows(3).await?;
    ensure!(rows[&row("2026-01-01T00:00:00Z")] == ["2.0"], "{rows:?}");
    let letters = world.letters().await?;
    let told: Vec<_> = letters.iter().map(|(place, letter)| (place.1, letter["reason"].as_str().unwrap())).collect();
    ensure!(told == [(2, "Duplicate"), (3, "Duplicate")], "{told:?}");
    Ok(())
}

pub(crate) async fn no_topic() -> Result<()> {
    let world = World::new(1).await?;
    let config = world.configure("")?;
    let other = std::fs::read_to_string(&config)?.replace(TOPIC, "other");
    std::fs::write(&config, other)?;
    let status = world.replica(&config)?.ended().await?;
    ensure!(status.code() == Some(1), "{status}");
    let said = world.tail();
    ensure!(said.contains("there is no topic other"), "{said}");
    Ok(())
}

pub(crate) async fn connection_string() -> Result<()> {
    let mut world = World::new(1).await?;
    let folder = world.folder.path().to_owned();
    let authority = Authority::alone(&folder.join("pki"))?;
    let password = "Endpoint=sb://plant/;SharedAccessKeyName=all;SharedAccessKey=abc=";
    world.kafka.stop().await?;
    let root = Options::default().root;
    let data = folder.join("kafka");
    let settings = Settings::new(&data, &root).with_password(&authority, password);
    world.kafka = Kafka::start(&settings, &Progress::lines()).await?;
    let producer = world.producer()?;
    send(&producer, 0, BEGIN, event(0, 1.0).as_bytes())?;
    send(&producer, 0, BEGIN + 7200 * 1000, event(7200, 1.0).as_bytes())?;
    flush(&producer)?;
    let config = world.configure("")?;
    let address = world.kafka.sasl_bootstrap().unwrap();
    let text = std::fs::read_to_string(&config)?.replace(&world.kafka.bootstrap(), &address);
    std::fs::write(&config, text.replace("  topic:", "  login: ConnectionString\n  topic:"))?;
    let secret = folder.join("connection");
    std::fs::create_dir_all(&secret)?;
    std::fs::write(secret.join("connectionString"), password)?;
    std::fs::copy(authority.certificate(), secret.join("ca.crt"))?;
    let mut replicas =
        [Replica::start(&config, &world.log(), &[("--kafka-secret-dir", &secret.display().to_string())])?];
    world.complete(1, "2026-01-01T01:00:00Z", 60, &mut replicas).await?;
    ensure!(world.rows(3).await?.len() == 1);
    ensure!(!world.tail().contains("abc="), "the key is in the log");
    Ok(())
}
