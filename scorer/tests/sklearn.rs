//! Models that scikit-learn itself has saved: decisions must be its own, whatever version, estimator, file format and
//! parameters.
//!
//! `models/*.json` and `models/estimators/*.json` are what scikit-learn says; `make.py` and `estimators.py` beside them
//! made them; so it is in `models/skops`, `models/ties` (`ties.py`), `models/zeros` (`zeros.py`) and `models/pca` (`pca.py`). The last test asks a living scikit-learn: that of an environment that it makes, or
//! others, of any version since 0.19, each with pandas: `SKLEARN_PYTHON=/a/bin/python:/b/bin/python`.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use scorer::model::{Model, Trained};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    sklearn: String,
    cases: BTreeMap<String, Case>,
}

#[derive(Deserialize)]
struct Case {
    files: Vec<String>,
    rows: Vec<Vec<Reading>>,
    decisions: Vec<f64>,
    predictions: Vec<i32>,
    /// How far rounding may take a score, where that is not what the test says.
    tolerance: Option<f64>,
}

/// A value of a row; a missing one is null.
#[derive(Deserialize)]
#[serde(untagged)]
enum Reading {
    Number(Option<f64>),
    /// With all its bits, which JSON's numbers lose here.
    Exact(String),
}

impl Reading {
    fn value(&self) -> f64 {
        match self {
            Self::Number(number) => number.unwrap_or(f64::NAN),
            Self::Exact(digits) => digits.parse().unwrap(),
        }
    }
}

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models")
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

/// Compares every file of a folder with what scikit-learn says, and gives how many there were.
fn compare(folder: &Path, tolerance: f64) -> usize {
    let mut files = 0;
    for Expected { sklearn, cases } in expected(folder) {
        for (name, case) in cases {
            let tolerance = case.tolerance.unwrap_or(tolerance);
            let rows: Vec<f64> = case.rows.iter().flatten().map(Reading::value).collect();
            let missing = rows.iter().any(|x| x.is_nan());
            for file in &case.files {
                let model = load(folder, file);
                let of = format!("{name} of scikit-learn {sklearn} in {file}");
                assert_eq!(model.metadata().sklearn_version.as_deref(), Some(sklearn.as_str()), "{of}");
                assert!(!missing || model.accepts_missing(), "{of}");
                let decisions = model.decisions(&rows);
                assert_eq!(decisions.len(), case.decisions.len(), "{of}");
                for (row, (decision, wanted)) in decisions.iter().zip(&case.decisions).enumerate() {
                    let close = (decision - wanted).abs() <= tolerance * wanted.abs().max(1.0);
                    assert!(close, "{of}, row {row}: {decision:?}, scikit-learn says {wanted:?}");
                    let anomaly = case.predictions[row] == -1;
                    assert_eq!(model.is_anomaly(*decision), anomaly, "{of}, row {row} with decision {decision:?}");
                }
                files += 1;
            }
        }
    }
    files
}

#[test]
fn decisions_are_those_of_scikit_learn() {
    assert_eq!(compare(&models(), 1e-12), 2 * (2 * 5 + 6 * 3));
    for Expected { cases, .. } in expected(&models()) {
        for file in cases.values().flat_map(|c| &c.files) {
            assert_eq!(load(&models(), file).warnings(), Vec::<String>::new(), "{file}");
        }
    }
}

#[test]
fn decisions_of_every_estimator_transform_and_file_format_are_those_of_scikit_learn() {
    let files = compare(&models().join("estimators"), 1e-9);
    assert!(files > 90, "only {files} files");
}

#[test]
fn decisions_of_skops_files_are_those_of_scikit_learn() {
    assert_eq!(compare(&models().join("skops"), 1e-9), 3 * 13);
}

#[test]
fn verdicts_on_readings_that_tie_are_those_of_scikit_learn() {
    let files = compare(&models().join("ties"), 1e-9);
    assert!(files > 80, "only {files} files");
}

#[test]
fn scores_of_exactly_0_are_0_and_anomalies_as_scikit_learn_has_them() {
    let folder = models().join("zeros");
    let zeros = expected(&folder).into_iter().flat_map(|e| e.cases.into_values()).flat_map(|c| c.decisions);
    assert!(zeros.filter(|decision| *decision == 0.0).count() > 30, "else this proves nothing");
    assert_eq!(compare(&folder, 1e-12), 2 * 20);
}

#[test]
fn a_pca_of_32_bits_or_with_almost_no_variance_is_as_near_to_scikit_learns_as_rounding_lets_it_and_says_so() {
    let folder = models().join("pca");
    assert_eq!(compare(&folder, 1e-9), 6 * expected(&folder).len());
    for Expected { sklearn, cases } in expected(&folder) {
        for (name, case) in cases {
            let said = load(&folder, &case.files[0]).differences().join(";");
            // Before 1.5, it subtracted the mean from the readings, which have 64 bits.
            let single = name.contains("single") && !sklearn.starts_with("1.1.");
            assert_eq!(said.contains("readings of 32 bits"), single, "{name}: {said}");
            let flat = ["whiten_flatter", "whiten_level"].contains(&name.as_str());
            assert_eq!(said.contains("a component of almost no variance"), flat, "{name}: {said}");
        }
    }
}

#[test]
fn what_is_said_about_a_forest_of_a_constant_sensor_is_what_happens() {
    let folder = models().join("ties");
    for Expected { cases, .. } in expected(&folder) {
        for (name, case) in cases.iter().filter(|(name, _)| name.starts_with("forest_") && name.contains("constant")) {
            let all = case.predictions.iter().all(|p| *p == -1);
            let says = if all { "every row is an anomaly" } else { "no row is ever an anomaly" };
            let warnings = load(&folder, &case.files[0]).warnings().join(";");
            assert!(warnings.contains(says), "{name}: {warnings:?}");
        }
    }
}

#[test]
fn names_of_features_are_kept_in_order() {
    let names = |file: &str| load(&models(), file).metadata().feature_names.clone();
    assert_eq!(names("sklearn19_named_p4.pkl"), ["flow", "pressure", "heat"]);
    assert_eq!(names("sklearn12_named.joblib"), ["flow", "pressure", "heat"]);
    assert_eq!(names("skops/sklearn15_named.skops"), ["flow", "pressure", "heat"]);
    assert!(names("sklearn19_scale_p4.pkl").is_empty());
}

#[test]
fn a_model_reads_back_from_the_projects_own_format_as_it_was() {
    for folder in [models(), models().join("estimators"), models().join("skops")] {
        for Expected { cases, .. } in expected(&folder) {
            for file in cases.values().filter_map(|c| c.files.first()) {
                let model = load(&folder, file);
                let bytes = model.to_bytes(&Trained::default()).unwrap();
                // NaN stands for a missing value, and is not equal to itself: compare what is written.
                let again = Model::from_bytes("own", &bytes).unwrap();
                assert_eq!(again.to_bytes(&Trained::default()).unwrap(), bytes, "{file}");
            }
        }
    }
}

#[test]
fn models_that_a_living_scikit_learn_makes_score_as_it_does() {
    let Some(pythons) = pythons() else { return };
    let mut versions = BTreeSet::new();
    for python in pythons {
        for seed in 1..=3 {
            for (script, least) in [("estimators.py", 150), ("ties.py", 9), ("zeros.py", 50)] {
                let folder = tempfile::tempdir().unwrap();
                let made = Command::new(&python)
                    .args(["-B", "-W", "ignore"])
                    .arg(models().join(script))
                    .args(["live".as_ref(), folder.path().as_os_str(), seed.to_string().as_ref()])
                    .output()
                    .unwrap();
                assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
                let files = compare(folder.path(), 1e-9);
                assert!(files > least, "{script}: only {files} files");
                versions.extend(expected(folder.path()).into_iter().map(|e| e.sklearn));
            }
        }
    }
    eprintln!("compared with scikit-learn {versions:?}");
}

/// Pythons that have scikit-learn, or a word on stderr that the test did not run.
fn pythons() -> Option<Vec<PathBuf>> {
    match std::env::var_os("SKLEARN_PYTHON") {
        Some(named) => Some(std::env::split_paths(&named).collect()),
        None => Some(vec![common::living::python()?]),
    }
}
