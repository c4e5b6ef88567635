//! What the tests that cross crates share.

pub mod blobs;
#[cfg(test)]
mod comparison;
pub mod control_plane;
pub mod fleet;
pub mod harness;
pub mod histogram;
pub mod host_operator;
pub mod ledger;
pub mod local;
pub mod proxy;
pub mod s3;
pub mod shares;
pub mod snapshot;
pub mod tls;
pub mod turns;
pub mod wait;
