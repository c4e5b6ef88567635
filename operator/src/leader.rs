//! The lease that lets one of several replicas act.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};

use crate::Error;
use crate::clock::Clock;
use crate::error::words;

/// The lease's name.
pub const LEASE: &str = "batch-scoring-operator";
/// How long a lease holds without renewal, in seconds.
const DURATION: u64 = 15;
/// How long before its end it is renewed, in seconds.
const GRACE: u64 = 5;
/// How often the holder looks whether its renewals arrive.
const LOOK: Duration = Duration::from_secs(2);

/// The lease of this process.
pub struct Leader {
    manager: LeaseManager,
    leases: Api<Lease>,
    identity: String,
}

impl Leader {
    /// Finds or makes the lease. Does not take it yet.
    ///
    /// # Errors
    /// When the API server refuses or is not reached.
    pub async fn new(client: Client, namespace: &str, identity: &str) -> Result<Self, Error> {
        let manager = LeaseManagerBuilder::new(client.clone(), LEASE)
            .with_namespace(namespace)
            .with_identity(identity)
            .with_duration(DURATION)
            .with_grace(GRACE)
            .build()
            .await
            .map_err(Error::start("find or make the lease"))?;
        Ok(Self { manager, leases: Api::namespaced(client, namespace), identity: identity.to_owned() })
    }

    /// Waits until this process holds the lease. A process of the same identity that died before still holds it, and
    /// this one takes over at once.
    pub async fn acquired(&self) {
        loop {
            match self.manager.changed().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!("cannot take the lease yet: {}", words(&error));
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    /// Renews the lease, and returns when it is lost: taken by another, or not renewed in time.
    pub async fn lost(&self, clock: &dyn Clock) -> Error {
        let lost = |why: String| Error::LeaseLost { lease: LEASE.to_owned(), why };
        tokio::select! {
            () = self.renew() => lost("another replica has it".to_owned()),
            why = self.expired(clock) => lost(why),
        }
    }

    async fn renew(&self) {
        loop {
            match self.manager.changed().await {
                Ok(true) => {}
                Ok(false) => return,
                // Whether that was fatal, `expired` tells.
                Err(error) => {
                    tracing::warn!("cannot renew the lease, trying again: {}", words(&error));
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        }
    }

    /// The lease manager tells of no renewal that fails in silence, such as a request that hangs: so look at the lease.
    async fn expired(&self, clock: &dyn Clock) -> String {
        let duration = jiff::SignedDuration::from_secs(i64::try_from(DURATION - 1).unwrap_or(i64::MAX));
        let mut renewed = clock.now();
        loop {
            tokio::time::sleep(LOOK).await;
            match tokio::time::timeout(LOOK, self.leases.get(LEASE)).await {
                Ok(Ok(lease)) => {
                    let spec = lease.spec.unwrap_or_default();
                    match spec.holder_identity {
                        Some(holder) if holder != self.identity => return format!("{holder} has it"),
                        _ => renewed = spec.renew_time.map_or(renewed, |at| at.0.max(renewed)),
                    }
                }
                Ok(Err(error)) => tracing::warn!("cannot read the lease: {}", words(&error)),
                Err(_) => tracing::warn!("cannot read the lease: no answer within {LOOK:?}"),
            }
            if clock.now().duration_since(renewed) >= duration {
                return format!("it could not be renewed since {renewed}");
            }
        }
    }

    /// Gives the lease back, so that another replica need not wait for its end.
    pub async fn release(&self) {
        match tokio::time::timeout(Duration::from_secs(5), self.manager.release()).await {
            Ok(Ok(())) => tracing::info!("released the lease"),
            Ok(Err(error)) => tracing::warn!("the lease was not released: {}", words(&error)),
            Err(_) => tracing::warn!("the lease was not released: no answer within 5 s"),
        }
    }
}
