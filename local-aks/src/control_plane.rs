//! etcd, API server, controller manager and scheduler.

use std::time::Duration;

use anyhow::Context;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::process::Command;

use crate::pki::{Authority, Pair};
use crate::processes::{Part, start_detached};
use crate::root::{API_PORT, ETCD_PEER_PORT, ETCD_PORT, HOST, Root, SERVICE_NETWORK};

/// How long a part may take to be ready; a busy machine is slow.
const LIMIT: Duration = Duration::from_secs(90);

/// A client of the cluster for one of the users that have a kubeconfig.
pub(crate) async fn client(kubeconfig: &std::path::Path) -> anyhow::Result<kube::Client> {
    // A program may hold both providers of rustls' cryptography; a choice that its main made before stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Kubeconfig::read_from(kubeconfig)?;
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

fn flags(command: &mut Command, flags: &[(&str, String)]) {
    command.args(flags.iter().map(|(name, value)| format!("--{name}={value}")));
}

fn shown(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Starts etcd and the API server, and waits until it is ready. Then starts the rest.
pub(crate) async fn start(root: &Root, authority: &Authority) -> anyhow::Result<Vec<Part>> {
    let mut parts = vec![start_etcd(root, authority)?];
    // The API server waits for etcd by itself.
    let mut api_server = start_api_server(root, authority)?;
    let admin = authority.client("admin", "local-aks-admin", Some("system:masters"))?;
    authority.kubeconfig(&root.kubeconfig("admin"), &admin)?;
    let client = client(&root.kubeconfig("admin")).await?;
    let is_ready = || async {
        let request = http::Request::get("/readyz").body(Vec::new());
        match request {
            Ok(request) => client.request_text(request).await.is_ok(),
            Err(_) => false,
        }
    };
    api_server.ready(LIMIT, is_ready).await?;
    parts.push(api_server);
    parts.push(start_controller_manager(root, authority)?);
    parts.push(start_scheduler(root, authority)?);
    Ok(parts)
}

fn start_etcd(root: &Root, authority: &Authority) -> anyhow::Result<Part> {
    let pair = authority.server("etcd", &["127.0.0.1", "localhost"])?;
    let (url, peer) = (format!("https://127.0.0.1:{ETCD_PORT}"), format!("https://127.0.0.1:{ETCD_PEER_PORT}"));
    let (certificate, key, ca) = (shown(&pair.certificate), shown(&pair.key), shown(&authority.certificate()));
    let mut command = Command::new(root.tool("etcd"));
    flags(
        &mut command,
        &[
            ("name", "local-aks".to_owned()),
            ("data-dir", shown(&root.run().join("etcd"))),
            ("listen-client-urls", url.clone()),
            ("advertise-client-urls", url),
            ("listen-peer-urls", peer.clone()),
            ("initial-advertise-peer-urls", peer.clone()),
            ("initial-cluster", format!("local-aks={peer}")),
            ("cert-file", certificate.clone()),
            ("key-file", key.clone()),
            ("trusted-ca-file", ca.clone()),
            ("client-cert-auth", "true".to_owned()),
            ("peer-cert-file", certificate),
            ("peer-key-file", key),
            ("peer-trusted-ca-file", ca),
            ("peer-client-cert-auth", "true".to_owned()),
            // Nothing here outlives the machine's next start.
            ("unsafe-no-fsync", "true".to_owned()),
        ],
    );
    start_detached(root, "etcd", &mut command)
}

fn start_api_server(root: &Root, authority: &Authority) -> anyhow::Result<Part> {
    let serving = authority.api_server()?;
    let etcd = authority.client("kube-apiserver-etcd", "kube-apiserver", None)?;
    let kubelet = authority.client("kube-apiserver-kubelet", "kube-apiserver", Some("system:masters"))?;
    let ca = shown(&authority.certificate());
    let mut command = Command::new(root.tool("kube-apiserver"));
    flags(
        &mut command,
        &[
            ("bind-address", HOST.to_owned()),
            ("advertise-address", HOST.to_owned()),
            ("secure-port", API_PORT.to_string()),
            ("service-cluster-ip-range", SERVICE_NETWORK.to_owned()),
            ("authorization-mode", "Node,RBAC".to_owned()),
            ("enable-admission-plugins", "NodeRestriction".to_owned()),
            ("allow-privileged", "true".to_owned()),
            ("client-ca-file", ca.clone()),
            ("tls-cert-file", shown(&serving.certificate)),
            ("tls-private-key-file", shown(&serving.key)),
            ("etcd-servers", format!("https://127.0.0.1:{ETCD_PORT}")),
            ("etcd-cafile", ca.clone()),
            ("etcd-certfile", shown(&etcd.certificate)),
            ("etcd-keyfile", shown(&etcd.key)),
            ("kubelet-certificate-authority", ca),
            ("kubelet-client-certificate", shown(&kubelet.certificate)),
            ("kubelet-client-key", shown(&kubelet.key)),
            ("kubelet-preferred-address-types", "InternalIP".to_owned()),
            ("service-account-issuer", "https://kubernetes.default.svc.cluster.local".to_owned()),
            ("service-account-key-file", shown(&authority.service_accounts_public_key())),
            ("service-account-signing-key-file", shown(&authority.service_accounts_key())),
        ],
    );
    start_detached(root, "kube-apiserver", &mut command)
}

/// The kubeconfig of a part of the control plane.
fn kubeconfig(root: &Root, authority: &Authority, part: &str) -> anyhow::Result<String> {
    let pair: Pair = authority.client(part, &format!("system:{part}"), None)?;
    let file = root.kubeconfig(part);
    authority.kubeconfig(&file, &pair).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(shown(&file))
}

fn start_controller_manager(root: &Root, authority: &Authority) -> anyhow::Result<Part> {
    let mut command = Command::new(root.tool("kube-controller-manager"));
    flags(
        &mut command,
        &[
            ("kubeconfig", kubeconfig(root, authority, "kube-controller-manager")?),
            ("bind-address", "127.0.0.1".to_owned()),
            ("secure-port", "0".to_owned()),
            ("leader-elect", "false".to_owned()),
            ("root-ca-file", shown(&authority.certificate())),
            ("service-account-private-key-file", shown(&authority.service_accounts_key())),
            ("use-service-account-credentials", "true".to_owned()),
            // As managed control planes have it; the default of 20 requests a second makes large Jobs crawl.
            ("kube-api-qps", "400".to_owned()),
            ("kube-api-burst", "800".to_owned()),
        ],
    );
    start_detached(root, "kube-controller-manager", &mut command)
}

fn start_scheduler(root: &Root, authority: &Authority) -> anyhow::Result<Part> {
    let mut command = Command::new(root.tool("kube-scheduler"));
    flags(
        &mut command,
        &[
            ("kubeconfig", kubeconfig(root, authority, "kube-scheduler")?),
            ("bind-address", "127.0.0.1".to_owned()),
            ("secure-port", "0".to_owned()),
            ("leader-elect", "false".to_owned()),
            ("kube-api-qps", "400".to_owned()),
            ("kube-api-burst", "800".to_owned()),
        ],
    );
    start_detached(root, "kube-scheduler", &mut command)
}
