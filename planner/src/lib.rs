//! What should happen now, as pure functions of state and clock. No I/O, no Kubernetes types.
#![deny(missing_docs)]

pub mod backfill;
pub mod bins;
pub mod bucket;
pub mod capacity;
pub mod cost;
pub mod need;
pub mod pool;
pub mod provisioning;
pub mod run;
pub mod simulate;
pub mod slots;
pub mod ticks;
pub mod warmth;
