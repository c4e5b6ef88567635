//! `scorer import`, as a user types it.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use scorer::engine::Model;
use scorer::model::Format;
use serde_json::Value;

fn scorer(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_scorer")).current_dir(folder).arg("import").args(args).output().unwrap()
}

/// Exit code, the counts on stdout, stderr.
fn import(folder: &Path, args: &[&str]) -> (Option<i32>, Value, String) {
    let output = scorer(folder, args);
    let line = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code(), line, String::from_utf8_lossy(&output.stderr).into_owned())
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models").join(name)
}

fn is_own(file: &Path) -> bool {
    matches!(Format::of(&std::fs::read(file).unwrap()), Format::Native { version: 3..=5 })
}

#[test]
fn every_model_of_scikit_learn_is_the_same_after_its_conversion() {
    let folder = tempfile::tempdir().unwrap();
    let mut converted = 0;
    let folders = [fixture(""), fixture("estimators"), fixture("skops"), fixture("onnx")];
    for file in folders.iter().flat_map(|f| std::fs::read_dir(f).unwrap()).map(|f| f.unwrap().path()) {
        let name = file.file_name().unwrap().to_str().unwrap();
        if ![".pkl", ".joblib", ".skops", ".onnx"].iter().any(|e| name.contains(e)) {
            continue;
        }
        let output = folder.path().join("out.model");
        let args = ["--input", file.to_str().unwrap(), "--output", output.to_str().unwrap(), "--force"];
        let (code, _, told) = import(folder.path(), &args);
        assert_eq!(code, Some(0), "{told}");
        assert!(is_own(&output));
        let [before, after] = [&file, &output].map(|f| Model::from_bytes("m", &std::fs::read(f).unwrap()).unwrap());
        // As text, since NaN, which imputers know, is not equal to itself.
        assert_eq!(format!("{before:?}"), format!("{after:?}"), "{name}");
        let rows = before.probe(100);
        let decisions = before.decisions(&rows);
        assert!(decisions.windows(2).any(|w| w[0].to_bits() != w[1].to_bits()), "{name}: rows worth a comparison");
        assert!(decisions.iter().zip(after.decisions(&rows)).all(|(a, b)| a.to_bits() == b.to_bits()));
        converted += 1;
    }
    assert!(converted > 100);
}

#[test]
fn a_file_that_is_there_is_not_written_over_without_force() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    std::fs::copy(fixture("sklearn19_one_p4.pkl"), here.join("pump.pkl")).unwrap();
    std::fs::copy(fixture("sklearn19_auto_p4.pkl"), here.join("other.pkl")).unwrap();
    let args = ["--input", "pump.pkl", "--output", "pump.model"];
    let (code, line, _) = import(here, &args);
    assert_eq!((code, &line["imported"]), (Some(0), &1.into()));
    let (code, line, _) = import(here, &args);
    assert_eq!((code, &line["unchanged"]), (Some(0), &1.into()), "the same again is no harm");

    let before = std::fs::read(here.join("pump.model")).unwrap();
    let (code, _, told) = import(here, &["--input", "other.pkl", "--output", "pump.model"]);
    assert!(code == Some(64) && told.contains("pump.model is there already") && told.contains("--force"), "{told}");
    assert_eq!(std::fs::read(here.join("pump.model")).unwrap(), before);
    let (code, _, _) = import(here, &["--input", "other.pkl", "--output", "pump.model", "--force"]);
    assert_eq!(code, Some(0));
    assert!(std::fs::read(here.join("pump.model")).unwrap() != before);
    assert_eq!(std::fs::read_dir(here).unwrap().count(), 3, "nothing else is left");
}

#[test]
fn of_a_store_what_loads_is_converted_and_what_does_not_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models");
    std::fs::create_dir(&models).unwrap();
    std::fs::copy(fixture("sklearn19_one_p4.pkl"), models.join("model_1_1")).unwrap();
    std::fs::copy(fixture("sklearn12_named.joblib"), models.join("model_1_2")).unwrap();
    std::fs::write(models.join("model_1_3"), b"\x80\x03cos\nsystem\n.").unwrap();
    let url = format!("file://{}", folder.path().display());
    let args = ["--store", &url, "--models", "models/model_{device}_{tag}", "--to", "native/model_{device}_{tag}"];
    let (code, line, told) = import(folder.path(), &args);
    assert_eq!(code, Some(64));
    assert_eq!((&line["models"], &line["imported"], &line["failed"]), (&3.into(), &2.into(), &1.into()));
    assert!(told.contains("/models/model_1_3: byte ") && told.contains("os.system"), "{told}");
    let written = ["native/model_1_1", "native/model_1_2"].map(|f| folder.path().join(f));
    assert!(written.iter().all(|f| is_own(f)));
    assert_eq!(std::fs::read_dir(folder.path().join("native")).unwrap().count(), 2);

    let (_, line, _) = import(folder.path(), &args);
    assert_eq!((&line["imported"], &line["unchanged"]), (&0.into(), &2.into()));
    std::fs::write(&written[0], "another").unwrap();
    let (code, line, told) = import(folder.path(), &args);
    assert_eq!((code, &line["refused"]), (Some(64), &1.into()));
    assert!(told.contains("native/model_1_1 is there already"), "{told}");
    assert_eq!(std::fs::read(&written[0]).unwrap(), b"another");
    let (_, line, _) = import(folder.path(), &[&args[..], &["--force"]].concat());
    assert_eq!(line["imported"], 2);
    assert!(is_own(&written[0]));
}

#[test]
fn two_models_never_become_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    let (code, _, told) = import(folder.path(), &["--store", &url, "--to", "native/model_{device}"]);
    assert!(code == Some(64) && told.contains("has not the same keys as --models"), "{told}");
}
