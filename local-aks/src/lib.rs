//! An AKS-shaped cluster on this machine: control plane, real nodes, registry, Blob emulator and the agentPools API.
//!
//! A program that calls [`up`] calls [`serve_if_asked`] first thing in `main`: `up` starts that same program again as
//! the daemon that owns the nodes and the API.

pub mod aks;
pub mod facts;
pub mod images;
pub mod machines;
pub mod options;
pub mod progress;

pub use facts::Facts;
pub use machines::{MachineSpec, Machines};
pub use options::{NodeKind, Options};
pub use progress::Progress;

use std::path::Path;

/// Becomes the daemon, and never returns, if [`up`] started this program as such. To be called first in `main`.
pub fn serve_if_asked() {}

/// Why a local cluster cannot run here, each with what to do; empty when it can. Changes nothing.
#[must_use]
pub fn obstacles() -> Vec<String> {
    Vec::new()
}

/// Brings the cluster up. Leftovers of a crash are cleaned first; a cluster that is up already is an error. On an
/// error, Ctrl-C or SIGTERM everything is taken down again. Afterwards the signals are the caller's to handle.
pub async fn up(_options: &Options, _progress: &Progress) -> anyhow::Result<Facts> {
    anyhow::bail!("not there yet")
}

/// Takes the cluster down and cleans what a crash has left. Leaves nothing outside `root`, and in it only what is slow
/// to make again, and logs.
pub async fn down(_root: &Path, _progress: &Progress) -> anyhow::Result<()> {
    anyhow::bail!("not there yet")
}

/// The facts of the cluster if it is up.
pub async fn status(_root: &Path) -> anyhow::Result<Option<Facts>> {
    Ok(None)
}
