//! What the tests that cross crates share.

pub mod ledger;
pub mod proxy;
pub mod tls;
