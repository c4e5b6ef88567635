//! Partitions without events.

use anyhow::{Result, ensure};

use crate::world::{World, flush, send};

/// One partition falls silent, one never had an event: the windows of the stream are complete all the same, and after a restart too.
pub(crate) async fn closes() -> Result<()> {
    let world = World::new(3).await?;
    let config = world.configure("windows: {length: 1s, allowedLateness: 1s, idleAfter: 2s}\nfiles: {every: 5s}\n")?;
    let producer = world.producer()?;
    let now = jiff::Timestamp::now();
    for (partition, ago) in [(0, 2), (1, 1)] {
        let time = now - jiff::SignedDuration::from_secs(ago);
        let payload = format!("{{\"TS\":\"{time}\",\"Device\":{partition},\"Tag\":1,\"Value\":1}}");
        send(&producer, partition, time.as_millisecond(), payload.as_bytes())?;
    }
    flush(&producer)?;
    let mut replicas = [world.replica(&config)?];
    let soon = (now + jiff::SignedDuration::from_secs(6)).to_string();
    world.complete(3, &soon, 60, &mut replicas).await?;
    ensure!(world.rows(3).await?.len() == 2);
    let [replica] = replicas;
    replica.stop().await?;
    let mut replicas = [world.replica(&config)?];
    let later = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2)).to_string();
    world.complete(3, &later, 60, &mut replicas).await?;
    ensure!(world.letters().await?.is_empty());
    Ok(())
}
