//! What the demo of a stream ends with.

use std::fmt::Write;
use std::path::PathBuf;

use serde::Serialize;

use super::results::{Found, ScoredRun};
use super::sent::Sent;
use crate::judge::{MIN_PRECISION, MIN_RECALL, Verdict};
use crate::results::Example;
use crate::story::NodeCount;
use crate::summary::{nodes, time, times};
use crate::ui::StageTime;
use crate::workload::SENSORS;

/// Everything that it tells; `--json` writes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    pub(crate) stream: Stream,
    pub(crate) found: Found,
    pub(crate) runs: Vec<ScoredRun>,
    /// Of all runs together.
    pub(crate) verdict: Verdict,
    pub(crate) precision: f64,
    pub(crate) recall: f64,
    pub(crate) nodes: Vec<NodeCount>,
    pub(crate) machines: usize,
    pub(crate) stages: Vec<StageTime>,
    pub(crate) seconds_from_control_plane: f64,
    pub(crate) example: Example,
    /// A folder with a copy of everything that was in Blob Storage at the end.
    pub(crate) copy: PathBuf,
}

/// What was sent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stream {
    pub(crate) events: u64,
    pub(crate) late: u64,
    pub(crate) malformed: u64,
    pub(crate) counted: u64,
    pub(crate) windows: u64,
    pub(crate) seconds: f64,
}

impl Stream {
    pub(crate) fn of(sent: &Sent) -> Self {
        let Sent { begin, until, events, late, malformed, windows, .. } = sent;
        Self {
            events: *events,
            late: *late,
            malformed: *malformed,
            counted: sent.counted(),
            windows: windows.len() as u64,
            seconds: (until - begin) as f64 / 1_000.0,
        }
    }
}

/// All runs' counts together.
pub(crate) fn total(runs: &[ScoredRun]) -> Verdict {
    runs.iter().map(|run| run.verdict).fold(Verdict::default(), |sum, verdict| Verdict {
        rows: sum.rows + verdict.rows,
        injected: sum.injected + verdict.injected,
        found: sum.found + verdict.found,
        right: sum.right + verdict.right,
    })
}

impl Summary {
    /// What is wrong; nothing when every event is in its window once, and every window was scored.
    pub(crate) fn faults(&self, wanted: usize) -> Vec<String> {
        let Self { stream, found, .. } = self;
        let mut faults = Vec::new();
        for (what, windows) in [("files", found.files), ("the table", found.table)] {
            let is = (windows.rows, windows.events, windows.wrong);
            if is != (stream.windows, stream.counted, 0) {
                faults.push(format!(
                    "{what}: {} windows with {} events, {} of them wrong; {} with {} were sent",
                    windows.rows, windows.events, windows.wrong, stream.windows, stream.counted
                ));
            }
        }
        let letters = |reason: &str| found.letters.get(reason).copied().unwrap_or_default();
        let all: u64 = found.letters.values().sum();
        if (letters("Late"), letters("Malformed"), all)
            != (stream.late, stream.malformed, stream.late + stream.malformed)
        {
            let Stream { late, malformed, .. } = stream;
            faults.push(format!(
                "dead letters {:?}; {late} late events and {malformed} malformed ones were sent",
                found.letters
            ));
        }
        if self.runs.len() < wanted {
            faults.push(format!("{} runs in place of {wanted}", self.runs.len()));
        }
        faults.extend(self.runs.iter().flat_map(of_run));
        if found.predictions != self.verdict.rows {
            faults.push(format!("{} predictions in the table, {} in files", found.predictions, self.verdict.rows));
        }
        if self.recall < MIN_RECALL || self.precision < MIN_PRECISION {
            faults.push(format!("recall {:.3}, precision {:.3}", self.recall, self.precision));
        }
        faults
    }

    /// For people.
    pub(crate) fn render(&self) -> String {
        let Self { stream, found, .. } = self;
        let mut out = String::new();
        let mut line = |text: String| {
            let _ = writeln!(out, "{text}");
        };
        line("From sensors to windows".into());
        line(format!(
            "  {} events sent by {SENSORS} sensors in {:.0} s, {:.0} a second; {} late and {} malformed ones among them",
            stream.events,
            stream.seconds,
            stream.events as f64 / stream.seconds.max(0.001),
            stream.late,
            stream.malformed
        ));
        for (what, windows) in [("in files:     ", found.files), ("in PostgreSQL:", found.table)] {
            line(format!(
                "  {what} {} windows of 5 s with {} events, {} of them wrong",
                windows.rows, windows.events, windows.wrong
            ));
        }
        let letters: Vec<_> = found.letters.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        line(format!("  dead letters:  {}", letters.join(", ")));
        line("From windows to predictions".into());
        for scored in &self.runs {
            let run = &scored.run;
            let (start, end) = (time(Some(scored.window_start)), time(Some(scored.window_end)));
            line(format!(
                "  {}  {start} to {end}  {} of {} sensors, {} of {} windows scored  {}",
                run.name, run.succeeded, run.sensors, scored.verdict.rows, scored.expected, run.state
            ));
            line(format!(
                "    predictions {:.1} s (first sensor) to {:.1} s (last) after the last event",
                scored.seconds_to_first, scored.seconds_to_last
            ));
        }
        let Verdict { injected, found: alarms, right, .. } = self.verdict;
        line(format!(
            "  anomalies: {injected} injected, {alarms} found, {right} of them injected: recall {:.3}, precision {:.3}",
            self.recall, self.precision
        ));
        line(format!("  predictions in PostgreSQL: {}", found.predictions));
        nodes(&self.nodes, self.machines, &mut line);
        line(format!("A copy of what was in Blob Storage is in {}; to read it:", self.copy.display()));
        line(format!("  cd {}", self.copy.display()));
        line("  head data/2*/*/*/*/*-0000.csv".into());
        line("  head -1 data/_deadletter/*/*/*/*/*".into());
        line(format!("  head {}", self.example.predictions.path));
        line(format!("  less {}", self.example.record.path));
        times(&self.stages, self.seconds_from_control_plane, &mut line);
        out
    }
}

fn of_run(scored: &ScoredRun) -> Vec<String> {
    let ScoredRun { run, expected, verdict, .. } = scored;
    let mut faults = Vec::new();
    if run.state != "Complete" {
        faults.push(format!("run {} is {}", run.name, run.state));
    }
    if run.sensors != SENSORS || run.succeeded != SENSORS {
        faults.push(format!("run {} scored {} of {SENSORS} sensors", run.name, run.succeeded));
    }
    if verdict.rows != *expected {
        faults.push(format!("run {} scored {} of {expected} windows", run.name, verdict.rows));
    }
    faults
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::*;
    use crate::story::RunView;
    use crate::stream::sent::Windows;

    fn summary() -> Summary {
        let windows = Windows { rows: 24, events: 96, wrong: 0 };
        let verdict = Verdict { rows: 24, injected: 10, found: 10, right: 10 };
        let run = RunView { state: "Complete".into(), sensors: SENSORS, succeeded: SENSORS, ..RunView::default() };
        let run = ScoredRun {
            run,
            window_start: Timestamp::UNIX_EPOCH,
            window_end: Timestamp::UNIX_EPOCH,
            expected: 24,
            verdict,
            seconds_to_first: 1.0,
            seconds_to_last: 2.0,
        };
        let letters = BTreeMap::from([("Late".to_owned(), 2), ("Malformed".to_owned(), 2)]);
        Summary {
            stream: Stream { events: 100, late: 2, malformed: 2, counted: 96, windows: 24, seconds: 5.0 },
            found: Found { files: windows, table: windows, letters, predictions: 24 },
            runs: vec![run],
            verdict,
            precision: 1.0,
            recall: 1.0,
            nodes: Vec::new(),
            machines: 1,
            stages: Vec::new(),
            seconds_from_control_plane: 1.0,
            example: Example::default(),
            copy: PathBuf::new(),
        }
    }

    fn one_fault(change: impl Fn(&mut Summary), hint: &str) {
        let mut summary = summary();
        change(&mut summary);
        let faults = summary.faults(1);
        assert!(faults.len() == 1 && faults[0].contains(hint), "{faults:?}");
    }

    #[test]
    fn a_stream_of_which_all_is_there_and_scored_has_no_faults() {
        assert_eq!(summary().faults(1), [""; 0]);
    }

    #[test]
    fn whatever_is_missing_is_a_fault() {
        one_fault(|s| s.found.files.events = 95, "files: 24 windows with 95 events");
        one_fault(|s| s.found.table.wrong = 1, "the table: 24 windows with 96 events, 1 of them wrong");
        one_fault(|s| s.found.letters.extend([("Late".to_owned(), 3)]), "dead letters");
        one_fault(|s| s.found.letters.extend([("Future".to_owned(), 1)]), "dead letters");
        one_fault(|s| s.found.predictions = 23, "23 predictions in the table");
        one_fault(|s| s.runs[0].run.state = "Failed".into(), "is Failed");
        one_fault(|s| s.runs[0].run.succeeded = 23, "scored 23 of 24 sensors");
        one_fault(|s| s.runs[0].expected = 25, "scored 24 of 25 windows");
        one_fault(|s| s.recall = 0.5, "recall 0.500");
    }
}
