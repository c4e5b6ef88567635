//! Builds operator and scorer as static programs, and ingest where it is asked for, for one platform or several.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

use super::platform::Platform;

/// The programs that have an image, and that everybody needs.
pub const PROGRAMS: [&str; 2] = ["operator", "scorer"];
/// The one that streams need. Building it takes perl and make: OpenSSL is built with it, minutes the first time.
pub const INGEST: &str = "ingest";

/// What a static program is built with beside its defaults.
fn features(program: &str) -> Option<&'static str> {
    (program == INGEST).then_some("ingest/vendored-tls")
}

/// The built programs, for each platform.
#[derive(Clone, Debug)]
pub struct Binaries {
    pub(super) built: BTreeMap<Platform, BTreeMap<&'static str, PathBuf>>,
    here: Platform,
}

impl Binaries {
    /// The operator as a program of this machine.
    ///
    /// # Errors
    /// When it was not built for this machine.
    pub fn operator(&self) -> anyhow::Result<&Path> {
        self.program(self.here, "operator")
    }

    /// The scorer as a program of this machine.
    ///
    /// # Errors
    /// When it was not built for this machine.
    pub fn scorer(&self) -> anyhow::Result<&Path> {
        self.program(self.here, "scorer")
    }

    /// Ingest as a program of this machine.
    ///
    /// # Errors
    /// When it was not built for this machine: [`PROGRAMS`] are without it.
    pub fn ingest(&self) -> anyhow::Result<&Path> {
        self.program(self.here, INGEST)
    }

    /// These and others, of other platforms or other programs.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        for (platform, programs) in others.built {
            self.built.entry(platform).or_default().extend(programs);
        }
        self
    }

    /// Whether a program was built, for some platform.
    #[must_use]
    pub fn has(&self, program: &str) -> bool {
        self.built.values().any(|programs| programs.contains_key(program))
    }

    /// A program of a platform.
    ///
    /// # Errors
    /// When it was not built.
    pub fn program(&self, platform: Platform, program: &str) -> anyhow::Result<&Path> {
        let built = self.built.get(&platform).and_then(|programs| programs.get(program));
        built.map(PathBuf::as_path).with_context(|| format!("{program} was not built for {platform}"))
    }
}

/// Builds operator and scorer for this machine, as the tests and the demo need them. `progress` hears cargo's lines.
///
/// # Errors
/// Those of [`build_for`].
pub async fn build(workspace: &Path, progress: impl Fn(&str)) -> anyhow::Result<Binaries> {
    build_for(workspace, &[Platform::here()?], &PROGRAMS, "release", progress).await
}

/// Builds programs for these platforms with a profile of cargo's. `progress` hears cargo's lines.
///
/// # Errors
/// When cargo cannot be started or a build fails; the error ends with the compiler's last lines.
pub async fn build_for(
    workspace: &Path,
    platforms: &[Platform],
    programs: &[&'static str],
    profile: &str,
    progress: impl Fn(&str),
) -> anyhow::Result<Binaries> {
    let mut built = BTreeMap::new();
    for platform in platforms {
        built.insert(*platform, build_one(workspace, *platform, programs, profile, &progress).await?);
    }
    Ok(Binaries { built, here: Platform::here()? })
}

/// cargo, told to make static programs of a platform.
#[must_use]
pub fn cargo(platform: Platform, subcommand: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([subcommand, "--locked", "--target", &platform.target()]);
    // With --target, the flags reach neither build scripts nor procedural macros, which cannot be static.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", "-C\u{1f}target-feature=+crt-static").env_remove("RUSTFLAGS");
    cargo.envs(platform.environment());
    // What `cargo run` and `cargo test` tell their programs of themselves: build scripts that look at it would make the
    // demo and the tests build half of the dependencies anew for each other.
    let of_ours = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"];
    for (name, _) in std::env::vars_os() {
        if of_ours.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    cargo
}

async fn build_one(
    workspace: &Path,
    platform: Platform,
    programs: &[&'static str],
    profile: &str,
    progress: &impl Fn(&str),
) -> anyhow::Result<BTreeMap<&'static str, PathBuf>> {
    let mut build = cargo(platform, "build");
    build.current_dir(workspace).args(["--profile", profile, "--message-format=json-render-diagnostics"]);
    programs.iter().for_each(|program| {
        build.args(["--package", program, "--bin", program]);
        build.args(features(program).map(|features| ["--features", features]).into_iter().flatten());
    });
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
        bail!("building the images' programs for {platform} failed ({status}):\n{}", said[from..].join("\n"));
    }
    let built = |program: &&'static str| {
        let path = executable(&messages, program).with_context(|| format!("cargo built no program named {program}"));
        path.map(|path| (*program, path))
    };
    programs.iter().map(built).collect()
}

/// The path of a program in cargo's JSON messages.
fn executable(messages: &str, program: &str) -> Option<PathBuf> {
    messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).find_map(|message| {
        let wanted = message["target"]["name"] == program && message["target"]["kind"][0] == "bin";
        message["executable"].as_str().filter(|_| wanted).map(PathBuf::from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ingest_is_added_to_what_was_built_for_the_same_platform() {
        let here = Platform::Amd64;
        let of = |programs: &[&'static str]| {
            let programs = programs.iter().map(|program| (*program, PathBuf::from(program))).collect();
            Binaries { built: BTreeMap::from([(here, programs)]), here }
        };
        let both = of(&PROGRAMS);
        assert!(!both.has(INGEST) && both.ingest().is_err(), "a cluster's tests do without");
        let all = both.and(of(&[INGEST]));
        assert!(all.operator().is_ok() && all.scorer().is_ok());
        assert_eq!(all.ingest().unwrap(), Path::new("ingest"));
    }

    #[test]
    fn the_program_is_found_in_cargos_messages_and_its_library_is_not_mistaken_for_it() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"scorer","kind":["lib"]},"executable":null}
not json
{"reason":"compiler-artifact","target":{"name":"scorer","kind":["bin"]},"executable":"/t/release/scorer"}"#;
        assert_eq!(executable(messages, "scorer"), Some(PathBuf::from("/t/release/scorer")));
        assert_eq!(executable(messages, "operator"), None);
    }
}
