//! ONNX files that skl2onnx made of scikit-learn's models: decisions must be those of ONNX Runtime and of scikit-learn, as
//! far as the file's 32-bit numbers allow.
//!
//! `models/onnx/*.json` is what both say; `make.py` beside them made the files. The last test asks a living skl2onnx: that
//! of an environment that it makes, or others, of any version since 1.7, each with onnxruntime and pandas:
//! `SKL2ONNX_PYTHON=/a/bin/python:/b/bin/python`.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use scorer::model::{Model, Trained};
use serde::Deserialize;

/// How far decisions may lie from those of 32-bit arithmetic, and of models that are written with 32 bits.
const SINGLE: f64 = 1e-5;
/// The same for 64 bits.
const DOUBLE: f64 = 1e-9;

#[derive(Deserialize)]
struct Expected {
    skl2onnx: String,
    cases: BTreeMap<String, Case>,
}

#[derive(Deserialize)]
struct Case {
    files: Vec<String>,
    /// A missing value is null.
    rows: Vec<Vec<Option<f64>>>,
    /// scikit-learn's.
    decisions: Vec<f64>,
    predictions: Vec<i32>,
    /// ONNX Runtime's, where it runs the file.
    scores: Option<Vec<f64>>,
}

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/onnx")
}

/// What the JSON files in a folder expect.
fn expected(folder: &Path) -> Vec<Expected> {
    let files = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|f| f.extension().is_some_and(|e| e == "json")).collect();
    files.sort();
    files.iter().map(|f| serde_json::from_slice(&std::fs::read(f).unwrap()).unwrap()).collect()
}

fn load(folder: &Path, file: &str) -> Model {
    Model::from_bytes(file, &std::fs::read(folder.join(file)).unwrap()).unwrap()
}

/// How far decisions may lie from others. A SVMRegressor has 32 bits in files of 64, too.
fn tolerance(case: &str) -> f64 {
    if ["factor_double", "sgd_double"].contains(&case) { DOUBLE } else { SINGLE }
}

/// Compares every file of a folder with what both say, and gives how many there were, and how many ONNX Runtime runs.
fn compare(folder: &Path) -> (usize, usize) {
    let (mut files, mut run) = (0, 0);
    for Expected { skl2onnx, cases } in expected(folder) {
        for (name, case) in cases {
            let missing = case.rows.iter().flatten().any(Option::is_none);
            let rows: Vec<f64> = case.rows.iter().flatten().map(|x| x.unwrap_or(f64::NAN)).collect();
            for file in &case.files {
                let model = load(folder, file);
                let of = format!("{name} of skl2onnx {skl2onnx} in {file}");
                assert_eq!(model.metadata().producer, Some(format!("skl2onnx {skl2onnx}")), "{of}");
                assert!(!missing || model.accepts_missing(), "{of}");
                let decisions = model.decisions(&rows);
                for (who, wanted) in [("scikit-learn", Some(&case.decisions)), ("ONNX Runtime", case.scores.as_ref())] {
                    let Some(wanted) = wanted else { continue };
                    assert_eq!(decisions.len(), wanted.len(), "{of}");
                    for (row, (decision, wanted)) in decisions.iter().zip(wanted).enumerate() {
                        let close = (decision - wanted).abs() <= tolerance(&name) * wanted.abs().max(1.0);
                        assert!(close, "{of}, row {row}: {decision:?}, {who} says {wanted:?}");
                    }
                }
                for (row, (decision, prediction)) in decisions.iter().zip(&case.predictions).enumerate() {
                    let sure = case.decisions[row].abs() > tolerance(&name);
                    let same = model.is_anomaly(*decision) == (*prediction == -1);
                    assert!(same || !sure, "{of}, row {row} with decision {decision:?}");
                }
                files += 1;
                run += usize::from(case.scores.is_some());
            }
        }
    }
    (files, run)
}

#[test]
fn decisions_are_those_of_onnx_runtime_and_of_scikit_learn() {
    let (files, run) = compare(&models());
    let there = std::fs::read_dir(models()).unwrap().map(|f| f.unwrap().path());
    assert_eq!(files, there.filter(|f| f.extension().is_some_and(|e| e == "onnx")).count());
    assert!(files > 130 && run > 120, "{files} files, ONNX Runtime runs {run}");
}

#[test]
fn inputs_of_a_feature_each_give_it_their_names() {
    for version in ["17", "110", "114", "120"] {
        for case in ["named", "columns_named"] {
            let model = load(&models(), &format!("skl2onnx{version}_{case}.onnx"));
            assert_eq!(model.metadata().feature_names, ["flow", "pressure", "heat"], "{version} {case}");
        }
    }
    assert!(load(&models(), "skl2onnx120_svm_rbf.onnx").metadata().feature_names.is_empty());
}

#[test]
fn transforms_are_told_by_the_names_of_what_was_converted() {
    let told = |case: &str| {
        let model = load(&models(), &format!("skl2onnx120_{case}.onnx"));
        let names = model.steps().iter().map(|s| s.name()).collect::<Vec<_>>().join(" ");
        format!("{names} {}", model.estimator().name()).trim().to_owned()
    };
    for (case, what) in [
        ("svm_alone", "OneClassSVM"),
        ("svm_rbf", "StandardScaler OneClassSVM"),
        ("svm_double", "StandardScaler OneClassSVM"),
        ("minmax_clip", "MinMaxScaler OneClassSVM"),
        ("imputer", "SimpleImputer StandardScaler OneClassSVM"),
        ("pca_whiten", "PCA OneClassSVM"),
        ("poly", "StandardScaler PolynomialFeatures OneClassSVM"),
        ("columns", "ColumnTransformer OneClassSVM"),
        ("forest_scaled", "StandardScaler IsolationForest"),
        ("factor_scaled", "StandardScaler LocalOutlierFactor"),
        ("sgd", "StandardScaler SGDOneClassSVM"),
    ] {
        assert_eq!(told(case), what, "{case}");
    }
}

#[test]
fn a_model_reads_back_from_the_projects_own_format_as_it_was() {
    for Expected { cases, .. } in expected(&models()) {
        for file in cases.values().flat_map(|c| &c.files) {
            let model = load(&models(), file);
            let bytes = model.to_bytes(&Trained::default()).unwrap();
            let again = Model::from_bytes("own", &bytes).unwrap();
            assert_eq!(again.to_bytes(&Trained::default()).unwrap(), bytes, "{file}");
        }
    }
}

#[test]
fn models_that_a_living_skl2onnx_makes_score_as_it_does() {
    let Some(pythons) = pythons() else { return };
    for python in pythons {
        for seed in 1..=3 {
            let folder = tempfile::tempdir().unwrap();
            let made = Command::new(&python)
                .args(["-W", "ignore"])
                .arg(models().join("make.py"))
                .args(["live".as_ref(), folder.path().as_os_str(), seed.to_string().as_ref()])
                .output()
                .unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            let (files, run) = compare(folder.path());
            assert!(files > 25 && run > 20, "{files} files, ONNX Runtime runs {run}");
        }
    }
}

/// Pythons that have skl2onnx.
fn pythons() -> Option<Vec<PathBuf>> {
    match std::env::var_os("SKL2ONNX_PYTHON") {
        Some(named) => Some(std::env::split_paths(&named).collect()),
        None => Some(vec![common::living::python()?]),
    }
}
