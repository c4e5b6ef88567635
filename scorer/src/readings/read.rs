//! Readings as a whole, in memory: for files that are known to be small.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;

use spec::work::Columns;
use spec::{SensorKeys, TimeRange};

use super::pass::{Head, Limits, Pass, Sink, Wanted};
use super::{Counts, ReadingsError, Rows, Selection, Unplaced};

/// What a file held, by sensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Readings {
    /// What was known before the rows.
    pub head: Arc<Head>,
    /// The sensors found; with a given set of sensors exactly those, so that one without any row is there, empty.
    pub sensors: BTreeMap<SensorKeys, SensorReadings>,
    /// Rows of which it cannot be told whose they are.
    pub unplaced: Unplaced,
}

/// One sensor's readings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SensorReadings {
    /// What was counted.
    pub counts: Counts,
    /// The good rows.
    pub good: Rows,
}

/// Reads files, one after the other as if they were one, and keeps what is wanted; see [`Pass`].
///
/// # Errors
/// As [`Pass::file`] and [`Pass::end`].
pub fn read<R: Read>(files: impl IntoIterator<Item = (String, R)>, wanted: Wanted) -> Result<Readings, ReadingsError> {
    let (names, inputs): (Vec<String>, Vec<R>) = files.into_iter().unzip();
    let mut pass = Pass::new(wanted, names, Limits { block: usize::MAX, open: usize::MAX });
    let mut all = All::default();
    for input in inputs {
        // This sink never has enough.
        let _ = pass.file(input, &mut all)?;
    }
    let totals = pass.end(&mut all)?;
    let head = all.head.unwrap_or_default();
    let rows = all.sensors.into_iter().chain(std::iter::repeat_with(SensorReadings::default));
    let sensors = totals.sensors.into_iter().zip(rows).map(|((sensor, mut counts), found)| {
        counts.add_bad(found.counts.bad_rows, found.counts.first_bad);
        (sensor, SensorReadings { counts, good: found.good })
    });
    Ok(Readings { head, sensors: sensors.collect(), unplaced: totals.unplaced })
}

/// Reads a file of which nothing is said but which column is what; as [`read`].
///
/// # Errors
/// As [`read`].
pub fn read_csv(
    name: &str,
    input: impl Read,
    columns: &Columns,
    keys: &[String],
    fixed: &SensorKeys,
    sensors: Option<&BTreeSet<SensorKeys>>,
    window: Option<TimeRange>,
) -> Result<Readings, ReadingsError> {
    let (columns, keys, fixed, sensors) = (columns.clone(), keys.to_vec(), fixed.clone(), sensors.cloned());
    read([(name.to_owned(), input)], Wanted { columns, keys, fixed, sensors, window, ..Wanted::default() })
}

/// Keeps all good rows.
#[derive(Default)]
struct All {
    head: Option<Arc<Head>>,
    sensors: Vec<SensorReadings>,
}

impl Sink for All {
    fn begin(&mut self, head: &Arc<Head>) {
        self.head = Some(Arc::clone(head));
    }

    fn rows(&mut self, sensor: usize, rows: Rows) -> ControlFlow<()> {
        if sensor >= self.sensors.len() {
            self.sensors.resize_with(sensor + 1, SensorReadings::default);
        }
        if let (Some(head), Some(found)) = (&self.head, self.sensors.get_mut(sensor)) {
            let usable = rows.usable(head, &Selection::all(&head.layout));
            found.counts.add_bad(usable.bad_rows, usable.first_bad);
            found.good.append(&usable.rows);
        }
        ControlFlow::Continue(())
    }
}
