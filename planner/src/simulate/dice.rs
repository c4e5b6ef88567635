//! Chance that comes out the same on every machine.

/// Numbers by a seed: `SplitMix64` (Steele, Lea, Flood 2014), which is a counter and a good hash of it. Sixty-four bits of
/// state are plenty for a simulation, and it needs no dependency.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The same seed gives the same numbers.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Sixty-four bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From 0 up to, not including, `bound`; 0 for no bound.
    pub fn below(&mut self, bound: i64) -> i64 {
        let bound = u64::try_from(bound).unwrap_or(0);
        i64::try_from((u128::from(self.bits()) * u128::from(bound)) >> 64).unwrap_or(0)
    }

    /// From 0 up to, not including, 1.
    pub fn unit(&mut self) -> f64 {
        f64::from(u32::try_from(self.bits() >> 32).unwrap_or(0)) / 4_294_967_296.0
    }

    /// Normal, with mean 0 and deviation 1: twelve even draws, which is within three deviations as good as exact.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// How long each machine takes to come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Half of them take no longer, in seconds.
    pub median: f64,
    /// The deviation of the logarithm; 0: all take the same. 0.15 is a 95th percentile of 1.28 medians.
    pub sigma: f64,
}

impl Spread {
    /// With this median and 95th percentile, in seconds; the latter is not below the former.
    #[must_use]
    pub fn of(median: f64, p95: f64) -> Self {
        Self { median, sigma: (p95 / median).ln().max(0.0) / 1.644_854 }
    }

    /// One machine's, in whole seconds.
    pub fn draw(&self, dice: &mut Dice) -> i64 {
        seconds(self.median * (self.sigma * dice.normal()).exp())
    }

    /// The 95th percentile, in seconds.
    #[must_use]
    pub fn p95(&self) -> i64 {
        seconds(self.median * (1.644_854 * self.sigma).exp())
    }

    /// The mean, in seconds.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.median * (self.sigma * self.sigma / 2.0).exp()
    }
}

/// Whole seconds, at least one.
#[expect(clippy::cast_possible_truncation, reason = "a conversion from a float saturates, and nothing takes that long")]
fn seconds(seconds: f64) -> i64 {
    (seconds.ceil() as i64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_paper() {
        let mut dice = Dice::new(1_234_567);
        assert_eq!([dice.bits(), dice.bits()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn five_of_a_hundred_machines_take_longer_than_the_95th_percentile() {
        let (spread, mut dice) = (Spread { median: 120.0, sigma: 0.15 }, Dice::new(1));
        let draws: Vec<i64> = (0..10_000).map(|_| spread.draw(&mut dice)).collect();
        let late = draws.iter().filter(|draw| **draw > spread.p95()).count();
        assert!((400..600).contains(&late), "{late}");
        let mean = f64::from(u32::try_from(draws.iter().sum::<i64>()).unwrap()) / 10_000.0;
        assert!((mean - spread.mean()).abs() < 1.0, "{mean}");
    }
}
