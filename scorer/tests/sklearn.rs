//! Models that scikit-learn itself has saved: decisions must be its own, whatever version, protocol and parameters.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use scorer::engine::{Model, read_csv, score};
use serde::Deserialize;
use spec::SensorKeys;
use spec::work::Columns;

#[derive(Deserialize)]
struct Expected {
    sklearn: String,
    cases: BTreeMap<String, Case>,
}

#[derive(Deserialize)]
struct Case {
    files: Vec<String>,
    rows: Vec<Vec<f64>>,
    decisions: Vec<f64>,
    predictions: Vec<i32>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models")
}

fn expected() -> Vec<Expected> {
    ["sklearn12.json", "sklearn19.json"]
        .map(|name| serde_json::from_slice(&std::fs::read(folder().join(name)).unwrap()).unwrap())
        .into()
}

/// Score and prediction of each row.
fn predict(model: &Model, rows: &[Vec<f64>]) -> Vec<(f64, i32)> {
    let header: Vec<String> = (0..rows[0].len()).map(|i| format!("x{i}")).collect();
    let lines = rows.iter().map(|r| r.iter().map(|x| format!("{x:?}")).collect::<Vec<_>>().join(","));
    let csv = std::iter::once(header.join(",")).chain(lines).collect::<Vec<_>>().join("\n");
    let none = SensorKeys::default();
    let readings = read_csv("rows.csv", csv.as_bytes(), &Columns::default(), &[], &none, None, None).unwrap();
    let scored = score(model, &readings.layout, &none, &readings.sensors[&none]).unwrap();
    let mut csv = csv::Reader::from_reader(scored.csv.as_slice());
    let width = header.len();
    csv.records().map(|r| r.unwrap()).map(|r| (r[width].parse().unwrap(), r[width + 1].parse().unwrap())).collect()
}

#[test]
fn decisions_are_those_of_scikit_learn() {
    let mut files = 0;
    for Expected { sklearn, cases } in expected() {
        for (name, case) in cases {
            for file in &case.files {
                let model = Model::from_bytes(file, &std::fs::read(folder().join(file)).unwrap()).unwrap();
                assert_eq!(model.warnings(), Vec::<String>::new(), "{file}");
                for (i, (decision, anomaly)) in predict(&model, &case.rows).into_iter().enumerate() {
                    let wanted = case.decisions[i];
                    assert!(
                        (decision - wanted).abs() <= 1e-12 * wanted.abs().max(1.0),
                        "{sklearn} {name}: {decision} {wanted}"
                    );
                    assert_eq!(anomaly == 1, case.predictions[i] == -1, "{sklearn} {name} row {i}");
                }
                files += 1;
            }
        }
    }
    assert_eq!(files, 2 * (2 * 5 + 6 * 3));
}

#[test]
fn a_model_reads_back_from_the_projects_own_format_as_it_was() {
    for file in ["sklearn19_scale_p4.pkl", "sklearn12_unscaled_p5.pkl"] {
        let model = Model::from_bytes(file, &std::fs::read(folder().join(file)).unwrap()).unwrap();
        let bytes = model.to_bytes(&scorer::model::Trained::default()).unwrap();
        assert_eq!(Model::from_bytes("own", &bytes).unwrap(), model);
        assert_eq!(model.to_bytes(&scorer::model::Trained::default()).unwrap(), bytes);
    }
}
