//! After the cluster the machine is as before.

use anyhow::{Result, ensure};
use tests::harness::Cluster as _;
use tests::snapshot::Snapshot;

use crate::cluster::Shared;

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    cluster.down().await?;
    let left = Snapshot::take(&cluster.root).since(&cluster.before);
    ensure!(left.is_empty(), "left behind:\n  {}", left.join("\n  "));
    ensure!(local_aks::status(&cluster.root).await?.is_none(), "the cluster is still said to be up");
    Ok(())
}
