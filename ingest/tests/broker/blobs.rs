//! A store that is no folder: the emulator of Blob Storage, which can be stopped and started.

use std::path::{Path, PathBuf};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use local_aks::azurite::{Certificate, Emulator, sas_token};
use local_aks::{Options, Progress};
use store::credentials::CERTIFICATES;
use store::{Credentials, Store};

use crate::replica::Replica;
use crate::tls::Identity;

/// The emulator, and what opens it.
pub(crate) struct Blobs {
    pub(crate) emulator: Emulator,
    folder: PathBuf,
    certificate: PathBuf,
}

impl Blobs {
    pub(crate) async fn start(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder.join("secret"))?;
        let identity = Identity::for_this_host()?;
        let certificate = Certificate { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
        std::fs::write(&certificate.cert, &identity.pem)?;
        std::fs::write(&certificate.key, &identity.key_pem)?;
        let token = sas_token(Timestamp::now() + SignedDuration::from_hours(24))?;
        std::fs::write(folder.join("secret/sasToken"), token)?;
        let root = Options::default().root;
        let emulator = Emulator::with_tokens(&root, &folder.join("blobs"), &certificate, &Progress::lines()).await?;
        Ok(Self { emulator, folder: folder.to_owned(), certificate: certificate.cert })
    }

    fn secret(&self) -> PathBuf {
        self.folder.join("secret")
    }

    /// One of its containers.
    pub(crate) fn url(&self) -> String {
        format!("{}/data", self.emulator.url())
    }

    pub(crate) fn store(&self) -> Result<Store> {
        let env = |name: &str| (name == CERTIFICATES).then(|| self.certificate.display().to_string());
        Ok(Store::open(&self.url(), &Credentials::find(Some(&self.secret()), &env)?)?)
    }

    /// A replica that may write to it.
    pub(crate) fn replica(&self, config: &Path, log: &Path, name: &str) -> Result<Replica> {
        let (secret, certificate) = (self.secret().display().to_string(), self.certificate.display().to_string());
        let more = [("--store-secret-dir", secret.as_str()), ("--name", name)];
        Replica::start_in(config, log, &more, &[(CERTIFICATES, &certificate)])
    }
}
