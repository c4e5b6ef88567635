//! A schedule in a folder, and the program that runs it.
#![allow(dead_code)] // Each test uses a part.

pub(crate) mod living;
mod python;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The smallest manifest, to which tests add lines of their own.
const SCHEDULE: &str = r#"
apiVersion: batchscoring.dev/v1alpha1
kind: ScoringSchedule
metadata: {name: plant}
spec:
  clusterRef: {name: none}
  schedule: "@hourly"
  store: {url: file:///nowhere}
"#;

/// Where the models are that `scorer train` makes of simulated readings.
pub(crate) const TRAINED: &str =
    "  model: {path: \"models/model_{device}_{tag}\"}\n  data: {path: data/sensor_data.csv}\n";

/// A folder that is a store.
pub(crate) struct Plant(tempfile::TempDir);

impl Plant {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn command(&self, args: &[&str], env: &[(&str, &str)]) -> Output {
        let store = format!("file://{}", self.path().display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_scorer"));
        command.args(args).args(["--store", &store]).envs(env.iter().copied()).output().unwrap()
    }

    /// What the scorer prints on this store; it must succeed.
    pub(crate) fn scorer(&self, args: &[&str]) -> Value {
        let output = self.command(args, &[]);
        assert!(output.status.success(), "scorer {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What the scorer says on this store; it must refuse to work.
    pub(crate) fn refusal(&self, args: &[&str]) -> String {
        let output = self.command(args, &[]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{text}");
        text
    }

    fn schedule(&self, lines: &str) -> String {
        self.put("schedule.yaml", format!("{SCHEDULE}{lines}"));
        self.path().join("schedule.yaml").to_str().unwrap().to_owned()
    }

    /// A run of the schedule with these lines, which must be Complete: its summary.
    pub(crate) fn run(&self, lines: &str, at: &str) -> Value {
        let summary = self.scorer(&["run", "-f", &self.schedule(lines), "--at", at, "--json"]);
        assert_eq!(summary["state"], "Complete", "{summary}");
        summary
    }

    /// A run of the schedule with these lines, however it ends: its record.
    pub(crate) fn record(&self, lines: &str, at: &str) -> Value {
        self.record_with(lines, at, &[])
    }

    /// The same in another environment.
    pub(crate) fn record_with(&self, lines: &str, at: &str, env: &[(&str, &str)]) -> Value {
        let output = self.command(&["run", "-f", &self.schedule(lines), "--at", at, "--json"], env);
        assert!(!output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        let run = self.path().join("runs/default/plant").join(summary["run"].as_str().unwrap());
        serde_json::from_slice(&fs::read(run.join("record.json")).unwrap()).unwrap()
    }

    /// The folders of the sensors' predictions.
    pub(crate) fn predictions(&self) -> Vec<PathBuf> {
        let folders = fs::read_dir(self.path().join("predictions/default/plant")).unwrap().map(|f| f.unwrap().path());
        folders.filter(|folder| !folder.ends_with("_runs")).collect()
    }
}
