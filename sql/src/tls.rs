//! Which certificates are trusted: those of the system, those that the product trusts elsewhere, and the Secret's own.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::SqlError;

/// How connections are secured. `file`: certificates (PEM) that are trusted in all of the product; `own`: those of this
/// database.
pub(crate) fn config(file: Option<&Path>, own: Option<&[u8]>, server: &str) -> Result<ClientConfig, SqlError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = file {
        match std::fs::read(file) {
            Ok(pem) => drop(roots.add_parsable_certificates(certificates(&pem))),
            // As an image has it that brings its own.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(file = %file.display(), %error, "certificates could not be read"),
        }
    }
    if let Some(own) = own {
        let (added, _) = roots.add_parsable_certificates(certificates(own));
        if added == 0 {
            return Err(SqlError::refused(server, "ca.crt of its Secret holds no certificate (PEM)"));
        }
    }
    // The program has chosen one at its start, since others are linked in.
    let provider = CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()));
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| SqlError::refused(server, error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect()
}
