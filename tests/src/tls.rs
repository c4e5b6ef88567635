//! A certificate for 127.0.0.1 made on the spot, and a listener that serves with it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A self-signed certificate and its key.
pub struct Identity {
    /// For those who are to trust it.
    pub pem: String,
    /// The certificate's key.
    pub key_pem: String,
    config: Arc<ServerConfig>,
}

impl Identity {
    /// For 127.0.0.1 and localhost.
    pub fn for_this_host() -> Result<Self> {
        // Two crates of one binary may bring a provider each; whoever comes second finds one installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()])
            .context("make a certificate")?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .context("use the certificate")?;
        Ok(Self { pem: made.cert.pem(), key_pem: made.signing_key.serialize_pem(), config: Arc::new(config) })
    }
}

/// A TCP listener that speaks TLS.
pub struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl TlsListener {
    /// Opens the port.
    pub async fn bind(address: &str, identity: &Identity) -> Result<Self> {
        let tcp = TcpListener::bind(address).await.with_context(|| format!("open a port at {address}"))?;
        Ok(Self { tcp, acceptor: TlsAcceptor::from(Arc::clone(&identity.config)) })
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = axum::serve::Listener::accept(&mut self.tcp).await;
            // One client, a handful of connections: shaking hands one at a time is soon enough.
            match self.acceptor.accept(stream).await {
                Ok(stream) => return (stream, address),
                Err(error) => eprintln!("proxy: no TLS with {address}: {error}"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
