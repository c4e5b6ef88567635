//! The program in the pod: plan a run, load a model, read readings, score, write, archive. Knows nothing of Kubernetes.

pub mod commands;
pub mod engine;
pub mod model;
pub mod predictions;
pub mod readings;
