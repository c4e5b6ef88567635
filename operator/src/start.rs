//! Starts everything, and stops it in order.

use std::sync::Arc;

use kube::Client;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::clock::SystemClock;
use crate::context::{Caches, Ctx};
use crate::events::Events;
use crate::leader::Leader;
use crate::metrics::Metrics;
use crate::serve::{self, Readiness};
use crate::settings::Settings;
use crate::{Error, cluster, run as scoring_run, schedule};

/// Runs the operator until SIGTERM or Ctrl-C (`Ok`), or until its lease is lost.
///
/// # Errors
/// When it cannot start, or another replica has taken its lease.
pub async fn run(settings: Settings) -> Result<(), Error> {
    let mut terminated = signal(SignalKind::terminate()).map_err(Error::start("listen for SIGTERM"))?;
    let listener = TcpListener::bind(settings.listen)
        .await
        .map_err(Error::start(&format!("listen on {} (--listen)", settings.listen)))?;
    let client = Client::try_default()
        .await
        .map_err(Error::start("find the Kubernetes API by KUBECONFIG or the pod's service account"))?;
    let identity = identity(&settings);
    let metrics = Metrics::new()?;
    let ready = Readiness::default();
    let ctx = Arc::new(Ctx {
        caches: Caches::watch(&client),
        clock: Arc::new(SystemClock),
        metrics: metrics.clone(),
        events: Events::new(client.clone(), &identity),
        settings: Arc::new(settings),
        client,
    });
    tracing::info!(listen = %ctx.settings.listen, identity, "operator {} starts", env!("CARGO_PKG_VERSION"));
    tokio::select! {
        result = serve::serve(listener, metrics, ready.clone()) => result,
        result = lead(ctx, &identity, ready, async move {
            tokio::select! {
                _ = terminated.recv() => tracing::info!("SIGTERM: stop"),
                _ = tokio::signal::ctrl_c() => tracing::info!("interrupt: stop"),
            }
        }) => result,
    }
}

/// Acts while this process has the lease.
async fn lead(ctx: Arc<Ctx>, identity: &str, ready: Readiness, stop: impl Future<Output = ()>) -> Result<(), Error> {
    let mut stop = std::pin::pin!(stop);
    tokio::select! {
        () = ctx.caches.ready() => ready.set(),
        () = &mut stop => return Ok(()),
    }
    if !ctx.settings.leader_elect {
        ctx.metrics.leading.set(1);
        return tokio::select! {
            result = act(ctx.clone()) => result,
            () = &mut stop => Ok(()),
        };
    }
    let leader = Leader::new(ctx.client.clone(), &ctx.settings.namespace, identity).await?;
    tracing::info!(identity, "stand by for the lease");
    tokio::select! {
        () = leader.acquired() => {}
        () = &mut stop => return Ok(()),
    }
    tracing::info!(identity, "lead");
    ctx.metrics.leading.set(1);
    // What loses the race is dropped, which stops every reconcile under way: nobody acts without the lease.
    let result = tokio::select! {
        lost = leader.lost(ctx.clock.as_ref()) => return Err(lost),
        result = act(ctx.clone()) => result,
        () = &mut stop => Ok(()),
    };
    leader.release().await;
    result
}

/// Runs all controllers until dropped, or until one cannot go on. [`Caches::ready`] comes first.
///
/// # Errors
/// When a controller cannot start.
pub async fn act(ctx: Arc<Ctx>) -> Result<(), Error> {
    tokio::try_join!(cluster::run(ctx.clone()), schedule::run(ctx.clone()), scoring_run::run(ctx.clone()))?;
    Ok(())
}

fn identity(settings: &Settings) -> String {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned());
    settings
        .identity
        .clone()
        .or_else(|| host().ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "operator".into())
}
