//! The program in the pod: plan a run, load a model, read readings, score, write, archive. Knows nothing of Kubernetes.

pub mod commands;
pub mod engine;
mod kernel;
pub mod model;
pub mod predictions;
pub mod readings;
pub mod simulate;
pub mod train;
