//! Sensors whose models would have one path.

use serde_json::json;

use super::training::{at, bare, trained};
use super::*;

/// A plant whose three sensors have other keys.
fn named(names: [(&str, &str); 3]) -> Plant {
    let plant = bare();
    let mut readings = fs::read_to_string(plant.path("data/sensor_data.csv")).unwrap();
    for (tag, (device, name)) in (1..).zip(names) {
        readings = readings.replace(&format!(",1,{tag},"), &format!(",{device},{name},"));
    }
    fs::write(plant.path("data/sensor_data.csv"), readings).unwrap();
    plant
}

fn reason<'a>(record: &'a Record, device: &str, tag: &str) -> Option<&'a str> {
    record.outcomes.iter().find(|o| o.sensor == sensor(device, tag)).unwrap().reason.as_deref()
}

const ONE_PATH: [(&str, &str); 3] = [("a", "1_1"), ("a_1", "1"), ("b", "1")];

fn listed(sensors: &[(&str, &str)], task: &str) -> serde_json::Value {
    let list: Vec<_> = sensors.iter().map(|(device, tag)| json!({"device": device, "tag": tag})).collect();
    json!({"task": task, "sensors": {"list": list}})
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sensors_with_one_model_path_are_not_trained_and_name_each_other() {
    let plant = named(ONE_PATH);
    let (record, _) = trained(&plant, 2, json!({})).await;
    assert_eq!((record.totals.succeeded, record.totals.failed), (1, 2));
    assert_eq!(record.failures.get("AmbiguousModelPath"), Some(&2));
    assert_eq!(reason(&record, "b", "1"), None);
    let message = record.outcomes.iter().find_map(|o| o.message.clone()).unwrap();
    let expected =
        "sensor device=a, tag=1_1: its model is models/model_a_1_1, and so is that of sensor device=a_1, tag=1: put ";
    assert!(message.starts_with(expected), "{message}");
    assert!(!plant.path("models/model_a_1_1").exists() && !plant.path("models/_versions/model_a_1_1").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sensors_with_one_model_path_are_not_scored_by_a_model_that_is_one_of_thems() {
    let plant = named(ONE_PATH);
    let (record, _) = plant.run(&plant.context("local-1", 2, at(2, listed(&ONE_PATH[1..], "Train")))).await.unwrap();
    assert_eq!(record.totals.succeeded, 2);
    let (record, _) = plant.run(&plant.context("local-2", 2, at(3, listed(&ONE_PATH, "Score")))).await.unwrap();
    assert_eq!((record.totals.succeeded, record.failures.get("AmbiguousModelPath")), (1, Some(&2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_model_for_all_tags_of_a_device_scores_them_and_cannot_be_trained() {
    let plant = bare();
    trained(&plant, 2, json!({})).await;
    fs::copy(plant.path("models/model_1_1"), plant.path("models/of_1")).unwrap();
    let of_device = |task| {
        let mut changes = listed(&[("1", "1"), ("1", "2"), ("1", "3")], task);
        changes["model"] = json!({"path": "models/of_{device}"});
        changes
    };
    let (record, _) = plant.run(&plant.context("local-3", 2, at(3, of_device("Score")))).await.unwrap();
    assert_eq!((record.totals.succeeded, record.totals.failed), (3, 0), "{:?}", record.failures);
    let (record, _) = plant.run(&plant.context("local-4", 2, at(4, of_device("Train")))).await.unwrap();
    assert_eq!(record.failures.get("AmbiguousModelPath"), Some(&3));
    assert!(record.outcomes[0].message.as_deref().unwrap().contains("add {tag} to model.path"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_does_not_take_the_path_of_a_sensor_that_another_run_trained() {
    let plant = named(ONE_PATH);
    plant.run(&plant.context("local-1", 2, at(2, listed(&ONE_PATH[..1], "Train")))).await.unwrap();
    let files = [
        "models/model_a_1_1",
        "models/_versions/model_a_1_1/20260101T020000Z",
        "models/_versions/model_a_1_1/index.json",
    ];
    let content = || files.map(|file| fs::read(plant.path(file)).unwrap());
    let before = content();
    // At the same tick, so that its version would have the same name.
    let (record, _) = plant.run(&plant.context("local-2", 2, at(2, listed(&ONE_PATH[1..2], "Train")))).await.unwrap();
    assert_eq!(reason(&record, "a_1", "1"), Some("AmbiguousModelPath"));
    let message = record.outcomes[0].message.as_deref().unwrap();
    assert!(message.contains("tells of the versions of sensor device=a, tag=1_1's model"), "{message}");
    assert_eq!(content(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_scoring_would_find_as_another_sensors_is_warned_of_when_it_is_trained() {
    let plant = named([("pump_1", "temp"), ("pump_2", "temp"), ("b", "1")]);
    let (record, _) = trained(&plant, 2, json!({})).await;
    assert_eq!((record.totals.succeeded, record.totals.failed), (3, 0));
    let warning = &record.warnings[0];
    assert!(warning.starts_with("2 model(s) will not be found as their sensors'"), "{warning}");
    assert!(warning.contains("models/model_pump_1_temp of sensor device=pump_1, tag=temp"), "{warning}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sensors_with_readings_that_cannot_be_trained_are_called_sensors() {
    let plant = named([("a/b", "1"), ("..", "1"), ("b", "1")]);
    let (record, _) = trained(&plant, 2, json!({})).await;
    assert_eq!(record.totals.succeeded, 1);
    assert!(
        record.warnings[0].starts_with("2 sensor(s) with readings are left out; the first is "),
        "{:?}",
        record.warnings
    );
}
