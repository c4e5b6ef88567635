//! Workload identity: the scorer gets a token for that of its ServiceAccount, and an emulator that takes nothing else takes it.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use local_aks::azurite::{Certificate, Emulator};
use local_aks::images::{self, Platform};
use local_aks::{Options, Progress};
use serde_json::json;
use tests::control_plane::workspace;
use tests::tls::{Identity, TlsListener};
use tokio::process::Command;

const FEDERATED: &str = "the-token-of-the-service-account";

fn tell(line: &str) {
    tests::local::tell("identity", line);
}

/// A token as Entra ID's are, for Blob Storage, that nobody has signed.
fn token() -> String {
    let now = Timestamp::now().as_second();
    let issuer = "https://sts.windows.net/00000000-0000-0000-0000-000000000000/";
    let claims =
        json!({"aud": "https://storage.azure.com", "iss": issuer, "iat": now - 60, "nbf": now - 60, "exp": now + 3600});
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}.{}", part(json!({"alg": "RS256", "typ": "JWT"})), part(claims), URL_SAFE_NO_PAD.encode("unsigned"))
}

/// Stands in for Entra ID: gives a token to one client, and keeps what it was asked. Gives its address.
async fn authority(identity: &Identity, asked: Arc<Mutex<Vec<String>>>) -> String {
    let listener = TlsListener::bind("127.0.0.1:0", identity).await.unwrap();
    let address = axum::serve::Listener::local_addr(&listener).unwrap();
    let answer = move |form: String| {
        let known = form.contains("client_id=the-client&");
        asked.lock().unwrap().push(form);
        async move {
            match known {
                true => (StatusCode::OK, json!({"access_token": token(), "expires_in": 3600}).to_string()),
                false => (
                    StatusCode::BAD_REQUEST,
                    json!({"error": "invalid_request", "error_description": "AADSTS700016: no such application"})
                        .to_string(),
                ),
            }
        }
    };
    let app = Router::new().route("/the-tenant/oauth2/v2.0/token", post(answer));
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("https://{address}/")
}

async fn simulate(scorer: &Path, store: &str, folder: &Path, authority: &str, client: &str) -> Output {
    let mut simulate = Command::new(scorer);
    simulate.args(["simulate", "--store", store, "--start", "2026-01-01T00:00:00Z", "--length", "1h", "--seed", "7"]);
    simulate.args(["--devices", "1", "--tags", "1"]).stdin(Stdio::null());
    simulate.env("SSL_CERT_FILE", folder.join("ca.pem")).env("AZURE_FEDERATED_TOKEN_FILE", folder.join("token"));
    simulate.env("AZURE_AUTHORITY_HOST", authority).env("AZURE_TENANT_ID", "the-tenant").env("AZURE_CLIENT_ID", client);
    simulate.output().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_that_of_the_service_account_opens_the_store_over_a_private_authority() {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::for_this_host().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("ca.pem", &identity.pem);
    write("key.pem", &identity.key_pem);
    write("token", FEDERATED);
    let certificate = Certificate { cert: folder.path().join("ca.pem"), key: folder.path().join("key.pem") };
    let (root, progress) = (Options::default().root, Progress::new(tell));
    let blobs = match Emulator::with_tokens(&root, &folder.path().join("blobs"), &certificate, &progress).await {
        Ok(blobs) => blobs,
        Err(why) => {
            assert!(std::env::var_os("E2E").is_none_or(|e2e| e2e != "required"), "no Azurite for this test: {why:#}");
            let _ = writeln!(std::io::stderr(), "SKIPPED: no Azurite for this test: {why:#}");
            return;
        }
    };
    let platform = Platform::here().unwrap();
    let built = images::build_for(&workspace(), &[platform], &["scorer"], "release", tell).await.unwrap();
    let (scorer, asked) = (built.scorer().unwrap(), Arc::<Mutex<Vec<String>>>::default());
    let authority = authority(&identity, Arc::clone(&asked)).await;

    let done = simulate(scorer, &blobs.url(), folder.path(), &authority, "the-client").await;
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    let asked = asked.lock().unwrap().clone();
    assert!(asked.len() == 1 && asked[0].contains(&format!("client_assertion={FEDERATED}&")), "{asked:?}");
    assert!(asked[0].contains("storage.azure.com"), "{asked:?}");
    assert!(!said.contains(FEDERATED), "{said}");

    let refused = simulate(scorer, &blobs.url(), folder.path(), &authority, "another").await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("the identity gets no token"), "{said}");
    assert!(said.contains("AADSTS700016") && !said.contains(FEDERATED), "{said}");
}
