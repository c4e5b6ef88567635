//! What the tests that cross crates share.

pub mod blobs;
pub mod host_operator;
pub mod ledger;
pub mod proxy;
pub mod snapshot;
pub mod tls;
