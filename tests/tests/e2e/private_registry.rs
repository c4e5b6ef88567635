//! A registry that asks for a password: pulled from with `imagePullSecrets`; without them, and for an image that is not
//! there, the run says what is wrong within a minute.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use crds::ScoringRun;
use local_aks::{Options, Progress};
use serde_json::{Value, json};
use store::Status;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::cluster::{Cluster, Shared, output, tell, until};
use crate::inputs::sensor;
use crate::manifests;

const NAMESPACE: &str = "e2e-registry";
const SECRET: &str = "registry";
/// The promise: what keeps pods from starting is told within a minute.
const PROMISE: u64 = 60;
const USER: &str = "plant";
const PASSWORD: &str = "only-for-tests";
/// The password's hash, as `htpasswd -B` makes it.
const HTPASSWD: &str = "plant:$2b$05$9bilXTXV3wPZYyjQMXpWUOiMvJR5YJGIWNNvOpoEn08rGZhF1iEIe\n";

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    cluster.inputs().await?;
    cluster.namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    let folder = tempfile::tempdir()?;
    let _registry = serve(&cluster, folder.path()).await?;
    let image = copy_to(&cluster, folder.path()).await?;
    let config = json!({"auths": {&cluster.facts.other_registry: {"username": USER, "password": PASSWORD}}});
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": NAMESPACE, "name": SECRET},
        "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": config.to_string()},
    });
    cluster.apply(&secret).await?;

    let mut with_secret = schedule(&cluster, "with-secret", &image);
    with_secret["spec"]["scorer"]["imagePullSecrets"] = json!([{"name": SECRET}]);
    let missing = image.replace(":1", ":none");
    let mut not_there = schedule(&cluster, "not-there", &missing);
    not_there["spec"]["scorer"]["imagePullSecrets"] = json!([{"name": SECRET}]);

    told(&cluster, &schedule(&cluster, "without-secret", &image), &image).await?;
    told(&cluster, &not_there, &missing).await?;

    cluster.apply(&with_secret).await?;
    cluster.apply(&manifests::run_now(NAMESPACE, "with-secret-now", "with-secret")).await?;
    let ended = cluster.complete(NAMESPACE, "with-secret-now", &[sensor(1, 1)]).await?;
    ensure!(ended.record.outcomes.iter().all(|outcome| outcome.status == Status::Succeeded), "{:?}", ended.record);
    let digest = digest(&cluster, &image, folder.path()).await?;
    for end in &ended.record.pod_ends {
        ensure!(end.image.contains(&digest), "the record pins {:?}, the registry has {digest}", end.image);
    }
    Ok(())
}

/// Starts the registry; gone with what this gives.
async fn serve(cluster: &Cluster, folder: &Path) -> Result<Child> {
    let progress = Progress::new(tell);
    let registry = local_aks::tool(&Options::default().root, "registry", &progress).await?;
    let (address, passwords, config) =
        (&cluster.facts.other_registry, folder.join("htpasswd"), folder.join("config.yml"));
    std::fs::write(&passwords, HTPASSWD)?;
    let config_yml = json!({
        "version": "0.1", "log": {"level": "warn"}, "http": {"addr": address},
        "storage": {"filesystem": {"rootdirectory": folder.join("blobs")}},
        "auth": {"htpasswd": {"realm": "tests", "path": passwords}},
    });
    // JSON is YAML.
    std::fs::write(&config, config_yml.to_string())?;
    let mut serve = Command::new(registry);
    serve.arg("serve").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = serve.kill_on_drop(true).spawn().context("start the registry")?;
    until("the registry", 30, async || Ok(TcpStream::connect(address).await.ok())).await?;
    Ok(child)
}

/// crane, signed in below a folder of its own.
fn crane(cluster: &Cluster, home: &Path) -> Command {
    let mut crane = Command::new(cluster.facts.bin_dir.join("crane"));
    crane.env("DOCKER_CONFIG", home).arg("--insecure");
    crane
}

/// The scorer's image, in the private registry.
async fn copy_to(cluster: &Cluster, home: &Path) -> Result<String> {
    let address = &cluster.facts.other_registry;
    let mut login = crane(cluster, home);
    login.args(["auth", "login", address, "--username", USER, "--password", PASSWORD]);
    output(login, None).await.context("sign in to the registry")?;
    let image = format!("{address}/private/scorer:1");
    let mut copy = crane(cluster, home);
    copy.args(["copy", &cluster.images.scorer, &image]);
    output(copy, None).await.context("copy the image")?;
    Ok(image)
}

async fn digest(cluster: &Cluster, image: &str, home: &Path) -> Result<String> {
    let mut digest = crane(cluster, home);
    digest.args(["digest", image]);
    Ok(output(digest, None).await?.trim().to_owned())
}

/// One sensor, scored by the scorer in this image as if it were anybody's.
fn schedule(cluster: &Cluster, name: &str, image: &str) -> Value {
    let schedule = cluster.schedule(NAMESPACE, name, "0 0 1 1 *");
    let mut schedule = manifests::with_sensors(schedule, &[sensor(1, 1)]);
    schedule["spec"]["scorer"] = json!({
        "image": image,
        "command": ["/scorer", "score", "--model", "{model}", "--input", "{input}", "--output", "{output}"],
        "args": ["--where", "Device={device},Tag={tag}"],
    });
    schedule
}

/// A run of the schedule says within the promised time that its image cannot be pulled, and can be cancelled then.
async fn told(cluster: &Cluster, schedule: &Value, image: &str) -> Result<()> {
    let name = schedule["metadata"]["name"].as_str().context("a schedule has a name")?;
    cluster.apply(schedule).await?;
    let run = format!("{name}-now");
    cluster.apply(&manifests::run_now(NAMESPACE, &run, name)).await?;
    let runs = cluster.runs(NAMESPACE);
    until("the run's pod to be on a node", 120, async || {
        let of_run = format!("batchscoring.dev/run={run},batchscoring.dev/role=item");
        let node = ["get", "pods", "-n", NAMESPACE, "-l", &of_run, "-o", "jsonpath={.items[*].spec.nodeName}"];
        Ok((!cluster.kubectl(&node).await?.trim().is_empty()).then_some(()))
    })
    .await?;
    let began = Instant::now();
    let message = until("the run to say that its image cannot be pulled", PROMISE, async || {
        Ok(image_problem(&runs.get(&run).await?))
    })
    .await?;
    tell(&format!("{run}: told {} s after its pod came to a node: {message}", began.elapsed().as_secs()));
    ensure!(message.contains(image), "{message:?} does not name {image}");
    cluster.kubectl(&["delete", "scoringrun", &run, "-n", NAMESPACE, "--timeout=90s"]).await.map(drop)
}

/// What a condition says of the image.
fn image_problem(run: &ScoringRun) -> Option<String> {
    let conditions = run.status.iter().flat_map(|status| &status.conditions);
    let told = conditions
        .into_iter()
        .find(|condition| ["ErrImagePull", "ImagePullBackOff"].contains(&condition.reason.as_str()));
    told.map(|condition| condition.message.clone())
}
