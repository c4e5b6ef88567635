//! Warmth: which nodes are to be there before their work comes, and which stay for work to come.
//!
//! Every tick is known beforehand, and how long nodes take to come and go is measured. So nodes are asked for as late as
//! they may be to be there at the tick, and an idle one stays exactly while keeping it costs less than letting it go and
//! taking another: that is the optimum of somebody who knows all demand. For demand that nobody could know, a node stays
//! for break-even after it was used: that costs at most twice what it would have cost to know.

use jiff::{SignedDuration, Timestamp};

use crate::bucket::Bucket;
use crate::capacity::Resources;
use crate::provisioning::Measured;

mod forecast;
mod operations;
mod packing;

pub use forecast::{Busy, End, Forecast, Waiting};
pub use operations::{Put, least_wait, next_put};
pub(crate) use packing::Packing;

/// Demand that a tick will bring, or has brought and that is not on the way yet.
///
/// A tick stays in the list until its run has its slots, so that the nodes for it stay meanwhile: it then is work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// When its pods want to start. A time that has passed counts as now.
    pub at: Timestamp,
    /// What one pod asks for.
    pub request: Resources,
    /// How many pods run at a time.
    pub pods: u32,
    /// How long they take, all together.
    pub lasts: SignedDuration,
}

/// When idle nodes go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// At once, unless the next need is closer than break-even; after demand that nobody foretold: after break-even.
    #[default]
    BreakEven,
    /// Once idle for so long.
    After(SignedDuration),
    /// Never.
    Never,
}

/// How long before a tick its nodes are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prewarm {
    /// As long as 95 of a hundred nodes take.
    #[default]
    Auto,
    /// Not at all: nodes are asked for when work waits.
    Off,
    /// So long.
    Lead(SignedDuration),
}

/// How far ahead to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizons {
    /// What is needed within this is to be asked for by now. `None`: nothing is asked for ahead.
    pub ask: Option<SignedDuration>,
    /// Whoever asks now cannot ask again before so long.
    pub operation: SignedDuration,
    /// Letting a node go and taking another costs as much as keeping it for this long.
    pub break_even: SignedDuration,
}

impl Horizons {
    /// From what was measured. The next PUT is possible once the nodes of this one are there, since operations on a pool
    /// go one at a time, and when the bucket has a token again.
    #[must_use]
    pub fn of(prewarm: Prewarm, measured: &Measured, puts: &Bucket, now: Timestamp) -> Self {
        let ask = match prewarm {
            Prewarm::Auto => Some(measured.p95),
            Prewarm::Lead(lead) => Some(lead),
            Prewarm::Off => None,
        };
        let mut after = *puts;
        let taken = after.take(now);
        let token = if taken { after.ready_at(now).duration_since(now) } else { SignedDuration::ZERO };
        let break_even = measured.drain.saturating_add(ask.unwrap_or(measured.p50));
        Self { ask, operation: measured.p95.max(token), break_even }
    }

    /// No demand beyond this changes anything now: what is asked for early for the sake of another operation comes within it.
    #[must_use]
    pub fn longest(&self) -> SignedDuration {
        let ahead = self.ask.map(|ask| ask.saturating_add(self.operation).saturating_add(self.operation));
        ahead.unwrap_or_default().max(self.break_even)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::Rate;

    fn secs(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    #[test]
    fn the_next_put_waits_for_the_nodes_of_this_one_and_for_a_token() {
        let now = Timestamp::UNIX_EPOCH;
        let measured = Measured { p50: secs(20), p95: secs(30), drain: secs(10) };
        let with = |left| Horizons::of(Prewarm::Auto, &measured, &Bucket::restore(Rate::PUT, left, now), now);
        assert_eq!(with(20), Horizons { ask: Some(secs(30)), operation: secs(30), break_even: secs(40) });
        assert_eq!((with(1).operation, with(1).longest()), (secs(60), secs(150)));
        let off = Horizons::of(Prewarm::Off, &measured, &Bucket::full(Rate::PUT, now), now);
        assert_eq!(off, Horizons { ask: None, operation: secs(30), break_even: secs(30) });
    }
}
