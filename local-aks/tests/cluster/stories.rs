//! The lives of two clusters.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use local_aks::{Facts, NodeKind, Options, Progress};
use serde_json::{Value, json};

use crate::agent_pool::AgentPool;
use crate::host::Host;
use crate::pods;

async fn client(facts: &Facts) -> anyhow::Result<kube::Client> {
    let config = Kubeconfig::read_from(&facts.kubeconfig)?;
    Ok(kube::Client::try_from(kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?)?)
}

/// Names of the machines of the pool `scoring`.
async fn machines(kube: &kube::Client) -> anyhow::Result<Vec<String>> {
    let chosen = ListParams::default().labels("kubernetes.azure.com/agentpool=scoring");
    let nodes = Api::<Node>::all(kube.clone()).list(&chosen).await?;
    Ok(nodes.items.into_iter().filter_map(|node| node.metadata.name).collect())
}

fn on_the_pool() -> Value {
    json!({"nodeSelector": {"agentpool": "scoring"}})
}

/// Nothing of a cluster is on the host; what is dying has a moment for it.
async fn check_host(before: &Host) -> anyhow::Result<()> {
    let clean = crate::wait("the host to be as before", Duration::from_secs(5), async || {
        Ok(before.difference(&Host::look()).is_empty().then_some(()))
    });
    clean.await.with_context(|| format!("left on the host: {:#?}", before.difference(&Host::look())))
}

/// Whatever a crash has left is not these tests' to find; a cluster that somebody works with is not theirs to take down.
async fn clear(options: &Options) -> anyhow::Result<()> {
    ensure!(
        local_aks::status(&options.root).await?.is_none(),
        "a local cluster is up (cargo demo --keep, or cargo local-aks up): take it down with `cargo local-aks down` first"
    );
    local_aks::down(&options.root, &Progress::silent()).await
}

pub(crate) async fn real() -> anyhow::Result<()> {
    let options = Options { provisioning: Duration::from_secs(1).into(), ..Options::default() };
    clear(&options).await?;
    local_aks::prepare(&options.root, &Progress::lines()).await?;
    let before = Host::look();
    let facts = local_aks::up(&options, &Progress::lines()).await?;
    let lived = live(&options, &facts).await;
    local_aks::down(&options.root, &Progress::lines()).await?;
    lived?;
    ensure!(local_aks::status(&options.root).await?.is_none(), "status still says that it is up");
    check_host(&before).await
}

async fn live(options: &Options, facts: &Facts) -> anyhow::Result<()> {
    ensure!(local_aks::status(&options.root).await?.as_ref() == Some(facts), "status does not give the facts");
    let second = local_aks::up(options, &Progress::silent()).await;
    let refusal = second.err().context("a second cluster came up")?.to_string();
    ensure!(refusal.contains("up on this machine already"), "{refusal}");
    let kube = client(facts).await?;
    pods::namespace(&kube).await?;
    let image = pods::push_image(facts)?;

    let reach = json!({});
    let api = ["/kubectl", "get", "--raw", "/version", "--cache-dir=/none"];
    let (phase, log) = pods::run(&kube, "api", &image, &api, &reach).await?;
    ensure!(phase == "Succeeded" && log.contains("gitVersion"), "the API's service address: {phase}: {log}");
    let (phase, log) =
        pods::run(&kube, "registry", &image, &["/crane", "catalog", "--insecure", &facts.registry], &reach).await?;
    ensure!(phase == "Succeeded" && log.contains("probe"), "the registry: {phase}: {log}");
    let store = facts.store_url.trim_end_matches("/devstoreaccount1");
    let blob = ["/kubectl", "get", "--raw", "/devstoreaccount1/models?restype=container", "--server", store];
    let (_, log) = pods::run(&kube, "store", &image, &blob, &reach).await?;
    // Without a key, Blob Storage refuses: that is an answer.
    ensure!(log.contains("Forbidden"), "Blob Storage: {log}");

    let pool = AgentPool::open(facts, &kube).await?;
    let started = Instant::now();
    pool.scale(2).await?;
    eprintln!("cluster: 2 machines after {:.1} s", started.elapsed().as_secs_f64());
    let names = machines(&kube).await?;
    ensure!(names.len() == 2, "two machines asked for, these came: {names:?}");
    let (phase, log) = pods::run(&kube, "pooled", &image, &api, &on_the_pool()).await?;
    ensure!(phase == "Succeeded", "on the pool's node: {phase}: {log}");
    let (gone, kept) = (&names[0], &names[1]);
    let started = Instant::now();
    pool.delete(std::slice::from_ref(gone)).await?;
    eprintln!("cluster: 1 machine deleted after {:.1} s", started.elapsed().as_secs_f64());
    ensure!(machines(&kube).await? == [kept.clone()], "{gone} was to go, and {kept} to stay");
    ensure!(!options.root.join("run/nodes").join(gone).exists(), "the folder of {gone} is still there");
    let groups = std::process::Command::new("find").args(["/sys/fs/cgroup", "-name", gone]).output()?;
    ensure!(groups.stdout.is_empty(), "control groups of {gone} are still there");
    Ok(())
}

pub(crate) async fn crash() -> anyhow::Result<()> {
    let options = Options {
        provisioning: Duration::ZERO.into(),
        nodes: NodeKind::Kwok,
        kwok_pod_duration: Duration::from_secs(1).into(),
        ..Options::default()
    };
    clear(&options).await?;
    let before = Host::look();
    local_aks::up(&options, &Progress::lines()).await?;
    kill_daemon()?;
    ensure!(local_aks::status(&options.root).await?.is_none(), "status says that it is up without its daemon");
    let facts = local_aks::up(&options, &Progress::lines()).await?;
    let lived = many(&facts).await;
    local_aks::down(&options.root, &Progress::lines()).await?;
    lived?;
    check_host(&before).await
}

async fn many(facts: &Facts) -> anyhow::Result<()> {
    let kube = client(facts).await?;
    pods::namespace(&kube).await?;
    let pool = AgentPool::open(facts, &kube).await?;
    pool.scale(12).await?;
    let started = Instant::now();
    pods::job(&kube, 100, &on_the_pool()).await?;
    eprintln!("cluster: 100 pods on 12 fake nodes completed after {:.1} s", started.elapsed().as_secs_f64());
    let names = machines(&kube).await?;
    pool.delete(&names).await?;
    ensure!(machines(&kube).await?.is_empty(), "machines were to go");
    Ok(())
}

/// SIGKILL, as the kernel would when memory is short.
fn kill_daemon() -> anyhow::Result<()> {
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let is_daemon = environment.split(|byte| *byte == 0).any(|word| word == b"LOCAL_AKS_PART=daemon");
        if is_daemon {
            let pid = entry.file_name().to_string_lossy().into_owned();
            ensure!(std::process::Command::new("kill").args(["-KILL", &pid]).status()?.success(), "cannot kill {pid}");
            // The lock goes with the process.
            while std::path::Path::new("/proc").join(&pid).join("fd/0").exists() {
                std::thread::yield_now();
            }
            return Ok(());
        }
    }
    anyhow::bail!("no daemon")
}
