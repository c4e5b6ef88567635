//! A server of S3 on this machine, its buckets in a folder.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use local_aks::{Options, Progress};
use store::{Credentials, Store};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use crate::local::tell;

/// The one key that it takes.
pub const KEY_ID: &str = "AKIDOFTHETESTS";
/// Its other part, with what is in keys of Amazon's and has a meaning in URLs.
pub const SECRET: &str = "only/for+tests=0123456789";

/// Tests of a process start theirs at once, and it is built once.
static BUILDING: Mutex<()> = Mutex::const_new(());

/// It ends when dropped.
pub struct Gateway {
    /// `http://HOST:PORT`.
    pub url: String,
    buckets: PathBuf,
    _process: Child,
}

impl Gateway {
    /// Starts one at a free port of this host, with its buckets below a folder.
    ///
    /// # Errors
    /// When it cannot be built or does not answer.
    pub async fn start(host: &str, folder: &Path) -> Result<Self> {
        let progress = Progress::new(|line| tell("s3", line));
        let program = {
            let _alone = BUILDING.lock().await;
            local_aks::tool(&Options::default().root, "versitygw", &progress).await?
        };
        let port = std::net::TcpListener::bind((host, 0))?.local_addr()?.port();
        let (address, buckets, sidecar) = (format!("{host}:{port}"), folder.join("buckets"), folder.join("sidecar"));
        std::fs::create_dir_all(&buckets)?;
        std::fs::create_dir_all(&sidecar)?;
        let mut serve = Command::new(program);
        serve.args(["--quiet", "--keep-alive", "--port", &address, "posix", "--sidecar"]).arg(sidecar).arg(&buckets);
        serve.env("ROOT_ACCESS_KEY", KEY_ID).env("ROOT_SECRET_KEY", SECRET);
        serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let process = serve.spawn().context("start the server of S3")?;
        let answers = async {
            while TcpStream::connect(&address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), answers).await.context("no S3 answers")?;
        Ok(Self { url: format!("http://{address}"), buckets, _process: process })
    }

    /// Makes a bucket.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn bucket(&self, name: &str) -> Result<()> {
        std::fs::create_dir_all(self.folder(name)).context("make a bucket")
    }

    /// Where the files of a bucket are.
    #[must_use]
    pub fn folder(&self, bucket: &str) -> PathBuf {
        self.buckets.join(bucket)
    }

    /// What a client's environment says.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, &str); 3] {
        [("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_ENDPOINT_URL", &self.url)]
    }

    /// Opens a store as a client whose environment says this besides.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn store(&self, url: &str, more: &[(&str, &str)]) -> Result<Store> {
        let environment = [more, &self.environment()].concat();
        let get = |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        Ok(Store::open(url, &Credentials::find(None, &get)?)?)
    }
}
