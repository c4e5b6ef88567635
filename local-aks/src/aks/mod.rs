//! A stand-in for the parts of Azure around an AKS cluster: the agentPools API, the token endpoint of Microsoft Entra
//! ID, and the workload-identity webhook, each on an https listener of its own, so that one can be down without the
//! others.
//!
//! [`fleet`] holds pools and operations as a pure state machine; [`arm`], [`entra`] and [`control`] put http around it,
//! and [`driver`] makes and deletes machines when an operation's delay is over. [`faults`] has what can be made to go
//! wrong.

mod app;
mod arm;
mod bucket;
mod control;
mod control_plane;
mod delay;
mod door;
mod driver;
mod entra;
mod error;
pub mod faults;
mod fleet;
mod identity;
mod log;
mod machine;
mod operation;
mod properties;
mod route;
mod server;
mod span;
#[cfg(test)]
mod tests;
mod webhook;
mod work;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;

use crate::{MachineSpec, Machines};

use control_plane::KubeControlPlane;
use faults::FaultOrder;
pub(crate) use fleet::Settings;
use server::Server;

pub use bucket::Rate;
pub use delay::Delay;
pub use span::Span;

/// A pool that is there from the start.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    pub name: String,
    pub system: bool,
    /// Machines made at once, without delay.
    pub count: u32,
    pub vm_size: String,
    pub node_labels: BTreeMap<String, String>,
    pub node_taints: Vec<String>,
    /// Of spot machines, which Azure may take back.
    pub spot: bool,
}

impl PoolOptions {
    /// A system pool of `count` machines.
    pub fn system(name: &str, count: u32) -> Self {
        Self { system: true, count, ..Self::user(name) }
    }

    /// An empty user pool.
    pub fn user(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            system: false,
            count: 0,
            vm_size: "Standard_D4ds_v5".into(),
            node_labels: BTreeMap::new(),
            node_taints: Vec::new(),
            spot: false,
        }
    }
}

/// Everything that [`serve`] needs to know.
#[derive(Debug, Clone)]
pub struct AksOptions {
    /// Of the Resource Manager API.
    pub listen: SocketAddr,
    /// Of the token endpoint.
    pub authority_listen: SocketAddr,
    /// Of the control endpoints and the webhook.
    pub control_listen: SocketAddr,
    /// PEM, the chain; must name the address that clients use.
    pub tls_cert: PathBuf,
    pub tls_key: PathBuf,
    /// Of a cluster administrator: TokenReviews, Nodes, ServiceAccounts, and the webhook's configuration.
    pub kubeconfig: PathBuf,
    pub tenant_id: String,
    pub client_id: String,
    pub subscription_id: String,
    pub resource_group: String,
    pub cluster_name: String,
    pub location: String,
    pub pools: Vec<PoolOptions>,
    /// From an accepted PUT until a new machine starts; may be changed later at `PUT /control/settings`.
    pub provisioning: Delay,
    /// The bucket of each pool's PUTs; may be changed as well.
    pub put_bucket: Rate,
    /// The bucket of all other requests; may be changed as well.
    pub request_bucket: Rate,
    /// What goes wrong from the start; more may be ordered later at `POST /control/faults`.
    pub faults: FaultOrder,
    /// Whether a pool's count falls by itself after deleteMachines.
    pub count_falls: bool,
    /// Who may exchange tokens: the subjects of the identity's federated credentials.
    pub federated_subjects: Vec<String>,
    pub token_lifetime: Duration,
    /// AZURE_AUTHORITY_HOST for pods; `https://<authority_listen>/` by default.
    pub authority_host: Option<String>,
    /// A PEM file with the CA of `tls_cert`. Given, the workload-identity webhook is installed.
    pub webhook_ca: Option<PathBuf>,
    /// Seeds the choice of victims, the names and how long machines take; the same seed and requests give the same answers.
    pub seed: u64,
}

impl AksOptions {
    /// Options with the usual names and delays. The token endpoint and the control endpoints get any ports beside `listen`.
    pub fn new(listen: SocketAddr, tls_cert: PathBuf, tls_key: PathBuf, kubeconfig: PathBuf) -> Self {
        let beside = SocketAddr::new(listen.ip(), 0);
        let settings = Settings::default();
        Self {
            listen,
            authority_listen: beside,
            control_listen: beside,
            tls_cert,
            tls_key,
            kubeconfig,
            tenant_id: "00000000-0000-0000-0000-00000000000a".into(),
            client_id: "00000000-0000-0000-0000-00000000000b".into(),
            subscription_id: "00000000-0000-0000-0000-000000000000".into(),
            resource_group: "local".into(),
            cluster_name: "local-aks".into(),
            location: "local".into(),
            pools: vec![PoolOptions::system("system", 1), PoolOptions::user("scoring")],
            provisioning: settings.provisioning,
            put_bucket: settings.put_bucket,
            request_bucket: settings.request_bucket,
            faults: FaultOrder::default(),
            count_falls: true,
            federated_subjects: vec!["system:serviceaccount:batch-scoring:batch-scoring".into()],
            token_lifetime: Duration::from_secs(3600),
            authority_host: None,
            webhook_ca: None,
            seed: 0,
        }
    }
}

/// Serves until dropped. Dropping it stops the listener and whatever operation was under way.
pub async fn serve(options: AksOptions, machines: Arc<dyn Machines>) -> anyhow::Result<()> {
    serve_until(options, machines, std::future::pending()).await
}

/// Serves until `stop` is ready; then lets the requests under way finish, and ends whatever operation was running.
pub async fn serve_until(
    options: AksOptions,
    machines: Arc<dyn Machines>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    // kube and this server both use ring; a choice that main made before stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let control_plane = KubeControlPlane::connect(&options.kubeconfig).await?;
    let client = control_plane.client();
    let mut server = Server::start(&options, machines, Arc::new(control_plane), Arc::new(Timestamp::now)).await?;
    if let Some(ca) = &options.webhook_ca {
        let pem = std::fs::read(ca).with_context(|| format!("read the CA {}", ca.display()))?;
        webhook::install(client, &format!("https://{}/mutate", server.addresses().control), &pem).await?;
    }
    tokio::select! {
        ended = server.ended() => ended,
        () = stop => {
            server.stop().await;
            Ok(())
        }
    }
}
