use super::*;
use crate::store::testing::service;
use crate::{Credentials, Seen};

/// A key that asks for no tokens, and that names the service.
fn key(url: &str) -> String {
    format!(
        "{{\"private_key\": \"x\", \"private_key_id\": \"x\", \"client_email\": \"x\", \"disable_oauth\": true, \
         \"gcs_base_url\": \"{url}\"}}"
    )
}

#[test]
fn a_key_that_is_none_is_told_and_not_repeated() {
    let vars = |name: &str| (name == "GOOGLE_SERVICE_ACCOUNT_KEY").then(|| "{\"private_key\": \"HIDDEN\"".to_owned());
    let error = Store::open("gs://plant", &Credentials::find(None, &vars).unwrap()).unwrap_err();
    assert_eq!(error.reason(), "InvalidCredential");
    assert!(error.to_string().contains("copy it again") && !error.to_string().contains("HIDDEN"), "{error}");
}

#[test]
fn a_file_of_credentials_that_is_not_there_is_named() {
    let vars = |name: &str| (name == "GOOGLE_APPLICATION_CREDENTIALS").then(|| "/none/key.json".to_owned());
    let error = Store::open("gs://plant", &Credentials::find(None, &vars).unwrap()).unwrap_err();
    assert_eq!(error.reason(), "InvalidCredential");
    assert!(error.to_string().contains("/none/key.json"), "{error}");
}

#[test]
fn another_key_is_another_service_account() {
    let one = ServiceAccount::new(&key("http://a")).unwrap();
    assert!(
        one == ServiceAccount::new(&key("http://a")).unwrap() && one != ServiceAccount::new(&key("http://b")).unwrap()
    );
    assert!(ServiceAccount::new("{}").is_none());
}

/// A store whose requests get these answers, and what is asked.
fn answered(answers: Vec<String>) -> (Store, std::sync::mpsc::Receiver<String>) {
    let (url, asked) = service(answers);
    let vars = |name: &str| (name == "GOOGLE_SERVICE_ACCOUNT_KEY").then(|| key("http://unused"));
    let store = Store::open("gs://plant/inside", &Credentials::find(None, &vars).unwrap()).unwrap();
    let client = GoogleCloudStorageBuilder::new()
        .with_bucket_name("plant")
        .with_base_url(&url)
        .with_bearer_token("TOKEN")
        .with_client_options(client_options(true))
        .with_http_connector(store.inner.connector.clone())
        .build();
    store.inner.clients.lock().unwrap().set("plant", Arc::new(client.unwrap()));
    (store, asked)
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nETag: \"1\"\r\nx-goog-generation: 7\r\nLast-Modified: Sat, 01 Aug 2026 00:00:00 GMT\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_over_a_version_is_bound_to_its_generation() {
    for (status, written) in [("200 OK", true), ("412 Precondition Failed", false)] {
        let (store, asked) = answered(vec![answer("200 OK", "3"), answer(status, "")]);
        let seen = store.get_json_seen::<u32>("x", "number", 9).await.unwrap();
        assert_eq!(seen, (Some(3), Seen::Version("7".to_owned())));
        assert_eq!(store.put_over("x", &seen.1, "4").await.unwrap(), written);
        let read = asked.recv().unwrap().to_ascii_lowercase();
        assert!(read.starts_with("get /plant/inside%2fx ") && read.contains("authorization: bearer token"), "{read}");
        assert!(asked.recv().unwrap().to_ascii_lowercase().contains("x-goog-if-generation-match: 7"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_a_reason() {
    for (status, code, reason) in [
        ("403 Forbidden", "AccessDenied", "AccessDenied"),
        ("401 Unauthorized", "AuthenticationRequired", "AccessDenied"),
        ("404 Not Found", "NoSuchBucket", "ContainerNotFound"),
        ("404 Not Found", "NoSuchKey", "NotFound"),
    ] {
        let (store, _asked) = answered(vec![answer(status, &format!("<Error><Code>{code}</Code></Error>"))]);
        let error = store.get("x", 9).await.unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
    }
}
