//! What the runs left in Blob Storage: read back, compared with the labels, and copied to a folder to look at.

use std::path::Path;

use anyhow::Context;
use local_aks::Facts;
use serde::Serialize;
use store::record::Record;
use store::{Credentials, Store};

use crate::judge::{Labels, MIN_PRECISION, MIN_RECALL, Verdict};
use crate::story::{RunView, Story};
use crate::workload::SENSORS;

/// Far more than any file of the demo.
const LIMIT: u64 = 64 * 1024 * 1024;
/// Far more files than a folder of the demo has.
pub(crate) const FILES: usize = 100_000;
/// Everything that the demo and its runs write, by container.
const FOLDERS: [&str; 5] = ["data/", "models/", "predictions/", "runs/", "logs/"];

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunSummary {
    #[serde(flatten)]
    pub(crate) run: RunView,
    pub(crate) started_after_tick_seconds: Option<f64>,
    pub(crate) verdict: Verdict,
    pub(crate) precision: f64,
    pub(crate) recall: f64,
    pub(crate) pod_seconds: u64,
}

impl RunSummary {
    /// What is wrong with the run; nothing when every sensor was scored and the anomalies were found.
    pub(crate) fn faults(&self) -> Vec<String> {
        let run = &self.run;
        let mut faults = Vec::new();
        if run.state != "Complete" {
            faults.push(format!("run {} is {}", run.name, run.state));
        }
        if run.sensors != SENSORS || run.succeeded != SENSORS {
            faults.push(format!("run {} scored {} of {SENSORS} sensors", run.name, run.succeeded));
        }
        if self.recall < MIN_RECALL {
            faults.push(format!("run {} has recall {:.3}, below {MIN_RECALL}", run.name, self.recall));
        }
        if self.precision < MIN_PRECISION {
            faults.push(format!("run {} has precision {:.3}, below {MIN_PRECISION}", run.name, self.precision));
        }
        faults
    }
}

/// One sensor's files, to show how results are read.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Example {
    pub(crate) predictions: Place,
    pub(crate) log: Place,
    pub(crate) record: Place,
}

/// Where a file is.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Place {
    pub(crate) uri: String,
    /// In the store, and in the copy of it.
    pub(crate) path: String,
}

/// The store with what the demo's runs wrote to it.
pub(crate) struct Results(Store);

impl Results {
    pub(crate) fn open(facts: &Facts) -> anyhow::Result<Self> {
        Ok(Self(Store::open(&facts.store_url, &Credentials::account_key(&facts.store_key))?))
    }

    /// Reads the runs' records and predictions, and compares them with the labels.
    pub(crate) async fn judge(&self, story: &Story) -> anyhow::Result<(Vec<RunSummary>, Example)> {
        let labels = Labels::parse(&self.text("data/labels.csv").await?)?;
        let mut example = Example::default();
        let mut runs = Vec::new();
        for run in story.runs() {
            let (place, record) = self.record(run).await?;
            let verdict = self.verdict(&record, &labels).await?;
            example = self.example(&record, place)?.unwrap_or(example);
            runs.push(RunSummary {
                run: run.clone(),
                started_after_tick_seconds: run.lateness(),
                precision: verdict.precision(),
                recall: verdict.recall(),
                verdict,
                pod_seconds: record.totals.pod_seconds,
            });
        }
        Ok((runs, example))
    }

    /// A run's record, and where it is.
    pub(crate) async fn record(&self, run: &RunView) -> anyhow::Result<(Place, Record)> {
        let uri = run.record.as_deref().with_context(|| format!("run {} has no record", run.name))?;
        let place = self.place(uri)?;
        let record = serde_json::from_str(&self.text(&place.path).await?)?;
        Ok((place, record))
    }

    /// What comes of comparing a run's predictions with labels.
    pub(crate) async fn verdict(&self, record: &Record, labels: &Labels) -> anyhow::Result<Verdict> {
        let mut verdict = labels.verdict();
        for uri in record.outcomes.iter().filter_map(|outcome| outcome.predictions.as_deref()) {
            labels.judge(&self.text(&self.place(uri)?.path).await?, &mut verdict)?;
        }
        Ok(verdict)
    }

    /// The files of the first sensor of a run.
    pub(crate) fn example(&self, record: &Record, place: Place) -> anyhow::Result<Option<Example>> {
        let first = record.outcomes.first();
        let Some((predictions, log)) = first.and_then(|o| o.predictions.as_ref().zip(o.log.as_ref())) else {
            return Ok(None);
        };
        Ok(Some(Example { predictions: self.place(predictions)?, log: self.place(log)?, record: place }))
    }

    /// Where all of it is.
    pub(crate) fn store(&self) -> &Store {
        &self.0
    }

    /// Copies everything to a folder, in place of what an earlier demo left there.
    pub(crate) async fn copy(&self, folder: &Path) -> anyhow::Result<()> {
        if folder.exists() {
            std::fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
        }
        for prefix in FOLDERS {
            for file in self.0.list(prefix, FILES).await? {
                let path = folder.join(&file.path);
                let bytes = self.0.get(&file.path, LIMIT).await?;
                let written = std::fs::create_dir_all(path.parent().unwrap_or(folder))
                    .and_then(|()| std::fs::write(&path, &bytes));
                written.with_context(|| format!("writing {}", path.display()))?;
            }
        }
        Ok(())
    }

    /// Where a URI's file is in the store.
    fn place(&self, uri: &str) -> anyhow::Result<Place> {
        let root = self.0.url().trim_end_matches('/');
        let path = uri.strip_prefix(root).and_then(|path| path.strip_prefix('/'));
        let path = path.with_context(|| format!("{uri} is not in the store {root}"))?.to_owned();
        Ok(Place { uri: uri.to_owned(), path })
    }

    pub(crate) async fn text(&self, path: &str) -> anyhow::Result<String> {
        let bytes = self.0.get(path, LIMIT).await.with_context(|| format!("reading {path} back"))?;
        String::from_utf8(bytes.to_vec()).with_context(|| format!("{path} is no text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(state: &str, succeeded: u32, recall: f64, precision: f64) -> RunSummary {
        let run =
            RunView { name: "r-1".into(), state: state.into(), sensors: SENSORS, succeeded, ..RunView::default() };
        RunSummary {
            run,
            started_after_tick_seconds: None,
            verdict: Verdict::default(),
            precision,
            recall,
            pod_seconds: 1,
        }
    }

    #[test]
    fn a_run_that_scored_all_and_found_the_anomalies_has_no_faults() {
        assert!(summary("Complete", SENSORS, 0.9, 0.8).faults().is_empty());
    }

    #[test]
    fn a_failed_run_a_failed_sensor_and_missed_anomalies_are_faults() {
        assert_eq!(summary("Failed", SENSORS, 1.0, 1.0).faults(), ["run r-1 is Failed"]);
        assert_eq!(summary("Complete", SENSORS - 1, 1.0, 1.0).faults(), ["run r-1 scored 23 of 24 sensors"]);
        assert_eq!(summary("Complete", SENSORS, 0.5, 1.0).faults(), ["run r-1 has recall 0.500, below 0.9"]);
        assert_eq!(summary("Complete", SENSORS, 1.0, 0.5).faults(), ["run r-1 has precision 0.500, below 0.8"]);
    }
}
