//! What must be on the machine before anything can run: installed where we may, named where we may not.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tokio::process::Command;

use crate::command::{find, run};
use crate::progress::Progress;

/// Programs that nodes need, and the Debian package of each.
const PROGRAMS: [(&str, &str); 8] = [
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("iptables", "iptables"),
    ("ip", "iproute2"),
    ("mount", "mount"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("sh", "dash"),
];

/// Where distributions put the CNI plugins.
const CNI_FOLDERS: [&str; 4] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni", "/usr/lib/cni-plugins"];

/// The folder with the CNI plugins `bridge`, `host-local` and `loopback`.
pub(crate) fn cni_plugins() -> Option<PathBuf> {
    let folders = CNI_FOLDERS.map(PathBuf::from).into_iter();
    folders
        .into_iter()
        .find(|folder| ["bridge", "host-local", "loopback"].iter().all(|name| folder.join(name).exists()))
}

/// Debian packages of what is missing.
fn missing() -> Vec<&'static str> {
    let mut packages: Vec<_> =
        PROGRAMS.iter().filter(|(program, _)| find(program).is_none()).map(|(_, package)| *package).collect();
    if cni_plugins().is_none() {
        packages.push("containernetworking-plugins");
    }
    packages.dedup();
    packages
}

fn is_debian() -> bool {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let family = release.lines().filter(|line| line.starts_with("ID=") || line.starts_with("ID_LIKE="));
    family.into_iter().any(|line| line.contains("debian") || line.contains("ubuntu")) && find("apt-get").is_some()
}

/// Why a cluster cannot run here, each with what to do.
pub(crate) fn obstacles(tools_are_built: bool) -> Vec<String> {
    let mut obstacles = Vec::new();
    if !cfg!(target_os = "linux") {
        obstacles.push("local-aks runs real nodes, which takes Linux".to_owned());
    }
    if !rustix::process::geteuid().is_root() {
        obstacles.push("local-aks makes interfaces, mounts and control groups: run it as root".to_owned());
    }
    if !tools_are_built && find("go").is_none() {
        obstacles.push(
            "Go is missing: local-aks builds Kubernetes with it. Install Go 1.26 or later (https://go.dev/dl/)"
                .to_owned(),
        );
    }
    if find("node").is_none() || find("npm").is_none() {
        obstacles.push("Node.js is missing: Azurite runs on it. Install Node.js 20 or later with npm".to_owned());
    }
    let packages = missing();
    if !packages.is_empty() && !is_debian() {
        obstacles.push(format!(
            "missing on this machine: {} (names of Debian's packages; install what your distribution calls them)",
            packages.join(", ")
        ));
    }
    obstacles
}

/// Installs what is missing, on Debian and its kin.
pub(crate) async fn install(progress: &Progress) -> anyhow::Result<()> {
    let packages = missing();
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    fetch(&packages, progress).await?;
    let still = missing();
    if !still.is_empty() {
        bail!("still missing after `apt-get install {list}`: {}", still.join(" "));
    }
    Ok(())
}

/// Installs the packages of those programs that are missing.
pub(crate) async fn ensure(programs: &[(&str, &str)], progress: &Progress) -> anyhow::Result<()> {
    let missing = programs.iter().filter(|(program, _)| find(program).is_none());
    let packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if packages.is_empty() { Ok(()) } else { fetch(&packages, progress).await }
}

/// Installs these packages of Debian's.
pub(crate) async fn fetch(packages: &[&str], progress: &Progress) -> anyhow::Result<()> {
    let list = packages.join(" ");
    if !is_debian() {
        bail!("missing on this machine: {list}: install them and try again");
    }
    progress.step(format!("installing Debian packages, which `down` leaves: {list}"));
    apt(&["update"]).await?;
    let arguments: Vec<_> = ["install", "--yes", "--no-install-recommends"].iter().chain(packages).copied().collect();
    apt(&arguments).await.map(drop)
}

/// Installs PostgreSQL's programs, without the server that Debian makes of them and starts: a file says so while they come.
pub(crate) async fn fetch_postgresql(progress: &Progress) -> anyhow::Result<()> {
    const PACKAGE: &str = "postgresql";
    if !is_debian() || !rustix::process::geteuid().is_root() {
        bail!("missing on this machine: {PACKAGE}: install it, or try again as root of a Debian or its kin");
    }
    let folder = Path::new("/etc/postgresql-common/createcluster.d");
    let file = folder.join("local-aks.conf");
    std::fs::create_dir_all(folder)?;
    std::fs::write(&file, "create_main_cluster = false\n")?;
    let done = fetch(&[PACKAGE], progress).await;
    std::fs::remove_file(file)?;
    // Not where something else is in it.
    let _ = std::fs::remove_dir(folder);
    done
}

async fn apt(arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("apt-get");
    run(command.args(["-o", "DPkg::Lock::Timeout=300"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive")).await
}

/// The system's bundle of certificate authorities.
pub(crate) fn system_authorities() -> anyhow::Result<String> {
    let files = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ];
    match files.iter().find(|file| Path::new(file).exists()) {
        Some(file) => std::fs::read_to_string(file).with_context(|| format!("cannot read {file}")),
        // The private CA alone is enough for everything on this machine.
        None => Ok(String::new()),
    }
}
