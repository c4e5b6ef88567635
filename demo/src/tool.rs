//! Runs other programs: helm, kubectl, the scorer.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use local_aks::Facts;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A program with what it needs to reach the local cluster.
pub(crate) struct Tool {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Tool {
    /// One of local-aks' tools.
    pub(crate) fn of(facts: &Facts, name: &str) -> Self {
        Self { program: facts.bin_dir.join(name), kubeconfig: facts.kubeconfig.clone() }
    }

    /// A program elsewhere.
    pub(crate) fn at(facts: &Facts, program: &Path) -> Self {
        Self { program: program.to_path_buf(), kubeconfig: facts.kubeconfig.clone() }
    }

    /// Runs it and gives what it printed; when it fails, what it said is the error.
    pub(crate) async fn run<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> anyhow::Result<String> {
        self.run_with(args, "").await
    }

    /// Same, with something on its standard input.
    pub(crate) async fn run_with<I, S>(&self, args: I, input: &str) -> anyhow::Result<String>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let name = self.program.display();
        let mut command = Command::new(&self.program);
        // A group of its own: Ctrl-C is for the demo, which then ends what it has started.
        command.args(args).env("KUBECONFIG", &self.kubeconfig).process_group(0).kill_on_drop(true);
        // helm and kubectl write into the home folder otherwise; this folder goes with the cluster.
        if let Some(folder) = self.kubeconfig.parent() {
            for name in ["KUBECACHEDIR", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
                command.env(name, folder.join("caches").join(name));
            }
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await.with_context(|| format!("writing to {name}"))?;
        }
        let output = child.wait_with_output().await.with_context(|| format!("waiting for {name}"))?;
        if !output.status.success() {
            let args: Vec<_> = command.as_std().get_args().map(OsStr::to_string_lossy).collect();
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{name} {} failed ({}):\n{}", args.join(" "), output.status, said.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
