//! Brings the cluster up.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::Api;
use kube::api::ListParams;
use tokio::signal::unix::{SignalKind, signal};

use crate::clean::clean;
use crate::facts::Facts;
use crate::lock::{Holder, Lock, holder};
use crate::nodes::real::is_ready;
use crate::options::{NodeKind, Options};
use crate::pki::Authority;
use crate::processes::Part;
use crate::progress::Progress;
use crate::root::{AKS_PORT, AUTHORITY_PORT, CONTROL_PORT, HOST, Root};
use crate::{azurite, control_plane, daemon, network, nodes, packages, registry, sysctls, tools};

/// How long the system node may take.
const NODE_LIMIT: Duration = Duration::from_secs(120);

/// [`crate::up`].
pub(crate) async fn up(options: &Options, progress: &Progress) -> anyhow::Result<Facts> {
    let root = Root::new(&options.root)?;
    let obstacles = packages::obstacles(tools::are_built(&root));
    if !obstacles.is_empty() {
        bail!("a local cluster cannot run here:\n- {}", obstacles.join("\n- "));
    }
    // As in control_plane::client; Azurite's client may come first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let lock = take_lock()?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let outcome = tokio::select! {
        outcome = bring_up(&root, &lock, options, progress) => outcome,
        _ = interrupt.recv() => Err(anyhow::anyhow!("interrupted")),
        _ = terminate.recv() => Err(anyhow::anyhow!("terminated")),
    };
    if outcome.is_err() {
        progress.step("taking down what has been started");
        clean(&root).await.context("cleaning up after a failed start failed as well: run `local-aks down`")?;
    }
    outcome
}

fn take_lock() -> anyhow::Result<Lock> {
    if let Some(lock) = Lock::take()? {
        return Ok(lock);
    }
    match holder()? {
        Holder::Daemon(root) => bail!(
            "a local cluster is up on this machine already, and there can be one only (its folder: {}): \
             use it, or run `local-aks down` first",
            root.display()
        ),
        Holder::Busy => bail!("a local cluster is being brought up or taken down on this machine: wait for it"),
        Holder::Nobody => bail!("a local cluster has just ended on this machine: try again"),
    }
}

async fn bring_up(root: &Root, lock: &Lock, options: &Options, progress: &Progress) -> anyhow::Result<Facts> {
    let cleaned = clean(root).await.context("cannot clean up after the last cluster")?;
    if !cleaned.is_nothing() {
        progress.step(format!("cleaned up after a crash: {cleaned}"));
    }
    for folder in [root.bin(), root.run()] {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    // Logs of the cluster before tell nothing about this one.
    let _ = fs::remove_dir_all(root.logs());
    fs::create_dir_all(root.logs())?;
    prepare(root, progress).await?;

    let started = Instant::now();
    progress.step("starting the control plane, the registry and Azurite");
    let authority = Authority::create(root, &packages::system_authorities()?)?;
    authority.this_machine("aks")?;
    network::make(root).await?;
    network::check_ports()?;
    sysctls::save(root)?;
    let (mut parts, registry, azurite) =
        tokio::try_join!(control_plane::start(root, &authority), registry::start(root), azurite::start(root))?;
    parts.extend([registry, azurite]);
    if options.nodes == NodeKind::Kwok {
        parts.push(nodes::kwok::start(root, &authority, options.kwok_pod_duration)?);
    }
    progress
        .step(format!("control plane ready after {:.1} s; starting the system node", started.elapsed().as_secs_f64()));
    let facts = facts(root, &authority);
    parts.push(daemon::start(root, lock, options, &facts)?);
    wait_for_node(&facts, &mut parts).await?;
    fs::write(root.state(), serde_json::to_vec_pretty(&facts)?)?;
    progress.step(format!("up after {:.1} s", started.elapsed().as_secs_f64()));
    Ok(facts)
}

fn facts(root: &Root, authority: &Authority) -> Facts {
    Facts {
        kubeconfig: root.kubeconfig("admin"),
        ca_bundle: authority.bundle(),
        arm_endpoint: format!("https://{HOST}:{AKS_PORT}"),
        authority_host: format!("https://{HOST}:{AUTHORITY_PORT}/"),
        control_endpoint: format!("https://{HOST}:{CONTROL_PORT}"),
        tenant_id: "00000000-0000-0000-0000-00000000000a".to_owned(),
        client_id: "00000000-0000-0000-0000-00000000000b".to_owned(),
        subscription_id: "00000000-0000-0000-0000-000000000000".to_owned(),
        resource_group: "local".to_owned(),
        cluster_name: "local-aks".to_owned(),
        agent_pool: "scoring".to_owned(),
        registry: registry::address(),
        other_registry: registry::other_address(),
        store_url: azurite::url(),
        store_account: azurite::ACCOUNT.to_owned(),
        store_key: azurite::KEY.to_owned(),
        bin_dir: root.bin(),
    }
}

/// [`crate::prepare`].
pub(crate) async fn prepare(root: &Root, progress: &Progress) -> anyhow::Result<()> {
    packages::install(progress).await?;
    tools::build(root, progress).await?;
    azurite::install(root.path(), progress).await
}

/// Until the system node is Ready and pods can be made. Any part that ends meanwhile is an error.
async fn wait_for_node(facts: &Facts, parts: &mut [Part]) -> anyhow::Result<()> {
    let client = control_plane::client(&facts.kubeconfig).await?;
    let nodes = Api::<Node>::all(client.clone());
    let accounts = Api::<ServiceAccount>::default_namespaced(client);
    let started = Instant::now();
    loop {
        let list = nodes.list(&ListParams::default()).await.map(|list| list.items).unwrap_or_default();
        // The controller manager makes the account without which no pod can be.
        let has_account = accounts.get_opt("default").await.is_ok_and(|account| account.is_some());
        if has_account && list.iter().any(is_ready) {
            return Ok(());
        }
        if let Some(ended) = parts.iter_mut().find_map(Part::ended) {
            bail!(ended);
        }
        if started.elapsed() > NODE_LIMIT {
            bail!("the system node is not Ready after {NODE_LIMIT:?}: see daemon.log and the node's logs");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
