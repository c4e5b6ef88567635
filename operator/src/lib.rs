//! The controllers that read the cluster, ask the planner, and act.
//!
//! Every controller is `observe` (reads caches) -> `decide` (pure, in `planner`) -> `act` (writes).

pub mod aks;
pub mod apply;
pub mod cache;
pub mod clock;
pub mod cluster;
pub mod conditions;
pub mod context;
pub mod controller;
pub mod error;
pub mod events;
pub mod finalizer;
mod gate;
pub mod guard;
pub mod invalid;
pub mod known;
pub mod leader;
pub mod metrics;
pub mod run;
pub mod run_pods;
pub mod schedule;
pub mod serve;
pub mod settings;
pub mod simulate;
pub mod start;
#[cfg(test)]
mod testing;

pub use clock::Clock;
pub use context::Ctx;
pub use error::{Category, Error};
