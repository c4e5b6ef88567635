//! The token endpoint and the webhook over real https; the real Azure client for the first.

use std::process::{Command, Stdio};

use azure_core::credentials::TokenCredential;
use azure_identity::WorkloadIdentityCredential;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use super::stand::{SUBJECT, Stand};

const SCOPE: &str = "https://management.azure.com/.default";
const CLIENT: &str = "aks::tests::identity::the_azure_client_on_its_own";

/// Runs [`the_azure_client_on_its_own`] as a pod would, configured by its environment.
fn client(stand: &Stand, subject: &str) -> (bool, String) {
    let token = stand.ca().with_file_name("token");
    std::fs::write(&token, format!("token of {subject}\n")).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CLIENT, "--ignored", "--nocapture"])
        .env("AZURE_CLIENT_ID", &stand.options.client_id)
        .env("AZURE_TENANT_ID", &stand.options.tenant_id)
        .env("AZURE_AUTHORITY_HOST", stand.authority_url("/"))
        .env("AZURE_FEDERATED_TOKEN_FILE", &token)
        .env("SSL_CERT_FILE", stand.ca())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), printed)
}

#[tokio::test]
#[ignore = "run by the test below, with the environment of a pod"]
async fn the_azure_client_on_its_own() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let credential = WorkloadIdentityCredential::new(None).unwrap();
    let token = credential.get_token(&[SCOPE], None).await.unwrap();
    println!("bearer={}", token.token.secret());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_azure_client_gets_a_bearer_that_the_api_takes() {
    let mut stand = Stand::start().await;
    let (good, printed) = tokio::task::block_in_place(|| client(&stand, SUBJECT));
    assert!(good, "{printed}");
    stand.bearer = printed.split("bearer=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    assert_eq!(stand.get(&stand.pool("/scoring")).await["name"], "scoring");
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_azure_client_of_a_stranger_is_refused_with_entra_ids_code() {
    let stand = Stand::start().await;
    let (good, printed) = tokio::task::block_in_place(|| client(&stand, "system:serviceaccount:default:default"));
    assert!(!good);
    assert!(printed.contains("AADSTS700213"), "{printed}");
    stand.stop().await;
}

#[tokio::test]
async fn a_bearer_for_something_else_is_not_taken() {
    let mut stand = Stand::start().await;
    stand.bearer = stand.token(SUBJECT, "https://storage.azure.com/.default").await.unwrap();
    let answer = stand.ask(Method::GET, &stand.pool("")).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let refusal = stand.token(SUBJECT, "https://management.azure.com/").await.unwrap_err();
    assert_eq!(refusal["error_codes"], json!([70_011]));
    stand.stop().await;
}

#[tokio::test]
async fn discovery_leads_to_the_token_endpoint() {
    let stand = Stand::start().await;
    let tenant = &stand.options.tenant_id;
    let url = stand.authority_url(&format!("/{tenant}/v2.0/.well-known/openid-configuration"));
    let found: Value = stand.client.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(found["token_endpoint"], stand.authority_url(&format!("/{tenant}/oauth2/v2.0/token")));
    stand.stop().await;
}

#[tokio::test]
async fn the_webhook_answers_admission_reviews() {
    let stand = Stand::start().await;
    let review = |account: &str| {
        let pod = json!({"metadata": {}, "spec": {"serviceAccountName": account, "containers": [{"name": "c"}]}});
        let request = json!({"uid": "u", "namespace": "ns", "object": pod});
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
        stand.client.post(stand.control_url("/mutate")).json(&review).send()
    };
    let answer: Value = review("scorer").await.unwrap().json().await.unwrap();
    assert_eq!((&answer["response"]["uid"], &answer["response"]["allowed"]), (&json!("u"), &json!(true)));
    let patch = STANDARD.decode(answer["response"]["patch"].as_str().unwrap()).unwrap();
    assert!(String::from_utf8_lossy(&patch).contains(&stand.authority_url("/")), "the authority host is this server");
    let answer: Value = review("nobody").await.unwrap().json().await.unwrap();
    assert_eq!(answer["response"]["allowed"], json!(false));
    stand.stop().await;
}
