use std::collections::HashMap;

use super::*;
use crate::Credentials;
use crate::store::testing::service;

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nETag: \"1\"\r\nLast-Modified: Sat, 01 Aug 2026 00:00:00 GMT\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn refusal(code: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>No.</Message></Error>")
}

fn open(vars: &[(&str, &str)]) -> Result<Store, StoreError> {
    let vars: HashMap<String, String> = vars.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Store::open("s3://plant/inside", &Credentials::find(None, &|name| vars.get(name).cloned()).unwrap())
}

/// A store whose requests get these answers, and what is asked.
fn answered(answers: Vec<String>) -> (Store, std::sync::mpsc::Receiver<String>) {
    let (url, asked) = service(answers);
    let keys = [("AWS_ACCESS_KEY_ID", "the-id"), ("AWS_SECRET_ACCESS_KEY", "SECRET"), ("AWS_REGION", "eu-west-1")];
    (open(&[keys.as_slice(), &[("AWS_ENDPOINT_URL", url.as_str())]].concat()).unwrap(), asked)
}

#[test]
fn without_a_usable_credential_or_address_it_is_said_what_is_looked_for() {
    let (id, secret) = (("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "HIDDEN"));
    for (vars, told) in [
        (vec![], "AWS_WEB_IDENTITY_TOKEN_FILE"),
        (vec![id], "AWS_SECRET_ACCESS_KEY"),
        (vec![("AWS_ACCESS_KEY_ID", "i\nd"), secret], "AWS_ACCESS_KEY_ID has a character"),
        (vec![id, secret, ("AWS_SESSION_TOKEN", "HIDDEN\nHIDDEN")], "AWS_SESSION_TOKEN has a character"),
        (vec![id, secret, ("AWS_REGION", "eu west 1")], "AWS_REGION is no name"),
        (vec![id, secret, ("AWS_REGION", "x/../../elsewhere#")], "AWS_REGION is no name"),
        (vec![id, secret, ("AWS_ENDPOINT_URL", "minio:9000")], "write https://HOST"),
        (vec![id, secret, ("AWS_ENDPOINT_URL", "https://u:HIDDEN@minio")], "write https://HOST"),
    ] {
        let error = open(&vars).unwrap_err();
        assert_eq!(error.reason(), "InvalidCredential");
        assert!(error.to_string().contains(told) && !error.to_string().contains("HIDDEN"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_name_the_bucket_in_their_path_and_encode_names() {
    let (store, asked) = answered(vec![answer("200 OK", "content")]);
    assert_eq!(store.get("a b/ä+%1#=&.csv", 99).await.unwrap(), "content");
    let asked = asked.recv().unwrap();
    assert!(asked.starts_with("GET /plant/inside/a%20b/%C3%A4%2B%251%23%3D%26.csv HTTP/1.1"), "{asked}");
    assert!(asked.contains("Credential=the-id/") && asked.contains("/eu-west-1/s3/"), "{asked}");
    assert!(!asked.contains("SECRET"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_a_reason_and_says_what_to_do() {
    for (status, code, reason, told) in [
        ("403 Forbidden", "AccessDenied", "AccessDenied", "rights to get, put, delete and list"),
        ("403 Forbidden", "InvalidAccessKeyId", "AccessDenied", "put the new one into the Secret"),
        ("403 Forbidden", "SignatureDoesNotMatch", "AccessDenied", "put the new one into the Secret"),
        ("403 Forbidden", "RequestTimeTooSkewed", "AccessDenied", "clocks"),
        ("400 Bad Request", "ExpiredToken", "AccessDenied", "renew it"),
        ("400 Bad Request", "AuthorizationHeaderMalformed", "AccessDenied", "AWS_REGION"),
        ("301 Moved Permanently", "PermanentRedirect", "AccessDenied", "AWS_REGION"),
        ("404 Not Found", "XAdminUserNotFound", "AccessDenied", "put the new one into the Secret"),
        ("404 Not Found", "NoSuchBucket", "ContainerNotFound", "its bucket does not exist"),
        ("403 Forbidden", "QuotaExceeded", "StorageFull", "set retention"),
    ] {
        let (store, _asked) = answered(vec![answer(status, &refusal(code))]);
        let error = store.get("x", 99).await.unwrap_err();
        assert_eq!(error.reason(), reason, "{code}: {error}");
        assert!(error.is_of_store() && !error.is_retryable(), "{code}");
        assert!(error.to_string().contains(told) && error.to_string().contains("s3://plant/inside/x"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn why_looking_at_an_object_is_refused_is_asked_for() {
    for code in ["ExpiredToken", "AuthorizationHeaderMalformed"] {
        let (store, asked) = answered(vec![answer("400 Bad Request", ""), answer("400 Bad Request", &refusal(code))]);
        assert_eq!(store.head("x").await.unwrap_err().reason(), "AccessDenied", "{code}");
        assert!(asked.recv().unwrap().starts_with("HEAD ") && asked.recv().unwrap().starts_with("GET "));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_asks_to_slow_down_is_asked_again() {
    let busy = answer("503 Slow Down", &refusal("SlowDown"));
    let (store, _asked) = answered(vec![busy.clone(), busy, answer("200 OK", "content")]);
    assert_eq!(store.get("x", 99).await.unwrap(), "content");
    assert_eq!(store.requests().reads, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_writers_of_one_moment_the_one_that_was_not_decided_upon_asks_again() {
    let undecided = answer("409 Conflict", &refusal("ConditionalRequestConflict"));
    let (store, asked) = answered(vec![undecided.clone(), answer("200 OK", "")]);
    assert!(store.put_if_absent("claim", "x").await.unwrap());
    assert!(asked.recv().unwrap().to_ascii_lowercase().contains("if-none-match: *"));
    let (store, _asked) = answered(vec![undecided, answer("412 Precondition Failed", &refusal("PreconditionFailed"))]);
    assert!(!store.put_if_absent("claim", "x").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_deleted_holds_up_no_other() {
    let result = "<DeleteResult><Deleted><Key>inside/a</Key></Deleted><Error><Key>inside/b</Key><Code>AccessDenied</Code>\
                  <Message>It is kept.</Message></Error></DeleteResult>";
    let (store, asked) = answered(vec![answer("200 OK", result)]);
    let gone = store.delete(&["a".to_owned(), "b".to_owned()]).await.unwrap();
    assert_eq!((gone.deleted, gone.failed.unwrap().reason()), (1, "NotDeleted"));
    assert!(asked.recv().unwrap().starts_with("POST /plant?delete "));
    assert_eq!((store.requests().writes, store.requests().total()), (1, 1));
}

fn listing_of(objects: &[(&str, u64)]) -> String {
    let object = |(key, size): &(&str, u64)| {
        format!(
            "<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>2026-08-01T00:00:00.000Z</LastModified>\
             <ETag>&quot;1&quot;</ETag></Contents>"
        )
    };
    format!("<ListBucketResult>{}</ListBucketResult>", objects.iter().map(object).collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_for_a_folder_is_no_file() {
    let objects = [("inside/models/", 0), ("inside/models/line/", 0), ("inside/models/line/1", 3)];
    let listed = answer("200 OK", &listing_of(&objects));
    let (store, asked) = answered(vec![listed, answer("404 Not Found", "")]);
    let files = store.list("models/", 9).await.unwrap();
    assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["models/line/1"]);
    assert!(asked.recv().unwrap().starts_with("GET /plant?list-type=2&prefix=inside%2Fmodels%2F "));
    assert!(asked.recv().unwrap().starts_with("HEAD /plant/inside/models/line "));
    assert_eq!((store.requests().lists, store.requests().reads), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_marker_of_the_folder_that_the_store_is_in_is_no_file() {
    let (store, _asked) = answered(vec![answer("200 OK", &listing_of(&[("inside/", 0), ("inside/x", 1)]))]);
    let files = store.list("x", 9).await.unwrap();
    assert_eq!(files.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_cannot_be_used_is_named_with_what_to_do() {
    let (store, _asked) = answered(vec![answer("200 OK", &listing_of(&[("inside/m//2", 1)]))]);
    let error = store.list("m", 9).await.unwrap_err();
    assert_eq!(error.reason(), "InvalidPath");
    assert!(error.to_string().contains("m//2") && error.to_string().contains("rename or delete it"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_of_a_service_account_that_gives_no_token_is_told() {
    let vars = [("AWS_ROLE_ARN", "arn:aws:iam::1:role/x"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/none/token")];
    let error = open(&vars).unwrap().get("x", 1).await.unwrap_err();
    assert_eq!(error.reason(), "AccessDenied", "{error}");
    assert!(error.to_string().contains("trust policy") && error.to_string().contains("/none/token"), "{error}");
}
