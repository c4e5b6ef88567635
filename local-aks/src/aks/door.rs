//! A place where the server listens. It closes while its endpoint is to refuse connections, and opens again.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use tokio::sync::watch;
use tokio::time::sleep;

use super::app::{App, lock};
use super::faults::Endpoint;
use super::span::Span;

/// How long requests under way may take once the server stops.
const GRACE: Duration = Duration::from_secs(5);
/// How long until another try to listen again.
const AGAIN: Duration = Duration::from_millis(200);

/// A listener and what it serves.
pub(super) struct Door {
    address: SocketAddr,
    listener: TcpListener,
    /// What is down when this is closed; None for what never is.
    endpoint: Option<Endpoint>,
}

impl Door {
    /// Listens.
    pub(super) fn open(address: SocketAddr, endpoint: Option<Endpoint>) -> anyhow::Result<Self> {
        let listener = listen(address)?;
        let address = listener.local_addr().context("ask the listener for its address")?;
        Ok(Self { address, listener, endpoint })
    }

    /// Where; tells the port where any would do.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until told to stop. While connections are to be refused nothing listens, so that it is the kernel that
    /// refuses them, as on a machine whose server is down.
    pub(super) async fn serve(
        self,
        app: Arc<App>,
        router: Router,
        tls: RustlsConfig,
        mut stop: watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let mut listener = Some(self.listener);
        let mut stopped = std::pin::pin!(async move {
            // An error means that the server was dropped, which ends this task too.
            let _ = stop.wait_for(|stop| *stop).await;
        });
        loop {
            if closed(&app, self.endpoint) {
                drop(listener.take());
                tokio::select! {
                    () = changes(&app, self.endpoint, true) => continue,
                    () = &mut stopped => return Ok(()),
                }
            }
            let open = match listener.take().map_or_else(|| listen(self.address), Ok) {
                Ok(open) => open,
                Err(error) => {
                    // Somebody else has the port for the moment: late is better than never.
                    tracing::warn!(address = %self.address, error = format!("{error:#}"), "cannot listen again yet");
                    tokio::select! {
                        () = sleep(AGAIN) => continue,
                        () = &mut stopped => return Ok(()),
                    }
                }
            };
            let handle = Handle::new();
            let server = axum_server::from_tcp_rustls(open, tls.clone()).context("serve https")?.handle(handle.clone());
            let mut serving = std::pin::pin!(server.serve(router.clone().into_make_service()));
            tokio::select! {
                ended = &mut serving => return ended.context("serve https"),
                () = changes(&app, self.endpoint, false) => handle.shutdown(),
                () = &mut stopped => {
                    handle.graceful_shutdown(Some(GRACE));
                    return serving.await.context("serve https");
                }
            }
            serving.await.context("serve https")?;
        }
    }
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| format!("listen on {address}"))?;
    listener.set_nonblocking(true).context("make the listener non-blocking")?;
    Ok(listener)
}

fn closed(app: &App, endpoint: Option<Endpoint>) -> bool {
    let now = app.now();
    endpoint.is_some_and(|endpoint| lock(&app.outages).refuses(endpoint, now).is_some())
}

/// Waits until an endpoint is no longer closed, or no longer open.
async fn changes(app: &App, endpoint: Option<Endpoint>, was_closed: bool) {
    let Some(endpoint) = endpoint else { return std::future::pending().await };
    let mut orders = app.outages_changed.subscribe();
    loop {
        let now = app.now();
        let refuses = lock(&app.outages).refuses(endpoint, now);
        if refuses.is_some() != was_closed {
            return;
        }
        let wait = refuses.flatten().map(|until| Span::until(until, now).0);
        tokio::select! {
            // The sender is in the app, which is there as long as this is.
            _ = orders.changed() => {}
            () = sleep(wait.unwrap_or(Duration::MAX)), if wait.is_some() => {}
        }
    }
}
