//! The reference's models and readings, scored: rows and anomalies must be exactly those of its golden file.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use scorer::engine::{Model, Readings, Scorer, SensorFile, Tally, read_csv};
use serde_json::Value;
use spec::SensorKeys;
use spec::work::{Columns, Predictions};

/// The reference data, or a word that the test did not run: straight to stderr, since the test runner keeps what the
/// macros print to itself.
fn reference() -> Option<PathBuf> {
    let shared = std::env::var_os("BATCHSCORING_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let folder = shared.join("reference-data");
    if folder.is_dir() {
        return Some(folder);
    }
    let _ = writeln!(std::io::stderr(), "SKIPPED: no reference data at {}; set BATCHSCORING_SHARED", folder.display());
    None
}

struct Golden {
    sensor: SensorKeys,
    rows: u64,
    anomalies: u64,
}

fn golden(folder: &Path) -> Vec<Golden> {
    let mut csv = csv::Reader::from_path(folder.join("golden.csv")).unwrap();
    csv.records()
        .map(|r| r.unwrap())
        .map(|r| Golden {
            sensor: [("device", &r[0]), ("tag", &r[1])].into_iter().collect(),
            rows: r[2].parse().unwrap(),
            anomalies: r[3].parse().unwrap(),
        })
        .collect()
}

fn read(folder: &Path, sensors: Option<&BTreeSet<SensorKeys>>) -> Readings {
    let file = fs::File::open(folder.join("sensor_data.csv")).unwrap();
    let keys = ["device".to_owned(), "tag".to_owned()];
    read_csv("sensor_data.csv", file, &Columns::default(), &keys, &SensorKeys::default(), sensors, None).unwrap()
}

fn model(folder: &Path, sensor: &SensorKeys) -> Model {
    let name = format!("model_{}_{}", sensor.get("device").unwrap(), sensor.get("tag").unwrap());
    Model::from_bytes(&name, &fs::read(folder.join("models").join(&name)).unwrap()).unwrap()
}

fn predictions(folder: &Path, readings: &Readings, sensor: &SensorKeys) -> (Tally, Vec<u8>) {
    let scorer = Scorer::new(Arc::new(model(folder, sensor)), readings.head.clone()).unwrap();
    let mut file = SensorFile::begin(&Predictions::default(), sensor, scorer, None).unwrap();
    file.add(readings.sensors[sensor].good.clone()).unwrap();
    (file.tally().clone(), file.finish().unwrap())
}

#[test]
fn every_sensor_of_the_reference_has_its_golden_rows_and_anomalies() {
    let Some(folder) = reference() else { return };
    let readings = read(&folder, None);
    let golden = golden(&folder);
    assert_eq!(golden.len(), 10);
    assert_eq!(readings.sensors.len(), 10, "sensors are found by reading the file once");
    for Golden { sensor, rows, anomalies } in golden {
        let (tally, _) = predictions(&folder, &readings, &sensor);
        assert_eq!((tally.scored, tally.anomalies, tally.bad_rows), (rows, anomalies, 0), "{sensor}");
    }
}

#[test]
fn predictions_have_the_same_bytes_whether_a_sensor_is_read_alone_or_with_others() {
    let Some(folder) = reference() else { return };
    let all = read(&folder, None);
    for Golden { sensor, .. } in golden(&folder) {
        let alone = read(&folder, Some(&BTreeSet::from([sensor.clone()])));
        let (_, from_all) = predictions(&folder, &all, &sensor);
        assert!(from_all == predictions(&folder, &alone, &sensor).1, "{sensor}");
        assert!(from_all.starts_with(b"TS,Device,Tag,Value,score,prediction\n"), "{sensor}");
    }
}

#[test]
fn the_reference_models_with_one_support_vector_are_warned_about() {
    let Some(folder) = reference() else { return };
    let warned: BTreeMap<SensorKeys, bool> = golden(&folder)
        .into_iter()
        .map(|g| (g.sensor.clone(), !model(&folder, &g.sensor).warnings().is_empty()))
        .collect();
    let degenerate: Vec<String> =
        warned.iter().filter(|(_, warned)| **warned).map(|(sensor, _)| sensor.to_string()).collect();
    assert_eq!(degenerate, ["device=1, tag=2", "device=1, tag=5", "device=2, tag=5"]);
}

#[test]
fn the_example_for_the_reference_layout_gives_its_golden_rows_and_anomalies() {
    let Some(folder) = reference() else { return };
    let store = tempfile::tempdir().unwrap();
    fs::create_dir(store.path().join("models")).unwrap();
    fs::copy(folder.join("sensor_data.csv"), store.path().join("sensor_data.csv")).unwrap();
    let golden = golden(&folder);
    for Golden { sensor, .. } in &golden {
        let model = format!("models/model_{}_{}", sensor.get("device").unwrap(), sensor.get("tag").unwrap());
        fs::copy(folder.join(&model), store.path().join(&model)).unwrap();
    }
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/reference-azure/schedule.yaml");
    let output = Command::new(env!("CARGO_BIN_EXE_scorer"))
        .args(["run", "--json", "-f"])
        .arg(example)
        .arg("--store")
        .arg(format!("file://{}", store.path().display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let run = store.path().join("runs/default/reference-azure").join(summary["run"].as_str().unwrap());
    let record: Value = serde_json::from_slice(&fs::read(run.join("record.json")).unwrap()).unwrap();
    let outcomes = record["outcomes"].as_array().unwrap();
    for Golden { sensor, rows, anomalies } in golden {
        let of_sensor = outcomes.iter().find(|outcome| outcome["sensor"] == serde_json::json!(sensor)).unwrap();
        assert_eq!((&of_sensor["scored"], &of_sensor["anomalies"]), (&rows.into(), &anomalies.into()), "{sensor}");
    }
    let logs: Vec<_> = fs::read_dir(store.path().join("logs")).unwrap().collect();
    assert_eq!(logs.len(), outcomes.len(), "all logs are in one folder: {logs:?}");
}
