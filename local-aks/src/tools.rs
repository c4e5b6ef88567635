//! Builds the programs of the cluster from pinned Go modules, once: they are kept until a pin changes.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::command::find;
use crate::progress::Progress;
use crate::root::Root;

/// A Go module of ours and what is built from it.
struct Module {
    name: &'static str,
    what: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// Program and package.
    programs: &'static [(&'static str, &'static str)],
    /// The module whose version the programs are to report as theirs.
    version_of: Option<&'static str>,
}

const MODULES: [Module; 3] = [
    Module {
        name: "kubernetes",
        what: "Kubernetes (about 7 minutes on 2 cores, once)",
        files: &[
            ("go.mod", include_str!("../tools/kubernetes/go.mod")),
            ("go.sum", include_str!("../tools/kubernetes/go.sum")),
        ],
        programs: &[
            ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
            ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
            ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
            ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
            ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
        ],
        version_of: Some("k8s.io/kubernetes"),
    },
    Module {
        name: "others",
        what: "etcd, kwok, helm, kubeconform and crane (about 4 minutes on 2 cores, once)",
        files: &[
            ("go.mod", include_str!("../tools/others/go.mod")),
            ("go.sum", include_str!("../tools/others/go.sum")),
        ],
        programs: &[
            ("etcd", "go.etcd.io/etcd/server/v3"),
            ("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
            ("helm", "helm.sh/helm/v4/cmd/helm"),
            ("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform"),
            ("crane", "github.com/google/go-containerregistry/cmd/crane"),
        ],
        version_of: None,
    },
    Module {
        name: "pause",
        what: "the pause program",
        files: &[
            ("go.mod", include_str!("../tools/pause/go.mod")),
            ("main.go", include_str!("../tools/pause/main.go")),
        ],
        programs: &[("pause", ".")],
        version_of: None,
    },
];

/// What a test may want, and the cluster itself does not need.
const ON_DEMAND: [Module; 3] = [
    Module {
        name: "karpenter",
        what: "Karpenter with its provider of kwok nodes (about 2 minutes on 2 cores, once)",
        files: &[
            ("go.mod", include_str!("../tools/karpenter/go.mod")),
            ("go.sum", include_str!("../tools/karpenter/go.sum")),
        ],
        programs: &[("karpenter", "sigs.k8s.io/karpenter/kwok")],
        version_of: None,
    },
    Module {
        name: "registry",
        what: "a registry that asks for a password (about 1 minute on 2 cores, once)",
        files: &[
            ("go.mod", include_str!("../tools/registry/go.mod")),
            ("go.sum", include_str!("../tools/registry/go.sum")),
        ],
        programs: &[("registry", "github.com/distribution/distribution/v3/cmd/registry")],
        version_of: None,
    },
    Module {
        name: "s3",
        what: "a server of S3 (about 1 minute on 2 cores, once)",
        files: &[("go.mod", include_str!("../tools/s3/go.mod")), ("go.sum", include_str!("../tools/s3/go.sum"))],
        programs: &[("versitygw", "github.com/versity/versitygw/cmd/versitygw")],
        version_of: None,
    },
];

impl Module {
    /// Changes when anything does that the programs are made from.
    fn stamp(&self) -> String {
        let mut hash = Sha256::new();
        for (name, text) in self.files {
            hash.update(name);
            hash.update(text);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn is_built(&self, root: &Root) -> bool {
        let stamp = std::fs::read_to_string(self.stamp_file(root)).unwrap_or_default();
        stamp.trim() == self.stamp() && self.programs.iter().all(|(program, _)| root.tool(program).exists())
    }

    fn stamp_file(&self, root: &Root) -> std::path::PathBuf {
        root.bin().join(format!(".{}.sha256", self.name))
    }

    /// The version that go.mod pins.
    fn pinned(&self, module: &str) -> Option<&'static str> {
        let text = self.files.first()?.1;
        text.lines().find_map(|line| line.trim().strip_prefix(module)?.strip_prefix(' ')?.split_whitespace().next())
    }

    /// Linker flags: no symbols, and the version that clients see.
    fn linker_flags(&self) -> String {
        let mut flags = "-s -w".to_owned();
        if let Some(version) = self.version_of.and_then(|module| self.pinned(module)) {
            let mut numbers = version.trim_start_matches('v').split('.');
            let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
            for (name, value) in [("gitVersion", version), ("gitMajor", major), ("gitMinor", minor)] {
                flags.push_str(&format!(" -X k8s.io/component-base/version.{name}={value}"));
            }
        }
        flags
    }

    async fn build(&self, root: &Root, progress: &Progress) -> anyhow::Result<()> {
        let go = find("go").context("Go is missing: install Go 1.26 or later (https://go.dev/dl/)")?;
        progress.step(format!("building {}", self.what));
        let folder = root.build().join(self.name);
        std::fs::create_dir_all(&folder)?;
        std::fs::create_dir_all(root.bin())?;
        for (name, text) in self.files {
            std::fs::write(folder.join(name), text)?;
        }
        for (program, package) in self.programs {
            let mut command = Command::new(&go);
            command.current_dir(&folder).env("CGO_ENABLED", "0").env("GOWORK", "off");
            command.args(["build", "-v", "-trimpath", "-ldflags", &self.linker_flags(), "-o"]);
            go_build(command.arg(root.tool(program)).arg(package), program, progress).await?;
        }
        std::fs::write(self.stamp_file(root), self.stamp())?;
        Ok(())
    }
}

/// Runs `go build -v`, which names each package that it compiles, and says now and then how far it is.
async fn go_build(command: &mut Command, program: &str, progress: &Progress) -> anyhow::Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start go to build {program}"))?;
    let stderr = child.stderr.take().context("go's output is not there")?;
    let mut lines = BufReader::new(stderr).lines();
    let (mut packages, mut last, mut said) = (0_u32, Vec::new(), Instant::now());
    while let Some(line) = lines.next_line().await? {
        packages += 1;
        last.push(line);
        if last.len() > 30 {
            last.remove(0);
        }
        if said.elapsed() > Duration::from_secs(10) {
            said = Instant::now();
            progress.step(format!("building {program}: {packages} packages compiled"));
        }
    }
    let status = child.wait().await?;
    if !status.success() {
        bail!("building {program} failed ({status}); the end of what go said:\n{}", last.join("\n"));
    }
    Ok(())
}

/// Whether everything is there, so that Go is not needed.
pub(crate) fn are_built(root: &Root) -> bool {
    MODULES.iter().all(|module| module.is_built(root))
}

/// Builds what is not there or was made from other pins.
pub(crate) async fn build(root: &Root, progress: &Progress) -> anyhow::Result<()> {
    for module in MODULES.iter().filter(|module| !module.is_built(root)) {
        module.build(root, progress).await?;
    }
    Ok(())
}

/// Where a program is, built if need be with those of its module.
pub(crate) async fn program(root: &Root, name: &str, progress: &Progress) -> anyhow::Result<PathBuf> {
    let has = |module: &&Module| module.programs.iter().any(|(program, _)| *program == name);
    let module =
        MODULES.iter().chain(&ON_DEMAND).find(has).with_context(|| format!("no module has a program {name}"))?;
    if !module.is_built(root) {
        module.build(root, progress).await?;
    }
    Ok(root.tool(name))
}

/// The folder of a Go module from which a program is built; the program is built first if need be.
pub(crate) async fn source(root: &Root, name: &str, module: &str, progress: &Progress) -> anyhow::Result<PathBuf> {
    program(root, name, progress).await?;
    let go = find("go").context("Go is missing: install Go 1.26 or later (https://go.dev/dl/)")?;
    let mut list = Command::new(go);
    list.current_dir(root.build().join(name)).env("GOWORK", "off");
    let output = list.args(["mod", "download", "-json", module]).stdin(Stdio::null()).output().await?;
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let folder = told["Dir"].as_str().map(PathBuf::from);
    folder.with_context(|| format!("go has no {module}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_reports_the_version_that_is_pinned() {
        let flags = MODULES[0].linker_flags();
        assert!(flags.contains("version.gitVersion=v1."), "{flags}");
        assert!(flags.contains("version.gitMajor=1 "), "{flags}");
    }

    #[test]
    fn other_pins_are_another_stamp() {
        assert_ne!(MODULES[0].stamp(), MODULES[1].stamp());
    }
}
