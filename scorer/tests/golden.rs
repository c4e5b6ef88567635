//! The reference's models and readings, scored: rows and anomalies must be exactly those of its golden file.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use scorer::engine::{Model, Readings, Scorer, SensorFile, Tally, read_csv};
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

fn golden(folder: &std::path::Path) -> Vec<Golden> {
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

fn read(folder: &std::path::Path, sensors: Option<&BTreeSet<SensorKeys>>) -> Readings {
    let file = std::fs::File::open(folder.join("sensor_data.csv")).unwrap();
    let keys = ["device".to_owned(), "tag".to_owned()];
    read_csv("sensor_data.csv", file, &Columns::default(), &keys, &SensorKeys::default(), sensors, None).unwrap()
}

fn model(folder: &std::path::Path, sensor: &SensorKeys) -> Model {
    let name = format!("model_{}_{}", sensor.get("device").unwrap(), sensor.get("tag").unwrap());
    Model::from_bytes(&name, &std::fs::read(folder.join("models").join(&name)).unwrap()).unwrap()
}

fn predictions(folder: &std::path::Path, readings: &Readings, sensor: &SensorKeys) -> (Tally, Vec<u8>) {
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
