//! A sensor at which the pod is killed each time, as for lack of memory: the others of its item are scored all the same.

use std::fs;

use serde_json::{Value, json};

use super::common::Plant;
use super::pods::Pod;

/// Six sensors; the third's command kills its scorer.
fn pod(more: &str) -> Pod {
    let plant = Plant::new();
    let mut readings = "TS,Device,Value\n".to_owned();
    for device in 1..=6 {
        plant.put(&format!("models/model_{device}"), "a model");
        readings.push_str(&format!("2026-01-01T00:10:00Z,{device},1.5\n"));
    }
    plant.put("data/readings.csv", readings);
    let ran = plant.path().join("ran");
    plant.put(
        "predict.sh",
        format!(
            "echo $SCORING_KEY_DEVICE >> {ran:?}\n[ $SCORING_KEY_DEVICE != 3 ] || {{ {more} kill -9 $PPID; exit 1; }}\n\
             cp $SCORING_INPUT $SCORING_OUTPUT"
        ),
    );
    Pod::of(plant, 6)
}

impl Pod {
    /// So many attempts at the item, all of which are killed.
    fn killed(&self, attempts: usize) {
        for attempt in 1..=attempts {
            let uid = format!("try-{attempt}");
            let output = self.scorer(&[], &["exec", "--index", "0", "--pod-uid", &uid]).output().unwrap();
            assert_eq!(output.status.code(), None, "{}", String::from_utf8_lossy(&output.stderr));
        }
    }

    /// The record, of pods that Kubernetes says were killed.
    fn record(&self, attempts: usize) -> Value {
        let ends: Vec<Value> = (1..=attempts)
            .map(|n| json!([format!("try-{n}"), 0, format!("x{n}"), 0, n * 10, 7, 137, 0, 0, 0]))
            .collect();
        let details: Vec<Value> = (0..attempts).map(|n| json!([n, {"output": format!("last words {n}")}])).collect();
        let ends = json!({"prefix": "hourly-1", "since": 1_767_225_600, "nodes": ["node-2"], "reasons": ["OOMKilled"],
            "ends": ends, "details": details});
        self.plant.put("ends.json", ends.to_string());
        let ends = self.plant.path().join("ends.json");
        let archived = self.scorer(&[], &["archive", "--ends", ends.to_str().unwrap()]).output().unwrap();
        assert!(archived.status.success(), "{}", String::from_utf8_lossy(&archived.stderr));
        let record = fs::read(self.plant.path().join("runs/plant/hourly/hourly-1/record.json")).unwrap();
        serde_json::from_slice(&record).unwrap()
    }

    /// How often the command was run for a sensor.
    fn runs_of(&self, device: usize) -> usize {
        let ran = fs::read_to_string(self.plant.path().join("ran")).unwrap();
        ran.lines().filter(|line| **line == device.to_string()).count()
    }
}

#[test]
fn one_sensor_that_kills_its_pods_fails_and_the_others_of_its_item_are_scored() {
    let pod = pod("");
    pod.killed(3);
    let record = pod.record(3);
    for device in 1..=6 {
        let outcome = super::outcome(&record, &device.to_string());
        let predictions = pod.plant.path().join(format!("predictions/plant/hourly/device={device}"));
        if device == 3 {
            assert_eq!((&outcome["status"], &outcome["reason"]), (&"Failed".into(), &"PodFailed".into()), "{outcome}");
            let message = outcome["message"].as_str().unwrap();
            assert!(message.contains("2 pods died while it alone was worked on; its last pod"), "{message}");
            assert!(message.contains("OOMKilled, exit code 137"), "{message}");
            assert!(!predictions.exists());
        } else {
            assert_eq!(outcome["status"], "Succeeded", "{outcome}");
            assert!(predictions.exists());
            assert!(pod.runs_of(device) <= 2, "{device} was scored {} times", pod.runs_of(device));
        }
    }
    assert_eq!(pod.runs_of(3), 3);
    for attempt in 1..=3 {
        let log = pod.log("3", &format!("try-{attempt}"));
        let lines: Vec<&str> = log.lines().map(|line| &line[25..]).collect();
        assert!(lines[0].starts_with("START run=plant/hourly-1 item=0 sensor=\"device=3\""), "{log}");
        assert!(lines[lines.len() - 2].contains("OOMKilled, exit code 137"));
        assert_eq!(lines.last(), Some(&format!("POD   last output: last words {}", attempt - 1).as_str()));
    }
}
