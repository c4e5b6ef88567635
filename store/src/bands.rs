//! What is usual for each sensor of a schedule, by its last runs: `_bands.json`; and what leaves it, as a pure function.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Outcome, Status};

/// The version of this form.
pub const FORM: u32 = 1;
/// The most bytes of one.
pub const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// Runs that are looked back at.
pub const RUNS: usize = 30;
/// Fewer of them tell nothing of a sensor.
pub const FEWEST: usize = 10;
/// Inputs of a sensor whose means are kept.
pub const MEANS: usize = 16;
/// The most numbers that are kept; of schedules with more nothing is.
pub const MOST: usize = 20_000_000;

/// `_bands.json`: the last runs of a schedule, and what each sensor had in them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bands {
    /// The version of this form.
    pub form: u32,
    /// The runs, in the order of their ticks.
    pub runs: Vec<SeenRun>,
    /// By sensor, as paths name it: anomaly rate and the mean of each input, each with a number for each run, or none
    /// where the sensor was not scored.
    pub sensors: BTreeMap<String, Vec<Vec<Option<f32>>>>,
}

/// A run that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenRun {
    /// Its name.
    pub run: String,
    /// Up to when its readings are: the end of its window, or its tick without one.
    pub up_to: Timestamp,
}

/// That something of a sensor has left the band of its last runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// `anomalyRate`, or the column of an input, whose mean it is.
    pub of: String,
    /// What it is in this run.
    pub value: f64,
    /// The band's lower end.
    pub low: f64,
    /// The band's upper end.
    pub high: f64,
    /// The runs that it is made of.
    pub runs: u32,
}

impl Drift {
    /// In a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { of, value, low, high, runs } = self;
        match of.as_str() {
            RATE => format!(
                "its anomaly rate is {:.2} %, outside of {:.2} % to {:.2} %, the band of its last {runs} runs",
                100.0 * value,
                100.0 * low.max(0.0),
                100.0 * high.min(1.0)
            ),
            _ => format!(
                "the mean of its input {of} is {value:.6}, outside of {low:.6} to {high:.6}, the band of its last {runs} runs"
            ),
        }
    }
}

const RATE: &str = "anomalyRate";

/// The band of some numbers: their median, give or take 4 (1 + 5 / n) standard deviations as their median distance from it
/// tells these (1.4826 of it), which a few numbers far off do not change. A deviation is `least` at least. None of fewer
/// than [`FEWEST`] numbers.
#[must_use]
pub fn band(past: &[f64], least: impl Fn(f64) -> f64) -> Option<(f64, f64)> {
    if past.len() < FEWEST {
        return None;
    }
    let centre = median(past.to_vec());
    let deviation = 1.4826 * median(past.iter().map(|x| (x - centre).abs()).collect());
    let count = u32::try_from(past.len()).map_or(f64::MAX, f64::from);
    let width = 4.0 * (1.0 + 5.0 / count) * deviation.max(least(centre));
    Some((centre - width, centre + width))
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let half = numbers.len() / 2;
    match (numbers.len() % 2, half.checked_sub(1).and_then(|before| numbers.get(before)), numbers.get(half)) {
        (0, Some(before), Some(after)) => f64::midpoint(*before, *after),
        (_, _, Some(middle)) => *middle,
        _ => 0.0,
    }
}

impl Bands {
    /// Judges the sensors of a run by those before it, and keeps what they had. Gives what has left its band, by the
    /// outcome's place; `None` of a run that is not later than all that are known: it is neither judged nor kept. A run that
    /// is archived again takes its own place.
    pub fn fold(&mut self, run: SeenRun, outcomes: &[Outcome]) -> Option<Vec<(usize, Vec<Drift>)>> {
        if self.form != FORM {
            *self = Self { form: FORM, ..Self::default() };
        }
        if self.runs.last().is_some_and(|last| last.run == run.run) {
            self.runs.pop();
            let runs = self.runs.len();
            self.cut(|numbers| numbers.truncate(runs));
        }
        if self.runs.last().is_some_and(|last| last.up_to >= run.up_to) {
            return None;
        }
        let before = self.runs.len();
        let mut drifted = Vec::new();
        for (place, outcome) in outcomes.iter().enumerate() {
            // Of what a command wrote, rows may not be known, but what it was given.
            if outcome.status != Status::Succeeded || (outcome.scored == 0 && outcome.input_means.is_empty()) {
                continue;
            }
            let now = measures(outcome);
            let known = self.sensors.entry(outcome.sensor.slug()).or_default();
            if known.len() != now.len() {
                // Another number of inputs: they are others. What the rate was still counts.
                known.truncate(1);
                known.resize_with(now.len(), || vec![None; before]);
            }
            let left: Vec<Drift> =
                now.iter().zip(known.iter()).filter_map(|(now, past)| now.leaves(past, outcome.scored)).collect();
            for (now, known) in now.iter().zip(known.iter_mut()) {
                known.push(now.value.map(narrow));
            }
            if !left.is_empty() {
                drifted.push((place, left));
            }
        }
        self.runs.push(run);
        let (after, surplus) = (self.runs.len(), self.runs.len().saturating_sub(RUNS));
        self.runs.drain(..surplus);
        self.cut(|numbers| {
            numbers.resize(after, None);
            numbers.drain(..surplus);
        });
        Some(drifted)
    }

    /// Changes the numbers of every measure, and forgets sensors of which none is left.
    fn cut(&mut self, change: impl Fn(&mut Vec<Option<f32>>)) {
        self.sensors.retain(|_, measures| {
            measures.iter_mut().for_each(&change);
            measures.iter().flatten().any(Option::is_some)
        });
    }
}

/// What a run measured of a sensor.
struct Measure {
    of: String,
    value: Option<f64>,
}

fn measures(outcome: &Outcome) -> Vec<Measure> {
    let names = outcome.columns.as_ref().map(|columns| columns.value.as_slice()).unwrap_or_default();
    let rate = (outcome.scored > 0).then(|| to_f64(outcome.anomalies) / to_f64(outcome.scored));
    let rate = Measure { of: RATE.to_owned(), value: rate };
    let means = outcome.input_means.iter().enumerate().map(|(place, mean)| {
        let of = names.get(place).cloned().unwrap_or_else(|| format!("input {place}"));
        Measure { of, value: *mean }
    });
    std::iter::once(rate).chain(means).collect()
}

impl Measure {
    fn leaves(&self, past: &[Option<f32>], rows: u64) -> Option<Drift> {
        let value = f64::from(narrow(self.value?));
        let past: Vec<f64> = past.iter().flatten().map(|x| f64::from(*x)).collect();
        let (low, high) = match self.of.as_str() {
            RATE => band(&past, |rate| standard_error(rate, to_f64(rows))),
            // What rounding leaves of a constant.
            _ => band(&past, |mean| 1e-6 * mean.abs()),
        }?;
        let runs = u32::try_from(past.len()).unwrap_or(u32::MAX);
        (!(low..=high).contains(&value)).then(|| Drift { of: self.of.clone(), value, low, high, runs })
    }
}

/// What chance does to a share of so many rows, of which one more is taken to be in it and one more not.
fn standard_error(share: f64, rows: f64) -> f64 {
    let share = (share * rows + 1.0) / (rows + 2.0);
    (share * (1.0 - share) / rows).sqrt()
}

#[allow(clippy::cast_precision_loss, reason = "counts of rows are far below 2^53")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

/// Seven digits are enough for a band, and half the bytes.
#[allow(clippy::cast_possible_truncation, reason = "what is beyond is an infinity, and outside of every band")]
fn narrow(value: f64) -> f32 {
    (value as f32).clamp(f32::MIN, f32::MAX)
}

#[cfg(test)]
mod tests;
