//! The token buckets by which AKS limits requests.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

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
    pub(super) fn new(capacity: u32, refill: Duration, now: Timestamp) -> Self {
        // A refill of zero would mean no limit at all; one nanosecond is as good and divides.
        let refill = SignedDuration::try_from(refill).unwrap_or(SignedDuration::MAX).max(SignedDuration::from_nanos(1));
        Self { capacity, refill, left: capacity, since: now }
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
        let mut bucket = Bucket::new(20, Duration::from_secs(60), at(0));
        for left in (0..20).rev() {
            assert_eq!(bucket.take(at(0)), Ok(left));
        }
        assert_eq!(bucket.take(at(0)), Err(Duration::from_secs(60)));
        assert_eq!(bucket.take(at(59)), Err(Duration::from_secs(1)));
        assert_eq!(bucket.take(at(60)), Ok(0));
    }

    #[test]
    fn a_part_of_a_token_is_not_lost_between_requests() {
        let mut bucket = Bucket::new(2, Duration::from_secs(60), at(0));
        assert_eq!((bucket.take(at(0)), bucket.take(at(0))), (Ok(1), Ok(0)));
        assert_eq!(bucket.take(at(90)), Ok(0));
        assert_eq!(bucket.take(at(119)), Err(Duration::from_secs(1)));
        assert_eq!(bucket.take(at(120)), Ok(0));
    }

    #[test]
    fn an_idle_bucket_never_holds_more_than_its_capacity() {
        let mut bucket = Bucket::new(3, Duration::from_secs(1), at(0));
        assert_eq!(bucket.take(at(1_000_000)), Ok(2));
    }
}
