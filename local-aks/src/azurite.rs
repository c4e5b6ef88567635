//! Azurite, the emulator of Blob Storage, and the containers that it starts with.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::command::{find, run};
use crate::processes::{Part, start_detached};
use crate::progress::Progress;
use crate::root::{AZURITE_PORT, HOST, Root};

/// The account that every client of the emulator knows, and its public key.
pub(crate) const ACCOUNT: &str = "devstoreaccount1";
pub(crate) const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

const CONTAINERS: [&str; 5] = ["models", "data", "predictions", "runs", "logs"];
const PACKAGE: &str = include_str!("../azurite/package.json");
const LOCKFILE: &str = include_str!("../azurite/package-lock.json");

/// Where clients find it, account included.
pub(crate) fn url() -> String {
    format!("http://{HOST}:{AZURITE_PORT}/{ACCOUNT}")
}

fn stamp() -> String {
    Sha256::digest(LOCKFILE).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn program(root: &Root) -> PathBuf {
    root.azurite().join("node_modules/azurite/dist/src/blob/main.js")
}

/// Installs it as the lockfile says, unless that has been done.
pub(crate) async fn install(root: &Root, progress: &Progress) -> anyhow::Result<()> {
    let folder = root.azurite();
    let stamp_file = folder.join(".lockfile.sha256");
    if program(root).exists() && fs::read_to_string(&stamp_file).is_ok_and(|text| text == stamp()) {
        return Ok(());
    }
    progress.step("installing Azurite (half a minute, once)");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("package.json"), PACKAGE)?;
    fs::write(folder.join("package-lock.json"), LOCKFILE)?;
    let npm = find("npm").context("npm is missing: install Node.js 20 or later with npm")?;
    // No scripts: it needs none, and packages have no business running code on this machine as root.
    let arguments = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"];
    run(Command::new(npm).args(arguments).current_dir(&folder)).await?;
    fs::write(stamp_file, stamp())?;
    Ok(())
}

/// Starts it and makes the containers.
pub(crate) async fn start(root: &Root) -> anyhow::Result<Part> {
    let data = root.run().join("blobs");
    fs::create_dir_all(&data)?;
    let node = find("node").context("node is missing: install Node.js 20 or later")?;
    let mut command = Command::new(node);
    command.arg(program(root)).args(["--blobHost", HOST, "--blobPort", &AZURITE_PORT.to_string()]);
    // Clients speak newer versions of the protocol than a pinned emulator knows.
    command.args(["--disableTelemetry", "--silent", "--skipApiVersionCheck", "--location"]).arg(&data);
    let mut part = start_detached(root, "azurite", &mut command)?;
    let address = format!("{HOST}:{AZURITE_PORT}");
    part.ready(Duration::from_secs(60), || async { TcpStream::connect(&address).await.is_ok() }).await?;
    for container in CONTAINERS {
        create_container(container).await.with_context(|| format!("cannot make the blob container {container}"))?;
    }
    Ok(part)
}

/// `Create Container` with a shared key: the one call that object_store does not offer.
async fn create_container(name: &str) -> anyhow::Result<()> {
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&jiff::Timestamp::now())?;
    let version = "2023-11-03";
    // Verb, eleven headers that are empty, the headers of Microsoft's own, the resource.
    let to_sign = format!(
        "PUT{}x-ms-date:{date}\nx-ms-version:{version}\n/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container",
        "\n".repeat(12)
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY)?);
    let signature = STANDARD.encode(hmac::sign(&key, to_sign.as_bytes()));
    let answer = reqwest::Client::new()
        .put(format!("{}/{name}?restype=container", url()))
        .header("x-ms-date", date)
        .header("x-ms-version", version)
        .header("authorization", format!("SharedKey {ACCOUNT}:{signature}"))
        .header("content-length", "0")
        .send()
        .await?;
    let status = answer.status();
    if !status.is_success() {
        bail!("Azurite answered {status}: {}", answer.text().await.unwrap_or_default());
    }
    Ok(())
}
