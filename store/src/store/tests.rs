use std::io::Read;

use proptest::prelude::*;

use super::testing::service;
use super::*;

fn folder() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("file://{}", dir.path().display()), &Credentials::none()).unwrap();
    (dir, store)
}

#[tokio::test]
async fn what_is_put_is_there_under_its_path() {
    let (dir, store) = folder();
    store.put("data/a b,=%.csv", "rows").await.unwrap();
    assert_eq!(std::fs::read(dir.path().join("data/a b,=%.csv")).unwrap(), b"rows");
    assert_eq!(store.get("data/a b,=%.csv", 10).await.unwrap(), "rows");
    assert_eq!(store.head("data/a b,=%.csv").await.unwrap().unwrap().size, 4);
    assert_eq!(store.head("data/none").await.unwrap(), None);
}

#[tokio::test]
async fn only_the_first_of_two_conditional_creates_succeeds() {
    let (_dir, store) = folder();
    assert!(store.put_if_absent("runs/claim.json", "one").await.unwrap());
    assert!(!store.put_if_absent("runs/claim.json", "two").await.unwrap());
    assert_eq!(store.get("runs/claim.json", 10).await.unwrap(), "one");
}

#[tokio::test]
async fn of_two_writers_that_saw_the_same_version_the_second_learns_that_it_lost() {
    let (_dir, store) = folder();
    let seen = async || store.get_json_seen::<u32>("x/latest.json", "number", 9).await.unwrap();
    assert_eq!(seen().await, (None, Seen::Absent));
    assert!(store.put_over("x/latest.json", &Seen::Absent, "1").await.unwrap());
    assert!(!store.put_over("x/latest.json", &Seen::Absent, "2").await.unwrap());
    let (number, version) = seen().await;
    assert_eq!(number, Some(1));
    assert_eq!(store.look("x/latest.json").await.unwrap(), version);
    assert!(store.put_over("x/latest.json", &version, "22").await.unwrap());
    assert!(!store.put_over("x/latest.json", &version, "3").await.unwrap());
    assert!(!store.put_over("x/none.json", &version, "3").await.unwrap());
    let version = store.look("x/latest.json").await.unwrap();
    let next = store.replace("x/latest.json", &version, "333").await.unwrap().expect("nobody else wrote");
    assert_eq!(next, store.look("x/latest.json").await.unwrap());
    assert_eq!(store.replace("x/latest.json", &version, "4").await.unwrap(), None);
    assert_eq!(store.get("x/latest.json", 9).await.unwrap(), "333");
}

#[tokio::test]
async fn an_upload_is_there_whole_when_finished_and_not_at_all_when_dropped() {
    let (dir, store) = folder();
    for size in [0, 5, 8 << 20, (20 << 20) + 1] {
        let content: Vec<u8> = (0..size).map(|n: u32| (n % 251) as u8).collect();
        let before = store.requests().writes;
        let mut upload = store.upload("p/file").unwrap();
        for part in content.chunks(3_000_000) {
            upload.write(part).await.unwrap();
        }
        let seen = store.head("p/file").await.unwrap().map_or(0, |file| file.size);
        assert!(seen != content.len() as u64 || size == 0, "nothing of it is there yet");
        upload.finish().await.unwrap();
        assert!(store.get("p/file", 1 << 30).await.unwrap() == content, "{size} bytes");
        assert_eq!(store.requests().writes, before + 1);
    }
    let mut upload = store.upload("p/file").unwrap();
    upload.write(&vec![1; 9 << 20]).await.unwrap();
    drop(upload);
    assert_eq!(store.head("p/file").await.unwrap().unwrap().size, (20 << 20) + 1, "the old one is untouched");
    assert_eq!(store.list("p/", 9).await.unwrap().len(), 1);
    drop((store, dir));
}

#[tokio::test]
async fn a_file_that_is_absent_too_large_or_changed_is_a_typed_error() {
    let (_dir, store) = folder();
    assert!(matches!(store.get("x/none", 10).await, Err(StoreError::NotFound { .. })));
    store.put("x/big", "0123456789").await.unwrap();
    assert!(matches!(store.get("x/big", 9).await, Err(StoreError::TooLarge { size: 10, limit: 9, .. })));
    let etag = store.head("x/big").await.unwrap().unwrap().etag.unwrap();
    assert_eq!(store.get_version("x/big", &etag, 10).await.unwrap(), "0123456789");
    store.put("x/big", "changed").await.unwrap();
    assert!(matches!(store.get_version("x/big", &etag, 10).await, Err(StoreError::Changed { .. })));
}

#[tokio::test]
async fn a_listing_takes_a_text_prefix_and_is_sorted_and_bounded() {
    let (_dir, store) = folder();
    for path in ["m/model_2", "m/model_1", "m/other", "m/sub/model_3", "n/model_9"] {
        store.put(path, "").await.unwrap();
    }
    let paths: Vec<_> = store.list("m/model_", 9).await.unwrap().into_iter().map(|f| f.path).collect();
    assert_eq!(paths, ["m/model_1", "m/model_2"]);
    assert!(store.list("absent/x", 9).await.unwrap().is_empty());
    assert!(matches!(store.list("m/", 3).await, Err(StoreError::TooMany { limit: 3, .. })));
    assert_eq!(store.list("", 9).await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_name_that_cannot_be_used_and_a_link_in_a_circle_do_not_hide_the_other_files() {
    use std::os::unix::ffi::OsStrExt;
    let (dir, store) = folder();
    for name in ["models/a", "models/z/b", "models/other", "models/z/c#1"] {
        std::fs::create_dir_all(dir.path().join("models/z")).unwrap();
        std::fs::write(dir.path().join(name), "model").unwrap();
    }
    let clean = store.list("models/", 10).await.unwrap();
    assert_eq!(clean.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["models/a", "models/other", "models/z/b"]);
    std::fs::write(dir.path().join("models/tab\tname"), "model").unwrap();
    std::fs::write(dir.path().join("models").join(std::ffi::OsStr::from_bytes(b"latin\xe9")), "model").unwrap();
    assert_eq!(store.list("models/", 10).await.unwrap(), clean);
    let Listing { files, unusable, uploads } = store.list_all("models/", 10).await.unwrap();
    assert_eq!(
        (files, unusable),
        (clean.clone(), vec!["models/latin\u{fffd}".to_owned(), "models/tab\tname".to_owned()])
    );
    assert_eq!(uploads, ["models/z/c#1"]);
    assert_eq!(store.list_all("models/t", 10).await.unwrap().unusable, ["models/tab\tname"]);
    std::os::unix::fs::symlink(dir.path().join("models"), dir.path().join("models/z/circle")).unwrap();
    assert_eq!(store.list("models/", 10).await.unwrap(), clean);
    assert_eq!(store.list("models/o", 10).await.unwrap(), clean[1..2]);
    assert!(matches!(store.list("models/", 2).await, Err(StoreError::TooMany { .. })));
}

#[tokio::test]
async fn a_name_like_that_of_a_file_being_written_is_refused_in_a_folder_and_told_by_listings() {
    let (dir, store) = folder();
    let path = "models/pump#1";
    store.put("models/pump#a", "model").await.unwrap();
    std::fs::write(dir.path().join(path), "model").unwrap();
    for error in [
        store.put(path, "model").await.unwrap_err(),
        store.get(path, 9).await.unwrap_err(),
        store.head(path).await.unwrap_err(),
        store.upload(path).map(|_| ()).unwrap_err(),
    ] {
        assert_eq!((error.reason(), error.is_retryable()), ("InvalidPath", false));
        let message = error.to_string();
        assert!(message.contains(path) && message.contains("ends with # and digits"), "{message}");
    }
    let listing = store.list_all("models/p", 9).await.unwrap();
    assert_eq!((listing.files.len(), listing.uploads), (1, vec![path.to_owned()]));
    for usable in ["models#1/pump", "models/pump#a#1", "models/pump#", "models/pump#1.pkl"] {
        store.put(usable, "model").await.unwrap();
        assert_eq!(store.get(usable, 9).await.unwrap(), "model", "{usable}");
    }
    let found = ["models#1/pump", "models/pump#", "models/pump#1.pkl", "models/pump#a", "models/pump#a#1"];
    assert_eq!(all(&store, "models", true, |_| Seek::Take).await, found);
    let listing = store.list_all("models", 9).await.unwrap();
    let paths: Vec<_> = listing.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!((paths.as_slice(), listing.uploads), (&found[..], vec![path.to_owned()]));
}

#[tokio::test]
async fn a_folder_that_does_not_exist_yet_is_empty_and_comes_with_the_first_write() {
    let (dir, _) = folder();
    let url = format!("file://{}/not/yet", dir.path().display());
    let store = Store::open(&url, &Credentials::none()).unwrap();
    assert!(store.list("models/", 9).await.unwrap().is_empty());
    store.put("a/b", "x").await.unwrap();
    assert!(dir.path().join("not/yet/a/b").is_file());
}

/// All that a listing gives, page by page.
async fn all(store: &Store, prefix: &str, deep: bool, seek: impl Fn(&str) -> Seek) -> Vec<String> {
    let mut pages = store.pages(prefix, deep).unwrap();
    let mut paths = Vec::new();
    while let Some(page) = pages.next(&seek).await.unwrap() {
        paths.extend(page.into_iter().map(|file| file.path));
    }
    paths.sort();
    paths
}

#[tokio::test]
async fn a_listing_by_pages_gives_what_is_wanted_by_its_path() {
    let (_dir, store) = folder();
    for path in ["l/a-1.log", "l/a-2.log", "l/b.log", "l/a-3/deep.log", "m/a-1.log"] {
        store.put(path, "").await.unwrap();
    }
    for n in 0..1_500 {
        store.put(&format!("many/{n:04}"), "").await.unwrap();
    }
    let take = |_: &str| Seek::Take;
    assert_eq!(all(&store, "l/a-", true, take).await, ["l/a-1.log", "l/a-2.log", "l/a-3/deep.log"]);
    assert_eq!(all(&store, "l/a-", false, take).await, ["l/a-1.log", "l/a-2.log"]);
    let first = |path: &str| if path < "many/0003" { Seek::Take } else { Seek::End };
    assert_eq!(all(&store, "many/", true, first).await, ["many/0000", "many/0001", "many/0002"]);
    assert_eq!(all(&store, "many/", true, take).await.len(), 1_500);
    assert!(all(&store, "absent/", true, take).await.is_empty());
}

#[tokio::test]
async fn the_folders_in_a_folder_are_sorted_and_bounded() {
    let (_dir, store) = folder();
    for path in ["r/b/x", "r/a/y/z", "r/file", "r/c/x", "other/d/x"] {
        store.put(path, "").await.unwrap();
    }
    assert_eq!(store.folders("r/", 3).await.unwrap(), ["r/a", "r/b", "r/c"]);
    assert!(store.folders("absent/", 3).await.unwrap().is_empty());
    assert!(matches!(store.folders("r/", 2).await, Err(StoreError::TooMany { limit: 2, .. })));
}

#[tokio::test]
async fn deleted_files_are_gone_with_their_empty_folders_and_what_cannot_go_holds_up_no_other() {
    let (dir, store) = folder();
    for path in ["r/a/1", "r/a/2", "r/b/1", "keep"] {
        store.put(path, "").await.unwrap();
    }
    std::fs::create_dir_all(dir.path().join("r/folder/inside")).unwrap();
    let paths = ["r/a/1", "r/none", "r/folder", "r/a/2"].map(str::to_owned);
    let gone = store.delete(&paths).await.unwrap();
    assert_eq!((gone.deleted, gone.failed.is_some()), (2, true));
    assert!(!dir.path().join("r/a").exists());
    let left: Vec<_> = store.list("", 9).await.unwrap().into_iter().map(|file| file.path).collect();
    assert_eq!(left, ["keep", "r/b/1"]);
    assert_eq!(store.delete(&["../x".to_owned()]).await.unwrap_err().reason(), "InvalidPath");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_is_read_as_it_arrives() {
    let (_dir, store) = folder();
    let content: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    store.put("data/large", content.clone()).await.unwrap();
    let (mut reader, fetch) = store.read("data/large").await.unwrap();
    let read = tokio::task::spawn_blocking(move || {
        let mut out = Vec::new();
        reader.read_to_end(&mut out).map(|_| out)
    });
    assert_eq!(read.await.unwrap().unwrap(), content);
    fetch.end().await.unwrap();
}

#[tokio::test]
async fn requests_are_counted_by_what_they_cost() {
    let (_dir, store) = folder();
    store.put("a/b", "x").await.unwrap();
    store.put_if_absent("a/b", "x").await.unwrap();
    store.get("a/b", 9).await.unwrap();
    store.head("a/b").await.unwrap();
    store.list("a/", 9).await.unwrap();
    assert_eq!(store.requests(), RequestCounts { reads: 2, writes: 2, lists: 1 });
}

#[test]
fn blob_storage_without_a_credential_says_where_one_is_looked_for() {
    let error = Store::open("https://acct.blob.core.windows.net", &Credentials::none()).unwrap_err();
    assert_eq!(error.reason(), "InvalidCredential");
    assert!(error.to_string().contains("AZURE_FEDERATED_TOKEN_FILE"), "{error}");
    let error = Store::open("https://acct.blob.core.windows.net", &Credentials::account_key("SECRET!")).unwrap_err();
    assert!(!error.to_string().contains("SECRET"), "{error}");
}

#[tokio::test]
async fn without_a_container_in_the_url_a_path_must_begin_with_one() {
    let store = Store::open("http://localhost:1/acct", &Credentials::account_key("a2V5")).unwrap();
    for path in ["file.csv", "UPPER/file.csv"] {
        assert_eq!(store.get(path, 1).await.unwrap_err().reason(), "InvalidPath", "{path}");
    }
}

/// A listing of one blob of this name.
fn listing_of(name: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><Blobs><Blob><Name>{name}</Name><Properties>\
         <Last-Modified>Sat, 01 Aug 2026 00:00:00 GMT</Last-Modified><Content-Length>3</Content-Length>\
         <Content-Type>x</Content-Type><Etag>0x1</Etag></Properties></Blob></Blobs><NextMarker/></EnumerationResults>"
    )
}

/// A Blob service that answers the first request with this XML: its URL.
fn blob_service(xml: &str) -> String {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nConnection: close\r\n";
    let (url, _asked) = service(vec![format!("{head}Content-Length: {}\r\n\r\n{xml}", xml.len())]);
    format!("{url}/acct/models")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_whose_name_cannot_be_used_is_named_with_what_to_do() {
    for (name, told) in [("model_1\t2", "model_1\\t2"), ("model_1//2", "model_1//2"), ("model_1/../2", "model_1/../2")]
    {
        let store = Store::open(&blob_service(&listing_of(name)), &Credentials::account_key("a2V5")).unwrap();
        let error = store.list("model_", 9).await.unwrap_err();
        assert_eq!((error.reason(), error.is_retryable()), ("InvalidPath", false));
        let message = error.to_string();
        assert!(message.contains(told) && message.contains("rename or delete it"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_may_be_called_as_no_file_in_a_folder_can_be() {
    let store = Store::open(&blob_service(&listing_of("pump#1")), &Credentials::account_key("a2V5")).unwrap();
    let listing = store.list_all("pump", 9).await.unwrap();
    assert_eq!((listing.files[0].path.as_str(), listing.uploads.len()), ("pump#1", 0));
}

proptest! {
    #[test]
    fn no_path_leaves_the_folder(path in "\\PC{0,40}") {
        let (dir, store) = folder();
        let inside = dir.path().join("inside");
        let store_inside = Store::open(&format!("{}/inside", store.url()), &Credentials::none()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _ = runtime.block_on(store_inside.put(&path, "x"));
        let outside = std::fs::read_dir(dir.path()).unwrap().filter(|e| e.as_ref().unwrap().path() != inside).count();
        prop_assert_eq!(outside, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_blob_service_that_is_away_is_borne_for_a_while_and_asked_once_after_that() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/acct/models");
    let store = Store::open(&url, &Credentials::account_key("a2V5")).unwrap();
    let started = tokio::time::Instant::now();
    let error = store.get("x", 9).await.unwrap_err();
    let borne = started.elapsed().as_secs();
    assert!(error.is_retryable() && error.is_of_store() && store.is_away(), "{error}");
    assert!((30..45).contains(&borne), "it was given up after {borne} s");
    let before = store.requests().reads;
    store.get("x", 9).await.unwrap_err();
    assert_eq!(store.requests().reads, before + 1);
}
