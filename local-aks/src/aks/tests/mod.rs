//! Tests of the whole stand-in: the state machine by itself, and the server over real https.

mod control_plane;
mod deallocated;
mod examples;
mod fleet;
mod https;
mod identity;
mod outages;
mod properties;
mod stand;
mod troubles;

use jiff::Timestamp;

use super::fleet::{Fleet, Scope, Settings};
use super::properties::Defaults;

/// A moment of the tests' own time.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn empty_fleet(seed: u64) -> Fleet {
    let scope = Scope { subscription: "s".into(), group: "rg".into(), cluster: "c".into(), location: "local".into() };
    Fleet::new(scope, Settings::default(), Defaults::default(), seed, at(0))
}
