//! The https listener and the driver behind it, started and stopped together.

use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, anyhow};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::task::JoinSet;

use super::app::{App, Clock};
use super::control_plane::ControlPlane;
use super::faults::RequestFaults;
use super::fleet::{Fleet, Scope, Settings};
use super::identity::{Application, Tokens};
use super::log::RequestLog;
use super::properties::Defaults;
use super::webhook::Cloud;
use super::{AksOptions, Machines, PoolOptions, arm, control, driver, entra};

/// A running server; dropping it stops it at once.
pub(super) struct Server {
    address: SocketAddr,
    handle: Handle<SocketAddr>,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Server {
    /// Listens, and begins to make the machines of the pools that are there from the start.
    pub(super) async fn start(
        options: &AksOptions,
        machines: Arc<dyn Machines>,
        control_plane: Arc<dyn ControlPlane>,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let tls = tls(&options.tls_cert, &options.tls_key)?;
        let listener =
            std::net::TcpListener::bind(options.listen).with_context(|| format!("listen on {}", options.listen))?;
        listener.set_nonblocking(true).context("make the listener non-blocking")?;
        let address = listener.local_addr().context("ask the listener for its address")?;
        let app = Arc::new(app(options, address, machines, control_plane, clock)?);
        let handle = Handle::new();
        let server = axum_server::from_tcp_rustls(listener, tls).context("serve https")?.handle(handle.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let service = router(app.clone()).into_make_service();
            async move { server.serve(service).await.context("serve https") }
        });
        tasks.spawn(async move {
            driver::drive(app).await;
            Ok(())
        });
        tracing::info!(%address, "serving the agentPools API, the token endpoint and the workload-identity webhook");
        Ok(Self { address, handle, tasks })
    }

    /// Where it listens; tells the port where the options asked for any.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the server ends by itself, which it does only when it fails.
    pub(super) async fn ended(&mut self) -> anyhow::Result<()> {
        match self.tasks.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(error)) => Err(anyhow!(error).context("the server ended")),
            None => Ok(()),
        }
    }

    /// Stops listening, lets requests under way finish, and ends whatever operation was running.
    pub(super) async fn stop(mut self) {
        self.handle.graceful_shutdown(Some(Duration::from_secs(5)));
        // The listener's task is the only one that ends; the driver is dropped with the set.
        let _ = self.tasks.join_next().await;
    }
}

fn app(
    options: &AksOptions,
    address: SocketAddr,
    machines: Arc<dyn Machines>,
    control_plane: Arc<dyn ControlPlane>,
    clock: Clock,
) -> anyhow::Result<App> {
    let now = clock();
    let scope = Scope {
        subscription: options.subscription_id.clone(),
        group: options.resource_group.clone(),
        cluster: options.cluster_name.clone(),
        location: options.location.clone(),
    };
    let settings =
        Settings { provisioning: options.provisioning, count_falls: options.count_falls, ..Settings::default() };
    let mut fleet = Fleet::new(scope, settings, Defaults::default(), options.seed, now);
    for pool in &options.pools {
        fleet.found(&pool.name, &body(pool), now).with_context(|| format!("make agent pool '{}'", pool.name))?;
    }
    Ok(App {
        fleet: Mutex::new(fleet),
        // Bearers must not be guessed from the options.
        tokens: Mutex::new(Tokens::new(options.token_lifetime, StdRng::from_os_rng())),
        log: Mutex::new(RequestLog::default()),
        faults: Mutex::new(RequestFaults::default()),
        changed: tokio::sync::Notify::new(),
        machines,
        control_plane,
        application: Application {
            tenant_id: options.tenant_id.clone(),
            client_id: options.client_id.clone(),
            subjects: options.federated_subjects.clone(),
        },
        cloud: Cloud {
            tenant_id: options.tenant_id.clone(),
            authority_host: options.authority_host.clone().unwrap_or_else(|| format!("https://{address}/")),
        },
        clock,
    })
}

fn body(pool: &PoolOptions) -> serde_json::Value {
    json!({"properties": {
        "mode": if pool.system { "System" } else { "User" },
        "count": pool.count,
        "vmSize": pool.vm_size,
        "nodeLabels": pool.node_labels,
        "nodeTaints": pool.node_taints,
    }})
}

fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/control/log", get(control::log))
        .route("/control/faults", get(control::faults).post(control::add_faults).delete(control::clear_faults))
        .route("/control/settings", get(control::settings).put(control::change_settings))
        .route("/mutate", post(entra::mutate))
        .route("/{tenant}/oauth2/v2.0/token", post(entra::token))
        .route("/{tenant}/v2.0/.well-known/openid-configuration", get(entra::openid_configuration))
        .route("/common/discovery/instance", get(entra::instance_discovery))
        .fallback(arm::serve)
        // Pods may be large, and the API server sends them whole.
        .layer(DefaultBodyLimit::max(4 << 20))
        .with_state(app)
}

fn tls(cert: &Path, key: &Path) -> anyhow::Result<RustlsConfig> {
    let chain = CertificateDer::pem_reader_iter(BufReader::new(open(cert)?))
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("read the certificate {}", cert.display()))?;
    let key = PrivateKeyDer::from_pem_reader(BufReader::new(open(key)?))
        .with_context(|| format!("read the key {}", key.display()))?;
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("choose TLS versions")?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(|| format!("use the certificate {}", cert.display()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
}

fn open(path: &Path) -> anyhow::Result<std::fs::File> {
    std::fs::File::open(path).with_context(|| format!("open {}", path.display()))
}
