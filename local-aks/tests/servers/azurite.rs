//! An emulator of Blob Storage by itself.

use anyhow::{Result, ensure};
use local_aks::azurite::{Certificate, Emulator};
use local_aks::{Options, Progress};
use reqwest::StatusCode;

pub(crate) async fn comes_back() -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir()?;
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let certificate = Certificate { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    std::fs::write(&certificate.cert, made.cert.pem())?;
    std::fs::write(&certificate.key, made.signing_key.serialize_pem())?;
    let (root, blobs) = (Options::default().root, folder.path().join("blobs"));
    let mut emulator = Emulator::with_tokens(&root, &blobs, &certificate, &Progress::lines()).await?;

    let sas = local_aks::azurite::sas_token(jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1))?;
    let authority = reqwest::Certificate::from_pem(made.cert.pem().as_bytes())?;
    let client = reqwest::Client::builder().tls_certs_only([authority]).build()?;
    let blob = format!("{}/data/x?{sas}", emulator.url());
    let put = client.put(&blob).header("x-ms-blob-type", "BlockBlob").body("kept").send().await?;
    ensure!(put.status() == StatusCode::CREATED, "{}", put.text().await?);
    emulator.stop().await?;
    ensure!(client.get(&blob).send().await.is_err(), "it answers though it was stopped");
    emulator.resume().await?;
    let kept = client.get(&blob).send().await?.text().await?;
    ensure!(kept == "kept", "{kept}");
    Ok(())
}
