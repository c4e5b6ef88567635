use super::*;
use crate::Credentials;

fn log(dir: &std::path::Path) -> (Store, LogFile) {
    let store = Store::open(&format!("file://{}", dir.display()), &Credentials::none()).unwrap();
    let clock: Clock = Arc::new(|| Timestamp::UNIX_EPOCH);
    (store.clone(), LogFile::start(store, clock, |part| format!("logs/a.{part}.log")))
}

async fn text(store: &Store, path: &str) -> String {
    String::from_utf8(store.get(path, 1 << 30).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn a_quick_job_costs_one_write_and_ends_with_its_times() {
    let dir = tempfile::tempdir().unwrap();
    let (store, log) = log(dir.path());
    log.info("loading");
    log.chunk("model", SignedDuration::from_millis(250));
    log.end("done").await.unwrap();
    let text = text(&store, "logs/a.0.log").await;
    assert_eq!(store.requests().writes, 1);
    assert!(text.starts_with("1970-01-01T00:00:00.000Z INFO  loading\n"), "{text}");
    assert!(text.ends_with("done; model 0.250 s, whole job 0.000 s\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_killed_pod_leaves_what_it_had_and_waiting_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, log) = log(dir.path());
    log.info("before the kill");
    tokio::time::sleep(Duration::from_secs(600)).await;
    while store.requests().writes == 0 {
        tokio::task::yield_now().await;
    }
    drop(log);
    assert!(text(&store, "logs/a.0.log").await.contains("before the kill"));
    assert_eq!(store.requests().writes, 1, "nothing new was written again");
}

#[tokio::test]
async fn a_long_log_is_rolled_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, log) = log(dir.path());
    let line = "x".repeat(1000);
    for n in 0..2_500 {
        log.info(format_args!("{n} {line}"));
        if n % 900 == 0 {
            log.flush().await.unwrap();
        }
    }
    log.end("done").await.unwrap();
    let mut all = String::new();
    for file in store.list("logs/", 10).await.unwrap() {
        assert!(file.size < 2 * ROLL_BYTES as u64, "{file:?}");
        all.push_str(&text(&store, &file.path).await);
    }
    assert_eq!(all.lines().count(), 2_501);
    for (n, line) in all.lines().take(2_500).enumerate() {
        assert_eq!(line.split(' ').filter(|w| !w.is_empty()).nth(2), Some(n.to_string().as_str()));
    }
}

#[tokio::test]
async fn lines_that_the_store_refused_are_written_later() {
    let dir = tempfile::tempdir().unwrap();
    let (store, log) = log(dir.path());
    std::fs::write(dir.path().join("logs"), "a file where the folder should be").unwrap();
    log.info("kept");
    assert!(log.flush().await.is_err());
    std::fs::remove_file(dir.path().join("logs")).unwrap();
    log.end("done").await.unwrap();
    assert!(text(&store, "logs/a.0.log").await.contains("kept"));
}

/// Waits, in paused time, until the store was written to so often.
async fn written(store: &Store, times: u64) {
    while store.requests().writes < times {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_printed_is_in_the_store_a_few_seconds_later_with_or_without_an_end_of_line() {
    let dir = tempfile::tempdir().unwrap();
    let (store, log) = log(dir.path());
    log.output(Stream::Stdout, b"one\ntwo and ").await;
    log.output(Stream::Stderr, b"50%").await;
    tokio::time::sleep(LATEST + Duration::from_millis(1)).await;
    written(&store, 1).await;
    let first = "1970-01-01T00:00:00.000Z OUT   one\n1970-01-01T00:00:00.000Z OUT+  two and \n\
                 1970-01-01T00:00:00.000Z ERR+  50%\n";
    assert_eq!(text(&store, "logs/a.0.log").await, first);
    log.output(Stream::Stdout, b"a half\n").await;
    tokio::time::sleep(LATEST + Duration::from_millis(1)).await;
    written(&store, 2).await;
    let whole = format!("{first}1970-01-01T00:00:00.000Z OUT   a half\n");
    assert_eq!(text(&store, "logs/a.0.log").await, whole);
    assert_eq!(store.requests().writes, 2);
}

#[tokio::test]
async fn the_end_comes_after_all_that_was_printed() {
    let dir = tempfile::tempdir().unwrap();
    let (store, log) = log(dir.path());
    log.output(Stream::Stdout, b"no end of line").await;
    log.end("done").await.unwrap();
    let text = text(&store, "logs/a.0.log").await;
    let lines: Vec<&str> = text.lines().map(|line| &line[25..]).collect();
    assert_eq!(lines, ["OUT   no end of line", "END   done; whole job 0.000 s"]);
}

#[tokio::test(start_paused = true)]
async fn who_prints_faster_than_the_store_takes_it_waits_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, log) = log(dir.path());
    std::fs::write(dir.path().join("logs"), "a file where the folder should be").unwrap();
    let printed: String = (0..500_000).map(|n| format!("{n}\n")).collect();
    let printing = {
        let (log, printed) = (log.clone(), printed.clone());
        tokio::spawn(async move { log.output(Stream::Stdout, printed.as_bytes()).await })
    };
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(!printing.is_finished());
    let kept = {
        let state = log.shared.state();
        state.full.iter().map(Bytes::len).sum::<usize>() + state.open.len()
    };
    assert!(kept < (WAITING_PARTS + 2) * ROLL_BYTES, "{kept} bytes");
    std::fs::remove_file(dir.path().join("logs")).unwrap();
    printing.await.unwrap();
    log.end("done").await.unwrap();
    let mut all = String::new();
    for part in 0..100 {
        match store.get(&format!("logs/a.{part}.log"), 1 << 30).await {
            Ok(bytes) => {
                all.extend(std::str::from_utf8(&bytes).unwrap().lines().map(|line| format!("{}\n", &line[31..])));
            }
            Err(_) => break,
        }
    }
    assert!(all.strip_prefix(&printed).is_some_and(|end| end.lines().count() == 1));
}

#[tokio::test(start_paused = true)]
async fn a_log_that_the_store_refuses_is_given_up_soon_however_little_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("file://{}", dir.path().display()), &Credentials::none()).unwrap();
    let log = LogFile::start(store, Arc::new(|| Timestamp::UNIX_EPOCH), |_| "no//path".to_owned());
    let started = Instant::now();
    log.info("few words");
    let error = log.given_up().await;
    assert_eq!(error.reason(), "InvalidPath");
    assert!((REFUSED..REFUSED * 2).contains(&started.elapsed()), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_borne_until_somebody_has_to_wait_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let (_, log) = log(dir.path());
    std::fs::write(dir.path().join("logs"), "a file where the folder should be").unwrap();
    let printed: String = (0..500_000).map(|n| format!("{n}\n")).collect();
    log.info("few words");
    let borne = tokio::time::timeout(Duration::from_secs(600), log.given_up()).await;
    assert!(borne.is_err());
    tokio::select! {
        () = log.output(Stream::Stdout, printed.as_bytes()) => panic!("it did not wait"),
        error = log.given_up() => assert!(error.is_retryable()),
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_back_in_time_is_forgiven() {
    let dir = tempfile::tempdir().unwrap();
    let (store, log) = log(dir.path());
    let way = dir.path().join("logs");
    std::fs::write(&way, "a file where the folder should be").unwrap();
    log.info("few words");
    let goes_on = tokio::time::timeout(LATEST * 2, log.given_up()).await;
    assert!(goes_on.is_err() && log.shared.failing.borrow().is_some());
    std::fs::remove_file(&way).unwrap();
    tokio::time::sleep(LATEST * 2).await;
    written(&store, 2).await;
    log.flush().await.unwrap();
    assert!(log.shared.failing.borrow().is_none());
}
