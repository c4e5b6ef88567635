//! The stand-in beside a real etcd and API server: TokenReview, the webhook, and Node objects.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{Event, Namespace, Node, Pod, ServiceAccount};
use kube::Client;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use rcgen::KeyPair;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::control_plane::{ControlPlane, KubeControlPlane};
use super::super::identity::AUDIENCE;
use super::super::properties::Taint;
use super::super::server::Server;
use super::super::work::Restyle;
use super::super::{AksOptions, webhook};
use super::stand::{Names, certificates};
use crate::Progress;
use crate::options::default_root;
use crate::root::Root;

/// etcd and an API server; stopped when dropped.
struct Cluster {
    processes: Vec<Child>,
    directory: TempDir,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Where the project keeps the tools it built. Where they are not there yet, `E2E=required` builds them.
async fn tools(test: &str) -> Option<PathBuf> {
    let root = Root::new(&default_root()).unwrap();
    if ["etcd", "kube-apiserver"].iter().all(|program| root.tool(program).exists()) {
        return Some(root.bin());
    }
    // Straight to stderr: what passing tests print, the harness keeps to itself.
    let tell = |line: &str| writeln!(std::io::stderr(), "{line}").unwrap();
    if std::env::var_os("E2E").is_none_or(|value| value != "required") {
        let why = format!("no etcd and kube-apiserver in {}; `cargo local-aks up` builds them", root.bin().display());
        tell(&format!("\nSKIPPED: {test} does not run here: {why}"));
        return None;
    }
    let built = crate::tools::build(&root, &Progress::new(move |step| tell(&format!("local-aks: {step}")))).await;
    built.unwrap_or_else(|error| panic!("E2E=required, but {test} cannot run here: {error:#}"));
    Some(root.bin())
}

fn spawn(tool: &Path, directory: &Path, flags: &[String]) -> Child {
    let log = std::fs::File::create(directory.join(tool.file_name().unwrap()).with_extension("log")).unwrap();
    let mut command = Command::new(tool);
    command.args(flags).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).current_dir(directory);
    command.spawn().unwrap()
}

impl Cluster {
    async fn start(bin: &Path) -> (Self, KubeControlPlane) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = TempDir::new().unwrap();
        let (cert, key) = certificates(directory.path());
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let signing = KeyPair::generate().unwrap();
        let (private, public) = (file("sa.key", &signing.serialize_pem()), file("sa.pub", &signing.public_key_pem()));
        let tokens = file("tokens.csv", "admin-token,admin,1,system:masters\n");
        let (etcd, peer, port) = (free_port(), free_port(), free_port());
        let (etcd, peer) = (format!("http://127.0.0.1:{etcd}"), format!("http://127.0.0.1:{peer}"));
        let etcd_flags = [
            format!("--data-dir={}", directory.path().join("etcd").display()),
            format!("--listen-client-urls={etcd}"),
            format!("--advertise-client-urls={etcd}"),
            format!("--listen-peer-urls={peer}"),
            "--unsafe-no-fsync".into(),
        ];
        let api_flags = [
            format!("--etcd-servers={etcd}"),
            format!("--secure-port={port}"),
            "--bind-address=127.0.0.1".into(),
            "--authorization-mode=RBAC".into(),
            "--service-cluster-ip-range=10.96.0.0/16".into(),
            format!("--tls-cert-file={}", cert.display()),
            format!("--tls-private-key-file={}", key.display()),
            format!("--token-auth-file={tokens}"),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            format!("--service-account-signing-key-file={private}"),
            format!("--service-account-key-file={public}"),
        ];
        let processes = vec![
            spawn(&bin.join("etcd"), directory.path(), &etcd_flags),
            spawn(&bin.join("kube-apiserver"), directory.path(), &api_flags),
        ];
        let cluster = Self { processes, directory };
        let ca = STANDARD.encode(std::fs::read(cluster.path("ca.pem")).unwrap());
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": format!("https://127.0.0.1:{port}"), "certificate-authority-data": ca}}],
            "users": [{"name": "test", "user": {"token": "admin-token"}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        });
        std::fs::write(cluster.path("kubeconfig"), kubeconfig.to_string()).unwrap();
        let control_plane = KubeControlPlane::connect(&cluster.path("kubeconfig")).await.unwrap();
        let namespaces: Api<Namespace> = Api::all(control_plane.client());
        let deadline = Instant::now() + Duration::from_secs(120);
        while namespaces.get("default").await.is_err() {
            assert!(
                Instant::now() < deadline,
                "{}",
                std::fs::read_to_string(cluster.path("kube-apiserver.log")).unwrap()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        (cluster, control_plane)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

async fn service_account(client: &Client, name: &str, annotations: Value) {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    let account = object(json!({"metadata": {"name": name, "annotations": annotations}}));
    accounts.create(&PostParams::default(), &account).await.unwrap();
}

async fn projected_token(client: &Client, account: &str, audience: &str) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    let request: TokenRequest = object(json!({"metadata": {}, "spec": {"audiences": [audience]}}));
    let made = accounts.create_token_request(account, &PostParams::default(), &request).await.unwrap();
    made.status.unwrap().token
}

async fn pod(client: &Client, name: &str, account: &str, labels: Value) -> Result<Pod, kube::Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    let pod = object(json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {"serviceAccountName": account, "automountServiceAccountToken": false, "containers": [{"name": "c", "image": "i"}]},
    }));
    pods.create(&PostParams::default(), &pod).await
}

fn environment(pod: &Pod) -> Vec<(String, String)> {
    let env = pod.spec.clone().unwrap().containers[0].env.clone().unwrap_or_default();
    env.into_iter().map(|one| (one.name, one.value.unwrap_or_default())).collect()
}

async fn tokens_are_reviewed(client: &Client, control_plane: &KubeControlPlane) {
    let good = projected_token(client, "scorer", AUDIENCE).await;
    let subject = control_plane.subject(&good, AUDIENCE).await.unwrap();
    assert_eq!(subject.as_deref(), Some("system:serviceaccount:default:scorer"));
    let other = projected_token(client, "scorer", "https://elsewhere").await;
    assert_eq!(control_plane.subject(&other, AUDIENCE).await.unwrap(), None, "a token for another audience");
    assert_eq!(control_plane.subject("made up", AUDIENCE).await.unwrap(), None);
}

async fn labelled_pods_get_their_identity(client: &Client, server: &Server, options: &AksOptions, ca: &[u8]) {
    webhook::install(client.clone(), &format!("https://{}/mutate", server.addresses().control), ca).await.unwrap();
    webhook::install(client.clone(), &format!("https://{}/mutate", server.addresses().control), ca).await.unwrap();
    let using = json!({"azure.workload.identity/use": "true"});
    // The API server takes up to a moment to see a new webhook.
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut tries = 0;
    let mutated = loop {
        tries += 1;
        let made = pod(client, &format!("with-{tries}"), "scorer", using.clone()).await.unwrap();
        if !environment(&made).is_empty() {
            break made;
        }
        assert!(Instant::now() < deadline, "the webhook is not asked");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let env = environment(&mutated);
    assert!(env.contains(&("AZURE_CLIENT_ID".into(), options.client_id.clone())), "{env:?}");
    assert!(
        env.contains(&("AZURE_AUTHORITY_HOST".into(), format!("https://{}/", server.addresses().authority))),
        "{env:?}"
    );
    let volumes = mutated.spec.unwrap().volumes.unwrap();
    let token = volumes[0].projected.clone().unwrap().sources.unwrap()[0].service_account_token.clone().unwrap();
    assert_eq!(token.audience.as_deref(), Some(AUDIENCE));
    assert!(environment(&pod(client, "without", "scorer", json!({})).await.unwrap()).is_empty());
}

async fn nodes_follow_their_pool(client: &Client, control_plane: &KubeControlPlane) {
    let nodes: Api<Node> = Api::all(client.clone());
    let node = object(json!({
        "metadata": {"name": "n1", "labels": {"agentpool": "scoring", "old": "1"}},
        "spec": {"taints": [{"key": "a", "value": "1", "effect": "NoSchedule"}, {"key": "own", "effect": "NoExecute"}]},
    }));
    nodes.create(&PostParams::default(), &node).await.unwrap();
    let addresses = json!({"status": {"addresses": [{"type": "InternalIP", "address": "10.244.1.1"}, {"type": "Hostname", "address": "n1"}]}});
    nodes.patch_status("n1", &PatchParams::default(), &Patch::Merge(addresses)).await.unwrap();
    assert_eq!(control_plane.addresses("scoring").await.unwrap()["n1"], ["10.244.1.1"]);
    let change = Restyle {
        nodes: vec!["n1".into(), "not-there".into()],
        remove_taints: vec![Taint::parse("a=1:NoSchedule").unwrap()],
        add_taints: vec![Taint::parse("b=2:NoSchedule").unwrap()],
        remove_labels: vec!["old".into()],
        add_labels: [("new".to_owned(), "2".to_owned())].into(),
    };
    control_plane.restyle(&change).await.unwrap();
    let node = nodes.get("n1").await.unwrap();
    let labels = node.metadata.labels.unwrap();
    assert!(!labels.contains_key("old") && labels["new"] == "2" && labels["agentpool"] == "scoring", "{labels:?}");
    let mut taints: Vec<String> = node.spec.unwrap().taints.unwrap().into_iter().map(|taint| taint.key).collect();
    taints.retain(|key| !key.starts_with("node.kubernetes.io/"));
    assert_eq!(taints, ["own", "b"]);
}

async fn a_node_whose_machine_is_taken_is_warned_drained_and_found_lost(
    client: &Client,
    control_plane: &KubeControlPlane,
) {
    let (nodes, pods): (Api<Node>, Api<Pod>) = (Api::all(client.clone()), Api::namespaced(client.clone(), "default"));
    let node = object(json!({
        "metadata": {"name": "n2"}, "spec": {"taints": [{"key": "own", "effect": "NoExecute"}]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }));
    nodes.create(&PostParams::default(), &node).await.unwrap();
    let here = |name: &str, owners: Value| {
        object::<Pod>(json!({
            "metadata": {"name": name, "ownerReferences": owners},
            "spec": {"serviceAccountName": "scorer", "automountServiceAccountToken": false, "nodeName": "n2",
                "tolerations": [{"operator": "Exists"}], "containers": [{"name": "c", "image": "i"}]},
        }))
    };
    let daemon = json!([{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u"}]);
    for pod in [here("leaves", json!([])), here("stays", daemon)] {
        pods.create(&PostParams::default(), &pod).await.unwrap();
    }
    control_plane.warn("n2", Timestamp::now(), true).await.unwrap();
    control_plane.warn("not-there", Timestamp::now(), false).await.unwrap();
    let node = nodes.get("n2").await.unwrap();
    let conditions = node.status.unwrap().conditions.unwrap();
    let of_kind = |kind: &str| conditions.iter().find(|one| one.type_ == kind).map(|one| one.status.as_str());
    assert_eq!((of_kind("VMEventScheduled"), of_kind("Ready")), (Some("True"), Some("True")), "the kubelet's own stay");
    let spec = node.spec.unwrap();
    let taints: Vec<String> = spec.taints.unwrap().into_iter().map(|taint| taint.key).collect();
    assert!(spec.unschedulable == Some(true) && taints.contains(&"own".into()), "{taints:?}");
    assert!(taints.contains(&"remediator.kubernetes.azure.com/unschedulable".into()), "{taints:?}");
    let leaving = async |name: &str| {
        pods.get_opt(name).await.unwrap().is_none_or(|pod| pod.metadata.deletion_timestamp.is_some())
    };
    assert!(leaving("leaves").await && !leaving("stays").await);
    let events: Api<Event> = Api::namespaced(client.clone(), "default");
    let events = events.list(&ListParams::default()).await.unwrap();
    let told = events.items.iter().any(|one| {
        one.reason.as_deref() == Some("PreemptScheduled") && one.involved_object.name.as_deref() == Some("n2")
    });
    assert!(told, "{events:?}");
    control_plane.lost("not-there").await.unwrap();
    let lost = async |seconds| tokio::time::timeout(Duration::from_secs(seconds), control_plane.lost("n2")).await;
    assert!(lost(1).await.is_err(), "a node that is Ready is not lost");
    let silent = json!({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}});
    nodes.patch_status("n2", &PatchParams::default(), &Patch::Strategic(silent)).await.unwrap();
    lost(30).await.expect("a node that is not Ready is lost").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_api_server_is_asked_and_told_as_aks_would() {
    let Some(bin) = tools("a_real_api_server_is_asked_and_told_as_aks_would").await else { return };
    let (cluster, control_plane) = Cluster::start(&bin).await;
    let client = control_plane.client();
    let (cert, key, ca) = (cluster.path("tls.pem"), cluster.path("tls.key"), cluster.path("ca.pem"));
    let options = AksOptions::new(([127, 0, 0, 1], 0).into(), cert, key, cluster.path("kubeconfig"));
    let machines = Arc::new(Names::default());
    let server =
        Server::start(&options, machines, Arc::new(control_plane.clone()), Arc::new(Timestamp::now)).await.unwrap();
    let annotations = json!({"azure.workload.identity/client-id": options.client_id});
    service_account(&client, "scorer", annotations).await;
    tokens_are_reviewed(&client, &control_plane).await;
    labelled_pods_get_their_identity(&client, &server, &options, &std::fs::read(ca).unwrap()).await;
    nodes_follow_their_pool(&client, &control_plane).await;
    a_node_whose_machine_is_taken_is_warned_drained_and_found_lost(&client, &control_plane).await;
    server.stop().await;
    let refused = pod(&client, "late", "scorer", json!({"azure.workload.identity/use": "true"})).await;
    assert!(refused.is_err(), "labelled pods are refused while the webhook is away, as on AKS");
}
