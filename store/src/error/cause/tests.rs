use super::*;

const URI: &str = "https://acct.blob.core.windows.net/data/x.csv";

fn service(said: &str) -> StoreError {
    let error = Error::Generic { store: "MicrosoftAzure", source: said.to_owned().into() };
    StoreError::from_object_store(&error, URI.to_owned())
}

fn file_system(code: i32) -> StoreError {
    let source = Box::new(io::Error::from_raw_os_error(code));
    StoreError::from_object_store(&Error::Generic { store: "LocalFileSystem", source }, "file:///mnt/x".to_owned())
}

fn xml(code: &str, message: &str, more: &str) -> String {
    format!(
        "Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>\
         {message}\nRequestId:1\nTime:2026-01-01T00:00:00Z</Message>{more}</Error>"
    )
}

#[test]
fn each_refusal_of_a_service_has_a_reason_and_says_what_to_do() {
    let expired = "<AuthenticationErrorDetail>Signature not valid in the specified time frame: Start [a] - Expiry [b] - \
                   Current [c]</AuthenticationErrorDetail>";
    for (said, reason, told) in [
        (xml("AuthenticationFailed", "Server failed.", ""), "AccessDenied", "put the new one into the Secret"),
        (xml("AuthenticationFailed", "Server failed.", expired), "AccessDenied", "has expired"),
        (xml("AuthorizationPermissionMismatch", "Not allowed.", ""), "AccessDenied", "Storage Blob Data Contributor"),
        (xml("AuthorizationFailure", "Not allowed.", ""), "AccessDenied", "firewall"),
        (xml("AuthorizationFailure", "Server failed to authenticate the request.", ""), "AccessDenied", "has expired or was"),
        (
            "Error performing token request: Error performing POST http://x in 1s - Server returned non-2xx status code: 400 \
             Bad Request: AADSTS700213"
                .to_owned(),
            "AccessDenied",
            "federated credential",
        ),
        (xml("ContainerNotFound", "No such container.", ""), "ContainerNotFound", "create it"),
        (xml("BlobImmutableDueToPolicy", "It is kept.", ""), "ReadOnly", "policy"),
        (xml("ServerBusy", "Later.", ""), "StoreUnavailable", "ServerBusy: Later."),
    ] {
        let error = service(&said);
        let message = error.to_string();
        assert_eq!(error.reason(), reason, "{message}");
        assert!(message.contains(told) && message.contains(URI) && !message.contains("RequestId"), "{message}");
    }
}

#[test]
fn each_refusal_of_a_file_system_has_a_reason_and_says_what_to_do() {
    for (code, reason, told) in [
        (13, "AccessDenied", "65532"),
        (30, "ReadOnly", "mount the share for writing"),
        (28, "StorageFull", "No space left on device"),
        (122, "StorageFull", "quota"),
        (116, "StoreUnavailable", "Stale"),
        (107, "StoreUnavailable", "not connected"),
    ] {
        let error = file_system(code);
        assert_eq!(error.reason(), reason, "{error}");
        assert!(error.to_string().contains(told) && error.is_of_store(), "{error}");
    }
}

#[test]
fn only_what_can_pass_by_itself_is_worth_a_retry() {
    assert!(file_system(107).is_retryable() && service("connection refused").is_retryable());
    for error in [file_system(13), file_system(30), file_system(28), service(&xml("ContainerNotFound", "", ""))] {
        assert!(!error.is_retryable() && error.is_of_store(), "{error}");
    }
}

#[test]
fn what_may_not_be_read_is_that_file_and_not_the_store() {
    let error = file_system(13).of_file();
    assert_eq!((error.reason(), error.is_of_store()), ("FileUnreadable", false));
}

#[test]
fn no_message_holds_the_query_of_a_url_or_what_was_to_be_signed() {
    let sas = service("error sending request for url (https://acct.blob.core.windows.net/data/x?sv=1&sig=SECRET)");
    let detail =
        "<AuthenticationErrorDetail>The MAC signature SECRET is not the same as any</AuthenticationErrorDetail>";
    let key = service(&xml("AuthenticationFailed", "Server failed.", detail));
    let s3 =
        service("<Error><Code>SignatureDoesNotMatch</Code><Message>No.</Message><StringToSign>SECRET</StringToSign>");
    for error in [sas, key, s3] {
        assert!(!error.to_string().contains("SECRET"), "{error}");
    }
}

#[test]
fn of_a_connection_that_failed_the_cause_is_told() {
    let said = "Generic MicrosoftAzure error: Error performing GET http://h:1/x in 30.2s, after 20 retries, max_retries: 9, \
                retry_timeout: 60s  - HTTP error: HTTP error: error sending request: Connection refused";
    let told = "the store is not available: error sending request: Connection refused";
    assert_eq!(service(said).to_string(), format!("{URI}: {told}"));
}

#[test]
fn a_single_file_that_cannot_be_read_is_no_store_that_is_lost() {
    let generic =
        |code| Error::Generic { store: "LocalFileSystem", source: Box::new(io::Error::from_raw_os_error(code)) };
    assert!(is_away(&generic(EIO)) && !is_lost(&generic(EIO)));
    assert!(is_lost(&generic(116)) && is_lost(&generic(EHOSTDOWN)) && !is_away(&generic(30)));
}
