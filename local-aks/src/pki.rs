//! A private certificate authority and what it signs: the cluster's, or that of servers which stand alone.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use crate::root::{API_PORT, API_SERVICE, HOST, Root};

/// The private authority, in a folder.
pub struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as files.
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

fn parameters() -> anyhow::Result<CertificateParams> {
    let mut parameters = CertificateParams::new(Vec::<String>::new())?;
    parameters.distinguished_name.push(DnType::CommonName, "local-aks");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    Ok(parameters)
}

/// Writes what nobody else may read.
pub(crate) fn write_private(file: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut open = options.open(file).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(open.write_all(text.as_bytes())?)
}

impl Authority {
    /// A new authority of its own in a folder, for servers that stand alone.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn alone(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let key = KeyPair::generate()?;
        fs::write(folder.join("ca.crt"), parameters()?.self_signed(&key)?.pem())?;
        write_private(&folder.join("ca.key"), &key.serialize_pem())?;
        Ok(Self { folder: folder.to_owned(), issuer: Issuer::new(parameters()?, key) })
    }

    /// A cluster's new authority, with the bundle that holds it and the system's authorities, and a key for ServiceAccounts.
    pub(crate) fn create(root: &Root, system_authorities: &str) -> anyhow::Result<Self> {
        let this = Self::alone(&root.pki())?;
        let certificate = fs::read_to_string(this.certificate())?;
        fs::write(this.bundle(), format!("{certificate}{system_authorities}"))?;
        let service_accounts = KeyPair::generate()?;
        write_private(&this.service_accounts_key(), &service_accounts.serialize_pem())?;
        fs::write(this.service_accounts_public_key(), service_accounts.public_key_pem())?;
        Ok(this)
    }

    /// The authority that [`Authority::create`] made.
    pub(crate) fn open(root: &Root) -> anyhow::Result<Self> {
        let folder = root.pki();
        let file = folder.join("ca.key");
        let pem = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Self { folder, issuer: Issuer::new(parameters()?, KeyPair::from_pem(&pem)?) })
    }

    /// Its certificate's file, PEM: what clients are to trust.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    pub(crate) fn bundle(&self) -> PathBuf {
        self.folder.join("ca-bundle.crt")
    }

    pub(crate) fn service_accounts_key(&self) -> PathBuf {
        self.folder.join("service-accounts.key")
    }

    pub(crate) fn service_accounts_public_key(&self) -> PathBuf {
        self.folder.join("service-accounts.pub")
    }

    /// A server's certificate for names and addresses.
    pub(crate) fn server(&self, name: &str, hosts: &[&str]) -> anyhow::Result<Pair> {
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut parameters = CertificateParams::new(hosts)?;
        parameters.distinguished_name.push(DnType::CommonName, name);
        // etcd calls itself with the certificate that it serves with.
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(name, parameters)
    }

    /// A certificate for a server at this machine's addresses.
    pub(crate) fn this_machine(&self, name: &str) -> anyhow::Result<Pair> {
        self.server(name, &[HOST, "127.0.0.1", "localhost"])
    }

    /// A client's certificate; Kubernetes takes the common name for the user and the organization for the group.
    pub(crate) fn client(&self, name: &str, user: &str, group: Option<&str>) -> anyhow::Result<Pair> {
        let mut parameters = CertificateParams::new(Vec::<String>::new())?;
        parameters.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            parameters.distinguished_name.push(DnType::OrganizationName, group);
        }
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(name, parameters)
    }

    fn sign(&self, name: &str, mut parameters: CertificateParams) -> anyhow::Result<Pair> {
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        parameters.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer).with_context(|| format!("cannot sign {name}"))?;
        let pair =
            Pair { certificate: self.folder.join(format!("{name}.crt")), key: self.folder.join(format!("{name}.key")) };
        fs::write(&pair.certificate, certificate.pem())?;
        write_private(&pair.key, &key.serialize_pem())?;
        Ok(pair)
    }

    /// A kubeconfig that carries its certificates with it.
    pub(crate) fn kubeconfig(&self, file: &Path, pair: &Pair) -> anyhow::Result<()> {
        let encoded = |path: &Path| fs::read(path).map(|bytes| STANDARD.encode(bytes));
        let config = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "local-aks",
            "clusters": [{"name": "local-aks", "cluster": {
                "server": format!("https://{HOST}:{API_PORT}"),
                "certificate-authority-data": encoded(&self.certificate())?,
            }}],
            "users": [{"name": "local-aks", "user": {
                "client-certificate-data": encoded(&pair.certificate)?,
                "client-key-data": encoded(&pair.key)?,
            }}],
            "contexts": [{"name": "local-aks", "context": {"cluster": "local-aks", "user": "local-aks"}}],
        });
        // JSON is YAML.
        write_private(file, &serde_json::to_string_pretty(&config)?)
    }

    /// What the API server is called.
    pub(crate) fn api_server(&self) -> anyhow::Result<Pair> {
        let names = [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "localhost",
            "127.0.0.1",
            HOST,
            API_SERVICE,
        ];
        self.server("kube-apiserver", &names)
    }
}
