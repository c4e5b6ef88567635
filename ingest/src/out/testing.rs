//! What tests of outputs share.

use crate::config::Config;
use crate::event::SEPARATOR;
use crate::window::{Row, Slice};

/// The smallest configuration and more.
pub(crate) fn config(more: &str) -> Config {
    let smallest = "kafka: {brokers: [localhost:9092], topic: readings}\nstore: {url: file:///tmp/x}\n";
    Config::read("ingest.yaml", &format!("{smallest}{more}")).unwrap()
}

/// 2026-01-01T00:05:00Z.
pub(crate) const START: i64 = 1_767_225_900_000_000;

/// The window that begins so many seconds after [`START`].
pub(crate) fn row(second: i64, keys: &[&str], values: &[f64]) -> Row {
    let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
    Row { start: START + second * 1_000_000, sensor: keys.join(&SEPARATOR).into(), values: values.into() }
}

pub(crate) fn slice(rows: Vec<Row>) -> Slice {
    Slice { start: START, rows }
}
