//! What is made of a window's values.

use std::fmt;
use std::str::FromStr;

/// One number of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aggregate {
    /// The arithmetic mean.
    Avg,
    /// The smallest value.
    Min,
    /// The largest value.
    Max,
    /// How many values.
    Count,
    /// Their sum.
    Sum,
    /// The standard deviation of a sample (n - 1); none of a single value.
    Stddev,
    /// The value of the earliest time; of several, the one that came first.
    First,
    /// The value of the latest time; of several, the one that came last.
    Last,
    /// The value below which so many per cent lie, interpolated linearly (as `PERCENTILE_CONT`); 1 to 99.
    Percentile(u8),
}

/// Why a text is no aggregate.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no aggregate; take avg, min, max, count, sum, stddev, first, last, or p1 to p99")]
pub struct AggregateError(String);

impl Aggregate {
    /// Whether all values have to be kept for it.
    #[must_use]
    pub fn needs_samples(self) -> bool {
        matches!(self, Self::Percentile(_))
    }
}

impl FromStr for Aggregate {
    type Err = AggregateError;

    fn from_str(text: &str) -> Result<Self, AggregateError> {
        let wrong = || AggregateError(spec::shown::cut(text));
        Ok(match text {
            "avg" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            "count" => Self::Count,
            "sum" => Self::Sum,
            "stddev" => Self::Stddev,
            "first" => Self::First,
            "last" => Self::Last,
            other => {
                let number: u8 = other.strip_prefix('p').and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
                match (1..=99).contains(&number) && other == format!("p{number}") {
                    true => Self::Percentile(number),
                    false => return Err(wrong()),
                }
            }
        })
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Stddev => "stddev",
            Self::First => "first",
            Self::Last => "last",
            Self::Percentile(number) => return write!(f, "p{number}"),
        })
    }
}

spec::as_text!(Aggregate, {"type": "string", "pattern": "^(avg|min|max|count|sum|stddev|first|last|p[1-9][0-9]?)$"});
