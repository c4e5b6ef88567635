//! The program in the pod: plan a run, load a model, read readings, score, write, archive. Knows nothing of Kubernetes.

#![deny(clippy::print_stdout)] // A pipe may be closed: `commands::print` sees to it.

pub mod archive;
pub mod commands;
pub mod context;
pub mod databases;
pub mod engine;
pub mod feed;
pub mod item;
pub mod kernel;
pub mod manifest;
pub mod model;
pub mod plan;
pub mod predictions;
pub mod problem;
pub mod process;
pub mod readings;
pub mod retention;
pub mod run;
mod shown;
pub mod simulate;
pub mod stderr;
pub mod stop;
pub mod train;
