//! A PostgreSQL server on this machine: clients come over TLS with passwords, its data is in a folder, and it can be stopped,
//! killed and started again. It ends with this program.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::alone;
use crate::command::{find, run};
use crate::pki::{Authority, write_private};
use crate::processes::Part;
use crate::progress::Progress;
use crate::{packages, ports};

mod owner;
mod remains;

use owner::Owner;

/// The superuser's name in the database.
const SUPERUSER: &str = "postgres";
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const DEBIAN: &str = "/usr/lib/postgresql";
const LIMIT: Duration = Duration::from_secs(60);
/// Besides where it listens.
const SETTINGS: [&str; 10] = [
    "unix_socket_directories=",
    "ssl=on",
    "ssl_cert_file=server.crt",
    "ssl_key_file=server.key",
    "password_encryption=scram-sha-256",
    // In the folder of data, and so gone with it.
    "dynamic_shared_memory_type=mmap",
    "shared_buffers=64MB",
    "max_connections=50",
    "timezone=UTC",
    "log_timezone=UTC",
];

/// What a server is to be like.
#[derive(Clone)]
pub struct Settings<'a> {
    /// Where its data is. What is there already is gone on with.
    pub folder: &'a Path,
    /// At which it listens: of this machine. Pods reach none on loopback.
    pub host: IpAddr,
    /// Signs its certificate, for loopback and for the address that pods reach.
    pub authority: &'a Authority,
    /// The superuser's password.
    pub password: &'a str,
}

impl<'a> Settings<'a> {
    /// On loopback, with a password that is no secret.
    #[must_use]
    pub fn new(folder: &'a Path, authority: &'a Authority) -> Self {
        Self { folder, host: LOOPBACK, authority, password: "of the superuser" }
    }
}

/// Makes sure that the programs are there.
///
/// # Errors
/// When they are missing and cannot be installed.
pub async fn install(progress: &Progress) -> anyhow::Result<()> {
    // Of several who start servers at once, one installs and the others wait.
    static ALONE: Mutex<()> = Mutex::const_new(());
    let _alone = ALONE.lock().await;
    if programs().is_none() {
        packages::fetch_postgresql(progress).await?;
        programs().context("the package `postgresql` has no initdb, postgres and psql")?;
    }
    Ok(())
}

/// The folder with a server's and a client's programs: Debian keeps one for each version.
fn programs() -> Option<PathBuf> {
    let has_all =
        |folder: &PathBuf| ["initdb", "postgres", "pg_isready", "psql"].iter().all(|name| folder.join(name).exists());
    let version = |folder: &PathBuf| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = versions.filter(|folder| has_all(&folder.join("bin"))).max_by_key(version);
    let on_path = find("initdb").and_then(|file| Some(file.parent()?.to_owned()));
    newest.map(|folder| folder.join("bin")).or(on_path.filter(has_all))
}

/// A server. It ends when dropped, and with this program.
pub struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
    owner: Option<Owner>,
    authority: PathBuf,
    password: String,
    process: Option<Part>,
}

impl Postgres {
    /// Starts one at a free port; installs it first if need be.
    ///
    /// # Errors
    /// When it cannot be installed or does not start.
    pub async fn start(settings: &Settings<'_>, progress: &Progress) -> anyhow::Result<Self> {
        install(progress).await?;
        let [port] = ports::free(&settings.host.to_string())?;
        let mut server = Self {
            programs: programs().context("PostgreSQL is missing")?,
            folder: std::path::absolute(settings.folder)?,
            address: SocketAddr::new(settings.host, port),
            owner: Owner::find()?,
            authority: std::path::absolute(settings.authority.certificate())?,
            password: settings.password.to_owned(),
            process: None,
        };
        fs::create_dir_all(&server.folder).with_context(|| format!("cannot make {}", server.folder.display()))?;
        if server.owner.is_some() {
            owner::open(&server.folder, &std::env::temp_dir())?;
        }
        if !server.data().join("PG_VERSION").exists() {
            server.initialize().await?;
        }
        let pair = settings.authority.this_machine("postgres")?;
        for (from, to) in [(&pair.certificate, "server.crt"), (&pair.key, "server.key")] {
            server.write(&server.data().join(to), &fs::read_to_string(from)?)?;
        }
        server.restart().await?;
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How a client reaches a database.
    #[must_use]
    pub fn url(&self, database: &str, role: &str, password: &str) -> String {
        let encoded =
            |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
        format!(
            "postgres://{}:{}@{}/{}?sslmode=require",
            encoded(role),
            encoded(password),
            self.address,
            encoded(database)
        )
    }

    /// What it says.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    /// The number of its first process, as long as there is one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref()?.pid()
    }

    /// Stops it: connections end, what is done stays.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.stop(Signal::INT, LIMIT).await
    }

    /// Kills all its processes at once (SIGKILL).
    ///
    /// # Errors
    /// When they do not end.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        if let Some(pid) = process.pid() {
            remains::kill(pid.cast_signed(), LIMIT).await?;
        }
        process.stop(Signal::KILL, LIMIT).await?;
        remains::free_memory(&self.data()).await
    }

    /// Starts it again with the same data and port; stops it first if it runs. Returns when it takes connections.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.stop().await?;
        // On this signal it ends at once, and takes its shared memory along.
        let mut command = self.program("postgres", "QUIT")?;
        command.arg("-D").arg(self.data());
        for setting in [format!("listen_addresses={}", self.address.ip()), format!("port={}", self.address.port())] {
            command.args(["-c", &setting]);
        }
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        let mut process = alone::start("PostgreSQL", &self.log(), command).await?;
        process.ready(LIMIT, || async { self.is_ready().await }).await?;
        self.process = Some(process);
        Ok(())
    }

    /// Makes a database, with a role that may connect, and make tables in its schema `public` and temporary ones: its own,
    /// and nothing else. Names and password are taken as they are.
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub async fn create_database(&self, database: &str, role: &str, password: &str) -> anyhow::Result<()> {
        let variables = [("database", database), ("role", role), ("password", password)];
        self.psql("postgres", &variables, include_str!("postgres/database.sql")).await?;
        self.psql(database, &variables, include_str!("postgres/role.sql")).await.map(drop)
    }

    /// Runs SQL in a database as its superuser; gives the rows as CSV.
    ///
    /// # Errors
    /// When PostgreSQL refuses, with what it said.
    pub async fn sql(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        self.psql(database, &[], sql).await
    }

    async fn psql(&self, database: &str, variables: &[(&str, &str)], sql: &str) -> anyhow::Result<String> {
        let (host, port) = self.host_and_port();
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--csv", "--tuples-only", "--set", "ON_ERROR_STOP=1"]);
        psql.args(variables.iter().flat_map(|(name, value)| ["--set".to_owned(), format!("{name}={value}")]));
        psql.args(["--host", &host, "--port", &port, "--username", SUPERUSER, "--dbname", database]);
        psql.env("PGPASSWORD", &self.password).env("PGSSLMODE", "verify-ca").env("PGSSLROOTCERT", &self.authority);
        psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = psql.spawn().context("cannot start psql")?;
        let mut input = process.stdin.take().context("psql has no input")?;
        let write = async move { input.write_all(sql.as_bytes()).await };
        // What it did not read any more it has told why.
        let (_, output) = tokio::join!(write, process.wait_with_output());
        let output = output?;
        if !output.status.success() {
            bail!("psql: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn host_and_port(&self) -> (String, String) {
        (self.address.ip().to_string(), self.address.port().to_string())
    }

    async fn is_ready(&self) -> bool {
        let (host, port) = self.host_and_port();
        let mut ask = Command::new(self.programs.join("pg_isready"));
        run(ask.args(["--quiet", "--host", &host, "--port", &port])).await.is_ok()
    }

    /// Makes the folder of data and what is in it from the start.
    async fn initialize(&self) -> anyhow::Result<()> {
        let (data, password) = (self.data(), self.folder.join("password"));
        fs::create_dir_all(&data)?;
        self.give(&data)?;
        self.write(&password, &self.password)?;
        let mut initdb = self.program("initdb", "KILL")?;
        initdb.args(["--username", SUPERUSER, "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--no-sync"]);
        let done = run(initdb.arg("--pwfile").arg(&password).arg("--pgdata").arg(&data)).await;
        fs::remove_file(&password)?;
        done?;
        // Nobody comes without TLS, or without a password.
        self.write(&data.join("pg_hba.conf"), "hostssl all all all scram-sha-256\n")
    }

    /// One of its programs, that gets this signal when we end.
    fn program(&self, name: &str, signal: &str) -> anyhow::Result<Command> {
        let ids = self.owner.map(|owner| (owner.user, owner.group));
        let mut command = alone::command(&self.programs.join(name), signal, ids)?;
        command.current_dir(&self.folder);
        Ok(command)
    }

    /// Writes a file that only the server may read.
    fn write(&self, file: &Path, text: &str) -> anyhow::Result<()> {
        write_private(file, text)?;
        self.give(file)
    }

    fn give(&self, path: &Path) -> anyhow::Result<()> {
        let Some(owner) = self.owner else { return Ok(()) };
        let given = std::os::unix::fs::chown(path, Some(owner.user), Some(owner.group));
        given.with_context(|| format!("cannot give {} to the user of PostgreSQL", path.display()))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Killed, it would leave shared memory.
        if let Some(process) = &mut self.process {
            process.end_before_drop(Signal::QUIT, Duration::from_secs(10));
        }
    }
}
