//! An Apache Kafka broker on this machine, in one process: its clients come in plaintext, or over TLS with the user name and
//! password that Event Hubs takes. Its data is in a folder, and it can be stopped, killed and started again. It ends with
//! this program.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::Signal;
use tokio::process::Command;
use url::Url;

use crate::command::run;
use crate::pki::{Authority, write_private};
use crate::processes::Part;
use crate::progress::Progress;
use crate::root::Root;
use crate::{alone, maven, ports};

mod configuration;
mod install;
mod tokens;
mod topics;
mod wire;

use configuration::Listeners;
pub use install::install;
pub use tokens::Issuer;

const LOOPBACK: &str = "127.0.0.1";
const LIMIT: Duration = Duration::from_secs(120);
/// Any will do: the base64 of 16 bytes.
const CLUSTER: &str = "bG9jYWwtYWtzLWthZmthMQ";
/// Of Java's heaps, in MiB.
const BROKER_MEMORY: u32 = 512;
const TOOL_MEMORY: u32 = 256;

/// What a broker is to be like.
#[derive(Clone)]
pub struct Settings<'a> {
    /// Where its data is. What is there already is gone on with.
    pub folder: &'a Path,
    /// Where Kafka is kept, such as `Options::root`.
    pub root: &'a Path,
    /// At which it listens, and under which it tells clients to come: of this machine. Pods reach none on loopback.
    pub host: &'a str,
    /// Signs its certificate, for loopback and for the address that pods reach. Without one it listens in plaintext only.
    pub authority: Option<&'a Authority>,
    /// That of the user `$ConnectionString`, over TLS.
    pub password: &'a str,
    /// Whose tokens are good, too, over TLS.
    pub issuer: Option<&'a Issuer>,
}

impl<'a> Settings<'a> {
    /// On loopback in plaintext.
    #[must_use]
    pub fn new(folder: &'a Path, root: &'a Path) -> Self {
        Self { folder, root, host: LOOPBACK, authority: None, password: "", issuer: None }
    }

    /// Over TLS, too, with a password.
    #[must_use]
    pub fn with_password(self, authority: &'a Authority, password: &'a str) -> Self {
        Self { authority: Some(authority), password, ..self }
    }

    /// With tokens (OAUTHBEARER) besides the password.
    #[must_use]
    pub fn with_tokens(self, issuer: &'a Issuer) -> Self {
        Self { issuer: Some(issuer), ..self }
    }
}

/// A broker. It ends when dropped, and with this program.
pub struct Kafka {
    root: Root,
    folder: PathBuf,
    listeners: Listeners,
    process: Option<Part>,
}

impl Kafka {
    /// Starts one at free ports; installs it first if need be.
    ///
    /// # Errors
    /// When it cannot be installed or does not start.
    pub async fn start(settings: &Settings<'_>, progress: &Progress) -> anyhow::Result<Self> {
        install(settings.root, progress).await?;
        let [plaintext, sasl] = ports::free(settings.host)?;
        let [controller] = ports::free(LOOPBACK)?;
        let sasl = settings.authority.map(|_| sasl);
        let mut broker = Self {
            root: Root::new(settings.root)?,
            folder: std::path::absolute(settings.folder)?,
            listeners: Listeners { host: settings.host.to_owned(), plaintext, sasl, controller },
            process: None,
        };
        fs::create_dir_all(broker.folder.join("tmp"))
            .with_context(|| format!("cannot make {}", broker.folder.display()))?;
        broker.configure(settings)?;
        if !broker.data().join("meta.properties").exists() {
            broker.format().await?;
        }
        broker.restart().await?;
        Ok(broker)
    }

    /// Where clients come in plaintext: `HOST:PORT`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!("{}:{}", self.listeners.host, self.listeners.plaintext)
    }

    /// Where clients come over TLS, with SASL: `HOST:PORT`. None where there was no authority.
    #[must_use]
    pub fn sasl_bootstrap(&self) -> Option<String> {
        Some(format!("{}:{}", self.listeners.host, self.listeners.sasl?))
    }

    /// What it says.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    /// The number of its process, as long as there is one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref()?.pid()
    }

    /// Stops it; its data stays.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.end(Signal::TERM).await
    }

    /// Kills it (SIGKILL).
    ///
    /// # Errors
    /// When it does not end.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.end(Signal::KILL).await
    }

    async fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.stop(signal, LIMIT).await
    }

    /// Starts it again with the same data and ports; stops it first if it runs. Returns when it answers for all
    /// its partitions.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.stop().await?;
        let mut command = alone::command(&maven::java()?, "KILL", None)?;
        // Kafka reads keys from nowhere unless it is told so.
        command.arg(format!("-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={}", self.keys_url()?));
        command.args(self.arguments(BROKER_MEMORY, "kafka.Kafka")?).arg(self.settings()).current_dir(&self.folder);
        let mut process = alone::start("Kafka", &self.log(), command).await?;
        process.ready(LIMIT, || async { self.is_ready().await.unwrap_or(false) }).await?;
        self.process = Some(process);
        Ok(())
    }

    /// One of Kafka's own programs, by its class, such as `org.apache.kafka.tools.ConsoleProducer`: still without arguments,
    /// and killed when dropped. Of what it logs, warnings go to its standard error.
    ///
    /// # Errors
    /// When Java is missing.
    pub fn tool(&self, class: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(maven::java()?);
        command
            .arg("-Dlog.level=warn")
            .args(self.arguments(TOOL_MEMORY, class)?)
            .current_dir(&self.folder)
            .kill_on_drop(true);
        Ok(command)
    }

    fn arguments(&self, memory: u32, class: &str) -> anyhow::Result<Vec<String>> {
        install::arguments(self.root.path(), &self.folder, memory, class)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The public keys of who signs tokens.
    fn keys(&self) -> PathBuf {
        self.folder.join("keys.json")
    }

    fn keys_url(&self) -> anyhow::Result<Url> {
        Url::from_file_path(self.keys()).ok().context("the folder of Kafka has no absolute path")
    }

    fn settings(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    /// Writes what it reads.
    fn configure(&self, settings: &Settings<'_>) -> anyhow::Result<()> {
        let mut lines = configuration::common(&self.listeners, &self.data())?;
        if let Some(authority) = settings.authority {
            let pair = authority.this_machine("kafka")?;
            let both = self.folder.join("server.pem");
            let texts = [fs::read_to_string(pair.key)?, fs::read_to_string(pair.certificate)?];
            write_private(&both, &texts.concat())?;
            lines.push_str(&configuration::sasl(&both, settings.password, settings.issuer.is_some())?);
        }
        if let Some(issuer) = settings.issuer {
            ensure!(settings.authority.is_some(), "tokens come over TLS: Kafka's settings want an authority, too");
            fs::write(self.keys(), issuer.keys()?)?;
            lines.push_str(&configuration::tokens(issuer, &self.keys_url()?)?);
        }
        fs::write(self.folder.join("log4j2.properties"), include_str!("kafka/log4j2.properties"))?;
        write_private(&self.settings(), &lines)
    }

    /// Makes the folder of data.
    async fn format(&self) -> anyhow::Result<()> {
        let mut tool = self.tool("kafka.tools.StorageTool")?;
        tool.args(["format", "--ignore-formatted", "--cluster-id", CLUSTER, "--config"]).arg(self.settings());
        run(&mut tool).await.map(drop)
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        // It has so many threads that its ports are not free at once.
        if let Some(process) = &mut self.process {
            process.end_before_drop(Signal::KILL, Duration::from_secs(10));
        }
    }
}
