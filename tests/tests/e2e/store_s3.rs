//! A bucket of S3 is scored as Blob Storage is, tells what it refuses within a minute, and nothing holds its key.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use tests::blobs::files_below;
use tests::s3::{Gateway, KEY_ID, SECRET};

use crate::cluster::Shared;
use crate::store_refuses::{begin, nothing_holds, refused};
use crate::whole::{has, same_files, without_hidden};

const NAMESPACE: &str = "e2e-s3";
const WRONG: &str = "wrong/in+every=respect";

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    let inputs = cluster.inputs().await?;
    cluster.namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    let folder = tempfile::tempdir()?;
    let (host, _) = cluster.facts.registry.rsplit_once(':').context("the registry has no port")?;
    let server = Gateway::start(host, folder.path()).await?;
    server.bucket("plant")?;
    let store = server.store("s3://plant/line-1", &[])?;
    for (path, bytes) in files_below(&inputs.folder)? {
        store.put(&path, bytes).await?;
    }
    let secret =
        |value| [("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", value), ("AWS_ENDPOINT_URL", &server.url)];
    let schedule = begin(&cluster, NAMESPACE, "scored", store.url(), &secret(SECRET)).await?;
    for (name, url, value, reason, told) in [
        ("wrong-key", store.url(), WRONG, "AccessDenied", "put the new one into the Secret"),
        ("absent", "s3://absent", SECRET, "ContainerNotFound", "its bucket does not exist"),
    ] {
        begin(&cluster, NAMESPACE, name, url, &secret(value)).await?;
        refused(&cluster, NAMESPACE, name, reason, [told, url]).await?;
    }
    let run = cluster.ended(NAMESPACE, "scored").await?;
    ensure!(has(&run, "Complete", "True") && !has(&run, "Failed", "True"), "not Complete: {:?}", run.status);
    let tick = run.status.as_ref().and_then(|status| status.tick).context("the run has no tick")?;
    let expected = inputs.scorer_run(&schedule, tick).await?;
    let left = files_below(&server.folder("plant").join("line-1"))?;
    let of_run = |start: &str| {
        let start = format!("{start}/{NAMESPACE}/scored/");
        let files = left.iter().filter(move |(path, _)| path.starts_with(&start));
        files.map(|(path, bytes)| (path.clone(), bytes.clone())).collect::<BTreeMap<_, _>>()
    };
    same_files(&without_hidden(of_run("predictions")), &expected)?;
    ensure!(of_run("runs").keys().any(|path| path.ends_with("/record.json")), "there is no record");
    ensure!(of_run("logs").len() == 2, "logs: {:?}", of_run("logs").keys());
    nothing_holds(&cluster, NAMESPACE, left, &[SECRET.to_owned(), WRONG.to_owned()]).await?;
    cluster.delete_namespace(NAMESPACE).await?;
    cluster.pool_is_empty().await
}
