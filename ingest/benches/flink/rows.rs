//! What a side wrote, and whether it is what another one has.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// When a window begins, in seconds since 1970; device; tag.
pub(crate) type Key = (i64, u64, u64);
/// One row for each window of a sensor.
pub(crate) type Rows = BTreeMap<Key, Stats>;

/// Columns, in the order of both sides: `TS`, `Device`, `Tag`, `avg`, `min`, `max`, `count`.
const COLUMNS: usize = 7;
/// By how much averages may differ: sums of the same numbers in another order.
const NEAR: f64 = 1e-9;

/// What a window has of a sensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stats {
    pub(crate) avg: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) count: f64,
}

impl Stats {
    fn is_near(&self, other: &Self) -> bool {
        let same = |one: f64, other: f64| (one - other).abs() <= NEAR;
        self.count == other.count && same(self.avg, other.avg) && same(self.min, other.min) && same(self.max, other.max)
    }
}

/// Reads all files of CSV below a folder, with a header or without; windows that begin at `end` or later are left out. Files and
/// folders whose names begin with `.` or `_` are none of output.
pub(crate) fn read(folder: &Path, end: Timestamp) -> Result<Rows> {
    let mut rows = Rows::new();
    for file in files(folder)? {
        let named = || format!("cannot read {}", file.display());
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(&file).with_context(named)?;
        for (number, record) in reader.records().enumerate() {
            let record = record.with_context(named)?;
            if number == 0 && record.get(0) == Some("TS") {
                continue;
            }
            let (key, stats) =
                row(&record).with_context(|| format!("{}, line {}: {record:?}", file.display(), number + 1))?;
            if key.0 < end.as_second() && rows.insert(key, stats).is_some() {
                bail!("{}, line {}: a second row of {}", file.display(), number + 1, shown(key));
            }
        }
    }
    Ok(rows)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(['.', '_']) {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => found.extend(files(&entry.path())?),
            false => found.push(entry.path()),
        }
    }
    Ok(found)
}

fn row(record: &csv::StringRecord) -> Result<(Key, Stats)> {
    ensure!(record.len() == COLUMNS, "{} fields in place of {COLUMNS}", record.len());
    let number = |at: usize| record[at].parse::<f64>().with_context(|| format!("{:?} is no number", &record[at]));
    let key = (begin(&record[0])?, record[1].parse()?, record[2].parse()?);
    Ok((key, Stats { avg: number(3)?, min: number(4)?, max: number(5)?, count: number(6)? }))
}

/// A time with a zone, or in UTC without.
fn begin(text: &str) -> Result<i64> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_second());
    }
    let time: DateTime = text.parse().with_context(|| format!("{text:?} is no time"))?;
    Ok(time.to_zoned(TimeZone::UTC)?.timestamp().as_second())
}

fn shown((start, device, tag): Key) -> String {
    let start = Timestamp::from_second(start).map(|start| start.to_string()).unwrap_or_default();
    format!("device {device}, tag {tag} at {start}")
}

/// Checks that both have the same rows.
///
/// # Errors
/// How many differ, and the first.
pub(crate) fn same(found: &Rows, wanted: &Rows) -> Result<()> {
    let mut differences = Vec::new();
    for (key, want) in wanted {
        match found.get(key) {
            Some(has) if has.is_near(want) => {}
            Some(has) => differences.push((*key, format!("{has:?} in place of {want:?}"))),
            None => differences.push((*key, "is missing".to_owned())),
        }
    }
    let more = found.keys().filter(|key| !wanted.contains_key(key));
    differences.extend(more.map(|key| (*key, "is there, and should not be".to_owned())));
    match differences.first() {
        None => Ok(()),
        Some((key, what)) => {
            bail!("{} of {} rows differ; {} {what}", differences.len(), wanted.len(), shown(*key))
        }
    }
}
