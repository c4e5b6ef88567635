//! A store on a network file system: the same predictions as on this machine, with the server gone for a while; and a share
//! that is full, or mounted read-only, is told by the run.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use local_aks::Progress;
use local_aks::gluster::{self, Share};
use serde_json::{Value, json};
use store::{Credentials, Store};
use tests::blobs::files_below;

use crate::cluster::{Cluster, Shared, tell, until, workspace};
use crate::manifests;
use crate::whole::{condition, has, same_files, without_hidden};

const NAMESPACE: &str = "e2e-share";
/// Where pods have the share.
const MOUNTED: &str = "/mnt/plant";
/// MiB.
const ROOM: u32 = 64;
/// The user of the pods.
const USER: u32 = 65_532;
/// How long the server is gone.
const GONE: Duration = Duration::from_secs(15);
/// The promise: a store that refuses is told by the run within a minute.
const TOLD: Duration = Duration::from_secs(60);

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    if let Some(why) = gluster::obstacle() {
        if std::env::var_os("E2E").is_some_and(|value| value == "required") {
            bail!("E2E=required, but it cannot run here: {why}");
        }
        tell(&format!("this test does not run: {why}"));
        return Ok(());
    }
    let inputs = cluster.inputs().await?;
    cluster.namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    let folder = workspace().join("target/e2e/gluster");
    let share = Share::start(&folder, ROOM, &Progress::new(tell)).await?;
    for (path, bytes) in files_below(&inputs.folder)? {
        let file = share.path().join(path);
        std::fs::create_dir_all(file.parent().context("a file has a folder")?)?;
        std::fs::write(file, bytes)?;
    }
    std::os::unix::fs::chown(share.path(), Some(USER), Some(USER))?;
    of_two_mounts_one_creates_a_file(&share).await?;
    for volume in volume(&share.path()) {
        cluster.apply(&volume).await?;
    }
    scores_while_the_server_comes_and_goes(&cluster, &share).await?;
    tells_that_the_share_is_full(&cluster, &share).await?;
    tells_that_the_share_is_read_only(&cluster).await?;
    cluster.delete_namespace(NAMESPACE).await?;
    cluster.kubectl(&["delete", "persistentvolume", NAMESPACE]).await?;
    cluster.pool_is_empty().await
}

/// The share for pods, as an administrator and a team make it. The restricted pod security level has no other way to it.
fn volume(path: &Path) -> [Value; 2] {
    let modes = json!(["ReadWriteMany"]);
    [
        json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": NAMESPACE},
            "spec": {"capacity": {"storage": "64Mi"}, "accessModes": modes, "storageClassName": "",
                "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": path}},
        }),
        json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"namespace": NAMESPACE, "name": "plant"},
            "spec": {"resources": {"requests": {"storage": "64Mi"}}, "accessModes": modes, "storageClassName": "",
                "volumeName": NAMESPACE},
        }),
    ]
}

fn schedule(cluster: &Cluster, name: &str, read_only: bool) -> Value {
    let mut schedule = cluster.schedule(NAMESPACE, name, "0 0 1 1 *");
    schedule["spec"]["store"] = json!({"url": format!("file://{MOUNTED}")});
    schedule["spec"]["scorer"] = json!({
        "resources": manifests::whole_node(),
        "volumes": [{"name": "plant", "persistentVolumeClaim": {"claimName": "plant"}}],
        "volumeMounts": [{"name": "plant", "mountPath": MOUNTED, "readOnly": read_only}],
    });
    schedule
}

/// Of two clients that make the same file, one learns that it lost, and both see the same version.
async fn of_two_mounts_one_creates_a_file(share: &Share) -> Result<()> {
    let open = |path: &Path| Store::open(&format!("file://{}", path.display()), &Credentials::none());
    let (one, other) = (open(&share.path())?, open(&share.other())?);
    for round in 0..50 {
        let path = format!("claims/{round}.json");
        let (first, second) = tokio::join!(one.put_if_absent(&path, "one"), other.put_if_absent(&path, "other"));
        ensure!(first? != second?, "both or none created {path}");
        let (seen, too) = (one.head(&path).await?, other.head(&path).await?);
        ensure!(seen.is_some() && seen == too, "{path} is {seen:?} to one and {too:?} to the other");
    }
    Ok(())
}

/// Begins a run; gives where its predictions are, and how many there were at first.
async fn begun(cluster: &Cluster, share: &Share, name: &str, schedule: &Value) -> Result<(PathBuf, usize)> {
    cluster.apply(schedule).await?;
    cluster.kubectl_with(&["create", "-f", "-"], &manifests::run_now(NAMESPACE, name, name)).await?;
    let predictions = share.path().join("predictions").join(NAMESPACE).join(name);
    let files = until("the first predictions on the share", 180, async || {
        Ok(predictions.exists().then(|| files_below(&predictions)).transpose()?.filter(|files| !files.is_empty()))
    })
    .await?;
    Ok((predictions, files.len()))
}

async fn scores_while_the_server_comes_and_goes(cluster: &Cluster, share: &Share) -> Result<()> {
    let mut schedule = schedule(cluster, "shared", false);
    schedule["spec"]["retries"] = 0.into();
    let (predictions, written) = begun(cluster, share, "shared", &schedule).await?;
    share.stop_serving()?;
    let stopped = Instant::now();
    until("the server to be gone for a while", 60, async || Ok((stopped.elapsed() >= GONE).then_some(()))).await?;
    share.serve().await?;
    tell(&format!("the server was gone for {:.0} s, from {written} predictions on", stopped.elapsed().as_secs_f64()));
    let run = cluster.ended(NAMESPACE, "shared").await?;
    ensure!(has(&run, "Complete", "True") && !has(&run, "Failed", "True"), "not Complete: {:?}", run.status);
    let tick = run.status.as_ref().and_then(|status| status.tick).context("the run has no tick")?;
    let expected = cluster.inputs().await?.scorer_run(&schedule, tick).await?;
    let ours = files_below(&predictions)?.into_iter().filter(|(path, _)| !broke_off(path));
    let ours = ours.map(|(path, bytes)| (format!("predictions/{NAMESPACE}/shared/{path}"), bytes)).collect();
    same_files(&without_hidden(ours), &expected)
}

/// Whether a file is what an upload left that the end of the server broke off (docs/readings.md).
fn broke_off(path: &str) -> bool {
    path.rsplit_once('#').is_some_and(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()))
}

async fn tells_that_the_share_is_full(cluster: &Cluster, share: &Share) -> Result<()> {
    begun(cluster, share, "full", &schedule(cluster, "full", false)).await?;
    let filler = share.path().join("filler");
    // To the last byte, whatever the block.
    for size in [1 << 20, 1 << 12, 1] {
        let block = vec![0; size];
        let mut file = std::fs::File::options().create(true).append(true).open(&filler)?;
        while std::io::Write::write_all(&mut file, &block).is_ok() && file.sync_data().is_ok() {}
    }
    let filled = Instant::now();
    let told = refused(cluster, "full", "StorageFull", filled).await?;
    ensure!(told.contains("no space is left") && told.contains(MOUNTED), "{told}");
    std::fs::remove_file(&filler)?;
    let run = cluster.ended(NAMESPACE, "full").await?;
    ensure!(has(&run, "Complete", "True") && !has(&run, "Failed", "True"), "not Complete: {:?}", run.status);
    ensure!(has(&run, "StoreReady", "True"), "the run does not tell that there is room again: {:?}", run.status);
    Ok(())
}

async fn tells_that_the_share_is_read_only(cluster: &Cluster) -> Result<()> {
    cluster.apply(&schedule(cluster, "locked", true)).await?;
    cluster.kubectl_with(&["create", "-f", "-"], &manifests::run_now(NAMESPACE, "locked", "locked")).await?;
    let told = refused(cluster, "locked", "ReadOnly", Instant::now()).await?;
    ensure!(told.contains("mount the share for writing") && told.contains(MOUNTED), "{told}");
    let runs = cluster.runs(NAMESPACE);
    until("the run to fail", 60, async || Ok(has(&runs.get("locked").await?, "Failed", "True").then_some(()))).await
}

/// Waits until the run tells that its store refuses for this reason; gives the message.
pub(crate) async fn refused_in(
    cluster: &Cluster,
    (namespace, run): (&str, &str),
    reason: &str,
    since: Instant,
) -> Result<String> {
    let runs = cluster.runs(namespace);
    let told = until(&format!("run {run} to tell {reason}"), TOLD.as_secs() + 60, async || {
        let run = runs.get(run).await?;
        let told = condition(&run, "StoreReady").filter(|told| told.status == "False" && told.reason == reason);
        Ok(told.map(|told| told.message.clone()))
    })
    .await?;
    tell(&format!("{reason} was told after {:.0} s: {told}", since.elapsed().as_secs_f64()));
    ensure!(since.elapsed() <= TOLD, "{reason} was told after {:?} only", since.elapsed());
    Ok(told)
}

async fn refused(cluster: &Cluster, run: &str, reason: &str, since: Instant) -> Result<String> {
    refused_in(cluster, (NAMESPACE, run), reason, since).await
}
