//! What docs/readings.md promises of bad input: each kind has its policy, and its words name file and line. The sensor with
//! the bad input stands beside a good one, which it never harms.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod columns;
mod files;
mod json;
mod models;
mod rows;

use std::io::Write;
use std::path::Path;

use common::Plant;
use serde_json::Value;

const AT: &str = "2026-01-01T01:00:00Z";
/// Says which column has the value.
const VALUE: &str = ", columns: {value: [value]}";
const GOOD: &str = "ts,value\n2026-01-01T00:00:00Z,50\n2026-01-01T00:00:05Z,51\n2026-01-01T00:00:10Z,52\n";

/// What becomes of a sensor with this file of readings, by the record.
fn read(file: impl AsRef<[u8]>) -> Value {
    read_as("", Some(file.as_ref()))
}

/// The same with further fields of `data`.
fn read_as(data: &str, file: Option<&[u8]>) -> Value {
    let model = std::fs::read(model("sklearn19_one_p4.pkl")).unwrap();
    outcome(data, file, &model)
}

fn model(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models").join(name)
}

fn outcome(data: &str, file: Option<&[u8]>, bad_model: &[u8]) -> Value {
    let plant = Plant::new();
    plant.put("models/good", std::fs::read(model("sklearn19_one_p4.pkl")).unwrap());
    plant.put("data/good", GOOD);
    plant.put("models/bad", bad_model);
    if let Some(file) = file {
        plant.put("data/bad", file);
    }
    let lines = format!(
        "  model: {{path: \"models/{{device}}\"}}\n  data: {{path: \"data/{{device}}\"{data}}}\n  window: {{length: 1h}}\n"
    );
    let record = plant.record(&lines, AT);
    let of = |device: &str| {
        let mut outcomes = record["outcomes"].as_array().unwrap().iter();
        outcomes.find(|outcome| outcome["sensor"]["device"] == device).unwrap().clone()
    };
    assert_eq!(
        (of("good")["status"].as_str(), of("good")["scored"].as_u64()),
        (Some("Succeeded"), Some(3)),
        "{record}"
    );
    let bad = of("bad");
    let written = plant.predictions().iter().any(|folder| folder.ends_with("device=bad"));
    assert_eq!(written, bad["status"] == "Succeeded", "predictions are there whole or not at all: {bad}");
    bad
}

/// The sensor failed for this reason, and the message has these words.
fn failed(outcome: &Value, reason: &str, words: &[&str]) {
    failed_as(outcome, "bad", reason, words);
}

fn failed_as(outcome: &Value, device: &str, reason: &str, words: &[&str]) {
    assert_eq!((outcome["status"].as_str(), outcome["reason"].as_str()), (Some("Failed"), Some(reason)), "{outcome}");
    let message = outcome["message"].as_str().unwrap();
    assert!(message.contains(&format!("device={device}")), "{message}");
    assert!(words.iter().all(|word| message.contains(word)), "{words:?}: {message}");
}

/// Rows were read, scored and bad; the warning has these words.
fn scored(outcome: &Value, counts: [u64; 3], words: &[&str]) {
    let found = ["rows", "scored", "badRows"].map(|field| outcome[field].as_u64().unwrap());
    assert_eq!((outcome["status"].as_str(), found), (Some("Succeeded"), counts), "{outcome}");
    let warnings = outcome["warnings"].to_string();
    assert!(words.iter().all(|word| warnings.contains(word)), "{words:?}: {warnings}");
}

/// A file whose line 3 is this.
fn with_line(line: &[u8]) -> Vec<u8> {
    let mut file = b"ts,value\n2026-01-01T00:00:00Z,50\n".to_vec();
    file.extend_from_slice(line);
    file.extend_from_slice(b"\n2026-01-01T00:00:10Z,52\n");
    file
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(content).unwrap();
    packed.finish().unwrap()
}
