//! What models are trained on: of each sensor's readings as many as a fit may use, in bounded memory.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use spec::SensorKeys;

use crate::readings::{Head, Rows, Selection, Sink, Totals};

/// The readings that models are trained on, by sensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// Values of a reading.
    pub n_features: usize,
    /// The readings of each sensor, one after the other.
    pub sensors: BTreeMap<SensorKeys, Vec<f64>>,
}

/// Keeps good readings of each sensor: all up to twice as many as a fit uses, of more every second, fourth, eighth and so
/// on from the first one, so that at least as many as it uses are left. The same readings give the same sample.
#[derive(Debug)]
pub struct Sampler {
    most: usize,
    head: Arc<Head>,
    sensors: Vec<Sample>,
}

/// Rows of one sensor.
#[derive(Debug, Default)]
pub(super) struct Sample {
    pub(super) values: Vec<f64>,
    kept: usize,
    seen: u64,
    /// As a power of two: one of how many readings is kept.
    thinned: u32,
}

impl Sampler {
    /// `max_rows`: readings that a fit uses at most.
    #[must_use]
    pub fn new(max_rows: usize) -> Self {
        Self { most: max_rows.saturating_mul(2), head: Arc::default(), sensors: Vec::new() }
    }

    /// The samples of the sensors that a pass has found.
    #[must_use]
    pub fn finish(self, totals: &Totals) -> Samples {
        let n_features = self.head.layout.values.len();
        let samples = self.sensors.into_iter().map(|sample| sample.values).chain(std::iter::repeat_with(Vec::new));
        let sensors = totals.sensors.iter().map(|(sensor, _)| sensor.clone()).zip(samples).collect();
        Samples { n_features, sensors }
    }
}

impl Sample {
    pub(super) fn add(&mut self, row: &[f64], most: usize) {
        let number = self.seen;
        self.seen += 1;
        if self.is_left_out(number) {
            return;
        }
        if self.kept >= most {
            self.thin(row.len());
            if self.is_left_out(number) {
                return;
            }
        }
        self.values.extend_from_slice(row);
        self.kept += 1;
    }

    fn is_left_out(&self, number: u64) -> bool {
        number.trailing_zeros() < self.thinned && number != 0
    }

    /// Leaves out every second reading.
    fn thin(&mut self, width: usize) {
        let kept: Vec<f64> = self.values.chunks_exact(width).step_by(2).flatten().copied().collect();
        (self.values, self.kept) = (kept, self.kept.div_ceil(2));
        self.thinned += 1;
    }
}

impl Sink for Sampler {
    fn begin(&mut self, head: &Arc<Head>) {
        self.head = Arc::clone(head);
    }

    fn rows(&mut self, sensor: usize, rows: Rows) -> ControlFlow<()> {
        if sensor >= self.sensors.len() {
            self.sensors.resize_with(sensor + 1, Sample::default);
        }
        if let Some(sample) = self.sensors.get_mut(sensor) {
            let rows = rows.usable(&self.head, &Selection::all(&self.head.layout)).rows;
            for row in rows.values().chunks_exact(self.head.layout.values.len().max(1)) {
                sample.add(row, self.most);
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(count: u32, most: usize) -> Vec<f64> {
        let mut sample = Sample::default();
        (0..count).for_each(|number| sample.add(&[f64::from(number)], most));
        sample.values
    }

    #[test]
    fn all_readings_are_kept_up_to_the_most() {
        assert_eq!(sample(8, 8), (0..8).map(f64::from).collect::<Vec<_>>());
    }

    #[test]
    fn of_more_those_at_even_distances_are_kept_from_the_first_on() {
        for (count, distance) in [(9, 2), (15, 2), (16, 2), (17, 4), (1_000, 128), (1_024, 128), (1_025, 256)] {
            let expected: Vec<f64> = (0..count).step_by(distance).map(f64::from).collect();
            assert_eq!(sample(count, 8), expected, "{count}");
            assert!((4..=8).contains(&expected.len()) || count < 17, "{count}");
        }
    }
}
