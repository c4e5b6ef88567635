//! Runs that train, and runs that score with what they published.

use spec::work::Work;
use spec::{ModelVersion, Task};
use store::versions::{VersionPaths, Versions};

use super::*;
use crate::model::{Model, sha256};
use crate::simulate::{self, Plant as Simulation};

/// Three simulated sensors without models: four hours of readings from `START` on.
pub(super) fn bare() -> Plant {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    let plant = Plant { dir };
    let mut readings = Vec::new();
    let simulation = Simulation {
        devices: 1,
        tags: 3,
        start: START.parse().unwrap(),
        length: "4h".parse().unwrap(),
        seed: 1,
        anomalies: 0.01,
    };
    simulate::write(&simulation, &mut readings, &mut std::io::sink()).unwrap();
    fs::write(plant.path("data/sensor_data.csv"), readings).unwrap();
    plant
}

const START: &str = "2026-01-01T00:00:00Z";

/// A run at an hour of the day over the two hours before, with some changes to what is done.
pub(super) fn at(hour: u32, changes: serde_json::Value) -> impl FnOnce(&mut RunRequest) {
    move |request| {
        request.schedule = "nightly".into();
        request.run = format!("nightly-{hour}");
        request.tick = format!("2026-01-01T{hour:02}:00:00Z").parse().unwrap();
        let mut work = serde_json::to_value(&request.work).unwrap();
        work["window"] = serde_json::json!({"length": "2h"});
        work.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        request.work = serde_json::from_value::<Work>(work).unwrap();
        request.window = request.work.window.map(|window| window.at(request.tick, None).unwrap());
    }
}

fn training(training: &serde_json::Value) -> serde_json::Value {
    serde_json::json!({"task": "Train", "training": training})
}

pub(super) async fn trained(plant: &Plant, hour: u32, options: serde_json::Value) -> (Record, Summary) {
    // Of a run with the same UID, what is done is not done again.
    let uid = format!("local-{hour}-{}", sha256(options.to_string().as_bytes()));
    let uid =
        if plant.path(&format!("runs/plant/nightly/nightly-{hour}")).exists() { "local-again" } else { &uid[..32] };
    plant.run(&plant.context(uid, 2, at(hour, training(&options)))).await.unwrap()
}

impl Plant {
    fn published(&self, tag: u32) -> Vec<u8> {
        fs::read(self.path(&format!("models/model_1_{tag}"))).unwrap()
    }

    fn versions(&self, tag: u32) -> Versions {
        let index = VersionPaths::of(&format!("models/model_1_{tag}")).index();
        serde_json::from_slice(&fs::read(self.path(&index)).unwrap()).unwrap()
    }

    /// The names of a model's version files.
    fn files(&self, tag: u32) -> Vec<String> {
        let folder = fs::read_dir(self.path(&format!("models/_versions/model_1_{tag}"))).unwrap();
        let mut names: Vec<String> = folder.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.retain(|name| name != "index.json");
        names.sort();
        names
    }
}

fn hour(hour: u32) -> ModelVersion {
    format!("20260101T{hour:02}0000Z").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_run_trains_each_sensor_that_has_readings_and_publishes_its_model() {
    let plant = bare();
    let (record, summary) = trained(&plant, 2, serde_json::json!({})).await;
    let totals = summary.report.training.unwrap();
    assert_eq!((totals.trained, totals.promoted, totals.refused), (3, 3, 0));
    assert_eq!((record.totals.succeeded, record.totals.training), (3, Some(totals)));
    let outcome = &record.outcomes[0];
    let told = outcome.training.as_ref().unwrap();
    assert_eq!((outcome.rows, outcome.scored, outcome.predictions.clone()), (1_440, 0, None));
    assert_eq!((told.version.clone(), told.promoted, told.reason.as_str()), (hour(2), true, "First"));
    assert_eq!((told.trial.rows, told.trial.evaluation.rows, told.trial.published), (1_152, 288, None));
    let known = plant.versions(1);
    assert_eq!(known.promoted.as_ref().unwrap().run.as_deref(), Some("plant/nightly-2"));
    assert_eq!(known.sensor, sensor("1", "1"));
    let bytes = plant.published(1);
    assert_eq!(outcome.model_hash.as_deref(), Some(sha256(&bytes).as_str()));
    assert_eq!(known.promoted.unwrap().model_hash, sha256(&bytes));
    assert_eq!(fs::read(plant.path("models/_versions/model_1_1/20260101T020000Z")).unwrap(), bytes);
    Model::from_bytes("m", &bytes).unwrap();
    assert!(!plant.path("predictions").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_scores_finds_what_was_published_and_takes_no_version_for_a_sensor() {
    let plant = bare();
    trained(&plant, 2, serde_json::json!({})).await;
    trained(&plant, 3, serde_json::json!({})).await;
    let any_name = at(4, serde_json::json!({"model": {"path": "models/{device}_{tag}"}}));
    let (record, _) = plant.run(&plant.context("local-4", 2, any_name)).await.unwrap();
    assert_eq!(record.totals.sensors, 3, "{:?}", record.warnings);
    let (record, _) = plant.run(&plant.context("local-5", 2, at(4, serde_json::json!({})))).await.unwrap();
    assert_eq!((record.totals.sensors, record.totals.succeeded), (3, 3));
    assert_eq!(record.outcomes[0].model_hash.as_deref(), Some(sha256(&plant.published(1)).as_str()));
    assert!(record.totals.anomalies > 0 && record.totals.training.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_run_again_leaves_the_same_versions() {
    let plant = bare();
    let (first, _) = trained(&plant, 2, serde_json::json!({})).await;
    let (before, model) = (plant.versions(1), plant.published(1));
    let (again, _) = trained(&plant, 2, serde_json::json!({})).await;
    assert_eq!(plant.published(1), model);
    assert_eq!(plant.versions(1).versions.len(), before.versions.len());
    let told = again.outcomes[0].training.as_ref().unwrap();
    assert_eq!((told.promoted, told.reason.as_str()), (true, "NoWorse"));
    assert_eq!(told.trial.published, Some(first.outcomes[0].training.as_ref().unwrap().trial.evaluation));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worse_model_is_kept_as_a_version_and_not_published() {
    let plant = bare();
    trained(&plant, 2, serde_json::json!({})).await;
    let good = plant.published(2);
    // A kernel so narrow that the model knows little but the readings it was fitted to.
    let (record, summary) = trained(&plant, 3, serde_json::json!({"gamma": 200.0, "margin": 0.0, "nu": 0.01})).await;
    let told = record.outcomes[1].training.clone().unwrap();
    assert_eq!((told.promoted, told.reason.as_str()), (false, "Worse"), "{}", told.why);
    assert_eq!(summary.report.training.unwrap().trained, 3);
    assert_eq!(plant.published(2), good);
    assert_eq!(plant.files(2), ["20260101T020000Z", "20260101T030000Z"]);
    assert_eq!(plant.versions(2).promoted.unwrap().version, hour(2));
    // Asked for in any case, it is.
    let always = serde_json::json!({"gamma": 200.0, "margin": 0.0, "nu": 0.01, "promote": "Always"});
    let (record, _) = trained(&plant, 4, always).await;
    assert!(record.outcomes[1].training.as_ref().unwrap().promoted);
    assert_ne!(plant.published(2), good);
}

#[tokio::test(flavor = "multi_thread")]
async fn manual_publishes_nothing_and_an_earlier_window_replaces_no_later_model() {
    let plant = bare();
    let (record, _) = trained(&plant, 3, serde_json::json!({"promote": "Manual"})).await;
    assert_eq!(record.outcomes[0].training.as_ref().unwrap().reason, "Manual");
    assert!(!plant.path("models/model_1_1").exists() && plant.files(1) == ["20260101T030000Z"]);
    trained(&plant, 4, serde_json::json!({})).await;
    let later = plant.published(1);
    let (record, _) = trained(&plant, 2, serde_json::json!({"promote": "Always"})).await;
    assert_eq!(record.outcomes[0].training.as_ref().unwrap().reason, "Older");
    assert_eq!(plant.published(1), later);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_degenerate_model_fails_its_sensor_alone_and_leaves_no_version() {
    let plant = bare();
    let all = fs::read_to_string(plant.path("data/sensor_data.csv")).unwrap();
    let flat = |line: &str| match line.split(',').collect::<Vec<_>>().as_slice() {
        [at, device, "2", _] => format!("{at},{device},2,7.5\n"),
        _ => format!("{line}\n"),
    };
    fs::write(plant.path("data/sensor_data.csv"), all.lines().map(flat).collect::<String>()).unwrap();
    let (record, summary) = trained(&plant, 2, serde_json::json!({})).await;
    let totals = summary.report.training.unwrap();
    assert_eq!((totals.trained, totals.promoted, totals.refused), (2, 2, 1));
    assert_eq!(record.outcomes[1].reason.as_deref(), Some("ModelDegenerate"));
    assert!(record.outcomes[1].message.as_deref().unwrap().contains("knows a single point"));
    assert!(!plant.path("models/_versions/model_1_2").exists() && !plant.path("models/model_1_2").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_readings_say_so() {
    let plant = bare();
    let window = serde_json::json!({"task": "Train", "window": {"length": "50s"}});
    let (record, _) = plant.run(&plant.context("local-1", 2, at(2, window))).await.unwrap();
    let outcome = &record.outcomes[0];
    assert_eq!((outcome.status, outcome.reason.as_deref()), (Status::Failed, Some("TooFewReadings")));
    assert!(outcome.message.as_deref().unwrap().contains("8 usable reading(s) are too few"), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_field_scores_with_an_older_version_and_a_sensor_without_it_fails_alone() {
    let plant = bare();
    let (first, _) = trained(&plant, 2, serde_json::json!({})).await;
    trained(&plant, 3, serde_json::json!({"promote": "Always", "nu": 0.2})).await;
    fs::remove_file(plant.path("models/_versions/model_1_3/20260101T020000Z")).unwrap();
    let rollback = |version: &str| {
        at(
            4,
            serde_json::json!({"model": {
                "path": "models/model_{device}_{tag}", "version": version,
            }}),
        )
    };
    let (record, _) = plant.run(&plant.context("local-4", 2, rollback("20260101T020000Z"))).await.unwrap();
    assert_eq!((record.totals.succeeded, record.totals.failed), (2, 1));
    assert_eq!(record.outcomes[0].model_hash, first.outcomes[0].model_hash);
    let failed = &record.outcomes[2];
    assert_eq!(failed.reason.as_deref(), Some("ModelNotFound"));
    assert!(failed.message.as_deref().unwrap().contains("version 20260101T020000Z of its model"), "{failed:?}");
    // Nothing needs to be published for it.
    fs::remove_file(plant.path("models/model_1_1")).unwrap();
    fs::remove_file(plant.path("models/model_1_2")).unwrap();
    fs::remove_file(plant.path("models/model_1_3")).unwrap();
    let (record, _) = plant.run(&plant.context("local-5", 2, rollback("20260101T020000Z"))).await.unwrap();
    assert_eq!((record.totals.sensors, record.totals.succeeded), (2, 2));
    let error = plant.run(&plant.context("local-6", 2, rollback("v9"))).await.unwrap_err();
    assert!(error.to_string().contains("_versions/model_{device}_{tag}/v9"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_versions_the_latest_and_the_published_stay() {
    let plant = bare();
    trained(&plant, 2, serde_json::json!({"keepVersions": 2})).await;
    for later in [3, 4] {
        trained(&plant, later, serde_json::json!({"keepVersions": 2, "promote": "Manual"})).await;
    }
    assert_eq!(plant.files(1), ["20260101T020000Z", "20260101T030000Z", "20260101T040000Z"], "the first is published");
    trained(&plant, 4, serde_json::json!({"keepVersions": 1, "promote": "Always"})).await;
    assert_eq!(plant.files(1), ["20260101T040000Z"]);
    let known: Vec<_> = plant.versions(1).versions.into_iter().map(|known| known.version).collect();
    assert_eq!(known, [hour(4)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_model_that_is_of_no_use_is_replaced() {
    let plant = bare();
    fs::create_dir(plant.path("models")).unwrap();
    fs::write(plant.path("models/model_1_1"), "no model").unwrap();
    let (record, _) = trained(&plant, 2, serde_json::json!({})).await;
    let told = record.outcomes[0].training.as_ref().unwrap();
    assert_eq!((told.promoted, told.reason.as_str()), (true, "PublishedUseless"));
    assert!(told.why.contains("models/model_1_1"), "{}", told.why);
    Model::from_bytes("m", &plant.published(1)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sensors_are_found_by_the_files_of_their_readings_too() {
    let plant = bare();
    let all = fs::read_to_string(plant.path("data/sensor_data.csv")).unwrap();
    for tag in ["1", "3"] {
        let rows: String = all
            .lines()
            .filter(|l| l.starts_with("TS") || l.split(',').nth(2) == Some(tag))
            .map(|l| format!("{l}\n"))
            .collect();
        fs::create_dir_all(plant.path("own/1")).unwrap();
        fs::write(plant.path(&format!("own/1/{tag}.csv")), rows).unwrap();
    }
    let own = |path: &str| serde_json::json!({"task": "Train", "data": {"path": path}});
    let (record, _) = plant.run(&plant.context("local-1", 2, at(2, own("own/{device}/{tag}.csv")))).await.unwrap();
    assert_eq!((record.totals.sensors, record.totals.succeeded), (2, 2));
    // Where readings do not tell, models do, and there are two by now.
    let (record, _) = plant.run(&plant.context("local-2", 2, at(3, own("own/{device}/*.csv")))).await.unwrap();
    assert_eq!(record.totals.sensors, 2);
    let none = plant
        .run(&plant.context(
            "local-3",
            2,
            at(
                2,
                serde_json::json!({
                    "task": "Train", "window": {"length": "1h", "delay": "100d"},
                }),
            ),
        ))
        .await;
    let error = none.unwrap_err();
    assert_eq!(error.reason(), "NoSensors");
    assert!(error.to_string().contains("no readings in the window"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_trained_again_by_a_rerun() {
    let plant = bare();
    let named = serde_json::json!({"task": "Train", "sensors": {"list": [{"device": "1", "tag": "1"}, {"device": "1", "tag": "9"}]}});
    let (record, _) = plant.run(&plant.context("local-1", 2, at(2, named.clone()))).await.unwrap();
    assert_eq!(record.failures.get("NoReadings"), Some(&1));
    let mut all = fs::read_to_string(plant.path("data/sensor_data.csv")).unwrap();
    all = all.replace(",1,3,", ",1,9,");
    fs::write(plant.path("data/sensor_data.csv"), all).unwrap();
    let again = plant.context("local-2", 2, |request| {
        at(2, named)(request);
        request.run = "again".into();
        request.rerun_failed_of = Some("nightly-2".into());
    });
    let (record, _) = plant.run(&again).await.unwrap();
    assert_eq!((record.totals.sensors, record.totals.training.unwrap().promoted), (1, 1));
    assert_eq!(again.request.work.task, Task::Train);
    assert!(plant.path("models/model_1_9").exists());
}
