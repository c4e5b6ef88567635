//! The image registry, and the one image that every node needs.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::Command;

use crate::command::run;
use crate::images::Platform;
use crate::processes::{Part, start_detached};
use crate::root::{HOST, OTHER_REGISTRY_PORT, REGISTRY_PORT, Root};

/// `HOST:PORT`.
pub(crate) fn address() -> String {
    format!("{HOST}:{REGISTRY_PORT}")
}

/// `HOST:PORT` of another registry that nodes pull from, if somebody starts one.
pub(crate) fn other_address() -> String {
    format!("{HOST}:{OTHER_REGISTRY_PORT}")
}

/// The image of the process that holds a pod's namespaces.
pub(crate) fn pause_image() -> String {
    format!("{}/local-aks/pause:1", address())
}

/// Starts the registry and puts the pause image into it.
pub(crate) async fn start(root: &Root) -> anyhow::Result<Part> {
    let blobs = root.run().join("registry");
    std::fs::create_dir_all(&blobs)?;
    let mut command = Command::new(root.tool("crane"));
    command.args(["registry", "serve", "--address", &address(), "--disk"]).arg(&blobs);
    let mut part = start_detached(root, "registry", &mut command)?;
    part.ready(Duration::from_secs(30), || async { TcpStream::connect(address()).await.is_ok() }).await?;
    push_pause(root).await?;
    Ok(part)
}

async fn push_pause(root: &Root) -> anyhow::Result<()> {
    let layer = root.run().join("pause.tar");
    run(Command::new("tar")
        .arg("--create")
        .arg("--file")
        .arg(&layer)
        .args(["--owner=0", "--group=0", "--directory"])
        .arg(root.bin())
        .arg("pause"))
    .await?;
    let crane = || {
        let mut command = Command::new(root.tool("crane"));
        command.arg("--insecure");
        command
    };
    let image = pause_image();
    run(crane().args(["append", "--oci-empty-base", "--new_tag", &image, "--new_layer"]).arg(&layer)).await?;
    let platform = Platform::here()?.to_string();
    run(crane()
        .args(["mutate", &image, "--entrypoint", "/pause", "--user", "65535", "--set-platform", &platform])
        .args(["--tag", &image]))
    .await?;
    Ok(())
}
