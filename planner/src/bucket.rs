//! The request budgets of Azure Resource Manager: token buckets that refill at a steady rate.

use jiff::{SignedDuration, Timestamp};

/// How large a bucket is and how fast it refills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The most tokens that it holds.
    pub size: u32,
    /// The time in which one token comes back.
    pub refill: SignedDuration,
}

impl Rate {
    /// PUTs of one agent pool: 20, one a minute.
    pub const PUT: Self = Self { size: 20, refill: SignedDuration::from_secs(60) };
    /// All other requests of one subscription: 60, one a second.
    pub const OTHER: Self = Self { size: 60, refill: SignedDuration::from_secs(1) };
}

/// A token bucket as it stood at a time. It can be written down and restored, so a restart forgets no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    rate: Rate,
    left: u32,
    at: Timestamp,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn full(rate: Rate, now: Timestamp) -> Self {
        Self { rate, left: rate.size, at: now }
    }

    /// A bucket that held `left` tokens at `at`.
    #[must_use]
    pub fn restore(rate: Rate, left: u32, at: Timestamp) -> Self {
        Self { rate, left: left.min(rate.size), at }
    }

    /// What to write down: how many tokens there were, and when.
    #[must_use]
    pub fn saved(&self) -> (u32, Timestamp) {
        (self.left, self.at)
    }

    /// How many tokens there are now.
    #[must_use]
    pub fn left(&self, now: Timestamp) -> u32 {
        let mut copy = *self;
        copy.refill(now);
        copy.left
    }

    /// Takes a token. False: there is none.
    #[must_use]
    pub fn take(&mut self, now: Timestamp) -> bool {
        self.take_all(1, 0, now)
    }

    /// Takes so many tokens at once, where at least `keep` are left then. False: nothing was taken.
    #[must_use]
    pub fn take_all(&mut self, tokens: u32, keep: u32, now: Timestamp) -> bool {
        self.refill(now);
        let some = self.left >= tokens.saturating_add(keep);
        if some {
            self.left -= tokens;
        }
        some
    }

    /// Empties the bucket: the server said that there is nothing left.
    pub fn drain(&mut self, now: Timestamp) {
        self.left = 0;
        self.at = now;
    }

    /// When there is a token.
    #[must_use]
    pub fn ready_at(&self, now: Timestamp) -> Timestamp {
        let mut copy = *self;
        copy.refill(now);
        if copy.left > 0 { now } else { copy.at.saturating_add(copy.rate.refill).unwrap_or(Timestamp::MAX).max(now) }
    }

    fn refill(&mut self, now: Timestamp) {
        let each = self.rate.refill.as_millis().max(1);
        // A clock that was set back must neither refill nor keep the bucket empty for long.
        if now < self.at {
            self.at = now;
        }
        let came = now.duration_since(self.at).as_millis() / each;
        let room = self.rate.size.saturating_sub(self.left);
        match u32::try_from(came) {
            Ok(came) if came < room => {
                self.left += came;
                let spent =
                    SignedDuration::from_millis(i64::try_from(each).unwrap_or(i64::MAX).saturating_mul(came.into()));
                self.at = self.at.saturating_add(spent).unwrap_or(now);
            }
            _ => {
                self.left = self.rate.size;
                self.at = now;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + secs).unwrap()
    }

    #[test]
    fn twenty_puts_at_once_and_then_one_a_minute() {
        let mut bucket = Bucket::full(Rate::PUT, at(0));
        assert!((0..20).all(|_| bucket.take(at(0))));
        assert!(!bucket.take(at(0)));
        assert_eq!(bucket.ready_at(at(10)), at(60));
        assert!(!bucket.take(at(59)));
        assert!(bucket.take(at(60)));
        assert!(!bucket.take(at(61)));
    }

    #[test]
    fn a_bucket_survives_being_written_down() {
        let mut bucket = Bucket::full(Rate::PUT, at(0));
        for _ in 0..5 {
            assert!(bucket.take(at(30)));
        }
        let (left, since) = bucket.saved();
        assert_eq!(Bucket::restore(Rate::PUT, left, since), bucket);
        assert_eq!(bucket.left(at(30)), 15);
    }

    #[test]
    fn a_clock_set_back_does_not_refill() {
        let mut bucket = Bucket::restore(Rate::PUT, 0, at(1_000));
        assert!(!bucket.take(at(0)));
        assert!(bucket.take(at(60)));
    }

    proptest! {
        #[test]
        fn no_more_is_taken_than_size_and_refill_allow(gaps in proptest::collection::vec(0i64..50, 1..200)) {
            let mut bucket = Bucket::full(Rate::PUT, at(0));
            let (mut now, mut taken) = (0, 0);
            for gap in gaps {
                now += gap;
                taken += i64::from(bucket.take(at(now)));
                prop_assert!(taken <= 20 + now / 60);
            }
        }
    }
}
