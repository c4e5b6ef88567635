//! The token buckets by which AKS limits requests.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::span::{Span, as_text};

/// A bucket's size, and how long it takes to gain one request back: `20/60s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// So many requests at once.
    pub size: u32,
    /// Then one in each of these.
    pub refill: Span,
}

/// A text that is no [`Rate`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}`: write it as 20/60s, which is 20 requests at once and then one a minute; neither may be 0")]
pub struct RateError(String);

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let wrong = || RateError(text.to_owned());
        let (size, refill) = text.split_once('/').ok_or_else(wrong)?;
        let size = size.parse().map_err(|_| wrong())?;
        let refill: Span = refill.parse().map_err(|_| wrong())?;
        if size == 0 || refill.0.is_zero() { Err(wrong()) } else { Ok(Self { size, refill }) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.size, self.refill)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_text::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        as_text::deserialize(deserializer)
    }
}

/// Holds up to `capacity` requests and gains one back every `refill`.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    capacity: u32,
    refill: SignedDuration,
    left: u32,
    /// When the part of the next token that has grown so far began to grow.
    since: Timestamp,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(rate: Rate, now: Timestamp) -> Self {
        // A refill of zero would mean no limit at all; one nanosecond is as good and divides.
        let refill = SignedDuration::try_from(rate.refill.0).unwrap_or(SignedDuration::MAX);
        Self { capacity: rate.size, refill: refill.max(SignedDuration::from_nanos(1)), left: rate.size, since: now }
    }

    /// Takes one token and says how many are left, or how long until there is one.
    pub(super) fn take(&mut self, now: Timestamp) -> Result<u32, Duration> {
        self.grow(now);
        if self.left == 0 {
            let wait = self.refill - now.duration_since(self.since);
            // Retry-After is in whole seconds: round up, or the client comes back just too early.
            let seconds = wait.as_secs() + i64::from(wait.subsec_nanos() > 0);
            return Err(Duration::from_secs(u64::try_from(seconds).unwrap_or(0).max(1)));
        }
        self.left -= 1;
        Ok(self.left)
    }

    fn grow(&mut self, now: Timestamp) {
        let passed = now.duration_since(self.since).as_nanos().max(0);
        let step = self.refill.as_nanos();
        let grown = u32::try_from(passed / step).unwrap_or(u32::MAX);
        if self.left.saturating_add(grown) >= self.capacity {
            self.left = self.capacity;
            self.since = now;
        } else {
            self.left += grown;
            self.since += self.refill * i32::try_from(grown).unwrap_or(i32::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_full_bucket_serves_its_capacity_and_then_says_how_long_to_wait() {
        let mut bucket = Bucket::new("20/60s".parse().unwrap(), at(0));
        for left in (0..20).rev() {
            assert_eq!(bucket.take(at(0)), Ok(left));
        }
        assert_eq!(bucket.take(at(0)), Err(Duration::from_secs(60)));
        assert_eq!(bucket.take(at(59)), Err(Duration::from_secs(1)));
        assert_eq!(bucket.take(at(60)), Ok(0));
    }

    #[test]
    fn a_part_of_a_token_is_not_lost_between_requests() {
        let mut bucket = Bucket::new("2/60s".parse().unwrap(), at(0));
        assert_eq!((bucket.take(at(0)), bucket.take(at(0))), (Ok(1), Ok(0)));
        assert_eq!(bucket.take(at(90)), Ok(0));
        assert_eq!(bucket.take(at(119)), Err(Duration::from_secs(1)));
        assert_eq!(bucket.take(at(120)), Ok(0));
    }

    #[test]
    fn an_idle_bucket_never_holds_more_than_its_capacity() {
        let mut bucket = Bucket::new("3/1s".parse().unwrap(), at(0));
        assert_eq!(bucket.take(at(1_000_000)), Ok(2));
    }

    #[test]
    fn a_rate_is_read_as_it_is_written_and_one_that_never_serves_is_refused() {
        let rate: Rate = "20/60s".parse().unwrap();
        assert_eq!(rate, Rate { size: 20, refill: Span::seconds(60) });
        assert_eq!(rate.to_string().parse(), Ok(rate));
        for text in ["20", "0/60s", "20/0s", "many/1s", "20/soon"] {
            assert!(text.parse::<Rate>().unwrap_err().to_string().contains("20/60s"), "{text}");
        }
    }
}
