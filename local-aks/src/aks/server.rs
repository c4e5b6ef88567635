//! The https listeners and the driver behind them, started and stopped together.

use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context, anyhow};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum_server::tls_rustls::RustlsConfig;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::app::{App, Clock};
use super::control_plane::ControlPlane;
use super::door::Door;
use super::faults::{Endpoint, Outages, RequestFaults};
use super::fleet::{Fleet, Scope, Settings};
use super::identity::{Application, Tokens};
use super::log::RequestLog;
use super::properties::Defaults;
use super::webhook::Cloud;
use super::{AksOptions, Machines, PoolOptions, arm, control, driver, entra};

/// A running server; dropping it stops it at once.
pub(super) struct Server {
    addresses: Addresses,
    stop: watch::Sender<bool>,
    tasks: JoinSet<anyhow::Result<()>>,
}

/// Where a server listens; tells the ports where the options asked for any.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    /// The Resource Manager API.
    pub(super) arm: SocketAddr,
    /// The token endpoint.
    pub(super) authority: SocketAddr,
    /// The control endpoints and the webhook, which are there whatever is down.
    pub(super) control: SocketAddr,
}

impl Server {
    /// Listens, begins to make the machines of the pools that are there from the start, and then brings on the faults
    /// of the options.
    pub(super) async fn start(
        options: &AksOptions,
        machines: Arc<dyn Machines>,
        control_plane: Arc<dyn ControlPlane>,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let tls = tls(&options.tls_cert, &options.tls_key)?;
        let arm = Door::open(options.listen, Some(Endpoint::Arm))?;
        let authority = Door::open(options.authority_listen, Some(Endpoint::Tokens))?;
        let control = Door::open(options.control_listen, None)?;
        let addresses = Addresses { arm: arm.address(), authority: authority.address(), control: control.address() };
        let app = Arc::new(app(options, addresses, machines, control_plane, clock)?);
        control::carry_out(&app, options.faults.clone())?;
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for (door, routes) in [(arm, arm_routes()), (authority, authority_routes()), (control, control_routes())] {
            let routes = routes.route("/healthz", get(|| async { "ok" }));
            // Pods may be large, and the API server sends them whole.
            let router = routes.layer(DefaultBodyLimit::max(4 << 20)).with_state(app.clone());
            tasks.spawn(door.serve(app.clone(), router, tls.clone(), stopped.clone()));
        }
        tracing::info!(
            arm = %addresses.arm,
            authority = %addresses.authority,
            control = %addresses.control,
            seed = options.seed,
            "serving the agentPools API, the token endpoint, and the control endpoints with the workload-identity webhook"
        );
        tasks.spawn(async move {
            driver::drive(app).await;
            Ok(())
        });
        Ok(Self { addresses, stop, tasks })
    }

    pub(super) fn addresses(&self) -> Addresses {
        self.addresses
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
        self.stop.send_replace(true);
        // Only the doors' tasks end; the driver is dropped with the set.
        for _ in 0..3 {
            let _ = self.tasks.join_next().await;
        }
    }
}

fn app(
    options: &AksOptions,
    addresses: Addresses,
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
    let settings = Settings {
        provisioning: options.provisioning,
        count_falls: options.count_falls,
        put_bucket: options.put_bucket,
        request_bucket: options.request_bucket,
        ..Settings::default()
    };
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
        outages: Mutex::new(Outages::default()),
        outages_changed: watch::Sender::new(()),
        seed: options.seed,
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
            authority_host: options
                .authority_host
                .clone()
                .unwrap_or_else(|| format!("https://{}/", addresses.authority)),
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
        "scaleSetPriority": if pool.spot { "Spot" } else { "Regular" },
    }})
}

fn arm_routes() -> Router<Arc<App>> {
    Router::new().fallback(arm::serve)
}

fn authority_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/{tenant}/oauth2/v2.0/token", post(entra::token))
        .route("/{tenant}/v2.0/.well-known/openid-configuration", get(entra::openid_configuration))
        .route("/common/discovery/instance", get(entra::instance_discovery))
}

fn control_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/control/log", get(control::log))
        .route("/control/faults", get(control::faults).post(control::add_faults).delete(control::clear_faults))
        .route("/control/settings", get(control::settings).put(control::change_settings))
        .route("/mutate", post(entra::mutate))
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
