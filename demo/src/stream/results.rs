//! What came of the stream, read back: windows from files and from the table, dead letters, predictions.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use store::Watermark;

use super::plan::{Key, Plan};
use super::sent::{Sent, Windows};
use super::servers::{PARTITIONS, Servers, TOPIC};
use crate::judge::{Labels, Verdict};
use crate::results::{Example, FILES, Results};
use crate::story::{RunView, Story};

const WATERMARKS: &str = "data/_watermarks";
const LETTERS: &str = "data/_deadletter/";
/// Files of windows are below a year.
const WINDOWS: &str = "data/2";
/// Milliseconds of a file of windows: its last is written when the watermark is at its end.
const SLICE: i64 = 60_000;
/// The clock takes the watermark there within a minute and some seconds of silence.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(500);
const TABLE: &str = r#"SELECT extract(epoch FROM "TS")::bigint, "Device", "Tag", count FROM windows"#;

/// What was found in the end.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Found {
    pub(crate) files: Windows,
    pub(crate) table: Windows,
    /// Dead letters, by reason.
    pub(crate) letters: BTreeMap<String, u64>,
    /// Rows of predictions in the database.
    pub(crate) predictions: u64,
}

/// A run, and what its predictions are worth.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScoredRun {
    #[serde(flatten)]
    pub(crate) run: RunView,
    pub(crate) window_start: Timestamp,
    pub(crate) window_end: Timestamp,
    /// Rows of windows that it was to score.
    pub(crate) expected: u64,
    pub(crate) verdict: Verdict,
    /// From the last event of the window to the first sensor's predictions, and to the last one's.
    pub(crate) seconds_to_first: f64,
    pub(crate) seconds_to_last: f64,
}

/// Returns once all that was sent is in the store, by its marks.
pub(crate) async fn until_complete(results: &Results, sent: &Sent) -> anyhow::Result<()> {
    let end = Timestamp::from_millisecond((sent.until.div_euclid(SLICE) + 1) * SLICE)?;
    let folder = format!("{WATERMARKS}/{TOPIC}");
    let began = Instant::now();
    loop {
        let mut behind = Vec::new();
        for partition in 0..u32::try_from(PARTITIONS)? {
            let mark = Watermark::read(results.store(), &folder, partition).await?;
            let at = mark.and_then(|mark| mark.watermark);
            if at.is_none_or(|at| at < end) {
                behind.push(format!("{partition} at {}", at.map_or_else(|| "none".to_owned(), |at| at.to_string())));
            }
        }
        if behind.is_empty() {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            bail!("the watermarks have not come to {end} in {} s: partition {}", PATIENCE.as_secs(), behind.join(", "));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Reads all of it back.
pub(crate) async fn find(results: &Results, servers: &Servers, sent: &Sent) -> anyhow::Result<Found> {
    let mut rows = Vec::new();
    let mut letters = BTreeMap::new();
    for file in results.store().list(WINDOWS, FILES).await? {
        windows(&results.text(&file.path).await?, &mut rows).with_context(|| file.path.clone())?;
    }
    for file in results.store().list(LETTERS, FILES).await? {
        for line in results.text(&file.path).await?.lines() {
            let letter: Value = serde_json::from_str(line).with_context(|| file.path.clone())?;
            *letters.entry(letter["reason"].as_str().unwrap_or("?").to_owned()).or_default() += 1;
        }
    }
    let table = servers.sql(TABLE).await?;
    let table: Vec<_> = table.lines().map(row).collect::<anyhow::Result<_>>().context("the table of windows")?;
    let (_, predictions) = servers.counts().await?;
    Ok(Found { files: sent.compare(rows), table: sent.compare(table), letters, predictions })
}

/// The windows of a file: `TS,Device,Tag,avg,count`.
fn windows(csv: &str, rows: &mut Vec<(Key, u64)>) -> anyhow::Result<()> {
    for line in csv.lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        let [at, device, tag, _, count] = fields[..] else { bail!("not five fields: {line}") };
        let at = at.parse::<Timestamp>()?.as_second();
        rows.push(((at, (device.parse()?, tag.parse()?)), count.parse()?));
    }
    Ok(())
}

fn row(line: &str) -> anyhow::Result<(Key, u64)> {
    let fields: Vec<_> = line.split(',').collect();
    let [at, device, tag, count] = fields[..] else { bail!("not four fields: {line}") };
    Ok(((at.parse()?, (device.parse()?, tag.parse()?)), count.parse()?))
}

/// Compares each run's predictions with what was to be found in its window.
pub(crate) async fn judge(
    results: &Results,
    story: &Story,
    plan: &Plan,
    sent: &Sent,
) -> anyhow::Result<(Vec<ScoredRun>, Example)> {
    let mut example = Example::default();
    let mut runs = Vec::new();
    for run in story.runs() {
        let (place, record) = results.record(run).await?;
        let window = record.window.with_context(|| format!("run {} has no window", run.name))?;
        let from = window.start.as_second().max(sent.begin.div_euclid(1_000));
        let until = window.end.as_second();
        let (labels, expected) = plan.labels(from, until);
        let verdict = results.verdict(&record, &Labels::parse(&labels)?).await?;
        let last =
            sent.last_of(from, until).with_context(|| format!("run {} has a window without events", run.name))?;
        let after =
            |outcome: &store::Outcome| (outcome.started.as_millisecond() - last) as f64 / 1_000.0 + outcome.seconds;
        let seconds: Vec<f64> = record.outcomes.iter().map(after).collect();
        example = results.example(&record, place)?.unwrap_or(example);
        runs.push(ScoredRun {
            run: run.clone(),
            window_start: window.start,
            window_end: window.end,
            expected,
            verdict,
            seconds_to_first: seconds.iter().copied().fold(f64::INFINITY, f64::min),
            seconds_to_last: seconds.iter().copied().fold(0.0, f64::max),
        });
    }
    Ok((runs, example))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_files_and_of_the_table_are_the_same_windows() {
        let mut rows = Vec::new();
        windows("TS,Device,Tag,avg,count\n1970-01-01T00:01:05Z,1,5,104.5,500\n", &mut rows).unwrap();
        assert_eq!(rows, [((65, (1, 5)), 500)]);
        assert_eq!(row("65,1,5,500").unwrap(), rows[0]);
        assert!(windows("TS\n1970-01-01T00:01:05Z,1\n", &mut rows).is_err());
    }
}
