//! What `scorer run` finds of the anomalies that `scorer simulate` put there, with models that `scorer train` made.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

const SCHEDULE: &str = r#"
apiVersion: batchscoring.dev/v1alpha1
kind: ScoringSchedule
metadata: {name: plant}
spec:
  clusterRef: {name: none}
  schedule: "@hourly"
  store: {url: file:///nowhere}
  model: {path: "models/model_{device}_{tag}"}
  data: {path: data/sensor_data.csv}
"#;

fn scorer(store: &str, args: &[&str]) -> serde_json::Value {
    let output = Command::new(env!("CARGO_BIN_EXE_scorer")).args(args).args(["--store", store]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "scorer {args:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn simulate(store: &str, seed: u32) {
    let seed = seed.to_string();
    let start = "2026-01-01T00:00:00Z";
    let plant = ["simulate", "--devices", "2", "--tags", "3", "--length", "2h", "--start", start, "--seed", &seed];
    scorer(store, &plant);
}

/// Each row's verdict, by time, device and tag.
fn verdicts(file: &Path, column: &str, verdicts: &mut BTreeMap<(String, String, String), bool>) {
    let text = fs::read_to_string(file).unwrap();
    let mut lines = text.lines().map(|l| l.split(',').map(str::to_owned).collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let at = header.iter().position(|name| name == column).unwrap();
    for mut row in lines {
        let verdict = row[at] == "1";
        let key = (row.remove(0), row.remove(0), row.remove(0));
        assert!(verdicts.insert(key, verdict).is_none(), "a row stands twice in {}", file.display());
    }
}

/// Runs the schedule and gives recall and precision.
fn judge(dir: &Path, store: &str, at: &str) -> (f64, f64) {
    let schedule = dir.join("schedule.yaml");
    fs::write(&schedule, SCHEDULE).unwrap();
    let summary = scorer(store, &["run", "-f", schedule.to_str().unwrap(), "--at", at, "--json"]);
    assert_eq!((summary["state"].as_str(), summary["succeeded"].as_u64()), (Some("Complete"), Some(6)), "{summary}");
    let mut truth = BTreeMap::new();
    verdicts(&dir.join("data/labels.csv"), "Anomaly", &mut truth);
    let mut found = BTreeMap::new();
    let name = format!("{}.csv", at.replace(['-', ':'], ""));
    for folder in fs::read_dir(dir.join("predictions/default/plant")).unwrap().map(|folder| folder.unwrap()) {
        if folder.file_name() != "_runs" {
            verdicts(&folder.path().join(&name), "prediction", &mut found);
        }
    }
    assert_eq!(found.len(), truth.len(), "every row is scored");
    let both = truth.iter().filter(|(key, anomaly)| **anomaly && found[*key]).count() as f64;
    let of = |all: &BTreeMap<_, bool>| all.values().filter(|v| **v).count() as f64;
    (both / of(&truth), both / of(&found))
}

#[test]
fn over_ten_seeds_a_run_finds_nine_of_ten_anomalies_and_four_of_five_alarms_are_true() {
    for seed in 1..=10 {
        let dir = tempfile::tempdir().unwrap();
        let store = format!("file://{}", dir.path().display());
        simulate(&store, seed);
        scorer(&store, &["train"]);
        let own = judge(dir.path(), &store, "2026-01-01T02:00:00Z");
        // The same plant at another time: the models have not seen these readings.
        simulate(&store, 1_000 + seed);
        let other = judge(dir.path(), &store, "2026-01-01T03:00:00Z");
        println!("seed {seed}: recall, precision {own:.3?}; on readings the models have not seen {other:.3?}");
        for (recall, precision) in [own, other] {
            assert!(recall >= 0.9 && precision >= 0.8, "seed {seed}: recall {recall}, precision {precision}");
        }
    }
}
