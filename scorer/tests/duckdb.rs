//! The query of docs/predictions.md, run by DuckDB over what several runs wrote.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use common::living::python;
use common::{Plant, TRAINED};
use serde_json::Value;

/// Prints the rows of a query as JSON.
const QUERY: &str = "import duckdb, json, sys
print(json.dumps(duckdb.sql(sys.argv[1]).fetchall(), default=str))";

fn run(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn query(python: &Path, folder: &Path, sql: &str) -> Vec<Vec<Value>> {
    serde_json::from_value(run(Command::new(python).current_dir(folder).args(["-c", QUERY, sql]))).unwrap()
}

fn documented_query() -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/predictions.md")).unwrap();
    page.split("```sql\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap().to_owned()
}

fn plant() -> Plant {
    let plant = Plant::new();
    let simulate = "simulate --devices 2 --tags 3 --length 3h --start 2026-01-31T22:00:00Z --seed 5";
    plant.scorer(&simulate.split(' ').collect::<Vec<_>>());
    plant.scorer(&["train"]);
    plant
}

/// Three runs, the last in another month.
fn runs(plant: &Plant, layout: &str, format: &str) {
    let lines = format!(
        "{TRAINED}  window: {{length: 1h}}\n  packing: {{sensorsPerPod: 2}}\n  predictions: {{layout: {layout}, format: {format}}}\n"
    );
    for tick in ["2026-01-31T23:00:00Z", "2026-02-01T00:00:00Z", "2026-02-01T01:00:00Z"] {
        assert_eq!(plant.run(&lines, tick)["succeeded"], 6);
    }
}

/// Readings and anomalies of each sensor in the January files that have one sensor each.
fn counted(plant: &Plant) -> BTreeMap<(String, String), (u64, u64)> {
    let mut counts = BTreeMap::new();
    for folder in plant.predictions() {
        for name in ["20260131T220000Z.csv", "20260131T230000Z.csv"] {
            let Ok(text) = fs::read_to_string(folder.join(name)) else { continue };
            for row in text.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>()) {
                let (readings, anomalies) = counts.entry((row[1].to_owned(), row[2].to_owned())).or_default();
                *readings += 1;
                *anomalies += u64::from(row.last() == Some(&"1"));
            }
        }
    }
    counts
}

#[test]
fn duckdb_reads_a_month_of_all_sensors_by_the_documented_query() {
    let Some(python) = python() else { return };
    let plant = plant();
    runs(&plant, "PerSensor", "Csv");
    let expected = counted(&plant);
    assert_eq!(expected.len(), 6);
    fs::remove_dir_all(plant.path().join("predictions")).unwrap();

    runs(&plant, "Partitioned", "Parquet");
    // Once more: a window scored again stands once.
    runs(&plant, "Partitioned", "Parquet");
    let rows = query(&python, plant.path(), &documented_query());
    let found: BTreeMap<_, _> = rows
        .iter()
        .map(|row| {
            let text = |at: usize| row[at].as_str().unwrap().to_owned();
            // DuckDB's sum of integers is wider than JSON's, and comes as a text.
            let number = |at: usize| row[at].to_string().trim_matches('"').parse::<u64>().unwrap();
            ((text(0), text(1)), (number(2), number(3)))
        })
        .collect();
    assert_eq!(found, expected);
    assert!(expected.values().any(|(_, anomalies)| *anomalies > 0));
}

#[test]
fn every_file_of_a_schedule_has_the_same_types_and_latest_json_says_which_are_of_the_last_run() {
    let Some(python) = python() else { return };
    let plant = plant();
    runs(&plant, "Partitioned", "Parquet");
    let latest = fs::read(plant.path().join("predictions/default/plant/_runs/latest.json")).unwrap();
    let latest: Value = serde_json::from_slice(&latest).unwrap();
    let files = latest["predictions"].as_str().unwrap().trim_start_matches("file://");
    let read = format!("FROM read_parquet('{files}', hive_partitioning = false)");
    let types = query(&python, plant.path(), &format!("SELECT column_name, column_type FROM (DESCRIBE {read})"));
    let types: Vec<String> = types.iter().map(|row| format!("{} {}", row[0], row[1]).replace('"', "")).collect();
    let expected = ["time TIMESTAMP WITH TIME ZONE", "device VARCHAR", "tag VARCHAR"];
    assert_eq!(types[..3], expected);
    let last = &types[types.len() - 2..];
    assert_eq!(last, ["score DOUBLE", "prediction INTEGER"]);
    let rows = query(&python, plant.path(), &format!("SELECT count(*), min(epoch(time)), max(epoch(time)) {read}"));
    assert_eq!(rows[0][0], latest["rows"], "{latest}");
    let midnight = 1_769_904_000.0; // 2026-02-01T00:00:00Z
    let (first, last) = (rows[0][1].as_f64().unwrap(), rows[0][2].as_f64().unwrap());
    assert!(first >= midnight && last < midnight + 3_600.0, "{rows:?}");
}

#[test]
fn json_lines_of_many_items_are_one_table() {
    let Some(python) = python() else { return };
    let plant = plant();
    runs(&plant, "PerItem", "JsonLines");
    let sql = "SELECT count(*), count(DISTINCT (device, tag)) FROM read_json('predictions/default/plant/*/*.jsonl')";
    let rows = query(&python, plant.path(), sql);
    assert_eq!(rows[0][1], 6);
    assert!(rows[0][0].as_u64().unwrap() > 0);
}
