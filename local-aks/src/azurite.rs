//! Azurite, the emulator of Blob Storage, and the containers that it starts with.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use rustix::process::Signal;
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::command::{find, run};
use crate::processes::{Part, start_detached};
use crate::progress::Progress;
use crate::root::{AZURITE_PORT, HOST, Root};
use crate::{alone, ports};

/// The account that every client of the emulator knows, and its public key.
pub(crate) const ACCOUNT: &str = "devstoreaccount1";
pub(crate) const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

const LIMIT: Duration = Duration::from_secs(60);
const LOOPBACK: &str = "127.0.0.1";
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

/// Installs it as the lockfile says, unless that has been done. `root` is where it is kept.
///
/// # Errors
/// When it cannot be installed.
pub async fn install(root: &Path, progress: &Progress) -> anyhow::Result<()> {
    let root = Root::new(root)?;
    let folder = root.azurite();
    let stamp_file = folder.join(".lockfile.sha256");
    if program(&root).exists() && fs::read_to_string(&stamp_file).is_ok_and(|text| text == stamp()) {
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
    let blobs = root.run().join("blobs");
    let mut command = Command::new(node()?);
    arguments(&mut command, root, (HOST, AZURITE_PORT), &blobs, None)?;
    let mut part = start_detached(root, "azurite", &mut command)?;
    let address = format!("{HOST}:{AZURITE_PORT}");
    part.ready(LIMIT, || async { TcpStream::connect(&address).await.is_ok() }).await?;
    create_containers(&url()).await?;
    Ok(part)
}

fn node() -> anyhow::Result<PathBuf> {
    find("node").context("node is missing: install Node.js 20 or later")
}

fn arguments(
    command: &mut Command,
    root: &Root,
    at: (&str, u16),
    data: &Path,
    tls: Option<&Certificate>,
) -> anyhow::Result<()> {
    fs::create_dir_all(data)?;
    command.arg(program(root)).args(["--blobHost", at.0, "--blobPort", &at.1.to_string()]);
    // Clients speak newer versions of the protocol than a pinned emulator knows.
    command.args(["--disableTelemetry", "--silent", "--skipApiVersionCheck", "--location"]).arg(data);
    if let Some(Certificate { cert, key }) = tls {
        command.args(["--oauth", "basic", "--cert"]).arg(cert).arg("--key").arg(key);
    }
    Ok(())
}

/// What an emulator speaks https with; then it also takes tokens, of which it does not check the signature.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Its file, PEM.
    pub cert: PathBuf,
    /// Its key's file, PEM.
    pub key: PathBuf,
}

async fn create_containers(url: &str) -> anyhow::Result<()> {
    for name in CONTAINERS {
        create_container(url, name).await.with_context(|| format!("cannot make the blob container {name}"))?;
    }
    Ok(())
}

/// Another emulator beside that of a cluster which is up, to be stopped and started. It ends when dropped, and with this
/// program.
pub struct Emulator {
    root: Root,
    host: &'static str,
    port: u16,
    data: PathBuf,
    tls: Option<Certificate>,
    process: Option<Part>,
}

impl Emulator {
    /// Starts one with its blobs in a folder, and makes its containers. `root` is the cluster's folder.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(root: &Path, port: u16, data: &Path) -> anyhow::Result<Self> {
        Self::begin(Root::new(root)?, HOST, port, data).await
    }

    async fn begin(root: Root, host: &'static str, port: u16, data: &Path) -> anyhow::Result<Self> {
        let mut emulator = Self { root, host, port, data: data.to_path_buf(), tls: None, process: None };
        emulator.resume().await?;
        create_containers(&emulator.url()).await?;
        Ok(emulator)
    }

    /// Starts one on loopback without a cluster, that speaks https and takes tokens. Installs it if need be.
    ///
    /// # Errors
    /// When it cannot be installed or does not start.
    pub async fn with_tokens(
        root: &Path,
        data: &Path,
        certificate: &Certificate,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        install(root, progress).await?;
        let [port] = ports::free(LOOPBACK)?;
        // Containers are made with the account's key, by a client that trusts no certificate of ours.
        let mut emulator = Self::begin(Root::new(root)?, LOOPBACK, port, data).await?;
        emulator.stop().await?;
        emulator.tls = Some(certificate.clone());
        emulator.resume().await?;
        Ok(emulator)
    }

    /// Where clients find it, account included.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}:{}/{ACCOUNT}", self.host, self.port)
    }

    /// Stops it; its blobs stay. Killed, it would lose what it has not written yet.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.stop(Signal::TERM, Duration::from_secs(20)).await
    }

    /// Starts it again.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn resume(&mut self) -> anyhow::Result<()> {
        let mut command = alone::command(&node()?, "KILL", None)?;
        arguments(&mut command, &self.root, (self.host, self.port), &self.data, self.tls.as_ref())?;
        let mut process = alone::start("azurite", &self.data.join("azurite.log"), command).await?;
        let address = format!("{}:{}", self.host, self.port);
        process.ready(LIMIT, || async { TcpStream::connect(&address).await.is_ok() }).await?;
        self.process = Some(process);
        Ok(())
    }
}

/// A SAS token for all of the account's blobs, until then.
///
/// # Errors
/// When the account's key is none.
pub fn sas_token(until: jiff::Timestamp) -> anyhow::Result<String> {
    let (rights, services, kinds, version) = ("racwdl", "b", "sco", "2018-11-09");
    let until = until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let to_sign = format!("{ACCOUNT}\n{rights}\n{services}\n{kinds}\n\n{until}\n\n\n{version}\n");
    let signature = signature(&to_sign)?;
    let encoded: String = url::form_urlencoded::byte_serialize(signature.as_bytes()).collect();
    Ok(format!("sv={version}&ss={services}&srt={kinds}&sp={rights}&se={}&sig={encoded}", until.replace(':', "%3A")))
}

fn signature(to_sign: &str) -> anyhow::Result<String> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY)?);
    Ok(STANDARD.encode(hmac::sign(&key, to_sign.as_bytes())))
}

/// `Create Container` with a shared key: the one call that object_store does not offer.
async fn create_container(url: &str, name: &str) -> anyhow::Result<()> {
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&jiff::Timestamp::now())?;
    let version = "2023-11-03";
    // Verb, eleven headers that are empty, the headers of Microsoft's own, the resource.
    let to_sign = format!(
        "PUT{}x-ms-date:{date}\nx-ms-version:{version}\n/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container",
        "\n".repeat(12)
    );
    let signature = signature(&to_sign)?;
    let answer = reqwest::Client::new()
        .put(format!("{url}/{name}?restype=container"))
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
