//! A server over real https with machines and a cluster that exist only in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::control_plane::ControlPlane;
use super::super::machine::Addresses;
use super::super::server::Server;
use super::super::work::Restyle;
use super::super::{AksOptions, PoolOptions};
use crate::machines::Becomes;
use crate::{MachineSpec, Machines};

pub(super) const SUBJECT: &str = "system:serviceaccount:batch-scoring:batch-scoring-operator";
pub(super) const VERSION: &str = "api-version=2026-03-01";

/// What a machine's start comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Start {
    #[default]
    Works,
    Fails,
    Panics,
}

/// Machines that are names in a set, how the next ones start, and those that were stopped, not deleted.
#[derive(Default)]
pub(super) struct Names {
    pub(super) there: Mutex<BTreeSet<String>>,
    pub(super) start: Mutex<Start>,
    pub(super) stopped: Mutex<BTreeSet<String>>,
    /// What became of the nodes of those that should not become Ready.
    pub(super) odd: Mutex<BTreeMap<String, Becomes>>,
}

#[async_trait]
impl Machines for Names {
    async fn create(&self, machine: &MachineSpec) -> anyhow::Result<()> {
        let start = *self.start.lock().unwrap();
        match start {
            Start::Works => {}
            Start::Fails => anyhow::bail!("no room"),
            Start::Panics => panic!("out of luck"),
        }
        if machine.becomes != Becomes::Ready {
            self.odd.lock().unwrap().insert(machine.name.clone(), machine.becomes);
        }
        self.there.lock().unwrap().insert(machine.name.clone());
        Ok(())
    }

    async fn stop(&self, name: &str) -> anyhow::Result<()> {
        self.stopped.lock().unwrap().insert(name.to_owned());
        Ok(())
    }

    async fn start(&self, machine: &MachineSpec) -> anyhow::Result<()> {
        anyhow::ensure!(*self.start.lock().unwrap() == Start::Works, "no room");
        self.stopped.lock().unwrap().remove(&machine.name);
        Ok(())
    }

    async fn delete(&self, name: &str) -> anyhow::Result<()> {
        self.there.lock().unwrap().remove(name);
        Ok(())
    }
}

/// A cluster whose tokens are `token of <subject>`.
#[derive(Default)]
pub(super) struct Cluster {
    pub(super) restyled: Mutex<Vec<Restyle>>,
    /// The nodes that had notice, and whether they were drained.
    pub(super) warned: Mutex<Vec<(String, bool)>>,
}

#[async_trait]
impl ControlPlane for Cluster {
    async fn restyle(&self, change: &Restyle) -> anyhow::Result<()> {
        self.restyled.lock().unwrap().push(change.clone());
        Ok(())
    }

    async fn warn(&self, node: &str, _not_before: Timestamp, drain: bool) -> anyhow::Result<()> {
        self.warned.lock().unwrap().push((node.to_owned(), drain));
        Ok(())
    }

    async fn lost(&self, _node: &str) -> anyhow::Result<()> {
        Ok(())
    }

    async fn addresses(&self, _pool: &str) -> anyhow::Result<Addresses> {
        Ok(Addresses::new())
    }

    async fn subject(&self, token: &str, _audience: &str) -> anyhow::Result<Option<String>> {
        Ok(token.trim().strip_prefix("token of ").map(str::to_owned))
    }

    async fn annotations(&self, _: &str, account: &str) -> anyhow::Result<Option<BTreeMap<String, String>>> {
        let annotations = BTreeMap::from([("azure.workload.identity/client-id".to_owned(), "client".to_owned())]);
        Ok((account == "scorer").then_some(annotations))
    }
}

pub(super) struct Stand {
    pub(super) options: AksOptions,
    pub(super) machines: Arc<Names>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) client: Client,
    pub(super) bearer: String,
    server: Server,
    directory: TempDir,
}

impl Stand {
    /// One system machine and the empty pool `scoring`; machines take a moment instead of 20 s.
    pub(super) async fn start() -> Self {
        Self::start_with(|options| options.pools = vec![PoolOptions::system("system", 1), PoolOptions::user("scoring")])
            .await
    }

    pub(super) async fn start_with(change: impl FnOnce(&mut AksOptions)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = TempDir::new().unwrap();
        let (cert, key) = certificates(directory.path());
        let mut options = AksOptions::new(([127, 0, 0, 1], 0).into(), cert, key, PathBuf::new());
        options.provisioning = Duration::from_millis(50).into();
        options.federated_subjects = vec![SUBJECT.to_owned()];
        change(&mut options);
        let (machines, cluster) = (Arc::new(Names::default()), Arc::new(Cluster::default()));
        let server =
            Server::start(&options, machines.clone(), cluster.clone(), Arc::new(Timestamp::now)).await.unwrap();
        let ca = reqwest::Certificate::from_pem(&std::fs::read(directory.path().join("ca.pem")).unwrap()).unwrap();
        let client = Client::builder().tls_certs_only([ca]).build().unwrap();
        let mut stand = Self { options, machines, cluster, client, bearer: String::new(), server, directory };
        let fast = json!({"deletingSeconds": 0.02, "updatingSeconds": 0.02});
        let url = stand.control_url("/control/settings");
        stand.client.put(url).body(fast.to_string()).send().await.unwrap().error_for_status().unwrap();
        stand.bearer = stand.token(SUBJECT, "https://management.azure.com/.default").await.unwrap();
        for pool in stand.options.pools.clone() {
            stand.settled(&pool.name).await;
        }
        stand
    }

    pub(super) fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.server.addresses().arm)
    }

    pub(super) fn authority_url(&self, path: &str) -> String {
        format!("https://{}{path}", self.server.addresses().authority)
    }

    pub(super) fn control_url(&self, path: &str) -> String {
        format!("https://{}{path}", self.server.addresses().control)
    }

    /// The address of an agent pool, or of what is below it.
    pub(super) fn pool(&self, below: &str) -> String {
        let AksOptions { subscription_id, resource_group, cluster_name, .. } = &self.options;
        self.url(&format!(
            "/subscriptions/{subscription_id}/resourceGroups/{resource_group}/providers/Microsoft.ContainerService/managedClusters/{cluster_name}/agentPools{below}?{VERSION}"
        ))
    }

    pub(super) fn ask(&self, method: Method, url: &str) -> RequestBuilder {
        self.client.request(method, url).bearer_auth(&self.bearer)
    }

    pub(super) async fn get(&self, url: &str) -> Value {
        let answer = self.ask(Method::GET, url).send().await.unwrap();
        assert!(answer.status().is_success(), "GET {url}: {}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    pub(super) async fn put(&self, pool: &str, properties: Value) -> Response {
        self.ask(Method::PUT, &self.pool(&format!("/{pool}")))
            .json(&json!({"properties": properties}))
            .send()
            .await
            .unwrap()
    }

    /// Waits until no operation runs on the pool, and gives it.
    pub(super) async fn settled(&self, pool: &str) -> Value {
        let url = self.pool(&format!("/{pool}"));
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let body = self.get(&url).await;
            if matches!(body["properties"]["provisioningState"].as_str(), Some("Succeeded" | "Failed" | "Canceled")) {
                return body;
            }
            assert!(Instant::now() < deadline, "the pool does not settle: {body}");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    pub(super) async fn control(&self, method: Method, path: &str, body: Value) -> Value {
        let answer = self
            .client
            .request(method, self.control_url(&format!("/control/{path}")))
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    /// Orders faults, and tells what stands then.
    pub(super) async fn order(&self, faults: Value) -> Value {
        self.control(Method::POST, "faults", faults).await
    }

    /// Waits until there is an answer.
    pub(super) async fn until<T>(&self, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A bearer, or the error of the token endpoint.
    pub(super) async fn token(&self, subject: &str, scope: &str) -> Result<String, Value> {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.options.client_id)
            .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
            .append_pair("client_assertion", &format!("token of {subject}"))
            .append_pair("scope", scope)
            .finish();
        let url = self.authority_url(&format!("/{}/oauth2/v2.0/token", self.options.tenant_id));
        let form = self.client.post(url).header("content-type", "application/x-www-form-urlencoded").body(form);
        let body: Value = form.send().await.unwrap().json().await.unwrap();
        body["access_token"].as_str().map(str::to_owned).ok_or(body)
    }

    pub(super) async fn stop(self) {
        self.server.stop().await;
    }
}

/// A CA in `ca.pem`, and what it signed for the loopback address.
pub(super) fn certificates(directory: &Path) -> (PathBuf, PathBuf) {
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let ca_cert = ca.self_signed(&ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let cert = CertificateParams::new(names).unwrap().signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    let write = |name: &str, text: String| {
        std::fs::write(directory.join(name), text).unwrap();
        directory.join(name)
    };
    write("ca.pem", ca_cert.pem());
    (write("tls.pem", cert.pem()), write("tls.key", key.serialize_pem()))
}
