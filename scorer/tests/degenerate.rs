//! Models that say nothing about a reading, and good ones: whom a living scikit-learn's are taken for.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::Command;

use scorer::model::{Imported, Model};
use serde::Deserialize;

/// A model, and what scikit-learn makes of readings that it has not seen.
#[derive(Deserialize)]
struct Told {
    what: String,
    files: Vec<String>,
    n: u32,
    nu: f64,
    /// 0 for "scale".
    gamma: f64,
    /// The share of them that are anomalies.
    outside: f64,
}

#[test]
fn the_models_that_are_warned_about_are_those_that_call_most_new_readings_anomalies() {
    let Some(python) = common::living::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/degenerate.py");
    let made = Command::new(python).args(["-W", "ignore"]).arg(script).arg(folder.path()).arg("1").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let told: Vec<Told> = serde_json::from_slice(&std::fs::read(folder.path().join("told.json")).unwrap()).unwrap();
    let (mut warned, mut plain) = (0, 0);
    for Told { what, files, n, nu, gamma, outside } in told {
        for file in files {
            let model = Model::from_bytes(&file, &std::fs::read(folder.path().join(&file)).unwrap()).unwrap();
            let warnings = model.warnings();
            let imported = Model::from_bytes("own", &model.to_bytes(&Imported::default()).unwrap()).unwrap();
            assert_eq!(imported.warnings(), warnings, "{what}: its import");
            let of = format!("{what} in {file}: {outside} of new readings are anomalies, {warnings:?}");
            // Kernels of one value or of none, whatever the readings.
            assert!(gamma == 0.0 || (1e-9..1e9).contains(&gamma) || !warnings.is_empty(), "{of}");
            if warnings.is_empty() {
                plain += 1;
                assert!(outside <= 0.9 || n <= 20, "{of}");
            } else {
                warned += 1;
                assert!(outside >= 0.4, "{of}");
                assert!(outside >= f64::midpoint(nu, 1.0) || n <= 50, "{of}");
                assert!(gamma != 0.0 || n <= 20, "{of}");
            }
        }
    }
    assert!(warned > 200 && plain > 500, "{warned} with a warning, {plain} without");
}
