//! How long a new machine takes, as a distribution that a seed makes repeatable.

use std::f64::consts::TAU;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand::Rng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::span::{Span, SpanError, as_text};

/// The standard normal distribution's 95th percentile.
const Z95: f64 = 1.644_853_626_951_472_7;
/// The tail of a log-normal distribution has no end, and a test has one.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// From an accepted request until a machine starts: `20s`, `60s..300s` (each as likely), or
/// `lognormal:p50=90s,p95=240s` (most take about as long, a few much longer, as virtual machines do).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delay {
    /// Always the same.
    Fixed(Span),
    /// Anything between two bounds, each value as likely.
    Uniform {
        /// The shortest.
        low: Span,
        /// The longest.
        high: Span,
    },
    /// The logarithm is normally distributed.
    LogNormal {
        /// Half of the machines take no longer.
        p50: Span,
        /// Nineteen in twenty take no longer.
        p95: Span,
    },
}

/// A text that is no [`Delay`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DelayError {
    /// A part of it is no length of time.
    #[error("{0}, 60s..300s, or lognormal:p50=90s,p95=240s")]
    Span(#[from] SpanError),
    /// The bounds are the wrong way round.
    #[error("`{0}`: the shortest must not be above the longest")]
    Bounds(String),
    /// Not the two percentiles of a log-normal distribution.
    #[error("`{0}`: write it as lognormal:p50=90s,p95=240s, with 0 < p50 < p95")]
    Percentiles(String),
}

impl Delay {
    /// How long one machine takes. The same random numbers give the same delays.
    pub(super) fn draw(self, random: &mut impl Rng) -> Duration {
        match self {
            Self::Fixed(span) => span.0,
            Self::Uniform { low, high } => low.0 + (high.0 - low.0).mul_f64(random.random()),
            Self::LogNormal { p50, p95 } => {
                let (p50, p95) = (p50.0.as_secs_f64(), p95.0.as_secs_f64());
                let sigma = (p95 / p50).ln() / Z95;
                // Box and Muller: two uniform numbers, the first not zero, make a normal one.
                let (first, second): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
                let normal = (-2.0 * first.ln()).sqrt() * (TAU * second).cos();
                let seconds = p50 * (sigma * normal).exp();
                Duration::try_from_secs_f64(seconds).map_or(LONGEST, |drawn| drawn.min(LONGEST))
            }
        }
    }
}

impl From<Duration> for Delay {
    fn from(fixed: Duration) -> Self {
        Self::Fixed(Span(fixed))
    }
}

impl FromStr for Delay {
    type Err = DelayError;

    fn from_str(text: &str) -> Result<Self, DelayError> {
        if let Some((low, high)) = text.split_once("..") {
            let (low, high): (Span, Span) = (low.parse()?, high.parse()?);
            return if low > high { Err(DelayError::Bounds(text.to_owned())) } else { Ok(Self::Uniform { low, high }) };
        }
        let Some(percentiles) = text.strip_prefix("lognormal:") else { return Ok(Self::Fixed(text.parse()?)) };
        let wrong = || DelayError::Percentiles(text.to_owned());
        let (p50, p95) = percentiles.split_once(',').ok_or_else(wrong)?;
        let p50: Span = p50.strip_prefix("p50=").ok_or_else(wrong)?.parse()?;
        let p95: Span = p95.strip_prefix("p95=").ok_or_else(wrong)?.parse()?;
        if p50.0.is_zero() || p50 >= p95 {
            return Err(wrong());
        }
        Ok(Self::LogNormal { p50, p95 })
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(span) => write!(out, "{span}"),
            Self::Uniform { low, high } => write!(out, "{low}..{high}"),
            Self::LogNormal { p50, p95 } => write!(out, "lognormal:p50={p50},p95={p95}"),
        }
    }
}

impl Serialize for Delay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_text::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Delay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        as_text::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn drawn(text: &str, seed: u64, how_many: usize) -> Vec<Duration> {
        let (delay, mut random) = (text.parse::<Delay>().unwrap(), StdRng::seed_from_u64(seed));
        (0..how_many).map(|_| delay.draw(&mut random)).collect()
    }

    #[test]
    fn every_way_to_write_a_delay_is_read_and_written_again() {
        for text in ["20s", "1m..5m", "lognormal:p50=1m30s,p95=4m"] {
            let delay: Delay = text.parse().unwrap();
            assert_eq!(delay.to_string().parse(), Ok(delay), "{delay}");
        }
        assert_eq!("60s..300s".parse::<Delay>(), "1m..5m".parse());
    }

    #[test]
    fn what_is_no_delay_is_refused_with_what_to_write() {
        for (text, part) in [
            ("soon", "60s..300s"),
            ("5s..", "no length of time"),
            ("5s..1s", "must not be above"),
            ("lognormal:", "p50=90s"),
            ("lognormal:p50=90s", "p50=90s"),
            ("lognormal:p50=90s,p95=80s", "0 < p50 < p95"),
            ("lognormal:p50=0s,p95=80s", "0 < p50 < p95"),
        ] {
            let error = text.parse::<Delay>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_uniform_delay_stays_between_its_bounds_and_reaches_both_halves() {
        let all = drawn("60s..300s", 7, 1000);
        assert!(all.iter().all(|one| (60..=300).contains(&one.as_secs())));
        let short = all.iter().filter(|one| one.as_secs() < 180).count();
        assert!((400..600).contains(&short), "{short} of 1000 are below the middle");
    }

    #[test]
    fn a_log_normal_delay_has_the_percentiles_it_is_told() {
        let mut all = drawn("lognormal:p50=90s,p95=240s", 7, 20_000);
        all.sort();
        let at = |share: usize| all[all.len() * share / 100].as_secs_f64();
        assert!((at(50) - 90.0).abs() < 3.0, "p50 is {}", at(50));
        assert!((at(95) - 240.0).abs() < 12.0, "p95 is {}", at(95));
    }

    #[test]
    fn the_same_seed_draws_the_same_delays_and_another_one_others() {
        assert_eq!(drawn("1s..9s", 7, 10), drawn("1s..9s", 7, 10));
        assert_ne!(drawn("1s..9s", 7, 10), drawn("1s..9s", 8, 10));
        assert_eq!(drawn("20s", 7, 3), [Duration::from_secs(20); 3]);
    }

    #[test]
    fn an_absurd_tail_ends_after_a_day() {
        let longest = drawn("lognormal:p50=1s,p95=23h", 7, 20_000).into_iter().max().unwrap();
        assert_eq!(longest, LONGEST);
    }
}
