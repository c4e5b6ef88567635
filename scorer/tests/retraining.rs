//! A plant that trains its models from a schedule's file, scores with them, and goes back to an older version.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{Plant, TRAINED};
use serde_json::Value;

const TRAIN: &str = "  task: Train\n  window: {length: 1h}\n";
const SCORE: &str = "  window: {length: 1h}\n";

fn plant() -> Plant {
    let plant = Plant::new();
    let start = ["--start", "2026-01-01T00:00:00Z", "--length", "4h", "--seed", "3"];
    plant.scorer(&[&["simulate", "--devices", "1", "--tags", "2"][..], &start].concat());
    plant
}

fn at(hour: u32) -> String {
    format!("2026-01-01T{hour:02}:00:00Z")
}

fn hash(record: &Value) -> Value {
    record["outcomes"][0]["modelHash"].clone()
}

fn published(plant: &Plant) -> Vec<u8> {
    fs::read(plant.path().join("models/model_1_1")).unwrap()
}

#[test]
fn models_are_trained_scored_with_and_promoted_by_hand() {
    let plant = plant();
    let train = |lines: &str, hour: u32| plant.run(&format!("{TRAINED}{TRAIN}{lines}"), &at(hour));
    let summary = train("", 1);
    assert_eq!(summary["training"], serde_json::json!({"trained": 2, "promoted": 2, "refused": 0}));
    let first = published(&plant);
    assert_eq!(train("  training: {promote: Manual, nu: 0.2}\n", 2)["training"]["promoted"], 0);
    assert_eq!(published(&plant), first);
    let scored = |hour: u32| hash(&plant.record(&format!("{TRAINED}{SCORE}"), &at(hour)));
    let of_first = scored(3);

    let promote = |args: &[&str]| plant.scorer(&[&["promote", "--version"][..], args].concat());
    let promoted = promote(&["20260101T020000Z", "--where", "device=1,tag=1", "--why", "it is better"]);
    assert_eq!((&promoted["promoted"], &promoted["failed"]), (&1.into(), &0.into()));
    assert_ne!(published(&plant), first);
    assert_ne!(scored(3), of_first);
    let index = fs::read(plant.path().join("models/_versions/model_1_1/index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    assert_eq!(index["promoted"]["why"], "it is better");
    assert_eq!(index["versions"].as_array().unwrap().len(), 2);

    promote(&["20260101T010000Z"]);
    assert_eq!((published(&plant), scored(3)), (first, of_first));
}

#[test]
fn a_version_that_is_not_there_or_cannot_score_is_not_promoted() {
    let plant = plant();
    plant.run(&format!("{TRAINED}{TRAIN}"), &at(1));
    let first = published(&plant);
    let refused = |version: &str| plant.refusal(&["promote", "--version", version]);
    assert!(refused("v7").contains("no model matches models/_versions/model_{device}_{tag}/v7"));
    plant.put("models/_versions/model_1_1/v7", "no model");
    assert!(refused("v7").contains("sensor device=1, tag=1: model file://"));
    assert_eq!(published(&plant), first);
}
