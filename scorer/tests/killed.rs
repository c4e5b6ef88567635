//! A scorer pod that is killed in the middle of its work: what its log has, and what archiving adds to it.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

const LOG: &str = "logs/plant/hourly/hourly-1/device=1.pod-1.log";

/// A folder with a model, and readings that never come: a pipe that nobody writes to.
fn plant() -> tempfile::TempDir {
    let plant = tempfile::tempdir().unwrap();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/sklearn19_one_p4.pkl");
    for folder in ["models", "data"] {
        fs::create_dir(plant.path().join(folder)).unwrap();
    }
    fs::copy(model, plant.path().join("models/model_1")).unwrap();
    assert!(Command::new("mkfifo").arg(plant.path().join("data/d.csv")).status().unwrap().success());
    let request = json!({"namespace": "plant", "schedule": "hourly", "run": "hourly-1", "runUid": "u",
        "tick": "2018-08-29T01:00:00Z", "work": {
            "store": {"url": format!("file://{}", plant.path().display())}, "model": {"path": "models/model_{device}"},
            "data": {"path": "data/d.csv"}}});
    fs::write(plant.path().join("request.json"), request.to_string()).unwrap();
    let ends = json!({"prefix": "hourly-1", "since": 1_535_504_400, "nodes": ["node-2"], "reasons": ["Error"],
        "ends": [["pod-1", 0, "x", 0, 0, 7, 137, 0, 0, 0]], "details": [[0, {"events": ["Killing: gone"]}]]});
    fs::write(plant.path().join("ends.json"), ends.to_string()).unwrap();
    plant
}

fn scorer(plant: &Path, args: &[&str]) -> Command {
    let mut scorer = Command::new(env!("CARGO_BIN_EXE_scorer"));
    scorer.current_dir(plant).arg(args[0]).args(["--request", "request.json"]).args(&args[1..]).stdout(Stdio::null());
    scorer
}

/// Waits until a file has this text, and gives all of it.
fn wait_for(file: &Path, text: &str, working: &mut Child) -> String {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < until, "not in a minute");
        assert_eq!(working.try_wait().unwrap(), None, "it ended");
        match fs::read_to_string(file) {
            Ok(found) if found.contains(text) => return found,
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

#[test]
fn a_killed_pod_leaves_its_log_up_to_the_last_write_and_archiving_adds_how_the_pod_ended() {
    let plant = plant();
    assert!(scorer(plant.path(), &["plan"]).status().unwrap().success());
    let item = ["item", "--index", "0", "--pod-uid", "pod-1", "--node", "node-2"];
    let mut working = scorer(plant.path(), &item).spawn().unwrap();
    let log = wait_for(&plant.path().join(LOG), "sha256=", &mut working);
    working.kill().unwrap();
    working.wait().unwrap();
    let text = |line: &str| line.split_once(' ').unwrap().1.to_owned();
    let lines: Vec<String> = log.lines().map(text).collect();
    assert!(lines[0].starts_with(r#"START run=plant/hourly-1 item=0 sensor="device=1" attempt=pod-1 node=node-2"#));
    assert!(lines[1].starts_with("INFO  fetching the model") && lines[2].starts_with("INFO  model sha256="), "{log}");
    assert_eq!(fs::read_to_string(plant.path().join(LOG)).unwrap(), log);

    for _ in ["once", "done twice"] {
        assert!(scorer(plant.path(), &["archive", "--ends", "ends.json"]).status().unwrap().success());
        let after = fs::read_to_string(plant.path().join(LOG)).unwrap();
        let added: Vec<String> = after.strip_prefix(&log).unwrap().lines().map(text).collect();
        assert_eq!(
            added,
            [
                "POD   pod hourly-1-0-x on node node-2 ended as Kubernetes saw it: Error, exit code 137, started \
                 2018-08-29T01:00:00Z, ended 2018-08-29T01:00:07Z",
                "POD   event Killing: gone",
            ]
        );
    }
    let record = fs::read(plant.path().join("runs/plant/hourly/hourly-1/record.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    assert!(record["outcomes"][0]["log"].as_str().unwrap().ends_with(LOG), "{record}");
}

/// Six sensors in one item, the third of which has readings that never come.
fn six(predictions: &str) -> tempfile::TempDir {
    let plant = tempfile::tempdir().unwrap();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/sklearn19_one_p4.pkl");
    for folder in ["models", "data"] {
        fs::create_dir(plant.path().join(folder)).unwrap();
    }
    for device in 1..=6 {
        fs::copy(model, plant.path().join(format!("models/model_{device}"))).unwrap();
        let readings = plant.path().join(format!("data/{device}.csv"));
        if device == 3 {
            assert!(Command::new("mkfifo").arg(&readings).status().unwrap().success());
        } else {
            fs::write(&readings, "TS,Value\n2018-08-29T00:10:00Z,1.5\n").unwrap();
        }
    }
    let request = json!({"namespace": "plant", "schedule": "hourly", "run": "hourly-1", "runUid": "u",
        "tick": "2018-08-29T01:00:00Z", "work": {
            "store": {"url": format!("file://{}", plant.path().display())}, "model": {"path": "models/model_{device}"},
            "data": {"path": "data/{device}.csv"}, "packing": {"sensorsPerPod": 6},
            "predictions": {"layout": predictions}}});
    fs::write(plant.path().join("request.json"), request.to_string()).unwrap();
    plant
}

#[test]
fn one_sensor_that_kills_its_pods_fails_and_the_others_of_its_item_are_scored() {
    for layout in ["PerSensor", "PerItem"] {
        let plant = six(layout);
        assert!(scorer(plant.path(), &["plan"]).status().unwrap().success());
        for attempt in 1..=3 {
            let uid = format!("pod-{attempt}");
            let mut working = scorer(plant.path(), &["item", "--index", "0", "--pod-uid", &uid]).spawn().unwrap();
            // The first attempt is killed before it can tell what it is at.
            let told = if attempt == 1 { "" } else { r#""sensors":[{"device":"3"}],"alone":true"# };
            let outcomes = format!("runs/plant/hourly/hourly-1/outcomes/0.{uid}.ndjson");
            wait_for(&plant.path().join(outcomes), told, &mut working);
            working.kill().unwrap();
            working.wait().unwrap();
        }
        let ends: Vec<_> = (1..=3).map(|n| json!([format!("pod-{n}"), 0, "x", 0, n * 10, 7, 137, 0, 0, 0])).collect();
        let ends = json!({"prefix": "hourly-1", "since": 1_535_504_400, "nodes": ["node-2"], "reasons": ["OOMKilled"],
            "ends": ends});
        fs::write(plant.path().join("ends.json"), ends.to_string()).unwrap();
        assert!(scorer(plant.path(), &["archive", "--ends", "ends.json"]).status().unwrap().success());
        let record = fs::read(plant.path().join("runs/plant/hourly/hourly-1/record.json")).unwrap();
        let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
        for outcome in record["outcomes"].as_array().unwrap() {
            if outcome["sensor"]["device"] == "3" {
                assert_eq!(
                    (&outcome["status"], &outcome["reason"]),
                    (&json!("Failed"), &json!("PodFailed")),
                    "{outcome}"
                );
                let message = outcome["message"].as_str().unwrap();
                assert!(message.contains("2 pods died while it alone was worked on; its last pod"), "{message}");
            } else {
                assert_eq!(outcome["status"], "Succeeded", "{outcome}");
                let predictions = outcome["predictions"].as_str().unwrap().trim_start_matches("file://");
                assert!(Path::new(predictions).is_file(), "{outcome}");
            }
        }
    }
}
