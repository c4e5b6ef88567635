//! An AKS-shaped cluster on this machine: control plane, real nodes, registry, Blob emulator and the agentPools API.
//!
//! A program that calls [`up`] calls [`serve_if_asked`] first thing in `main`: `up` starts that same program again as
//! the daemon that owns the nodes and the API.

pub mod aks;
mod alone;
pub mod azurite;
mod cgroups;
mod clean;
mod command;
mod control_plane;
mod daemon;
mod down;
pub mod facts;
pub mod faults;
pub mod gluster;
pub mod images;
pub mod kafka;
mod lock;
pub mod machines;
pub mod maven;
mod network;
mod nodes;
pub mod options;
mod packages;
pub mod pki;
mod ports;
pub mod postgres;
mod processes;
pub mod progress;
mod registry;
mod root;
mod sysctls;
mod table;
mod tools;
mod up;

pub use facts::Facts;
pub use machines::{MachineSpec, Machines};
pub use options::{NodeKind, Options};
pub use progress::Progress;
pub use table::table;

use std::path::{Path, PathBuf};

/// Becomes the daemon, and never returns, if [`up`] started this program as such. To be called first in `main`, before
/// arguments are read and threads are started.
pub fn serve_if_asked() {
    let Some(root) = daemon::asked() else { return };
    let code = match daemon::run(&root) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("local-aks serve: {error:#}");
            1
        }
    };
    std::process::exit(code);
}

/// Why a local cluster cannot run here, each with what to do; empty when it can. Changes nothing.
#[must_use]
pub fn obstacles() -> Vec<String> {
    // Once the tools are built, Go may be gone.
    packages::obstacles(root::Root::new(&options::default_root()).is_ok_and(|root| tools::are_built(&root)))
}

/// Brings the cluster up. Leftovers of a crash are cleaned first; a cluster that is up already is an error. On an
/// error, Ctrl-C or SIGTERM everything is taken down again. Afterwards the signals are the caller's to handle.
///
/// # Errors
/// When the machine lacks something, another local cluster is up, or a part does not start; the error says which and
/// ends with the part's log.
pub async fn up(options: &Options, progress: &Progress) -> anyhow::Result<Facts> {
    up::up(options, progress).await
}

/// Installs and builds what [`up`] needs and [`down`] leaves: Debian packages on the host, all else in `root`.
///
/// # Errors
/// When something cannot be installed or built.
pub async fn prepare(root: &Path, progress: &Progress) -> anyhow::Result<()> {
    up::prepare(&root::Root::new(root)?, progress).await
}

/// Takes the cluster down and cleans what a crash has left. Leaves nothing outside `root`, and in it only what is slow
/// to make again, and logs.
///
/// # Errors
/// When the cluster that is up has another folder, or something cannot be removed.
pub async fn down(root: &Path, progress: &Progress) -> anyhow::Result<()> {
    down::down(root, progress).await
}

/// Where a tool is, such as `crane`, which pushes images; built from its Go module if need be.
///
/// # Errors
/// When there is none of this name, or it cannot be built.
pub async fn tool(root: &Path, name: &str, progress: &Progress) -> anyhow::Result<PathBuf> {
    tools::program(&root::Root::new(root)?, name, progress).await
}

/// Where the source of a tool's Go module is: some keep manifests there that belong to the tool. The module's name is the
/// tool's in `tools/`.
///
/// # Errors
/// When there is no such tool, or Go is missing.
pub async fn tool_source(root: &Path, name: &str, module: &str, progress: &Progress) -> anyhow::Result<PathBuf> {
    tools::source(&root::Root::new(root)?, name, module, progress).await
}

/// Installs a Debian package unless its program is there.
///
/// # Errors
/// When it cannot be installed here; the error says what to install.
pub async fn install(program: &str, package: &str, progress: &Progress) -> anyhow::Result<()> {
    packages::ensure(&[(program, package)], progress).await
}

/// The facts of the cluster if it is up.
///
/// # Errors
/// When its state cannot be read.
pub async fn status(root: &Path) -> anyhow::Result<Option<Facts>> {
    down::status(root)
}
