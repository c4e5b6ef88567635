//! The daemon: owns the nodes, and serves the API that makes and deletes them. `up` starts it as the last part.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use tokio::process::Command;

use crate::facts::Facts;
use crate::lock::Lock;
use crate::nodes::Fleet;
use crate::nodes::files::Size;
use crate::nodes::kwok::KwokMachines;
use crate::nodes::real::RealMachines;
use crate::options::Options;
use crate::processes::{self, Part};
use crate::root::{AKS_PORT, AUTHORITY_PORT, CONTROL_PORT, HOST, Root};
use crate::{aks, control_plane};

/// The pool that is there from the start.
pub(crate) const SYSTEM_POOL: &str = "system";

/// Names the cluster's folder to a program that is to become the daemon.
const ASKED: &str = "LOCAL_AKS_SERVE";

/// What the daemon is told.
#[derive(serde::Serialize, serde::Deserialize)]
struct Order {
    options: Options,
    facts: Facts,
}

fn order_file(root: &Root) -> PathBuf {
    root.run().join("daemon.json")
}

/// Starts this very program again, as the daemon. The lock goes with it.
pub(crate) fn start(root: &Root, lock: &Lock, options: &Options, facts: &Facts) -> anyhow::Result<Part> {
    let order = Order { options: options.clone(), facts: facts.clone() };
    fs::write(order_file(root), serde_json::to_vec_pretty(&order)?)?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("local-aks").arg("serve").env(ASKED, root.path()).env("RUST_BACKTRACE", "0").stdin(lock.hand_on()?);
    processes::start(root, "daemon", None, &mut command)
}

/// The folder whose daemon this program is to become.
pub(crate) fn asked() -> Option<PathBuf> {
    std::env::var_os(ASKED).map(PathBuf::from)
}

/// Runs until it is killed.
pub(crate) fn run(folder: &Path) -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(serve(folder))
}

async fn serve(folder: &Path) -> anyhow::Result<()> {
    let root = Root::new(folder)?;
    let file = order_file(&root);
    let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let Order { options, facts } = serde_json::from_slice(&text)?;
    let lock = Lock::from_stdin()?;
    let told = root.path().to_owned();
    std::thread::spawn(move || lock.answer(&told));
    let client = control_plane::client(&facts.kubeconfig).await?;
    let size = Size { cpus: options.node_cpus, memory_mib: options.node_memory_mib };
    let machines = Arc::new(Fleet {
        kind: options.nodes,
        real: RealMachines::new(root.clone(), client.clone(), size),
        kwok: KwokMachines::new(client, size),
    });
    let pki = root.pki();
    let at = |port: u16| format!("{HOST}:{port}").parse();
    let scoring = aks::PoolOptions { spot: options.spot, ..aks::PoolOptions::user(&facts.agent_pool) };
    let aks = aks::AksOptions {
        tenant_id: facts.tenant_id,
        client_id: facts.client_id,
        subscription_id: facts.subscription_id,
        resource_group: facts.resource_group,
        cluster_name: facts.cluster_name,
        pools: vec![aks::PoolOptions::system(SYSTEM_POOL, 1), scoring],
        provisioning: options.provisioning,
        put_bucket: options.put_bucket,
        request_bucket: options.request_bucket,
        faults: options.faults,
        seed: options.seed,
        authority_listen: at(AUTHORITY_PORT)?,
        control_listen: at(CONTROL_PORT)?,
        authority_host: Some(facts.authority_host),
        webhook_ca: Some(pki.join("ca.crt")),
        ..aks::AksOptions::new(at(AKS_PORT)?, pki.join("aks.crt"), pki.join("aks.key"), facts.kubeconfig)
    };
    aks::serve(aks, machines).await?;
    bail!("the agentPools API has ended")
}
