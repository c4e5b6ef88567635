//! The program in the pod: plan a run, load a model, read readings, score, write, archive. Knows nothing of Kubernetes.

pub mod engine;
