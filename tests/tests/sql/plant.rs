//! A simulated plant in a folder, with models that were trained on it, and runs of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use scorer::context::{Context, StepError};
use scorer::databases::Databases;
use scorer::run::{Options, run};
use scorer::simulate;
use serde_json::{Value, json};
use spec::{RunRequest, Span};
use store::{Credentials, Outcome, Record};
use tests::blobs::files_below;
use tokio::sync::watch;

/// Two devices with two sensors each.
const DEVICES: u32 = 2;
const TAGS: u32 = 2;
pub(crate) const START: &str = "2026-01-01T00:00:00Z";

pub(crate) struct Plant {
    dir: tempfile::TempDir,
    /// Its readings, as they are in `data/sensor_data.csv`.
    pub(crate) csv: String,
}

impl Plant {
    /// Half an hour of readings, and models.
    pub(crate) async fn new() -> Self {
        let (mut csv, mut labels) = (Vec::new(), Vec::new());
        let (start, length) = (START.parse().unwrap(), Span::from_secs(1_800));
        let simulated = simulate::Plant { devices: DEVICES, tags: TAGS, start, length, seed: 5, anomalies: 0.02 };
        simulate::write(&simulated, &mut csv, &mut labels).unwrap();
        let plant = Self { dir: tempfile::tempdir().unwrap(), csv: String::from_utf8(csv).unwrap() };
        plant.put("data/sensor_data.csv", &plant.csv);
        let data = json!({"path": "data/sensor_data.csv"});
        let (record, _) = plant.run("train", &json!({"task": "Train", "data": data}), None).await.unwrap();
        assert_eq!((record.totals.succeeded, record.totals.failed), (4, 0), "{:?}", record.failures);
        plant
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.dir.path().join(inside)
    }

    pub(crate) fn put(&self, inside: &str, content: &str) {
        std::fs::create_dir_all(self.path(inside).parent().unwrap()).unwrap();
        std::fs::write(self.path(inside), content).unwrap();
    }

    /// A run of a schedule of this name; `work`: what it says besides store and models.
    pub(crate) fn context(&self, schedule: &str, work: &Value, secret: Option<&Path>) -> Context {
        let mut all = json!({
            "store": {"url": format!("file://{}", self.dir.path().display())},
            "model": {"path": "models/model_{device}_{tag}"},
        });
        all.as_object_mut().unwrap().extend(work.as_object().unwrap().clone());
        let window =
            work.get("window").map(|_| json!({"start": "2026-01-01T00:05:00Z", "end": "2026-01-01T00:25:00Z"}));
        let request = json!({
            "namespace": "plant", "schedule": schedule, "run": format!("{schedule}-1"), "runUid": format!("local-{schedule}"),
            "tick": "2026-01-01T00:25:00Z", "window": window, "work": all,
        });
        let request: RunRequest = serde_json::from_value(request).unwrap();
        let context = Context::open(request, &Credentials::none(), Arc::new(Timestamp::now)).unwrap();
        let databases = Databases::find(secret.map(Path::to_owned), secret.map(Path::to_owned), &|_| None);
        Context { databases, ..context }
    }

    /// `secret`: the folder of that of its database.
    pub(crate) async fn run(
        &self,
        schedule: &str,
        work: &Value,
        secret: Option<&Path>,
    ) -> Result<(Record, scorer::run::Summary), StepError> {
        let (_keep, stop) = watch::channel(false);
        let context = self.context(schedule, work, secret);
        let options = Options { at_once: 2, retries: 0 };
        run(&context, &Credentials::none(), options, stop, Arc::new(|_| {})).await
    }

    /// What such a run left as predictions, by path below the schedule's folder.
    pub(crate) async fn predictions(
        &self,
        schedule: &str,
        work: &Value,
        secret: Option<&Path>,
    ) -> BTreeMap<String, Vec<u8>> {
        let (record, _) = self.run(schedule, work, secret).await.unwrap();
        let failed: Vec<&Outcome> = record.outcomes.iter().filter(|outcome| outcome.reason.is_some()).collect();
        assert!(failed.is_empty(), "{failed:#?}");
        self.predictions_of(schedule)
    }

    pub(crate) fn predictions_of(&self, schedule: &str) -> BTreeMap<String, Vec<u8>> {
        let folder = self.path(&format!("predictions/plant/{schedule}"));
        let mut files = if folder.exists() { files_below(&folder).unwrap() } else { BTreeMap::new() };
        files.retain(|path, _| !path.contains("_runs/"));
        files
    }

    /// The first failure of a run of which nothing succeeds: its reason, and its message.
    pub(crate) async fn failure(&self, schedule: &str, work: &Value, secret: &Path) -> (String, String) {
        let (record, _) = self.run(schedule, work, Some(secret)).await.unwrap();
        assert_eq!(record.totals.succeeded, 0);
        let outcome = record.outcomes.into_iter().next().unwrap();
        (outcome.reason.unwrap(), outcome.message.unwrap())
    }
}

/// A schedule's `data` of a query.
pub(crate) fn rows(query: &str, parameters: &[&str]) -> Value {
    json!({"sql": {"secretRef": {"name": "readings"}, "query": query, "parameters": parameters}})
}
