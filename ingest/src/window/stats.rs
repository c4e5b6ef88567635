//! The values of a sensor in one window, as they come.

use serde::{Deserialize, Serialize};

use crate::Micros;
use crate::config::Aggregate;

use super::Rules;

/// What is known of a window's values so far: as much as its aggregates need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    /// Mean and sum of squared distances from it, by Welford's way: `sum` of squares would lose all digits far from zero.
    mean: f64,
    squares: f64,
    first: (Micros, f64),
    last: (Micros, f64),
    kept: Option<Box<Kept>>,
}

/// What is kept of each value, where something needs it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Kept {
    /// For percentiles.
    values: Vec<f64>,
    /// For duplicates; sorted.
    times: Vec<Micros>,
}

impl Stats {
    /// Of no value.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        let kept = (rules.keeps_values() || rules.drops_duplicates).then(Box::default);
        Self {
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            mean: 0.0,
            squares: 0.0,
            first: (Micros::MAX, f64::NAN),
            last: (Micros::MIN, f64::NAN),
            kept,
        }
    }

    /// Takes a value; false where it is a duplicate that does not count.
    #[inline]
    pub fn add(&mut self, rules: &Rules, time: Micros, value: f64) -> bool {
        if let Some(kept) = &mut self.kept {
            if rules.drops_duplicates {
                match kept.times.binary_search(&time) {
                    Ok(_) => return false,
                    Err(at) => kept.times.insert(at, time),
                }
            }
            if rules.keeps_values() {
                kept.values.push(value);
            }
        }
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        let distance = value - self.mean;
        self.mean += distance / self.count as f64;
        self.squares += distance * (value - self.mean);
        if time < self.first.0 {
            self.first = (time, value);
        }
        if time >= self.last.0 {
            self.last = (time, value);
        }
        true
    }

    /// Takes the values of another partition. Of equal times, those of `other` came later. Nothing is known of duplicates then.
    pub fn merge(&mut self, other: Self) {
        let (before, more) = (self.count as f64, other.count as f64);
        let (distance, share) = (other.mean - self.mean, more / (before + more).max(1.0));
        self.mean += distance * share;
        // Chan's way, for the reason of Welford's.
        self.squares += other.squares + distance * distance * before * share;
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        if other.first.0 < self.first.0 {
            self.first = other.first;
        }
        if other.last.0 >= self.last.0 {
            self.last = other.last;
        }
        // What was kept by one alone is not all: a percentile was asked for only later.
        self.kept = self.kept.take().zip(other.kept).map(|(mut kept, other)| {
            kept.values.extend(other.values);
            kept
        });
    }

    /// About how many bytes it holds besides itself.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| 8 * (kept.values.capacity() + kept.times.capacity()))
    }

    /// The aggregates, in their order; NaN for one that there is not, or that is beyond any number.
    #[must_use]
    pub fn values(mut self, aggregates: &[Aggregate]) -> Box<[f64]> {
        if let Some(kept) = &mut self.kept {
            kept.values.sort_unstable_by(f64::total_cmp);
        }
        aggregates
            .iter()
            .map(|aggregate| self.value(*aggregate))
            .map(|v| if v.is_finite() { v } else { f64::NAN })
            .collect()
    }

    fn value(&self, aggregate: Aggregate) -> f64 {
        match aggregate {
            Aggregate::Avg => self.sum / self.count as f64,
            Aggregate::Min => self.min,
            Aggregate::Max => self.max,
            Aggregate::Count => self.count as f64,
            Aggregate::Sum => self.sum,
            Aggregate::Stddev if self.count < 2 => f64::NAN,
            Aggregate::Stddev => (self.squares / (self.count - 1) as f64).sqrt(),
            Aggregate::First => self.first.1,
            Aggregate::Last => self.last.1,
            Aggregate::Percentile(percent) => {
                self.kept.as_ref().map_or(f64::NAN, |kept| percentile(&kept.values, f64::from(percent) / 100.0))
            }
        }
    }
}

/// Linearly between the two values around it; `sorted` holds finite numbers.
fn percentile(sorted: &[f64], fraction: f64) -> f64 {
    let Some(most) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = fraction * most as f64;
    let below = at.floor() as usize;
    let (low, high) = (sorted[below.min(most)], sorted[(below + 1).min(most)]);
    low + (high - low) * (at - at.floor())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Over;

    fn rules(aggregates: &[&str]) -> Rules {
        Rules {
            length: 5_000_000,
            every: 60_000_000,
            lateness: 0,
            max_ahead: 0,
            idle_after: 1,
            aggregates: aggregates.iter().map(|name| name.parse().unwrap()).collect(),
            drops_duplicates: false,
            over: Over::Partition,
        }
    }

    fn of(rules: &Rules, values: &[(Micros, f64)]) -> Vec<f64> {
        let mut stats = Stats::new(rules);
        for (time, value) in values {
            stats.add(rules, *time, *value);
        }
        stats.values(&rules.aggregates).to_vec()
    }

    #[test]
    fn every_aggregate_is_what_its_name_says() {
        let rules = rules(&["avg", "min", "max", "count", "sum", "stddev", "first", "last", "p50", "p90"]);
        let values = of(&rules, &[(3, 4.0), (1, 2.0), (2, 4.0), (9, 4.0), (5, 5.0), (6, 5.0), (7, 7.0), (8, 9.0)]);
        let expected = [5.0, 2.0, 9.0, 8.0, 40.0, (32.0f64 / 7.0).sqrt(), 2.0, 4.0, 4.5, 7.6];
        for (value, expected) in values.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-12, "{values:?}");
        }
    }

    #[test]
    fn of_equal_times_the_first_that_came_is_first_and_the_last_that_came_is_last() {
        assert_eq!(of(&rules(&["first", "last"]), &[(1, 1.0), (1, 2.0), (1, 3.0)]), [1.0, 3.0]);
    }

    #[test]
    fn one_value_has_no_deviation_and_a_sum_beyond_all_numbers_is_none() {
        assert!(of(&rules(&["stddev"]), &[(1, 1.0)])[0].is_nan());
        assert!(of(&rules(&["sum"]), &[(1, f64::MAX), (2, f64::MAX)])[0].is_nan());
    }

    #[test]
    fn far_from_zero_a_deviation_keeps_its_digits() {
        let values: Vec<(Micros, f64)> = (0..1000).map(|n| (n, 1e9 + (n % 2) as f64)).collect();
        let deviation = of(&rules(&["stddev"]), &values)[0];
        assert!((deviation - (0.25f64 * 1000.0 / 999.0).sqrt()).abs() < 1e-9, "{deviation}");
    }

    #[test]
    fn put_together_values_of_partitions_are_those_of_one() {
        let rules = rules(&["avg", "min", "max", "count", "sum", "stddev", "first", "last", "p50", "p90"]);
        let values: Vec<(Micros, f64)> =
            (0..100).map(|n| (n * 37 % 101, 1e6 + f64::from((n * 29 % 17) as i32))).collect();
        for cut in [0, 1, 50, 99, 100] {
            let of = |values: &[(Micros, f64)]| {
                let mut stats = Stats::new(&rules);
                for (time, value) in values {
                    stats.add(&rules, *time, *value);
                }
                stats
            };
            let (mut one, other) = (of(&values[..cut]), of(&values[cut..]));
            one.merge(other);
            for (found, expected) in one.values(&rules.aggregates).iter().zip(of(&values).values(&rules.aggregates)) {
                assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{found} {expected}");
            }
        }
    }

    #[test]
    fn without_all_values_there_is_no_percentile() {
        let (with, without) = (rules(&["p50"]), rules(&["avg"]));
        let (mut one, mut other) = (Stats::new(&with), Stats::new(&without));
        one.add(&with, 1, 1.0);
        other.add(&without, 2, 2.0);
        one.merge(other);
        assert!(one.values(&with.aggregates)[0].is_nan());
    }

    #[test]
    fn a_second_value_of_a_time_does_not_count_where_duplicates_are_dropped() {
        let rules = Rules { drops_duplicates: true, ..rules(&["count"]) };
        let mut stats = Stats::new(&rules);
        let counted = [5, 3, 5, 4, 3].map(|time| stats.add(&rules, time, 1.0));
        assert_eq!(counted, [true, true, false, true, false]);
        assert_eq!(stats.values(&rules.aggregates)[0], 3.0);
    }
}
