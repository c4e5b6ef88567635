//! What is too old to be kept, as pure functions of names, times and spans; and what is remembered between two sweeps.

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use spec::report::Deleted;
use spec::{Retention, Span};

use crate::{File, RequestCounts, Seek};

/// The version of this form.
pub const VERSION: u32 = 1;
/// The most bytes of one.
pub const MAX_BYTES: u64 = 64 * 1024;
/// How much longer a run without a record is kept: it may still wait for nodes, and needs its manifest then.
const UNFINISHED: Span = Span::from_secs(30 * 86_400);

/// `_retention.json`: the latest sweep of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Swept {
    /// The version of this form.
    pub version: u32,
    /// The spans that it was made for.
    pub retention: Retention,
    /// The run that swept last.
    pub run: String,
    /// When the sweep began.
    pub started: Timestamp,
    /// When everything had been looked at; absent where a later run has to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<Timestamp>,
    /// Up to where everything has been looked at; absent where nothing was, and when all was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<Position>,
    /// What the sweep deleted, by all of its runs.
    pub deleted: Deleted,
    /// What it cost.
    #[serde(default)]
    pub store_requests: RequestCounts,
}

/// A part of what is swept, in this order: flat logs and then runs, since a run tells which flat logs are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Part {
    /// Logs in folders of their runs.
    Logs,
    /// Logs in the one folder of all schedules.
    FlatLogs,
    /// Runs.
    Runs,
    /// Predictions.
    Predictions,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Logs, Self::FlatLogs, Self::Runs, Self::Predictions];
}

/// How far a sweep has got.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The part; those before it are done.
    pub part: Part,
    /// The last folder in it that is done; empty where none is.
    pub after: String,
}

/// What a run that ends does about retention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: this day's sweep was made.
    Nothing,
    /// A new sweep.
    Begin,
    /// The rest of a sweep that ran out of time.
    GoOn(Position),
}

/// What is to be done: one sweep a day (UTC), and a new one when the spans are others.
#[must_use]
pub fn next(last: Option<&Swept>, retention: &Retention, now: Timestamp) -> Next {
    let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
    match last {
        _ if !retention.is_some() => Next::Nothing,
        Some(last) if last.version == VERSION && last.retention == *retention => match (&last.completed, &last.up_to) {
            (Some(completed), _) if day(*completed) >= day(now) => Next::Nothing,
            (None, Some(position)) => Next::GoOn(position.clone()),
            _ => Next::Begin,
        },
        _ => Next::Begin,
    }
}

/// The times before which things must have been written last to be too old; none where they are kept for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutoffs {
    /// Of runs.
    pub runs: Option<Timestamp>,
    /// Of logs.
    pub logs: Option<Timestamp>,
    /// Of predictions.
    pub predictions: Option<Timestamp>,
}

impl Cutoffs {
    /// Those of a time. With flat logs, runs are kept as long as logs at least.
    #[must_use]
    pub fn at(now: Timestamp, retention: &Retention, flat_logs: bool) -> Self {
        // A span that reaches back before all times keeps all.
        let before = |span: Option<Span>| span.and_then(|span| now.checked_sub(span.to_signed()).ok());
        let (runs, logs) = (before(retention.runs), before(retention.logs));
        let with_logs = runs.map(|runs| if flat_logs { logs.map_or(runs, |logs| runs.min(logs)) } else { runs });
        Self { runs: with_logs, logs, predictions: before(retention.predictions) }
    }
}

/// Whether a file is too old.
#[must_use]
pub fn is_old(file: &File, cutoff: Timestamp) -> bool {
    file.modified < cutoff
}

/// Whether a run can go, as a whole, given all that is below its folder: everything is too old. One without a record may
/// still go on, and is kept longer.
#[must_use]
pub fn run_is_old(files: &[File], record: &str, cutoff: Timestamp) -> bool {
    let ended = files.iter().any(|file| file.path == record);
    let cutoff = if ended { Ok(cutoff) } else { cutoff.checked_sub(UNFINISHED.to_signed()) };
    cutoff.is_ok_and(|cutoff| files.iter().all(|file| is_old(file, cutoff)))
}

/// Whether what is named after a time may be too old: it cannot have been written before that time. Names sort by their
/// times, so none after one that is too young is.
#[must_use]
pub fn seek(named: Option<Timestamp>, cutoff: Timestamp) -> Seek {
    match named {
        Some(at) if at < cutoff => Seek::Take,
        Some(_) => Seek::End,
        None => Seek::Skip,
    }
}

#[cfg(test)]
mod tests;
