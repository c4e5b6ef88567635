//! Makes images FROM scratch of static programs, without a daemon, and pushes one index of them all.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::process::Command;

use super::build::{Binaries, INGEST};
use super::platform::Platform;
use crate::command::run;

/// Where the image has the certificates of public authorities; the Azure clients refuse to start without any.
const CA_IN_IMAGE: &str = "etc/ssl/certs/ca-certificates.crt";

/// Where distributions keep them.
const CA_ON_HOST: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// References that a node can pull; the tag is the content's hash, so an unchanged program is an unchanged image. Each is
/// an index with one image for each platform.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Images {
    /// The operator's image, `REGISTRY/batch-scoring/operator:TAG`.
    pub operator: String,
    /// The scorer's.
    pub scorer: String,
    /// That of ingest, where it was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingest: Option<String>,
}

/// A registry, and what reaches it.
#[derive(Clone, Debug)]
pub struct Registry<'a> {
    /// `HOST[:PORT][/PATH]`.
    pub address: &'a str,
    /// Whether it may be plain http.
    pub insecure: bool,
    /// The program that pushes; it finds credentials where `docker login` and `crane auth login` leave them.
    pub crane: &'a Path,
}

impl Registry<'_> {
    fn crane(&self, arguments: &[&str]) -> Command {
        let mut crane = Command::new(self.crane);
        crane.args(self.insecure.then_some("--insecure")).args(arguments);
        crane
    }
}

/// Makes the images of all platforms for which there are programs, and pushes an index of each. What is there already is
/// not pushed again. Files are laid out in `scratch`.
///
/// # Errors
/// When `tar` or `crane` fails, or this machine has no bundle of public certificates.
pub async fn push(binaries: &Binaries, registry: &Registry<'_>, scratch: &Path) -> anyhow::Result<Images> {
    let of = async |program| push_one(program, binaries, registry, scratch).await;
    let ingest = if binaries.has(INGEST) { Some(of(INGEST).await?) } else { None };
    Ok(Images { operator: of("operator").await?, scorer: of("scorer").await?, ingest })
}

/// The same for one program; gives its reference.
///
/// # Errors
/// Those of [`push`].
pub async fn push_one(
    program: &str,
    binaries: &Binaries,
    registry: &Registry<'_>,
    scratch: &Path,
) -> anyhow::Result<String> {
    let ca = CA_ON_HOST.iter().map(Path::new).find(|path| path.is_file());
    let ca = ca.with_context(|| {
        format!("no bundle of public certificates at {}: install ca-certificates", CA_ON_HOST.join(", "))
    })?;
    Pushing { program, binaries, ca, registry, scratch }.index().await
}

struct Pushing<'a> {
    program: &'a str,
    binaries: &'a Binaries,
    ca: &'a Path,
    registry: &'a Registry<'a>,
    scratch: &'a Path,
}

impl Pushing<'_> {
    async fn index(&self) -> anyhow::Result<String> {
        let mut files = vec![self.ca.to_path_buf()];
        for platform in self.binaries.built.keys() {
            files.push(self.binaries.program(*platform, self.program)?.to_path_buf());
        }
        let image = format!("{}/batch-scoring/{}:{}", self.registry.address, self.program, hash(&files).await?);
        if run(&mut self.registry.crane(&["digest", &image])).await.is_ok() {
            return Ok(image);
        }
        // The index comes last: its tag appears only when all is whole.
        let mut append = self.registry.crane(&["index", "append", "--tag", &image]);
        for platform in self.binaries.built.keys() {
            append.args(["--manifest", &self.image(*platform, &image).await?]);
        }
        run(&mut append).await?;
        Ok(image)
    }

    async fn image(&self, platform: Platform, index: &str) -> anyhow::Result<String> {
        let program = self.program;
        let name = format!("image-{program}-{}", platform.architecture());
        let (root, layer) = (self.scratch.join(&name), self.scratch.join(format!("{name}.tar")));
        let binary = self.binaries.program(platform, program)?;
        let laid_out = lay_out(&root, self.ca, binary, program).await;
        laid_out.with_context(|| format!("laying out the {program} image in {}", root.display()))?;
        // The same files make the same bytes: no names, no times, one order.
        let mut tar = Command::new("tar");
        tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "--mode=u+rw,go+r-w,a+X"]);
        run(tar.arg("-cf").arg(&layer).arg("-C").arg(&root).args(["etc", "tmp", program])).await?;
        let image = format!("{index}-{}", platform.architecture());
        let mut append = self.registry.crane(&["append", "--oci-empty-base", "--new_tag", &image, "--new_layer"]);
        run(append.arg(&layer)).await?;
        let (entrypoint, ca_env) = (format!("/{program}"), format!("SSL_CERT_FILE=/{CA_IN_IMAGE}"));
        let (from, platform) = (image.clone(), platform.to_string());
        let mut mutate = self.registry.crane(&["mutate", &from, "--tag", &image, "--set-platform", &platform]);
        mutate.args(["--entrypoint", &entrypoint, "--user", "65532:65532", "--workdir", "/", "--env", &ca_env]);
        run(&mut mutate).await?;
        Ok(image)
    }
}

async fn hash(files: &[PathBuf]) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(tokio::fs::read(file).await.with_context(|| format!("reading {}", file.display()))?);
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

async fn lay_out(root: &Path, ca: &Path, binary: &Path, program: &str) -> std::io::Result<()> {
    if root.exists() {
        tokio::fs::remove_dir_all(root).await?;
    }
    let ca_path = root.join(CA_IN_IMAGE);
    tokio::fs::create_dir_all(ca_path.parent().unwrap_or(root)).await?;
    tokio::fs::create_dir_all(root.join("tmp")).await?;
    tokio::fs::copy(ca, &ca_path).await?;
    tokio::fs::copy(binary, root.join(program)).await.map(drop)
}
