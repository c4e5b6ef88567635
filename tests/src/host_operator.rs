//! The operator as a process of this machine, so that a test can kill it at the very request it means.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};
use local_aks::Facts;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

/// What it exits with when it lost its lease; see docs/architecture.md.
const LEASE_LOST: i32 = 3;

/// Longer than any test: nobody renews it, as kubelet would.
const TOKEN_SECONDS: i64 = 24 * 60 * 60;

/// How to start the operator: always the same way, as the same identity.
#[derive(Clone, Debug)]
pub struct HostOperator {
    pub program: PathBuf,
    pub kubeconfig: PathBuf,
    pub namespace: String,
    pub identity: String,
    pub scorer_image: String,
    pub arm_endpoint: String,
    pub arm_scope: String,
    pub tenant_id: String,
    pub client_id: String,
    pub authority_host: String,
    pub token_file: PathBuf,
    /// The authorities that it trusts.
    pub ca_bundle: PathBuf,
    /// Where its metrics are: `host:port`. Port 0: wherever there is room.
    pub listen: String,
    /// Where its log goes; appended to.
    pub log: PathBuf,
}

/// A started operator. Shared between the test and the trap of the proxy; dropping the last one kills it.
#[derive(Clone)]
pub struct Running(Arc<Mutex<Child>>);

impl HostOperator {
    /// One of a cluster, whose log goes into a folder. It starts no pods of a known image, and nobody is signed in for it:
    /// who needs that says so.
    #[must_use]
    pub fn of(facts: &Facts, namespace: &str, identity: &str, program: PathBuf, folder: &Path) -> Self {
        Self {
            program,
            kubeconfig: facts.kubeconfig.clone(),
            namespace: namespace.to_owned(),
            identity: identity.to_owned(),
            scorer_image: "scorer".to_owned(),
            arm_endpoint: facts.arm_endpoint.clone(),
            arm_scope: format!("{}/.default", facts.arm_endpoint.trim_end_matches('/')),
            tenant_id: facts.tenant_id.clone(),
            client_id: facts.client_id.clone(),
            authority_host: facts.authority_host.clone(),
            token_file: "/dev/null".into(),
            ca_bundle: facts.ca_bundle.clone(),
            listen: "127.0.0.1:0".to_owned(),
            log: folder.join("operator.log"),
        }
    }

    /// Starts it.
    pub fn start(&self) -> Result<Running> {
        let log = self.log_file()?;
        let child = Command::new(&self.program)
            .args(["run", "--leader-elect"])
            .env_clear()
            .env("KUBECONFIG", &self.kubeconfig)
            .env("OPERATOR_NAMESPACE", &self.namespace)
            .env("OPERATOR_IDENTITY", &self.identity)
            .env("OPERATOR_SCORER_IMAGE", &self.scorer_image)
            .env("OPERATOR_LISTEN", &self.listen)
            .env("OPERATOR_ARM_ENDPOINT", &self.arm_endpoint)
            .env("OPERATOR_ARM_SCOPE", &self.arm_scope)
            .env("AZURE_TENANT_ID", &self.tenant_id)
            .env("AZURE_CLIENT_ID", &self.client_id)
            .env("AZURE_AUTHORITY_HOST", &self.authority_host)
            .env("AZURE_FEDERATED_TOKEN_FILE", &self.token_file)
            .env("SSL_CERT_FILE", &self.ca_bundle)
            .env("RUST_LOG", "info,operator=debug")
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("share the log file")?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", self.program.display()))?;
        Ok(Running(Arc::new(Mutex::new(child))))
    }

    /// Writes what kubelet would project into its pod: a token of a ServiceAccount of its namespace, for Entra ID.
    pub async fn sign_in(&self, client: &Client, account: &str) -> Result<()> {
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &self.namespace);
        let audiences = vec!["api://AzureADTokenExchange".to_owned()];
        let spec =
            TokenRequestSpec { audiences, expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let answer = accounts.create_token_request(account, &PostParams::default(), &request).await?;
        let token = answer.status.context("no token was given")?.token;
        std::fs::write(&self.token_file, token).context("write the federated token")
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }

    fn log_file(&self) -> Result<File> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        log.with_context(|| format!("open {}", self.log.display()))
    }
}

impl Running {
    /// SIGKILL, and waits until the process is gone.
    pub async fn kill(&self) {
        let mut child = self.0.lock().await;
        // An error says that it has ended already; then the wait returns at once.
        let _ = child.start_kill();
        let _ = child.wait().await;
    }

    /// Whether it has ended, by itself or killed.
    pub async fn has_ended(&self) -> bool {
        self.0.lock().await.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Whether it has ended because it lost its lease: a pod's kubelet starts it again then.
    pub async fn has_lost_its_lease(&self) -> bool {
        let status = self.0.lock().await.try_wait().ok().flatten();
        status.and_then(|status| status.code()) == Some(LEASE_LOST)
    }
}

/// The last lines of a file, or why there are none.
#[must_use]
pub fn tail(path: &Path, lines: usize) -> String {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let all: Vec<&str> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        }
        Err(error) => format!("{}: {error}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_killed_operator_is_gone_when_kill_returns() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("operator");
        std::fs::write(&program, "#!/bin/sh\necho as $OPERATOR_IDENTITY\nexec sleep 60\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).unwrap();
        let operator = HostOperator {
            program,
            kubeconfig: dir.path().join("kubeconfig"),
            namespace: "ns".into(),
            identity: "same".into(),
            scorer_image: String::new(),
            arm_endpoint: String::new(),
            arm_scope: String::new(),
            tenant_id: String::new(),
            client_id: String::new(),
            authority_host: String::new(),
            token_file: PathBuf::new(),
            ca_bundle: PathBuf::new(),
            listen: String::new(),
            log: dir.path().join("log"),
        };
        let running = operator.start().unwrap();
        while !operator.log_tail(1).contains("as same") {
            assert!(!running.has_ended().await, "{}", operator.log_tail(5));
            tokio::task::yield_now().await;
        }
        running.kill().await;
        assert!(running.has_ended().await);
    }
}
