//! The program told to stop while its store accepts requests and never answers.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

const SCHEDULE: &str = r#"apiVersion: batchscoring.dev/v1alpha1
kind: ScoringSchedule
metadata: {name: hourly}
spec:
  clusterRef: {name: cpu}
  schedule: "@hourly"
  store: {url: STORE}
  model: {path: "models/model_{device}_{tag}"}
  data: {path: data/sensor_data.csv}
"#;

const REQUEST: &str = r#"{"namespace": "plant", "schedule": "hourly", "run": "hourly-1", "runUid": "1",
"tick": "2018-08-29T01:00:00Z", "work": {"store": {"url": "STORE"}, "model": {"path": "models/model_{device}_{tag}"},
"data": {"path": "data/sensor_data.csv"}}}"#;

const ENDS: &str = r#"{"prefix": "", "since": 0, "nodes": [], "reasons": [], "ends": []}"#;

/// Exit code and stderr of a command that is sent a signal once it waits for the store.
fn told(signal: &str, folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let store = format!("http://{}/account", silent.local_addr().unwrap());
    for (name, text) in [("schedule.yaml", SCHEDULE), ("request.json", REQUEST), ("ends.json", ENDS)] {
        std::fs::write(folder.join(name), text.replace("STORE", &store)).unwrap();
    }
    let mut scorer = Command::new(env!("CARGO_BIN_EXE_scorer"))
        .current_dir(folder)
        .args(args)
        .env("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let _waiting = silent.accept().unwrap();
    assert!(Command::new("kill").args([signal, &scorer.id().to_string()]).status().unwrap().success());
    let mut text = String::new();
    scorer.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    (scorer.wait().unwrap().code(), text)
}

#[test]
fn every_step_that_waits_for_the_store_ends_when_it_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    for (args, step) in [
        (vec!["run", "-f", "schedule.yaml"], "planning"),
        (vec!["plan", "--request", "request.json"], "planning"),
        (vec!["archive", "--request", "request.json", "--ends", "ends.json"], "archiving"),
    ] {
        for signal in ["-TERM", "-INT"] {
            let (code, text) = told(signal, folder.path(), &args);
            assert_eq!(code, Some(75), "{args:?}: {text}");
            assert!(text.contains(&format!("told to stop while {step}")), "{args:?}: {text}");
        }
    }
}

#[test]
fn a_command_that_is_told_to_stop_leaves_no_part_of_its_output() {
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/sklearn19_one_p4.pkl");
        let mut scorer = Command::new(env!("CARGO_BIN_EXE_scorer"))
            .current_dir(here)
            .args([
                "score",
                "--model",
                model,
                "--input",
                "/dev/stdin",
                "--output",
                "out.csv",
                "--columns",
                "value=Value",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = scorer.stdin.take().unwrap();
        // More than is held back before it is scored; then the rest never comes.
        input.write_all(b"TS,Value\n").unwrap();
        let rows = b"2026-01-01T00:00:00Z,50\n".repeat(10_000);
        while std::fs::read_dir(here).unwrap().count() == 0 {
            input.write_all(&rows).unwrap();
        }
        assert!(Command::new("kill").args([signal, &scorer.id().to_string()]).status().unwrap().success());
        assert_eq!(scorer.wait().unwrap().code(), Some(code));
        assert_eq!(std::fs::read_dir(here).unwrap().count(), 0);
    }
}

#[test]
fn a_place_is_held_until_its_holder_is_told_to_stop() {
    for signal in ["-TERM", "-INT"] {
        let mut scorer = Command::new(env!("CARGO_BIN_EXE_scorer")).arg("hold").stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(scorer.stderr.take().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().contains("hold this place"));
        assert_eq!(scorer.try_wait().unwrap(), None);
        assert!(Command::new("kill").args([signal, &scorer.id().to_string()]).status().unwrap().success());
        assert_eq!(scorer.wait().unwrap().code(), Some(0), "{signal}");
    }
}
