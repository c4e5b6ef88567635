//! The images of the operator and the scorer: static binaries, FROM scratch, made and pushed without a daemon.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

/// Where the image has the certificates of public authorities; the Azure clients refuse to start without any.
const CA_IN_IMAGE: &str = "etc/ssl/certs/ca-certificates.crt";

/// Where distributions keep them.
const CA_ON_HOST: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// The programs that have an image.
const PROGRAMS: [&str; 2] = ["operator", "scorer"];

/// The built programs.
#[derive(Clone, Debug)]
pub struct Binaries {
    operator: PathBuf,
    scorer: PathBuf,
}

impl Binaries {
    /// The operator as a program of this machine.
    #[must_use]
    pub fn operator(&self) -> &Path {
        &self.operator
    }

    /// The scorer as a program of this machine.
    #[must_use]
    pub fn scorer(&self) -> &Path {
        &self.scorer
    }
}

/// References that a node can pull; the tag is the content's hash, so an unchanged program is an unchanged image.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Images {
    /// The operator's image, `HOST:PORT/batch-scoring/operator:TAG`.
    pub operator: String,
    /// The scorer's.
    pub scorer: String,
}

/// Builds both programs as static binaries for this machine's architecture. `progress` hears cargo's lines.
///
/// # Errors
/// When cargo cannot be started or the build fails; the error ends with the compiler's last lines.
pub async fn build(workspace: &Path, progress: impl Fn(&str)) -> anyhow::Result<Binaries> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut build = Command::new(cargo);
    build.current_dir(workspace).args(["build", "--release", "--locked", "--message-format=json-render-diagnostics"]);
    build.args(["--target", &target]);
    PROGRAMS.iter().for_each(|program| {
        build.args(["--package", program, "--bin", program]);
    });
    // With --target, the flags reach neither build scripts nor procedural macros, which cannot be static.
    build.env("CARGO_ENCODED_RUSTFLAGS", "-C\u{1f}target-feature=+crt-static").env_remove("RUSTFLAGS");
    // What `cargo run` and `cargo test` tell their programs of themselves: build scripts that look at it would make the
    // demo and the tests build half of the dependencies anew for each other.
    let of_ours = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"];
    for (name, _) in std::env::vars_os() {
        if of_ours.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            build.env_remove(name);
        }
    }
    let mut child = build
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start cargo to build the images: is Rust installed (https://rustup.rs)?")?;
    let stdout = child.stdout.take().context("cargo has no stdout")?;
    let stderr = child.stderr.take().context("cargo has no stderr")?;
    let messages = async {
        let mut text = String::new();
        BufReader::new(stdout).read_to_string(&mut text).await.map(|_| text)
    };
    let lines = async {
        let mut lines = BufReader::new(stderr).lines();
        let mut said = Vec::new();
        while let Some(line) = lines.next_line().await? {
            progress(line.trim());
            said.push(line);
        }
        Ok::<_, std::io::Error>(said)
    };
    let (messages, said) = tokio::try_join!(messages, lines).context("reading cargo's output")?;
    let status = child.wait().await.context("waiting for cargo")?;
    if !status.success() {
        let from = said.len().saturating_sub(40);
        bail!("building the images' programs failed ({status}):\n{}", said[from..].join("\n"));
    }
    let built = |program: &str| {
        executable(&messages, program).with_context(|| format!("cargo built no program named {program}"))
    };
    Ok(Binaries { operator: built("operator")?, scorer: built("scorer")? })
}

/// The path of a program in cargo's JSON messages.
fn executable(messages: &str, program: &str) -> Option<PathBuf> {
    messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).find_map(|message| {
        let wanted = message["target"]["name"] == program && message["target"]["kind"][0] == "bin";
        message["executable"].as_str().filter(|_| wanted).map(PathBuf::from)
    })
}

/// Makes both images and pushes them to a plain-http registry, `HOST:PORT`. What is there already is not pushed again.
///
/// # Errors
/// When `tar` or `crane` fails, or this machine has no bundle of public certificates.
pub async fn push(binaries: &Binaries, registry: &str, crane: &Path, scratch: &Path) -> anyhow::Result<Images> {
    let ca = CA_ON_HOST.iter().map(Path::new).find(|path| path.is_file());
    let ca = ca.with_context(|| {
        format!("no bundle of public certificates at {}: install ca-certificates", CA_ON_HOST.join(", "))
    })?;
    Ok(Images {
        operator: push_one("operator", &binaries.operator, ca, registry, crane, scratch).await?,
        scorer: push_one("scorer", &binaries.scorer, ca, registry, crane, scratch).await?,
    })
}

async fn push_one(
    program: &str,
    binary: &Path,
    ca: &Path,
    registry: &str,
    crane: &Path,
    scratch: &Path,
) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    for path in [binary, ca] {
        hash.update(tokio::fs::read(path).await.with_context(|| format!("reading {}", path.display()))?);
    }
    let tag: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let image = format!("{registry}/batch-scoring/{program}:{tag}");
    if run(Command::new(crane).args(["digest", "--insecure", &image])).await.is_ok() {
        return Ok(image);
    }
    let root = scratch.join(format!("image-{program}"));
    let layer = scratch.join(format!("image-{program}.tar"));
    let fresh = async {
        if root.exists() {
            tokio::fs::remove_dir_all(&root).await?;
        }
        let ca_path = root.join(CA_IN_IMAGE);
        tokio::fs::create_dir_all(ca_path.parent().unwrap_or(&root)).await?;
        tokio::fs::create_dir_all(root.join("tmp")).await?;
        tokio::fs::copy(ca, &ca_path).await?;
        tokio::fs::copy(binary, root.join(program)).await?;
        Ok::<_, std::io::Error>(())
    };
    fresh.await.with_context(|| format!("laying out the {program} image in {}", root.display()))?;
    // The same files make the same bytes: no names, no times, one order.
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "--mode=u+rw,go+r-w,a+X"]);
    tar.arg("-cf").arg(&layer).arg("-C").arg(&root).args(["etc", "tmp", program]);
    run(&mut tar).await?;
    // The final tag appears only when the image is whole.
    let unfinished = format!("{image}-layer");
    let mut append = Command::new(crane);
    append.args(["append", "--insecure", "--oci-empty-base", "--new_tag", &unfinished, "--new_layer"]).arg(&layer);
    run(&mut append).await?;
    let platform = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };
    let (entrypoint, ca_env) = (format!("/{program}"), format!("SSL_CERT_FILE=/{CA_IN_IMAGE}"));
    let mut mutate = Command::new(crane);
    mutate.args(["mutate", "--insecure", &unfinished, "--tag", &image, "--set-platform", platform]);
    mutate.args(["--entrypoint", &entrypoint, "--user", "65532:65532", "--workdir", "/", "--env", &ca_env]);
    run(&mut mutate).await?;
    Ok(image)
}

async fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        let args: Vec<_> = command.as_std().get_args().map(|arg| arg.to_string_lossy()).collect();
        bail!("{name} {} failed ({}): {}", args.join(" "), output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_in_cargos_messages_and_its_library_is_not_mistaken_for_it() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"scorer","kind":["lib"]},"executable":null}
not json
{"reason":"compiler-artifact","target":{"name":"scorer","kind":["bin"]},"executable":"/t/release/scorer"}"#;
        assert_eq!(executable(messages, "scorer"), Some(PathBuf::from("/t/release/scorer")));
        assert_eq!(executable(messages, "operator"), None);
    }
}
