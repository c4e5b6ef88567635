//! Waiting for a condition.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Waits until `look` finds something; fails after a time with what was waited for.
pub async fn until<T>(what: &str, seconds: u64, look: impl AsyncFn() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        let looked = look().await;
        match looked {
            Ok(Some(found)) => return Ok(found),
            Err(error) if Instant::now() >= end => return Err(error.context(format!("wait for {what}"))),
            Ok(None) if Instant::now() >= end => bail!("waited {seconds} s in vain for {what}"),
            _ => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}
