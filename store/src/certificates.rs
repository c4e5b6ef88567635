//! Certificates to trust beside those of the system: a scorer in an image of the user's brings its own.

use std::io::ErrorKind;
use std::path::Path;

use object_store::{Certificate, ClientOptions};

/// Adds the certificates of a PEM file. Without them those of the system are trusted, as in an image that has its own; that
/// a store is then not, its first request tells.
pub(crate) fn trust(options: ClientOptions, file: &Path) -> ClientOptions {
    let pem = match std::fs::read(file) {
        Ok(pem) => pem,
        Err(error) if error.kind() == ErrorKind::NotFound => return options,
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "certificates could not be read");
            return options;
        }
    };
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) => certificates.into_iter().fold(options, ClientOptions::with_root_certificate),
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "no file of certificates (PEM)");
            options
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::client::HttpConnector;
    use rustls::ServerConfig;
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsAcceptor;

    use crate::{Credentials, Store};

    const ABSENT: &[u8] =
        b"HTTP/1.1 404 Not Found\r\nx-ms-error-code: BlobNotFound\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

    /// A service on https in which there is nothing: its URL, and the certificate that it shows.
    async fn service() -> (String, String) {
        // Whoever comes second finds one installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/acct/models", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                stream.write_all(ABSENT).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        (url, made.cert.pem())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_store_whose_certificate_is_in_the_file_is_trusted() {
        let (url, pem) = service().await;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, pem).unwrap();
        let env = |name: &str| match name {
            "SCORING_CA_FILE" => Some(file.display().to_string()),
            "AZURE_STORAGE_ACCOUNT_KEY" => Some("a2V5".to_owned()),
            _ => None,
        };
        let store = Store::open(&url, &Credentials::find(None, &env).unwrap()).unwrap();
        assert_eq!(store.head("a").await.unwrap(), None);
    }

    #[test]
    fn a_file_that_is_absent_or_holds_none_does_not_keep_a_store_from_being_opened() {
        let dir = tempfile::tempdir().unwrap();
        let text = dir.path().join("text");
        std::fs::write(&text, "no certificates").unwrap();
        for file in [dir.path().join("none"), text, dir.path().to_owned()] {
            let options = super::trust(object_store::ClientOptions::new(), &file);
            assert!(object_store::client::ReqwestConnector::default().connect(&options).is_ok(), "{file:?}");
        }
    }
}
