use std::collections::HashMap;

use super::*;
use crate::store::testing::service;

fn answer(status: &str, body: &str) -> String {
    let head =
        "Content-Type: text/plain\r\nETag: \"1\"\r\nLast-Modified: Sat, 01 Aug 2026 00:00:00 GMT\r\nConnection: close";
    format!("HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn credentials(vars: &[(&str, &str)]) -> Credentials {
    let vars: HashMap<String, String> =
        vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Credentials::find(None, &|name| vars.get(name).cloned()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_managed_identity_authorises_requests() {
    let token = r#"{"access_token": "TOKEN", "expires_on": "4102444800", "resource": "x", "token_type": "Bearer"}"#;
    let (metadata, asked) = service(vec![answer("200 OK", token)]);
    let (blobs, sent) = service(vec![answer("200 OK", "content"), answer("200 OK", "content")]);
    let credentials = credentials(&[("IDENTITY_ENDPOINT", metadata.as_str()), ("AZURE_CLIENT_ID", "the-client")]);
    let store = Store::open(&format!("{blobs}/acct"), &credentials).unwrap();
    for container in ["models", "data"] {
        assert_eq!(store.get(&format!("{container}/x"), 99).await.unwrap(), "content");
        assert!(sent.recv().unwrap().to_ascii_lowercase().contains("authorization: bearer token"), "{container}");
    }
    let asked = asked.recv().unwrap();
    assert!(
        asked.contains("client_id=the-client") && asked.contains("resource=https%3A%2F%2Fstorage.azure.com"),
        "{asked}"
    );
    assert!(asked.to_ascii_lowercase().contains("metadata: true"), "{asked}");
    assert_eq!(store.requests().total(), 2, "tokens are not asked of the store");
}

#[tokio::test(flavor = "multi_thread")]
async fn why_looking_at_an_object_is_refused_is_asked_for() {
    let why =
        "<Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate the request.</Message></Error>";
    let (blobs, sent) = service(vec![
        answer("403 Forbidden", "").replace("Content-Length: 0", "Content-Length: 200"),
        answer("403 Forbidden", why),
    ]);
    let store = Store::open(&format!("{blobs}/acct/data"), &Credentials::account_key("a2V5")).unwrap();
    let error = store.head("x").await.unwrap_err();
    assert!(sent.recv().unwrap().starts_with("HEAD ") && sent.recv().unwrap().starts_with("GET "));
    assert!(error.to_string().contains("put the new one into the Secret"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_the_machine_lacks_is_no_store_that_is_away() {
    let said = r#"{"error": "invalid_request", "error_description": "Identity not found"}"#;
    let (metadata, _asked) = service(vec![answer("400 Bad Request", said)]);
    let store =
        Store::open("http://127.0.0.1:1/acct", &credentials(&[("IDENTITY_ENDPOINT", metadata.as_str())])).unwrap();
    let error = store.get("models/x", 99).await.unwrap_err();
    assert_eq!(error.reason(), "AccessDenied", "{error}");
    assert!(error.to_string().contains("the identity gets no token"), "{error}");
}
