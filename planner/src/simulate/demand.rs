//! What is to be scored, and when.

use super::dice::Dice;
use crate::capacity::Resources;

/// One run of a schedule, or by hand. Times are seconds from the simulation's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// When it is due: its tick, jitter included, or when somebody made it.
    pub at: i64,
    /// What one of its pods asks for: the index into [`Demand::requests`].
    pub kind: usize,
    /// How many pods it has.
    pub pods: u32,
    /// How long a pod is thought to take.
    pub lasts: i64,
    /// How long its pods do take.
    pub takes: i64,
    /// A tick foretold it.
    pub foretold: bool,
}

/// All runs.
#[derive(Clone, Debug, Default)]
pub struct Demand {
    /// What pods ask for.
    pub requests: Vec<Resources>,
    /// The runs; [`Demand::sorted`] puts them into the order of time.
    pub jobs: Vec<Job>,
    /// Nothing is due from then on.
    pub end: i64,
}

/// What the runs of one schedule are like.
#[derive(Clone, Debug)]
pub struct Shape {
    /// What a pod asks for.
    pub request: Resources,
    /// How many pods a run has.
    pub pods: u32,
    /// How long a pod is thought to take, in seconds.
    pub lasts: i64,
    /// How far from that it may be, up or down, in per cent.
    pub spread: i64,
}

impl Demand {
    /// Nothing, for so many seconds.
    #[must_use]
    pub fn lasting(end: i64) -> Self {
        Self { end, ..Self::default() }
    }

    /// A schedule: every so many seconds, and each time up to `jitter` seconds later.
    pub fn every(&mut self, first: i64, period: i64, jitter: i64, shape: &Shape, dice: &mut Dice) {
        let jitter = dice.below(jitter);
        let mut tick = first;
        while tick < self.end {
            self.add(tick + jitter, shape, true, dice);
            tick += period.max(1);
        }
    }

    /// Runs by hand: independent of each other, so many seconds apart on average.
    pub fn by_hand(&mut self, apart: f64, shape: &Shape, dice: &mut Dice) {
        let mut at = 0.0;
        loop {
            at += -apart * (1.0 - dice.unit()).ln();
            #[expect(clippy::cast_possible_truncation, reason = "a conversion from a float saturates")]
            let second = at as i64;
            if second >= self.end {
                return;
            }
            self.add(second, shape, false, dice);
        }
    }

    /// One run.
    pub fn add(&mut self, at: i64, shape: &Shape, foretold: bool, dice: &mut Dice) {
        let kind = self.requests.iter().position(|known| *known == shape.request).unwrap_or_else(|| {
            self.requests.push(shape.request.clone());
            self.requests.len() - 1
        });
        let off = dice.below(2 * shape.spread + 1) - shape.spread;
        let takes = (shape.lasts * (100 + off) / 100).max(1);
        self.jobs.push(Job { at, kind, pods: shape.pods, lasts: shape.lasts, takes, foretold });
    }

    /// In the order of time.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.jobs.sort_by_key(|job| job.at);
        self
    }
}
