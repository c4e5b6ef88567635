//! Signing in with the token of a workload identity.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use jiff::{SignedDuration, Timestamp};
use local_aks::kafka::{Issuer, Kafka, Settings};
use local_aks::pki::Authority;
use local_aks::{Options, Progress};
use serde_json::json;

use crate::policies::{BEGIN, event};
use crate::replica::Replica;
use crate::tls::{Identity, TlsListener};
use crate::world::{World, flush, send};

const FEDERATED: &str = "the-token-of-the-service-account";
/// For so long a token is good, in seconds: so it has to be asked for again while the test goes on. Clients do that after 80% of it,
/// and sign in anew after 90%; brokers let them do so once a second.
const LIFETIME: i64 = 30;

/// Stands in for Entra ID: gives a token of the issuer to one client, and keeps what it was asked. Gives its address.
async fn entra(identity: &Identity, issuer: Issuer, asked: Arc<Mutex<Vec<String>>>) -> Result<String> {
    let listener = TlsListener::bind("127.0.0.1:0", identity).await?;
    let address = axum::serve::Listener::local_addr(&listener)?;
    let issuer = Arc::new(issuer);
    let answer = move |form: String| {
        let known = form.contains("client_id=the-client&");
        let now = Timestamp::now();
        let token = issuer.token("ingest", now, now + SignedDuration::from_secs(LIFETIME)).unwrap();
        asked.lock().unwrap().push(form);
        let (status, json) = match known {
            true => (StatusCode::OK, json!({"access_token": token, "expires_in": LIFETIME, "token_type": "Bearer"})),
            false => (
                StatusCode::BAD_REQUEST,
                json!({"error": "invalid_request", "error_description": "AADSTS700016: no such application"}),
            ),
        };
        async move { (status, json.to_string()) }
    };
    let app = Router::new().route("/the-tenant/oauth2/v2.0/token", post(answer));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(format!("https://{address}/"))
}

/// A replica as a pod with a workload identity has it.
struct Pod {
    config: PathBuf,
    folder: PathBuf,
    authority: String,
}

impl Pod {
    fn start(&self, client: &str) -> Result<Replica> {
        let in_folder = |name: &str| self.folder.join(name).display().to_string();
        let (secret, token, trusted) = (in_folder("connection"), in_folder("token"), in_folder("entra.pem"));
        let env = [
            ("AZURE_CLIENT_ID", client),
            ("AZURE_TENANT_ID", "the-tenant"),
            ("AZURE_FEDERATED_TOKEN_FILE", &token),
            ("AZURE_AUTHORITY_HOST", &self.authority),
            ("SSL_CERT_FILE", &trusted),
        ];
        let log = self.folder.join(format!("{client}.log"));
        Replica::start_in(&self.config, &log, &[("--kafka-secret-dir", &secret)], &env)
    }
}

/// The broker again, which takes tokens of the issuer, too; and the configuration that reads from it.
async fn with_tokens(world: &mut World, folder: &Path, authority: &Authority, issuer: &Issuer) -> Result<PathBuf> {
    world.kafka.stop().await?;
    let (root, data) = (Options::default().root, folder.join("kafka"));
    let settings = Settings::new(&data, &root).with_password(authority, "secret").with_tokens(issuer);
    world.kafka = Kafka::start(&settings, &Progress::lines()).await?;
    let config = world.configure("")?;
    let address = world.kafka.sasl_bootstrap().unwrap();
    let text = std::fs::read_to_string(&config)?.replace(&world.kafka.bootstrap(), &address);
    std::fs::write(&config, text.replace("  topic:", "  login: WorkloadIdentity\n  topic:"))?;
    Ok(config)
}

pub(crate) async fn workload_identity() -> Result<()> {
    let mut world = World::new(1).await?;
    let folder = world.folder.path().to_owned();
    let (authority, identity) = (Authority::alone(&folder.join("pki"))?, Identity::for_this_host()?);
    let issuer = Issuer::new("https://sts.windows.net/the-tenant/", "https://127.0.0.1")?;
    let config = with_tokens(&mut world, &folder, &authority, &issuer).await?;
    std::fs::create_dir_all(folder.join("connection"))?;
    std::fs::copy(authority.certificate(), folder.join("connection/ca.crt"))?;
    std::fs::write(folder.join("entra.pem"), &identity.pem)?;
    std::fs::write(folder.join("token"), FEDERATED)?;
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let entra = entra(&identity, issuer, Arc::clone(&asked)).await?;
    let pod = Pod { config, folder, authority: entra };

    let stranger = pod.start("a-stranger")?;
    stranger.says("AADSTS700016", 60).await?;
    ensure!(!stranger.said().contains(FEDERATED), "the token of the ServiceAccount is in the log");
    stranger.kill().await?;

    asked.lock().unwrap().clear();
    let producer = world.producer()?;
    send(&producer, 0, BEGIN, event(0, 1.0).as_bytes())?;
    flush(&producer)?;
    let mut replicas = [pod.start("the-client")?];
    // Until another token was asked for, and the first has come to its end.
    let (first_ends, end) = (LIFETIME.unsigned_abs() + 1, Instant::now() + Duration::from_secs(90));
    let mut given = None;
    while asked.lock().unwrap().len() < 2 || given.is_none_or(|at: Instant| at.elapsed().as_secs() < first_ends) {
        let [replica] = &mut replicas;
        ensure!(replica.runs() && Instant::now() < end, "no token is asked for any more:\n{}", replica.said());
        if !asked.lock().unwrap().is_empty() {
            given.get_or_insert_with(Instant::now);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    send(&producer, 0, BEGIN + 7200 * 1000, event(7200, 1.0).as_bytes())?;
    flush(&producer)?;
    world.complete(1, "2026-01-01T01:00:00Z", 60, &mut replicas).await?;
    ensure!(world.rows(3).await?.len() == 1);
    let forms = asked.lock().unwrap().clone();
    let right = |form: &String| {
        form.contains(&format!("client_assertion={FEDERATED}"))
            && form.contains("scope=https%3A%2F%2F127.0.0.1%2F.default")
    };
    ensure!(forms.iter().all(right), "{forms:?}");
    let [replica] = replicas;
    let said = replica.said();
    ensure!(!said.contains(FEDERATED) && !said.contains("eyJ"), "a token is in the log:\n{said}");
    replica.stop().await
}
