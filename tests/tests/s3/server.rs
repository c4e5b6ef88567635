//! What the product asks of a store, asked of the server.

use std::io::Read;
use std::time::Duration;

use store::{Credentials, Seek, Store};
use tests::s3::{KEY_ID, SECRET};

use super::gateway;

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_write_what_is_not_there_or_unchanged_one_learns_that_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = gateway(folder.path()).await else { return };
    let store = server.store("s3://plant/inside", &[]).unwrap();
    let write = |n: u32| {
        let store = store.clone();
        async move { store.put_if_absent("runs/claim.json", n.to_string()).await.unwrap() }
    };
    let written = futures::future::join_all((1..=16).map(write)).await;
    assert_eq!(written.iter().filter(|did| **did).count(), 1, "{written:?}");
    let winner = written.iter().position(|did| *did).unwrap() + 1;

    let (value, seen) = store.get_json_seen::<usize>("runs/claim.json", "claim", 99).await.unwrap();
    assert_eq!(value, Some(winner));
    assert_eq!(store.look("runs/claim.json").await.unwrap(), seen);
    assert!(store.put_over("runs/claim.json", &seen, "99").await.unwrap());
    assert!(!store.put_over("runs/claim.json", &seen, "100").await.unwrap(), "it is another version");
    assert_eq!(store.get("runs/claim.json", 99).await.unwrap(), "99");
    assert!(!store.put_over("runs/none.json", &seen, "1").await.unwrap(), "there is none");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_come_back_as_they_were_given() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = gateway(folder.path()).await else { return };
    let store = server.store("s3://plant/line 1/ä", &[]).unwrap();
    let names = [
        "m/plain",
        "m/with space",
        "m/ä-日本",
        "m/100%25",
        "m/a+b=c&d?e",
        "m/<x>'\"",
        "m/pump#1",
        "m/deep/a.b/c",
        "m/$(x);~!*()@:,",
    ];
    for name in names {
        store.put(name, name).await.unwrap();
        assert_eq!(store.get(name, 99).await.unwrap(), name);
    }
    store.put("other/x", "").await.unwrap();
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let listed = store.list_all("m/", 99).await.unwrap();
    assert_eq!(listed.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), sorted);
    assert!(listed.unusable.is_empty() && listed.uploads.is_empty());
    let some = store.list("m/a", 99).await.unwrap();
    assert_eq!(some.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["m/a+b=c&d?e"]);
    assert_eq!(store.folders("m/", 9).await.unwrap(), ["m/deep"]);
    for file in &listed.files {
        let head = store.head(&file.path).await.unwrap().unwrap();
        assert_eq!((&head.etag, head.size), (&file.etag, file.size), "{}", file.path);
        let etag = file.etag.as_deref().unwrap();
        assert_eq!(store.get_version(&file.path, etag, 99).await.unwrap(), file.path.as_str());
    }
    store.put("m/plain", "changed").await.unwrap();
    let before = listed.files.iter().find(|file| file.path == "m/plain").unwrap().etag.clone().unwrap();
    assert_eq!(store.get_version("m/plain", &before, 99).await.unwrap_err().reason(), "Changed");
    assert_eq!(store.get("m/none", 99).await.unwrap_err().reason(), "NotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_is_written_in_parts_and_read_as_it_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = gateway(folder.path()).await else { return };
    let store = server.store("s3://plant", &[]).unwrap();
    let content: Vec<u8> = (0..13_000_000u32).map(|n| (n % 251) as u8).collect();
    let mut upload = store.upload("large").unwrap();
    for chunk in content.chunks(1_000_000) {
        upload.write(chunk).await.unwrap();
    }
    assert!(store.head("large").await.unwrap().is_none(), "it is there only when it is whole");
    upload.finish().await.unwrap();
    // The begin of the upload, three parts and its end.
    assert_eq!(store.requests().writes, 5);
    let etag = store.head("large").await.unwrap().unwrap().etag.unwrap();
    let (mut reader, fetch) = store.read_version("large", &etag).await.unwrap();
    let read = tokio::task::spawn_blocking(move || {
        let mut out = Vec::new();
        reader.read_to_end(&mut out).map(|_| out)
    });
    assert!(read.await.unwrap().unwrap() == content);
    fetch.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_starts_with_a_text_is_deleted_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = gateway(folder.path()).await else { return };
    let store = server.store("s3://plant/p", &[]).unwrap();
    let paths: Vec<String> = (0..1_200).map(|n| format!("runs/old/{n:04} & <more>")).collect();
    for path in paths.iter().map(String::as_str).chain(["runs/older", "keep"]) {
        store.put(path, "").await.unwrap();
    }
    let before = store.requests();
    let mut pages = store.pages("runs/old/", true).unwrap();
    let mut found = Vec::new();
    while let Some(page) = pages.next(|_| Seek::Take).await.unwrap() {
        found.extend(page.into_iter().map(|file| file.path));
    }
    assert_eq!(found, paths, "pages are in the order of names");
    let gone = store.delete(&found).await.unwrap();
    assert_eq!((gone.deleted, gone.failed.is_none()), (1_200, true));
    let asked = store.requests() - before;
    assert_eq!((asked.lists, asked.writes, asked.reads), (2, 2, 0));
    let left: Vec<_> = store.list("", 9).await.unwrap().into_iter().map(|file| file.path).collect();
    assert_eq!(left, ["keep", "runs/older"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_has_a_reason_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = gateway(folder.path()).await else { return };
    for (url, more, reason, told) in [
        ("s3://plant", ("AWS_ACCESS_KEY_ID", "AKIDOFNOBODY"), "AccessDenied", "put the new one into the Secret"),
        ("s3://plant", ("AWS_SECRET_ACCESS_KEY", "wrong"), "AccessDenied", "put the new one into the Secret"),
        ("s3://plant", ("AWS_REGION", "eu-west-1"), "AccessDenied", "AWS_REGION"),
        ("s3://absent", ("X", ""), "ContainerNotFound", "its bucket does not exist; create it"),
    ] {
        let store = server.store(url, &[more]).unwrap();
        let errors = [
            store.get("x/y", 9).await.unwrap_err(),
            store.put("x/y", "1").await.unwrap_err(),
            store.put_if_absent("x/y", "1").await.unwrap_err(),
            store.list("x/", 9).await.unwrap_err(),
            store.delete(&["x/y".to_owned()]).await.unwrap().failed.unwrap(),
        ];
        for error in errors {
            let message = error.to_string();
            assert_eq!((error.reason(), error.is_of_store()), (reason, true), "{message}");
            assert!(message.contains(told) && message.contains(url) && !message.contains(SECRET), "{message}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_secret_is_used_by_a_store_that_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = gateway(folder.path()).await else { return };
    let secret = folder.path().join("secret");
    std::fs::create_dir(&secret).unwrap();
    let write = |name: &str, text: &str| std::fs::write(secret.join(name), text).unwrap();
    write("AWS_ACCESS_KEY_ID", KEY_ID);
    write("AWS_SECRET_ACCESS_KEY", "replaced");
    write("AWS_ENDPOINT_URL", &server.url);
    let store = Store::open("s3://plant", &Credentials::find(Some(&secret), &|_| None).unwrap()).unwrap();
    assert_eq!(store.put("x", "1").await.unwrap_err().reason(), "AccessDenied");
    write("AWS_SECRET_ACCESS_KEY", SECRET);
    let taken = async {
        while store.put("x", "1").await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), taken).await.unwrap();
}
