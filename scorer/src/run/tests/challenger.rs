//! A version that is scored beside the one whose predictions are published.

use serde_json::json;

use super::training::{at, bare, trained};
use super::*;
use crate::model::sha256;

const MODELS: &str = "models/model_{device}_{tag}";

/// A plant with a published version of two o'clock, and another of three.
async fn two_versions() -> Plant {
    let plant = bare();
    trained(&plant, 2, json!({})).await;
    trained(&plant, 3, json!({"promote": "Manual", "nu": 0.5, "margin": 0.0})).await;
    plant
}

fn challenged(version: &str) -> serde_json::Value {
    json!({"model": {"path": MODELS, "challenger": {"version": version}}})
}

/// The anomalies in a file of predictions.
fn anomalies(csv: &str) -> u64 {
    csv.lines().filter(|line| line.ends_with(",1")).count() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenger_is_compared_and_what_is_published_stays_as_it_is() {
    let plant = two_versions().await;
    plant.run(&plant.context("local-4", 2, at(4, json!({})))).await.unwrap();
    let alone = plant.predictions_of("nightly");
    let (record, _) = plant.run(&plant.context("local-5", 2, at(4, challenged("20260101T030000Z")))).await.unwrap();
    assert_eq!(plant.predictions_of("nightly"), alone);
    let outcome = &record.outcomes[0];
    let told = outcome.challenger.as_ref().unwrap();
    let file =
        plant.path("predictions/plant/nightly/_challengers/20260101T020000Z/20260101T030000Z/device=1,tag=1.csv");
    let csv = fs::read_to_string(&file).unwrap();
    assert!(told.predictions.ends_with(file.to_str().unwrap()));
    assert_eq!((told.scored, told.anomalies), (1_440, anomalies(&csv)));
    let published = fs::read_to_string(&alone[0].0).unwrap();
    let differ = published.lines().zip(csv.lines()).filter(|(one, other)| one.ends_with(",1") != other.ends_with(",1"));
    let compared = told.compared.unwrap();
    assert_eq!(compared.disagreements, differ.count() as u64);
    assert!(compared.disagreements > 0 && compared.max_score_difference > 0.0);
    assert_ne!(told.model_hash, outcome.model_hash);
    let totals = record.totals.challenger.unwrap();
    assert_eq!((totals.sensors, totals.failed, record.totals.warned), (3, 0, 0));
    assert_eq!(totals.anomalies, record.outcomes.iter().map(|o| o.challenger.as_ref().unwrap().anomalies).sum::<u64>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenger_of_a_shared_file_has_files_of_its_own_with_the_same_numbers() {
    let plant = two_versions().await;
    let mut changes = challenged("20260101T030000Z");
    let (own, _) = plant.run(&plant.context("local-4", 2, at(4, changes.clone()))).await.unwrap();
    changes["predictions"] = json!({"layout": "PerItem"});
    let (shared, _) = plant.run(&plant.context("local-5", 2, at(4, changes))).await.unwrap();
    let of = |record: &Record| -> Vec<_> { record.outcomes.iter().map(|o| o.challenger.clone()).collect() };
    assert_eq!(of(&shared), of(&own));
    assert!(of(&own).iter().all(Option::is_some));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenger_trained_again_after_the_run_was_planned_is_compared_and_told_of() {
    let plant = two_versions().await;
    let context = plant.context("local-4", 3, at(4, challenged("20260101T030000Z")));
    plan(&context).await.unwrap();
    let versions = plant.path("models/_versions/model_1_1");
    let new = fs::read(versions.join("20260101T020000Z")).unwrap();
    fs::write(versions.join("20260101T030000Z"), &new).unwrap();
    item::run(&context, 0, &pod("a"), None, never().1).await.unwrap();
    let (record, _) = archive(&context, &PodEnds::default()).await.unwrap();
    let outcome = &record.outcomes[0];
    let told = outcome.challenger.as_ref().unwrap();
    assert_eq!(told.model_hash.as_deref(), Some(sha256(&new).as_str()));
    assert!(told.compared.is_some());
    assert!(outcome.warnings[0].contains("was replaced after the run was planned"), "{:?}", outcome.warnings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenger_that_fails_fails_no_sensor() {
    let plant = two_versions().await;
    fs::remove_file(plant.path("models/_versions/model_1_1/20260101T030000Z")).unwrap();
    fs::write(plant.path("models/_versions/model_1_2/20260101T030000Z"), "no model").unwrap();
    let (record, _) = plant.run(&plant.context("local-4", 2, at(4, challenged("20260101T030000Z")))).await.unwrap();
    assert_eq!((record.totals.succeeded, record.totals.failed, record.totals.warned), (3, 0, 2));
    let totals = record.totals.challenger.unwrap();
    assert_eq!((totals.sensors, totals.failed), (1, 2));
    let reasons: Vec<_> = record.outcomes.iter().map(|o| o.challenger.as_ref().unwrap().reason.as_deref()).collect();
    assert_eq!(reasons[0], Some("ModelNotFound"));
    assert!(reasons[1].is_some() && reasons[2].is_none(), "{reasons:?}");
    assert!(record.warnings[0].contains("its challenger 20260101T030000Z was not scored: ModelNotFound"));
    let files = plant.path("predictions/plant/nightly/_challengers/20260101T020000Z/20260101T030000Z");
    assert_eq!(fs::read_dir(files).unwrap().count(), 1, "what failed leaves nothing");
}
