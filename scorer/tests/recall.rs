//! What `scorer run` finds of the anomalies that `scorer simulate` put there, with models that `scorer train` made.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::{Plant, TRAINED};

fn simulate(plant: &Plant, seed: u32) {
    let seed = seed.to_string();
    let start = "2026-01-01T00:00:00Z";
    let args = ["simulate", "--devices", "2", "--tags", "3", "--length", "2h", "--start", start, "--seed", &seed];
    plant.scorer(&args);
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
fn judge(plant: &Plant, at: &str) -> (f64, f64) {
    let summary = plant.run(TRAINED, at);
    assert_eq!(summary["succeeded"], 6, "{summary}");
    let mut truth = BTreeMap::new();
    verdicts(&plant.path().join("data/labels.csv"), "Anomaly", &mut truth);
    let mut found = BTreeMap::new();
    let name = format!("{}.csv", at.replace(['-', ':'], ""));
    for folder in plant.predictions() {
        verdicts(&folder.join(&name), "prediction", &mut found);
    }
    assert_eq!(found.len(), truth.len(), "every row is scored");
    let both = truth.iter().filter(|(key, anomaly)| **anomaly && found[*key]).count() as f64;
    let of = |all: &BTreeMap<_, bool>| all.values().filter(|v| **v).count() as f64;
    (both / of(&truth), both / of(&found))
}

#[test]
fn over_ten_seeds_a_run_finds_nine_of_ten_anomalies_and_four_of_five_alarms_are_true() {
    for seed in 1..=10 {
        let plant = Plant::new();
        simulate(&plant, seed);
        plant.scorer(&["train"]);
        let own = judge(&plant, "2026-01-01T02:00:00Z");
        // The same plant at another time: the models have not seen these readings.
        simulate(&plant, 1_000 + seed);
        let other = judge(&plant, "2026-01-01T03:00:00Z");
        println!("seed {seed}: recall, precision {own:.3?}; on readings the models have not seen {other:.3?}");
        for (recall, precision) in [own, other] {
            assert!(recall >= 0.9 && precision >= 0.8, "seed {seed}: recall {recall}, precision {precision}");
        }
    }
}
