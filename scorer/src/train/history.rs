//! One sensor's readings by their time: the first part to fit a model to, the last to judge it by.

use std::sync::Arc;

use super::sample::Sample;
use crate::readings::{Head, Rows, Selection, Usable};

/// Good readings of a sensor, as they come. Of very many those at even distances are kept, so that memory is bounded.
#[derive(Debug)]
pub struct History {
    head: Arc<Head>,
    /// Each reading's time, and then its values.
    sample: Sample,
    most: usize,
    /// Whether every time could be read; else the files' order is that of time.
    timed: bool,
    row: Vec<f64>,
}

/// A sensor's readings, divided.
#[derive(Clone, Debug, PartialEq)]
pub struct Divided {
    /// Values of a reading.
    pub n_features: usize,
    /// The readings to fit to, one after the other.
    pub fitted: Vec<f64>,
    /// The later ones.
    pub held_back: Vec<f64>,
}

impl History {
    /// Of files with this head, for a fit to so many readings at most, where a share (in percent) is held back.
    #[must_use]
    pub fn new(head: Arc<Head>, max_rows: usize, held_back: u8) -> Self {
        let fitted = usize::from(100 - held_back.min(99));
        // Twice as many are kept before every second goes, so at least as many as the fit uses are left.
        let most = max_rows.saturating_mul(200).div_ceil(fitted);
        let timed = head.layout.time.is_some();
        Self { head, sample: Sample::default(), most, timed, row: Vec::new() }
    }

    /// Adds the next rows; what it gives are those that cannot be used.
    pub fn add(&mut self, rows: Rows) -> Usable {
        let mut usable = rows.usable(&self.head, &Selection::all(&self.head.layout));
        let rows = std::mem::take(&mut usable.rows);
        for (number, values) in rows.values().chunks_exact(self.n_features().max(1)).enumerate() {
            let time = if self.timed { self.time(rows.time(number)) } else { None };
            // From the first time on that cannot be read, there are none.
            self.timed &= time.is_some();
            self.row.clear();
            self.row.push(time.unwrap_or(0.0));
            self.row.extend_from_slice(values);
            self.sample.add(&self.row, self.most);
        }
        usable
    }

    fn n_features(&self) -> usize {
        self.head.layout.values.len()
    }

    fn time(&self, text: &str) -> Option<f64> {
        let time = self.head.layout.times.instant(text.as_bytes())?;
        Some(time.as_duration().as_secs_f64())
    }

    /// Whether the readings are ordered by their times, and not as the files have them.
    #[must_use]
    pub fn is_timed(&self) -> bool {
        self.timed
    }

    /// Divides the readings by time, so that a share (in percent) of them, at least one, comes last.
    #[must_use]
    pub fn divide(self, held_back: u8) -> Divided {
        let n_features = self.n_features();
        let mut rows: Vec<&[f64]> = self.sample.values.chunks_exact(n_features + 1).collect();
        if self.timed {
            // Stable: readings of one time stay as the files have them.
            rows.sort_by(|a, b| a[0].total_cmp(&b[0]));
        }
        let held_back = (rows.len() * usize::from(held_back)).div_ceil(100);
        let (fitted, held_back) = rows.split_at(rows.len() - held_back);
        let values = |rows: &[&[f64]]| rows.iter().flat_map(|row| &row[1..]).copied().collect();
        Divided { n_features, fitted: values(fitted), held_back: values(held_back) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::ops::ControlFlow;

    use super::*;
    use crate::readings::{Limits, Pass, Sink, Wanted};

    struct Into(Option<History>, u64);

    impl Sink for Into {
        fn begin(&mut self, head: &Arc<Head>) {
            self.0 = Some(History::new(Arc::clone(head), 40, 20));
        }

        fn rows(&mut self, _: usize, rows: Rows) -> ControlFlow<()> {
            self.1 += self.0.as_mut().unwrap().add(rows).bad_rows;
            ControlFlow::Continue(())
        }
    }

    fn history(csv: &str) -> (History, u64) {
        let mut pass = Pass::new(Wanted::default(), vec!["d.csv".into()], Limits { block: 64, open: 256 });
        let mut sink = Into(None, 0);
        pass.file(Cursor::new(csv.as_bytes().to_vec()), &mut sink).unwrap().is_continue().then_some(()).unwrap();
        pass.end(&mut sink).unwrap();
        (sink.0.unwrap(), sink.1)
    }

    #[test]
    fn the_latest_readings_are_held_back_whatever_their_place_in_the_file() {
        let rows: String = [7, 1, 9, 3, 5, 0, 8, 2, 6, 4].map(|n| format!("2026-01-01 00:00:0{n},{n}\n")).concat();
        let (history, bad) = history(&format!("ts,value\n{rows}2026-01-01 00:00:30,none\n"));
        assert!(history.is_timed() && bad == 1);
        let divided = history.divide(20);
        assert_eq!(divided.fitted, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        assert_eq!(divided.held_back, [8.0, 9.0]);
    }

    #[test]
    fn without_times_that_can_be_read_the_files_order_holds() {
        for csv in ["value\n3\n1\n2\n", "ts,value\n2026-01-01,3\nlater,1\n2025-01-01,2\n"] {
            let (history, _) = history(csv);
            assert!(!history.is_timed());
            assert_eq!(history.divide(20), Divided { n_features: 1, fitted: vec![3.0, 1.0], held_back: vec![2.0] });
        }
    }

    #[test]
    fn of_very_many_readings_as_many_are_kept_as_a_fit_uses_and_a_share_beside() {
        let rows: String = (0..1_000).map(|n| format!("{n}\n")).collect();
        let divided = history(&format!("value\n{rows}")).0.divide(20);
        assert!((40..=80).contains(&divided.fitted.len()), "{}", divided.fitted.len());
        assert!(divided.held_back.first() > divided.fitted.last());
    }
}
