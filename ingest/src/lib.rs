//! Event Hubs, or any Kafka, to windows per sensor: consumed as a group, aggregated over fixed intervals of event time, written to
//! the store and to PostgreSQL exactly once in effect. `docs/ingest.md` says how.
//!
//! What a partition's log makes of its events is a pure function (`window`, `partition`); the rest reads and writes around it.
#![deny(missing_docs)]

pub mod cli;
pub mod config;
pub mod error;
pub mod event;
pub mod hand;
pub mod mark;
pub mod marks;
pub mod member;
pub mod merger;
pub mod metrics;
pub mod out;
pub mod partition;
mod serve;
pub mod source;
pub mod start;
pub mod window;
pub mod write;

/// A time: microseconds since 1970 in UTC, as far as [`jiff::Timestamp`] goes.
pub type Micros = i64;

/// As text and files have it.
#[must_use]
pub fn timestamp(at: Micros) -> jiff::Timestamp {
    let bound = if at < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_microsecond(at).unwrap_or(bound)
}
