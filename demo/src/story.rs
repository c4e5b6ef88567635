//! What the watched objects tell: which events to show, the counts over time, and when the demo is over. No I/O.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

/// The pool's nodes and the schedule's runs at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) nodes: Vec<NodeView>,
    pub(crate) runs: Vec<RunView>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeView {
    pub(crate) name: String,
    pub(crate) ready: bool,
    pub(crate) cordoned: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunView {
    pub(crate) name: String,
    pub(crate) tick: Option<Timestamp>,
    pub(crate) started: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) state: String,
    pub(crate) sensors: u32,
    pub(crate) succeeded: u32,
    pub(crate) failed: u32,
    pub(crate) rows: u64,
    pub(crate) anomalies: u64,
    pub(crate) record: Option<String>,
    pub(crate) logs: Option<String>,
}

impl RunView {
    pub(crate) fn is_over(&self) -> bool {
        self.state == "Complete" || self.state == "Failed"
    }

    /// How long after its tick the run started.
    pub(crate) fn lateness(&self) -> Option<f64> {
        Some(self.started?.duration_since(self.tick?).as_secs_f64())
    }
}

/// How many nodes the pool had from a moment on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NodeCount {
    pub(crate) seconds: f64,
    pub(crate) at: Timestamp,
    pub(crate) nodes: usize,
    pub(crate) ready: usize,
}

/// What happened so far.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    began: Timestamp,
    nodes: BTreeMap<String, NodeView>,
    runs: BTreeMap<String, RunView>,
    counts: Vec<NodeCount>,
    machines: usize,
}

impl Story {
    pub(crate) fn new(began: Timestamp) -> Self {
        let start = NodeCount { seconds: 0.0, at: began, nodes: 0, ready: 0 };
        Self { began, nodes: BTreeMap::new(), runs: BTreeMap::new(), counts: vec![start], machines: 0 }
    }

    /// Takes in what is seen now and gives what is new, one line each.
    pub(crate) fn observe(&mut self, now: Timestamp, seen: Snapshot) -> Vec<String> {
        let mut events = Vec::new();
        let mut nodes = BTreeMap::new();
        for node in seen.nodes {
            let before = self.nodes.remove(&node.name);
            if before.is_none() {
                self.machines += 1;
                events.push(format!("node {} registered", node.name));
            }
            if node.ready && !before.as_ref().is_some_and(|b| b.ready) {
                events.push(format!("node {} ready", node.name));
            }
            if node.cordoned && !before.as_ref().is_some_and(|b| b.cordoned) {
                events.push(format!("node {} cordoned, to go", node.name));
            }
            nodes.insert(node.name.clone(), node);
        }
        events.extend(self.nodes.keys().map(|name| format!("node {name} gone")));
        self.nodes = nodes;
        for run in seen.runs {
            let before = self.runs.get(&run.name);
            if before.is_none_or(|b| b.state != run.state) && !run.state.is_empty() {
                events.push(describe(&run));
            }
            self.runs.insert(run.name.clone(), run);
        }
        let (count, ready) = (self.nodes.len(), self.nodes.values().filter(|n| n.ready).count());
        if self.counts.last().is_none_or(|last| (last.nodes, last.ready) != (count, ready)) {
            let seconds = now.duration_since(self.began).as_secs_f64();
            self.counts.push(NodeCount { seconds, at: now, nodes: count, ready });
        }
        events
    }

    /// Runs by tick.
    pub(crate) fn runs(&self) -> Vec<&RunView> {
        let mut runs: Vec<_> = self.runs.values().collect();
        runs.sort_by_key(|run| (run.tick, run.name.clone()));
        runs
    }

    pub(crate) fn counts(&self) -> &[NodeCount] {
        &self.counts
    }

    /// Machines that the pool has had.
    pub(crate) fn machines(&self) -> usize {
        self.machines
    }

    /// Sensors done and sensors of all, in the run that goes on.
    pub(crate) fn progress(&self) -> (u64, u64) {
        self.runs()
            .iter()
            .rev()
            .find(|run| run.sensors > 0)
            .map_or((0, 0), |run| (u64::from(run.succeeded) + u64::from(run.failed), u64::from(run.sensors)))
    }

    /// One line about now.
    pub(crate) fn now(&self) -> String {
        let ready = self.nodes.values().filter(|node| node.ready).count();
        let run = self.runs().last().map_or_else(
            || "waiting for the first tick".to_owned(),
            |run| {
                let done = run.succeeded + run.failed;
                format!("{} {} {done}/{}", run.name, run.state.to_lowercase(), run.sensors)
            },
        );
        format!("{ready}/{} nodes ready · {run}", self.nodes.len())
    }

    /// Whether so many runs have ended and no node is left.
    pub(crate) fn is_over(&self, runs: usize) -> bool {
        self.nodes.is_empty()
            && self.runs.len() >= runs
            && self.runs.values().all(RunView::is_over)
            && self.machines > 0
    }
}

fn describe(run: &RunView) -> String {
    let late = run.lateness().map(|late| format!(", started {late:.0} s after its tick")).unwrap_or_default();
    match run.state.as_str() {
        "Planning" => format!("run {} planning{late}", run.name),
        "Waiting" => format!("run {} planned: {} sensors, waiting for nodes", run.name, run.sensors),
        "Complete" | "Failed" => format!(
            "run {} {}: {} of {} sensors scored, {} failed, {} rows, {} anomalies",
            run.name,
            run.state.to_lowercase(),
            run.succeeded,
            run.sensors,
            run.failed,
            run.rows,
            run.anomalies
        ),
        other => format!("run {} {}", run.name, other.to_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    fn node(name: &str, ready: bool) -> NodeView {
        NodeView { name: name.into(), ready, cordoned: false }
    }

    fn run(name: &str, state: &str) -> RunView {
        RunView { name: name.into(), state: state.into(), ..RunView::default() }
    }

    #[test]
    fn each_thing_is_told_once_and_nodes_are_counted_when_they_change() {
        let mut story = Story::new(at(0));
        let one = || Snapshot { nodes: vec![node("a", false)], runs: vec![run("r-1", "Running")] };
        assert_eq!(story.observe(at(1), one()), ["node a registered", "run r-1 running"]);
        assert!(story.observe(at(2), one()).is_empty());
        assert_eq!(
            story.observe(at(3), Snapshot { nodes: vec![node("a", true)], runs: vec![run("r-1", "Running")] }),
            ["node a ready"]
        );
        let counts: Vec<_> = story.counts().iter().map(|c| (c.seconds, c.nodes, c.ready)).collect();
        assert_eq!(counts, [(0.0, 0, 0), (1.0, 1, 0), (3.0, 1, 1)]);
    }

    #[test]
    fn it_is_over_when_two_runs_have_ended_and_the_pool_is_empty_again() {
        let mut story = Story::new(at(0));
        assert!(!story.is_over(2), "an empty pool at the beginning is not the end");
        let runs = || vec![run("r-1", "Complete"), run("r-2", "Complete")];
        story.observe(at(1), Snapshot { nodes: vec![node("a", true)], runs: runs() });
        assert!(!story.is_over(2), "a node is left");
        assert_eq!(story.observe(at(2), Snapshot { nodes: vec![], runs: runs() }), ["node a gone"]);
        assert!(story.is_over(2));
        story.observe(at(3), Snapshot { nodes: vec![], runs: vec![run("r-3", "Planning")] });
        assert!(!story.is_over(2), "a third run has begun");
        assert_eq!(story.machines(), 1);
    }
}
