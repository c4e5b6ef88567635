//! Sweeps of a folder, whose files are as old as each test says.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use serde_json::{Value, json};
use spec::RunRequest;
use store::{Clock, Credentials};

use super::*;

/// The time of all sweeps: 2026-01-01.
const NOW: i64 = 1_767_225_600;
const DAY: i64 = 86_400;

struct Plant {
    dir: tempfile::TempDir,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The name of the run of a tick so many days ago.
fn run_of(days: i64) -> String {
    format!("hourly-{}", (NOW - days * DAY) / 60)
}

/// The name of a file of predictions of a window so many days ago.
fn window_of(days: i64) -> String {
    at(NOW - days * DAY).strftime("%Y%m%dT%H%M%SZ").to_string()
}

impl Plant {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn context(&self, retention: &Value) -> Context {
        self.context_with(retention, "PerSensor", Arc::new(|| at(NOW)))
    }

    fn context_with(&self, retention: &Value, logs: &str, clock: Clock) -> Context {
        let request: RunRequest = serde_json::from_value(json!({
            "namespace": "plant", "schedule": "hourly", "run": run_of(0), "runUid": "u", "tick": at(NOW),
            "work": {
                "store": {"url": format!("file://{}", self.dir.path().display())},
                "model": {"path": "models/{device}"}, "data": {"path": "data.csv"},
                "logs": {"layout": logs}, "retention": retention,
            },
        }))
        .unwrap();
        Context::open(request, &Credentials::none(), clock).unwrap()
    }

    /// Writes a file that was last modified so many days ago.
    fn put(&self, path: &str, days: i64) {
        let at = self.dir.path().join(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        let file = fs::File::create(at).unwrap();
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(NOW - days * DAY).unwrap());
        file.set_modified(modified).unwrap();
    }

    fn put_run(&self, run: &str, days: i64) {
        for file in ["claim.json", "manifest/index.json", "manifest/0.json", "outcomes/0.pod-1.ndjson", "record.json"] {
            self.put(&format!("runs/plant/hourly/{run}/{file}"), days);
        }
    }

    fn has(&self, path: &str) -> bool {
        self.dir.path().join(path).exists()
    }

    fn swept(&self) -> Swept {
        let text = fs::read(self.dir.path().join("runs/plant/hourly/_retention.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// Every file but what is remembered of sweeps, sorted.
    fn files(&self) -> Vec<String> {
        fn below(folder: &Path, root: &Path, found: &mut Vec<String>) {
            for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                match entry.is_dir() {
                    true => below(&entry, root, found),
                    false => found.push(entry.strip_prefix(root).unwrap().to_str().unwrap().to_owned()),
                }
            }
        }
        let mut found = Vec::new();
        below(self.dir.path(), self.dir.path(), &mut found);
        found.retain(|path| !path.ends_with("_retention.json"));
        found.sort();
        found
    }
}

fn three() -> Value {
    json!({"runs": "90d", "logs": "30d", "predictions": "365d"})
}

#[tokio::test]
async fn each_kind_is_kept_as_long_as_the_schedule_says() {
    let plant = Plant::new();
    for days in [29, 31, 91, 366] {
        plant.put_run(&run_of(days), days);
        plant.put(&format!("logs/plant/hourly/{}/device=1.pod-1.log", run_of(days)), days);
        plant.put(&format!("predictions/plant/hourly/device=1/{}.csv", window_of(days)), days);
        plant.put(&format!("predictions/plant/hourly/_runs/{}/_SUCCESS", window_of(days)), days);
    }
    plant.put("predictions/plant/hourly/_runs/latest.json", 999);
    let deleted = retain(&plant.context(&three()), BUDGET).await.unwrap();
    assert_eq!(deleted, Deleted { runs: 2, logs: 3, predictions: 2, ..Deleted::default() });
    assert!(plant.has(&format!("runs/plant/hourly/{}/record.json", run_of(31))));
    assert!(!plant.has(&format!("runs/plant/hourly/{}", run_of(91))));
    assert!(plant.has(&format!("logs/plant/hourly/{}", run_of(29))));
    assert!(!plant.has(&format!("logs/plant/hourly/{}", run_of(31))));
    assert!(plant.has(&format!("predictions/plant/hourly/device=1/{}.csv", window_of(91))));
    assert!(!plant.has(&format!("predictions/plant/hourly/_runs/{}", window_of(366))));
    assert!(plant.has("predictions/plant/hourly/_runs/latest.json"));
    let swept = plant.swept();
    assert_eq!((swept.completed, swept.run, swept.deleted), (Some(at(NOW)), run_of(0), deleted));
}

#[tokio::test]
async fn without_retention_nothing_is_looked_at_and_what_it_does_not_name_is_kept() {
    let plant = Plant::new();
    plant.put_run(&run_of(999), 999);
    let context = plant.context(&Value::Null);
    assert_eq!(retain(&context, BUDGET).await, None);
    assert_eq!(context.store.requests().total(), 0);
    assert_eq!(retain(&plant.context(&json!({"logs": "1d"})), BUDGET).await, None);
    assert_eq!(plant.files().len(), 5);
}

#[tokio::test]
async fn every_layout_of_predictions_is_swept() {
    let plant = Plant::new();
    let (old, young) = (window_of(400), window_of(10));
    let day = |days: i64| at(NOW - days * DAY).strftime("date=%Y-%m-%d/hour=%H").to_string();
    for (window, days) in [(&old, 400), (&young, 10)] {
        for path in [
            format!("device=1,tag=5/{window}.parquet"),
            format!("{window}/00000.csv"),
            format!("{window}/hourly-1.rerun.00000.csv"),
            format!("{}/{window}.00003.jsonl", day(days)),
            format!("_runs/{window}.hourly-1.rerun/_SUCCESS"),
        ] {
            plant.put(&format!("predictions/plant/hourly/{path}"), days);
        }
    }
    let deleted = retain(&plant.context(&three()), BUDGET).await.unwrap();
    assert_eq!((deleted.predictions, plant.files().len()), (5, 5));
    assert!(plant.files().iter().all(|path| path.contains(&young)));
}

#[tokio::test]
async fn a_window_that_was_scored_again_lately_is_kept() {
    let plant = Plant::new();
    plant.put(&format!("predictions/plant/hourly/device=1/{}.csv", window_of(999)), 3);
    plant.put(&format!("predictions/plant/hourly/device=1/{}.csv", window_of(998)), 998);
    assert_eq!(retain(&plant.context(&three()), BUDGET).await.unwrap().predictions, 1);
    assert!(plant.has(&format!("predictions/plant/hourly/device=1/{}.csv", window_of(999))));
}

#[tokio::test]
async fn flat_logs_go_when_pods_of_the_schedules_own_runs_wrote_them() {
    let plant = Plant::new();
    let (run, by_hand) = (run_of(40), "again");
    plant.put_run(&run, 40);
    plant.put_run(by_hand, 40);
    let record = json!({"podEnds": [{"uid": "killed-2", "pod": "p", "index": 0}]}).to_string();
    let path = plant.dir.path().join(format!("runs/plant/hourly/{run}/record.json"));
    fs::write(&path, record).unwrap();
    let own = [
        format!("logs/{run}.device=1.pod-1.log"),
        format!("logs/{run}.device=1.pod-1.1.log"),
        format!("logs/{run}.device=1.killed-2.log"),
        format!("logs/{by_hand}.device=1.pod-1.log"),
    ];
    let others = [
        // The run of that tick of another namespace's schedule of the same name.
        format!("logs/{run}.device=1.other-3.log"),
        "logs/hourly-x-29000000.device=1.pod-1.log".to_owned(),
        "logs/daily-28000000.device=1.pod-1.log".to_owned(),
        format!("logs/{run}.notes.txt"),
    ];
    own.iter().chain(&others).for_each(|path| plant.put(path, 40));
    let young = format!("logs/{}.device=1.pod-1.log", run_of(10));
    plant.put_run(&run_of(10), 10);
    plant.put(&young, 10);
    let asked = json!({"logs": "30d", "runs": "7d"});
    let context = plant.context_with(&asked, "SingleDirectory", Arc::new(|| at(NOW)));
    let deleted = retain(&context, BUDGET).await.unwrap();
    assert_eq!((deleted.logs, &deleted.problem), (4, &None));
    assert!(own.iter().all(|path| !plant.has(path)));
    assert!(others.iter().all(|path| plant.has(path)));
    assert!(plant.has(&young) && plant.has(&format!("runs/plant/hourly/{}", run_of(10))), "a run tells whose logs are");
    assert!(!plant.has("runs/plant/hourly/again"));
}

#[tokio::test]
async fn a_second_run_of_the_day_costs_one_read() {
    let plant = Plant::new();
    plant.put_run(&run_of(99), 99);
    assert_eq!(retain(&plant.context(&three()), BUDGET).await.unwrap().runs, 1);
    plant.put_run(&run_of(98), 98);
    let context = plant.context(&three());
    assert_eq!(retain(&context, BUDGET).await, None);
    assert_eq!(context.store.requests(), store::RequestCounts { reads: 1, ..Default::default() });
    let shorter = json!({"runs": "60d"});
    assert_eq!(retain(&plant.context(&shorter), BUDGET).await.unwrap().runs, 1, "other spans hold at once");
}

#[tokio::test]
async fn a_sweep_that_runs_out_of_time_is_gone_on_with_by_the_next_run() {
    let plant = Plant::new();
    for sensor in 0..40 {
        plant.put(&format!("predictions/plant/hourly/device={sensor:02}/{}.csv", window_of(400)), 400);
    }
    let seconds = Arc::new(std::sync::atomic::AtomicI64::new(0));
    let clock: Clock = Arc::new(move || at(NOW + seconds.fetch_add(1, std::sync::atomic::Ordering::Relaxed)));
    let context = plant.context_with(&three(), "PerSensor", clock);
    let budget = SignedDuration::from_secs(20);
    let mut deleted = 0;
    let mut runs = 0;
    while !plant.files().is_empty() {
        let some = retain(&context, budget).await.unwrap();
        assert!(some.predictions > 0, "each gets on");
        deleted += some.predictions;
        runs += 1;
    }
    assert!(runs > 1);
    while plant.swept().completed.is_none() {
        retain(&context, budget).await;
    }
    assert_eq!((deleted, plant.swept().deleted.predictions), (40, 40));
    assert_eq!(plant.swept().up_to, None);
}

#[tokio::test]
async fn what_cannot_be_deleted_is_told_and_fails_no_run() {
    let plant = Plant::new();
    fs::create_dir_all(plant.dir.path().join("runs/plant")).unwrap();
    fs::write(plant.dir.path().join("runs/plant/hourly"), "a file where the folder should be").unwrap();
    let deleted = retain(&plant.context(&three()), BUDGET).await.unwrap();
    assert!(deleted.problem.is_some() && deleted.is_none(), "{deleted:?}");
    assert!(deleted.to_string().contains("not all could be"), "{deleted}");
}

#[tokio::test]
async fn what_is_remembered_and_cannot_be_read_is_as_good_as_nothing() {
    let plant = Plant::new();
    plant.put_run(&run_of(99), 99);
    fs::write(plant.dir.path().join("runs/plant/hourly/_retention.json"), "{").unwrap();
    assert_eq!(retain(&plant.context(&three()), BUDGET).await.unwrap().runs, 1);
    assert!(plant.swept().completed.is_some());
}

/// Paths in the schedule's own folders and beside them, each with its age in days.
fn some_files() -> impl Strategy<Value = Vec<(String, i64)>> {
    let file = (0usize..14, 0i64..120, 0i64..120);
    prop::collection::vec(file, 0..12).prop_map(|files| {
        let place = |(kind, named, age): (usize, i64, i64)| {
            let (run, window) = (run_of(named), window_of(named));
            let path = match kind {
                0 => format!("runs/plant/hourly/{run}/record.json"),
                1 => format!("runs/plant/hourly/{run}/outcomes/0.pod-1.ndjson"),
                2 => "runs/plant/hourly/by-hand/record.json".to_owned(),
                3 => format!("logs/plant/hourly/{run}/device=1.pod-1.log"),
                4 => format!("predictions/plant/hourly/device=1/{window}.csv"),
                5 => format!("predictions/plant/hourly/{window}/00000.csv"),
                6 => format!("predictions/plant/hourly/_runs/{window}/_SUCCESS"),
                7 => "predictions/plant/hourly/_runs/latest.json".to_owned(),
                8 => format!("runs/plant/hourly-x/hourly-x-{named}/record.json"),
                9 => format!("logs/plant/hourly-x/{run}/device=1.pod-1.log"),
                10 => format!("predictions/plant/hourly-x/device=1/{window}.csv"),
                11 => format!("predictions/plant2/hourly/device=1/{window}.csv"),
                12 => "models/1".to_owned(),
                _ => format!("predictions/plant/hourly/device=1/{window}.txt"),
            };
            (path, age)
        };
        files.into_iter().map(place).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_young_and_nothing_of_others_is_ever_deleted(files in some_files(), kept in 1i64..60) {
        let plant = Plant::new();
        let files: std::collections::BTreeMap<String, i64> = files.into_iter().collect();
        files.iter().for_each(|(path, days)| plant.put(path, *days));
        let span = format!("{kept}d");
        let context = plant.context(&json!({"runs": span, "logs": span, "predictions": span}));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let deleted = runtime.block_on(retain(&context, BUDGET)).unwrap_or_default();
        prop_assert_eq!(&deleted.problem, &None);
        let left = plant.files();
        for (path, days) in &files {
            let stays = left.contains(path);
            let own = ["runs/plant/hourly/", "logs/plant/hourly/", "predictions/plant/hourly/"];
            let foreign = !own.iter().any(|folder| path.starts_with(folder));
            if *days <= kept || foreign || path.ends_with("latest.json") || path.ends_with(".txt") || path.contains(&run_of(0)) {
                prop_assert!(stays, "{} of {} days", path, days);
            } else if path.starts_with("logs/") || path.ends_with(".csv") {
                // Names tell of no later time than the file's, as in life.
                let named = [run_of(*days), window_of(*days)].iter().any(|name| path.contains(name.as_str()));
                prop_assert!(!named || !stays, "{} of {} days", path, days);
            }
        }
        for run in files.keys().filter_map(|path| path.strip_prefix("runs/plant/hourly/")?.split('/').next()) {
            let of_run = |path: &&String| path.starts_with(&format!("runs/plant/hourly/{run}/"));
            let now = left.iter().filter(of_run).count();
            prop_assert!(now == 0 || now == files.keys().filter(of_run).count(), "{} goes as a whole", run);
        }
    }
}
