//! Whole runs in a folder.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use spec::RunRequest;
use spec::request::{EndDetails, PodEnd, PodEnds, Spent};
use store::{Clock, Credentials, Status};

use super::*;

mod challenger;
mod complete;
mod drift;
mod files;
mod layouts;
mod logs;
mod model_paths;
mod packing;
mod reruns;
mod streams;
mod success;
mod training;

/// A clock that goes on by a millisecond each time it is read.
fn clock() -> Clock {
    let now = Mutex::new(Timestamp::from_second(1_500_000_000).unwrap());
    Arc::new(move || {
        let mut now = now.lock().unwrap();
        *now += jiff::SignedDuration::from_millis(1);
        *now
    })
}

struct Plant {
    dir: tempfile::TempDir,
}

/// Ten real sensors; none where the reference data is not beside the project.
fn plant() -> Option<Plant> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let from = std::env::var_os("BATCHSCORING_SHARED").map_or(shared, PathBuf::from).join("reference-data");
    if !from.join("golden.csv").is_file() {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no reference data at {}; set BATCHSCORING_SHARED to the folder above it",
            from.display()
        );
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    for folder in ["data", "models"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
    }
    fs::copy(from.join("sensor_data.csv"), dir.path().join("data/sensor_data.csv")).unwrap();
    fs::copy(from.join("golden.csv"), dir.path().join("golden.csv")).unwrap();
    for model in fs::read_dir(from.join("models")).unwrap() {
        let path = model.unwrap().path();
        // Written anew: copies would be read-only where the originals are.
        fs::write(dir.path().join("models").join(path.file_name().unwrap()), fs::read(&path).unwrap()).unwrap();
    }
    Some(Plant { dir })
}

impl Plant {
    fn path(&self, inside: &str) -> PathBuf {
        self.dir.path().join(inside)
    }

    fn context(&self, uid: &str, per_pod: u32, changes: impl FnOnce(&mut RunRequest)) -> Context {
        let mut request: RunRequest = serde_json::from_value(serde_json::json!({
            "namespace": "plant", "schedule": "hourly", "run": "hourly-1", "runUid": uid, "tick": "2018-08-29T01:00:00Z",
            "work": {
                "store": {"url": format!("file://{}", self.dir.path().display())},
                "model": {"path": "models/model_{device}_{tag}"},
                "data": {"path": "data/sensor_data.csv"},
                "packing": {"sensorsPerPod": per_pod},
            },
        }))
        .unwrap();
        changes(&mut request);
        Context::open(request, &Credentials::none(), clock()).unwrap()
    }

    async fn run(&self, context: &Context) -> Result<(Record, Summary), StepError> {
        let options = Options { at_once: 2, retries: 2 };
        run(context, &Credentials::none(), options, never().1, Arc::new(|_| {})).await
    }

    /// The files of predictions: what Spark and Hive would read.
    fn predictions(&self) -> Vec<(PathBuf, Vec<u8>)> {
        self.predictions_of("hourly")
    }

    fn predictions_of(&self, schedule: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.path(&format!("predictions/plant/{schedule}"))];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
                let hidden = entry.file_name().to_string_lossy().starts_with('_');
                match entry.path() {
                    path if path.is_dir() && !hidden => folders.push(path),
                    path if !hidden => found.push((path.clone(), fs::read(path).unwrap())),
                    _ => {}
                }
            }
        }
        found.sort();
        found
    }
}

fn never() -> (watch::Sender<bool>, watch::Receiver<bool>) {
    watch::channel(false)
}

fn sensor(device: &str, tag: &str) -> SensorKeys {
    [("device", device), ("tag", tag)].into_iter().collect()
}

fn pod(uid: &str) -> Pod {
    Pod { uid: PodUid::parse(uid).unwrap(), node: "node-1".into(), image: "scorer:1".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_gives_exactly_the_golden_rows_and_anomalies() {
    let Some(plant) = plant() else { return };
    let (record, summary) = plant.run(&plant.context("local-1", 3, |_| {})).await.unwrap();
    let golden = fs::read_to_string(plant.path("golden.csv")).unwrap();
    for line in golden.lines().skip(1) {
        let columns: Vec<&str> = line.split(',').collect();
        let outcome = record.outcomes.iter().find(|o| o.sensor == sensor(columns[0], columns[1])).unwrap();
        assert_eq!(outcome.status, Status::Succeeded);
        assert_eq!((outcome.scored.to_string(), outcome.anomalies.to_string()), (columns[2].into(), columns[3].into()));
        let file = plant.path(&format!("predictions/plant/hourly/{}/20180829T010000Z.csv", outcome.sensor.slug()));
        let text = fs::read_to_string(file).unwrap();
        assert_eq!(text.lines().next(), Some("TS,Device,Tag,Value,score,prediction"));
        assert_eq!(text.lines().filter(|l| l.ends_with(",1")).count().to_string(), columns[3]);
    }
    assert_eq!((summary.report.sensors, summary.report.succeeded, summary.report.rows), (10, 10, 11_837));
    assert!(!summary.stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_told_to_stop_in_the_middle_says_so_and_archives_what_was_done() {
    let Some(plant) = plant() else { return };
    let context = plant.context("local-1", 2, |_| {});
    let (send, stop) = never();
    let send = Arc::new(send);
    let after_one = Arc::clone(&send);
    let tell = move |progress| {
        if matches!(progress, Progress::Item { .. }) {
            let _ = after_one.send(true);
        }
    };
    let options = Options { at_once: 1, retries: 2 };
    let (record, summary) = run(&context, &Credentials::none(), options, stop, Arc::new(tell)).await.unwrap();
    assert!(summary.stopped);
    assert_eq!((summary.report.succeeded, summary.report.failed), (2, 8));
    assert_eq!(record.failures.get("NoOutcome"), Some(&8));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_says_which_sensors_have_degenerate_models() {
    let Some(plant) = plant() else { return };
    let (record, summary) = plant.run(&plant.context("local-1", 3, |_| {})).await.unwrap();
    assert_eq!((record.totals.warned, record.warnings.len()), (3, 3));
    assert!(record.warnings[0].starts_with("sensor device=1, tag=2: the model has 1 support vector(s)"));
    assert_eq!((summary.report.warned, summary.report.warning.as_ref()), (3, record.warnings.first()));
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_write_the_same_bytes_as_one_process() {
    let Some(plant) = plant() else { return };
    plant.run(&plant.context("local-1", 1, |_| {})).await.unwrap();
    let by_run = plant.predictions();
    fs::remove_dir_all(plant.path("predictions")).unwrap();
    fs::remove_dir_all(plant.path("runs")).unwrap();

    let context = plant.context("uid-1", 4, |_| {});
    let manifest = plan(&context).await.unwrap();
    assert_eq!((manifest.sensors, manifest.items), (10, 3));
    for index in 0..manifest.items {
        let report = item::run(&context, index, &pod(&format!("pod-{index}")), None, never().1).await.unwrap();
        assert_eq!((report.failed, report.retry), (0, 0), "{report:?}");
    }
    assert_eq!(plant.predictions(), by_run);
}

#[tokio::test(flavor = "multi_thread")]
async fn sensors_without_model_with_a_corrupt_model_or_without_data_fail_alone() {
    let Some(plant) = plant() else { return };
    fs::remove_file(plant.path("models/model_1_1")).unwrap();
    fs::write(plant.path("models/model_2_2"), b"\x80\x03not a model").unwrap();
    fs::copy(plant.path("models/model_1_3"), plant.path("models/model_9_9")).unwrap();
    let context = plant.context("local-1", 5, |request| {
        let mut list: Vec<SensorKeys> = Vec::new();
        for device in ["1", "2"] {
            list.extend(["1", "2", "3", "4", "5"].map(|tag| sensor(device, tag)));
        }
        list.push(sensor("9", "9"));
        request.work.sensors = Some(spec::work::Sensors { list: Some(list), matrix: None });
    });
    let (record, summary) = plant.run(&context).await.unwrap();
    assert_eq!((summary.report.succeeded, summary.report.failed), (8, 3));
    for (failed, reason, named) in [
        (sensor("1", "1"), "ModelNotFound", "models/model_1_1"),
        (sensor("2", "2"), "ModelInvalid", "models/model_2_2"),
        (sensor("9", "9"), "NoReadings", "data/sensor_data.csv"),
    ] {
        let outcome = record.outcomes.iter().find(|o| o.sensor == failed).unwrap();
        assert_eq!(outcome.reason.as_deref(), Some(reason), "{outcome:?}");
        let message = outcome.message.as_deref().unwrap();
        assert!(message.contains(&failed.to_string()) && message.contains(named), "{message}");
        let log = fs::read_to_string(outcome.log.as_deref().unwrap().trim_start_matches("file://")).unwrap();
        assert!(log.contains(reason), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sensor_with_more_bad_rows_than_it_may_have_fails_and_the_others_do_not() {
    let Some(plant) = plant() else { return };
    let data = fs::read_to_string(plant.path("data/sensor_data.csv")).unwrap();
    let is_of = |line: &str| line.split(',').skip(1).take(2).eq(["1", "3"]);
    let mut left = 2;
    let lines = data.lines().map(|line| {
        if is_of(line) && left > 0 {
            left -= 1;
            return format!("{line}oops");
        }
        line.to_owned()
    });
    let damaged: String = lines.map(|line| line + "\n").collect();
    fs::write(plant.path("data/sensor_data.csv"), damaged).unwrap();
    for (number, (most, failed)) in [("2", 0), ("1", 1), ("100%", 0), ("0%", 1)].into_iter().enumerate() {
        let context = plant.context(&format!("local-{number}"), 5, |request| {
            request.work.data.max_bad_rows = Some(most.parse().unwrap());
        });
        let (record, summary) = plant.run(&context).await.unwrap();
        assert_eq!((summary.report.failed, summary.report.succeeded), (failed, 10 - failed), "{most}");
        let outcome = record.outcomes.iter().find(|o| o.sensor == sensor("1", "3")).unwrap();
        if failed == 1 {
            assert_eq!(outcome.reason.as_deref(), Some("TooManyBadRows"));
            let message = outcome.message.as_deref().unwrap();
            assert!(message.contains("data/sensor_data.csv: 2 of ") && message.contains("is no number"), "{message}");
        } else {
            assert_eq!((outcome.bad_rows, outcome.rows - outcome.scored), (2, 2));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_published_after_the_run_was_planned_is_scored_with_and_the_record_says_so() {
    let Some(plant) = plant() else { return };
    let context = plant.context("uid-1", 10, |_| {});
    plan(&context).await.unwrap();
    fs::copy(plant.path("models/model_1_3"), plant.path("models/other")).unwrap();
    fs::rename(plant.path("models/other"), plant.path("models/model_1_1")).unwrap();
    let report = item::run(&context, 0, &pod("a"), None, never().1).await.unwrap();
    assert_eq!((report.succeeded, report.failed), (10, 0));
    let (record, _) = archive(&context, &PodEnds::default()).await.unwrap();
    let outcome = |tag| record.outcomes.iter().find(|o| o.sensor == sensor("1", tag)).unwrap();
    assert_eq!(outcome("1").model_hash, outcome("3").model_hash);
    let hash = outcome("1").model_hash.clone().unwrap();
    let warning =
        format!("models/model_1_1 was replaced after the run was planned: scored with the new one, sha256 {hash}");
    assert!(outcome("1").warnings[0].ends_with(&warning), "{:?}", outcome("1").warnings);
    assert!(record.warnings[0].contains("was replaced"), "{:?}", record.warnings);
    let log = fs::read_to_string(outcome("1").log.as_deref().unwrap().strip_prefix("file://").unwrap()).unwrap();
    assert!(log.contains(&warning), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_published_after_the_run_was_planned_is_no_larger_than_any_other() {
    let Some(plant) = plant() else { return };
    let context = plant.context("uid-1", 10, |_| {});
    plan(&context).await.unwrap();
    let file = fs::File::create(plant.path("models/model_1_1")).unwrap();
    file.set_len(crate::model::MAX_BYTES + 1).unwrap();
    let report = item::run(&context, 0, &pod("a"), None, never().1).await.unwrap();
    assert_eq!((report.succeeded, report.failures[0].reason.as_str()), (9, "ModelTooLarge"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_attempt_scores_only_what_the_first_did_not_finish() {
    let Some(plant) = plant() else { return };
    let context = plant.context("uid-1", 10, |_| {});
    plan(&context).await.unwrap();
    // The first pod is told to stop before it begins.
    let (send, stop) = never();
    send.send(true).unwrap();
    let first = item::run(&context, 0, &pod("first"), None, stop).await.unwrap();
    assert!(first.retry > 0 && first.failures[0].reason == "Stopped", "{first:?}");
    let second = item::run(&context, 0, &pod("second"), None, never().1).await.unwrap();
    assert_eq!((second.succeeded, second.failed, second.retry), (10, 0, 0));
    let before = context.store.requests();
    let third = item::run(&context, 0, &pod("third"), None, never().1).await.unwrap();
    assert_eq!(third.succeeded, 10);
    assert_eq!((context.store.requests() - before).writes, 0, "a third attempt finds nothing to do");
    let (record, report) = archive(&context, &PodEnds::default()).await.unwrap();
    assert_eq!((report.succeeded, record.totals.attempts), (10, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sensor_without_outcome_is_failed_with_its_pods_end_and_archiving_twice_leaves_the_same_record() {
    let Some(plant) = plant() else { return };
    let context = plant.context("uid-1", 5, |_| {});
    plan(&context).await.unwrap();
    item::run(&context, 0, &pod("a"), None, never().1).await.unwrap();
    let ends = PodEnds {
        ends: vec![PodEnd {
            pod: "hourly-1-1-xyz".into(),
            uid: "b".into(),
            index: 1,
            node: "node-2".into(),
            started: Some("2018-08-29T01:00:00Z".parse().unwrap()),
            ended: Some("2018-08-29T01:00:30Z".parse().unwrap()),
            exit_code: Some(137),
            reason: "OOMKilled".into(),
            image: "scorer@sha256:00".into(),
            succeeded: 0,
            failed: 0,
            failures: Vec::new(),
            details: EndDetails::default(),
        }],
        spent: Some(Spent { node_seconds: 90, cost: Some("0.0048".parse().unwrap()), currency: Some("EUR".into()) }),
    };
    let (record, report) = archive(&context, &ends).await.unwrap();
    let totals = &record.totals;
    let told = (totals.node_seconds, totals.cost.map(|cost| cost.to_string()), totals.currency.as_deref());
    assert_eq!(told, (Some(90), Some("0.0048".into()), Some("EUR")));
    assert_eq!((report.succeeded, report.failed), (5, 5));
    assert_eq!(record.failures.get("NoOutcome"), Some(&5));
    assert_eq!(report.pod_seconds, 31, "30 s by Kubernetes, the rest of a second by the pod itself");
    let message = &report.failures[0].message;
    assert!(["OOMKilled", "137", "hourly-1-1-xyz", "node-2"].iter().all(|w| message.contains(w)), "{message}");
    let first = fs::read(plant.path("runs/plant/hourly/hourly-1/record.json")).unwrap();
    archive(&context, &ends).await.unwrap();
    assert_eq!(fs::read(plant.path("runs/plant/hourly/hourly-1/record.json")).unwrap(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_belongs_to_one_run_and_a_retry_finds_its_own_manifest() {
    let Some(plant) = plant() else { return };
    let own = |request: &mut RunRequest| request.run = "hourly-25591740".into();
    let context = plant.context("uid-1", 1, own);
    let first = plan(&context).await.unwrap();
    fs::remove_file(plant.path("models/model_1_1")).unwrap();
    assert_eq!(plan(&context).await.unwrap(), first, "a retry keeps what is frozen");
    let error = plan(&plant.context("uid-2", 1, own)).await.unwrap_err();
    assert_eq!(error.reason(), "TickClaimed");
    assert!(error.to_string().contains("uid-1"), "{error}");
    let error = plan(&plant.context("local-1", 1, own)).await.unwrap_err();
    assert_eq!(error.reason(), "TickClaimed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_run_may_be_repeated_and_scores_again() {
    let Some(plant) = plant() else { return };
    plant.run(&plant.context("local-1", 4, |_| {})).await.unwrap();
    fs::remove_file(plant.path("models/model_1_1")).unwrap();
    let (record, summary) = plant.run(&plant.context("local-2", 4, |_| {})).await.unwrap();
    assert_eq!((summary.report.sensors, summary.report.succeeded), (9, 9));
    assert_eq!(record.run_uid, "local-2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_finds_no_sensor_says_what_it_saw_and_leaves_the_tick_free() {
    let Some(plant) = plant() else { return };
    let context =
        plant.context("uid-1", 1, |r| r.work.model.path = "models/model_{device}_{tag}.onnx".parse().unwrap());
    let error = plan(&context).await.unwrap_err();
    assert_eq!(error.reason(), "NoSensors");
    assert!(error.to_string().contains("models/model_1_1"), "{error}");
    plan(&plant.context("uid-2", 1, |_| {})).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_the_same_bytes_for_the_same_models() {
    let Some(plant) = plant() else { return };
    let shard = |plant: &Plant| fs::read(plant.path("runs/plant/hourly/hourly-1/manifest/0.json")).unwrap();
    plan(&plant.context("uid-1", 3, |_| {})).await.unwrap();
    let first = shard(&plant);
    fs::remove_dir_all(plant.path("runs")).unwrap();
    plan(&plant.context("uid-1", 3, |_| {})).await.unwrap();
    assert_eq!(shard(&plant), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_breaks_in_the_middle_leaves_the_sensor_to_another_attempt() {
    let Some(plant) = plant() else { return };
    let context = plant.context("uid-1", 1, |_| {});
    plan(&context).await.unwrap();
    // A file where the folder of predictions should be: writing fails, until it is gone.
    fs::write(plant.path("predictions"), "in the way").unwrap();
    let report = item::run(&context, 0, &pod("a"), None, never().1).await.unwrap();
    assert_eq!((report.succeeded, report.failed, report.retry), (0, 0, 1));
    assert_eq!(report.failures[0].reason, "StoreUnavailable");
    fs::remove_file(plant.path("predictions")).unwrap();
    let report = item::run(&context, 0, &pod("b"), None, never().1).await.unwrap();
    assert_eq!((report.succeeded, report.retry), (1, 0));
}
