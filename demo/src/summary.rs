//! What the demo ends with: what happened, and where things are.

use std::fmt::Write;

use anyhow::Context;
use jiff::Timestamp;
use local_aks::Facts;
use serde::Serialize;
use store::record::Record;
use store::{Credentials, Store};

use crate::install::{NAMESPACE, SCHEDULE};
use crate::judge::{Labels, Verdict};
use crate::story::{NodeCount, RunView, Story};
use crate::ui::StageTime;

/// Far more than the demo writes.
const LIMIT: u64 = 64 * 1024 * 1024;

/// Everything that the demo tells at its end; `--json` writes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    pub(crate) runs: Vec<RunSummary>,
    pub(crate) nodes: Vec<NodeCount>,
    pub(crate) machines: usize,
    pub(crate) stages: Vec<StageTime>,
    pub(crate) seconds_from_control_plane: f64,
    pub(crate) example: Example,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunSummary {
    #[serde(flatten)]
    run: RunView,
    started_after_tick_seconds: Option<f64>,
    verdict: Verdict,
    precision: f64,
    recall: f64,
    pod_seconds: u64,
}

/// One sensor's files, to show how results are read.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Example {
    predictions: String,
    log: String,
    record: String,
    manifest: String,
}

/// Reads the runs' records and predictions back from the store, and compares them with the labels.
pub(crate) async fn gather(facts: &Facts, story: &Story) -> anyhow::Result<(Vec<RunSummary>, Example)> {
    let store = Store::open(&facts.store_url, &Credentials::account_key(&facts.store_key))?;
    let labels = Labels::parse(&text(&store, "data/labels.csv").await?)?;
    let mut example = Example::default();
    let mut runs = Vec::new();
    for run in story.runs() {
        let uri = run.record.as_deref().with_context(|| format!("run {} has no record", run.name))?;
        let record: Record = serde_json::from_str(&text(&store, &path(&store, uri)?).await?)?;
        let mut verdict = Verdict::default();
        for uri in record.outcomes.iter().filter_map(|outcome| outcome.predictions.as_deref()) {
            labels.judge(&text(&store, &path(&store, uri)?).await?, &mut verdict)?;
        }
        if let Some(outcome) = record.outcomes.first() {
            example = Example {
                predictions: outcome.predictions.clone().unwrap_or_default(),
                log: outcome.log.clone().unwrap_or_default(),
                record: uri.to_owned(),
                manifest: record.manifest.clone(),
            };
        }
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

/// The path that a URI names in the store.
fn path(store: &Store, uri: &str) -> anyhow::Result<String> {
    let path = uri.strip_prefix(store.url().trim_end_matches('/')).and_then(|path| path.strip_prefix('/'));
    path.map(String::from).with_context(|| format!("{uri} is not in the store {}", store.url()))
}

async fn text(store: &Store, path: &str) -> anyhow::Result<String> {
    let bytes = store.get(path, LIMIT).await.with_context(|| format!("reading {path} back"))?;
    String::from_utf8(bytes.to_vec()).with_context(|| format!("{path} is no text"))
}

impl Summary {
    /// For people.
    pub(crate) fn render(&self) -> String {
        let mut out = String::new();
        let mut line = |text: String| {
            let _ = writeln!(out, "{text}");
        };
        line(format!("Runs of the schedule {NAMESPACE}/{SCHEDULE}"));
        for summary in &self.runs {
            let run = &summary.run;
            let late = summary.started_after_tick_seconds.map_or_else(|| "?".into(), |late| format!("{late:.0} s"));
            line(format!(
                "  {}  tick {}  started {late} after it  ended {}  {}",
                run.name,
                time(run.tick),
                time(run.ended),
                run.state
            ));
            line(format!(
                "    {} of {} sensors scored, {} readings, {} pod-seconds",
                run.succeeded, run.sensors, summary.verdict.rows, summary.pod_seconds
            ));
            line(format!(
                "    anomalies: {} injected, {} found, {} of them injected: recall {:.3}, precision {:.3}",
                summary.verdict.injected,
                summary.verdict.found,
                summary.verdict.right,
                summary.recall,
                summary.precision
            ));
        }
        line(format!("Nodes of the pool over time ({} machines made and deleted)", self.machines));
        for count in &self.nodes {
            line(format!(
                "  {}  {:6.1} s  {} {}",
                time(Some(count.at)),
                count.seconds,
                count.nodes,
                bar(count.nodes, count.ready)
            ));
        }
        line("Where the results are (Blob Storage)".into());
        line(format!("  predictions  {}", self.example.predictions));
        line(format!("  log          {}", self.example.log));
        line(format!("  record       {}", self.example.record));
        line(format!("  manifest     {}", self.example.manifest));
        line("Time".into());
        for stage in &self.stages {
            line(format!("  {:<23} {:6.1} s", stage.stage, stage.seconds));
        }
        line(format!("  from control plane up to here  {:.1} s", self.seconds_from_control_plane));
        out
    }
}

fn bar(nodes: usize, ready: usize) -> String {
    format!("{}{}", "■".repeat(ready), "□".repeat(nodes.saturating_sub(ready)))
}

fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "?".into(), |at| at.strftime("%H:%M:%S").to_string())
}
