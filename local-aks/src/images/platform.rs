//! What images are made for.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, bail};
use tokio::process::Command;

use crate::command::{find, run};
use crate::packages;
use crate::progress::Progress;

/// An operating system and architecture, as registries call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Platform {
    /// `linux/amd64`.
    Amd64,
    /// `linux/arm64`.
    Arm64,
}

impl Platform {
    /// This machine's.
    ///
    /// # Errors
    /// When images are made for it by nobody here.
    pub fn here() -> anyhow::Result<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Self::Amd64),
            "aarch64" => Ok(Self::Arm64),
            other => bail!("there are images for x86_64 and aarch64, and this machine is {other}"),
        }
    }

    /// As registries call the architecture.
    #[must_use]
    pub fn architecture(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    fn cpu(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// As Rust calls it.
    #[must_use]
    pub fn target(self) -> String {
        format!("{}-unknown-linux-gnu", self.cpu())
    }

    /// The C compiler that links for it, where it is not this machine's own, and its Debian packages.
    fn cross_compiler(self) -> Option<(String, [String; 2])> {
        if Self::here().is_ok_and(|here| here == self) {
            return None;
        }
        let debian = self.cpu().replace('_', "-");
        let libc = format!("libc6-dev-{}-cross", self.architecture());
        Some((format!("{}-linux-gnu-gcc", self.cpu()), [format!("gcc-{debian}-linux-gnu"), libc]))
    }

    /// What cargo has to know to build for it.
    pub(super) fn environment(self) -> Vec<(String, String)> {
        let Some((compiler, _)) = self.cross_compiler() else { return Vec::new() };
        let target = self.target().replace('-', "_");
        let linker = format!("CARGO_TARGET_{}_LINKER", target.to_uppercase());
        vec![(linker, compiler.clone()), (format!("CC_{target}"), compiler)]
    }

    /// Gets what building for it takes: a C compiler from Debian's packages, and Rust's library from rustup.
    ///
    /// # Errors
    /// When something is missing that cannot be installed here; the error says what.
    pub async fn prepare(self, progress: &Progress) -> anyhow::Result<()> {
        let Some((compiler, packages)) = self.cross_compiler() else { return Ok(()) };
        if find(&compiler).is_none() {
            packages::fetch(&packages.each_ref().map(String::as_str), progress).await?;
        }
        let target = self.target();
        run(Command::new("rustup").args(["target", "add", &target]))
            .await
            .with_context(|| format!("Rust's library for {target} is missing: rustup target add {target}"))
            .map(drop)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "linux/{}", self.architecture())
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "linux/amd64" => Ok(Self::Amd64),
            "linux/arm64" => Ok(Self::Arm64),
            _ => Err(format!("{text:?} is not one of linux/amd64 and linux/arm64")),
        }
    }
}
