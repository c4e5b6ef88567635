//! What the demo ends with: what happened, and where things are.

use std::fmt::Write;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use crate::install::{NAMESPACE, SCHEDULE};
use crate::results::{Example, RunSummary};
use crate::story::NodeCount;
use crate::ui::StageTime;

/// Everything that the demo tells at its end; `--json` writes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    pub(crate) runs: Vec<RunSummary>,
    pub(crate) nodes: Vec<NodeCount>,
    pub(crate) machines: usize,
    pub(crate) stages: Vec<StageTime>,
    pub(crate) seconds_from_control_plane: f64,
    /// Files of one sensor in the last run, by their URI in Blob Storage.
    pub(crate) example: Example,
    /// A folder with a copy of everything that was in Blob Storage at the end.
    pub(crate) copy: PathBuf,
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
        nodes(&self.nodes, self.machines, &mut line);
        line("Where the results are in Blob Storage: one sensor's, of the last run".into());
        line(format!("  predictions  {}", self.example.predictions.uri));
        line(format!("  log          {}", self.example.log.uri));
        line(format!("  record       {}", self.example.record.uri));
        line(format!("A copy of all of it is in {}; to read it:", self.copy.display()));
        line(format!("  cd {}", self.copy.display()));
        line(format!("  head {}", self.example.predictions.path));
        line(format!("  cat {}", self.example.log.path));
        line(format!("  less {}", self.example.record.path));
        times(&self.stages, self.seconds_from_control_plane, &mut line);
        out
    }
}

/// Tells how many nodes the pool had, and when.
pub(crate) fn nodes(counts: &[NodeCount], machines: usize, line: &mut impl FnMut(String)) {
    line(format!("Nodes of the pool over time ({machines} machines made and deleted)"));
    for NodeCount { at, seconds, nodes, ready } in counts {
        line(format!("  {}  {seconds:6.1} s  {nodes} {}", time(Some(*at)), bar(*nodes, *ready)));
    }
}

/// Tells how long stages took.
pub(crate) fn times(stages: &[StageTime], from_control_plane: f64, line: &mut impl FnMut(String)) {
    line("Time".into());
    for stage in stages {
        line(format!("  {:<23} {:6.1} s", stage.stage, stage.seconds));
    }
    line(format!("  from control plane up to here  {from_control_plane:.1} s"));
}

fn bar(nodes: usize, ready: usize) -> String {
    format!("{}{}", "■".repeat(ready), "□".repeat(nodes.saturating_sub(ready)))
}

pub(crate) fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "?".into(), |at| at.strftime("%H:%M:%S").to_string())
}
