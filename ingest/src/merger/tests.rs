use std::path::Path;

use store::{Clock, Credentials, Store};

use super::*;
use crate::mark::Terms;
use crate::out::testing::{START, config};
use crate::window::{Row, Slice, Stats};

const MINUTE: Micros = 60_000_000;

/// A replica of a topic of two partitions.
fn merger(folder: &tempfile::TempDir, owner: &str) -> Merger {
    let config = config("windows: {over: Topic, aggregates: [count, sum]}\n");
    let store = Store::open(&format!("file://{}", folder.path().display()), &Credentials::none()).unwrap();
    let clock: Clock = Arc::new(|| "2026-01-01T00:00:00Z".parse().unwrap());
    let marks = |folder| Marks::new(store.clone(), folder, Terms::new(&config), owner.to_owned(), Arc::clone(&clock));
    let (of_partitions, merged) = (marks(format!("{}/marks", config.shares())), marks(config.watermarks()));
    of_partitions.set_partitions(2);
    let writer = Writer {
        sink: Arc::new(Sink::new(store.clone(), None, &config)),
        marks: of_partitions,
        merged: Some(merged),
        metrics: Metrics::new().unwrap(),
    };
    Merger::new(&config, &writer).unwrap()
}

/// A partition has a value of each sensor in a minute.
async fn share(merger: &Merger, partition: u32, minute: i64, sensors: &[(&str, f64)]) {
    let start = START + minute * MINUTE;
    let row = |(sensor, value): &(&str, f64)| {
        let mut values = Stats::new(&merger.rules);
        values.add(&merger.rules, start, *value);
        Row { start, sensor: format!("{sensor}\x1fa").into_bytes().into(), values }
    };
    let slice = Slice { start, rows: sensors.iter().map(row).collect() };
    merger.sink.shares.write(partition, &[slice]).await.unwrap();
}

/// A partition is in the store up to the end of so many minutes.
async fn durable(merger: &Merger, partition: u32, minutes: i64) {
    let mark = Mark { durable: Some(START + minutes * MINUTE), ..Mark::default() };
    let (_, grip, _) = merger.marks.take_over(partition, &mark).await.unwrap();
    merger.marks.write(&grip, &mark).await.unwrap();
}

async fn begin(merger: &Merger) -> At {
    merger.take_over().await.unwrap()
}

/// Does one thing, if there is one to be done.
async fn next(merger: &Merger, at: At) -> Result<At, At> {
    match merger.next(at).await {
        Next::At(at) => Ok(at),
        Next::Nothing(at) => Err(at),
        Next::Fenced => panic!("nobody else does it"),
    }
}

/// Goes on until there is nothing to do.
async fn go_on(merger: &Merger, mut at: At) -> At {
    loop {
        at = match next(merger, at).await {
            Ok(next) => next,
            Err(last) => return last,
        }
    }
}

/// A file of windows that begin in a minute, but for its header.
fn file(folder: &Path, minute: i64) -> Option<String> {
    let path = folder.join(format!("data/2026/01/01/00/20260101T00{:02}00-readings-all.csv", 5 + minute));
    Some(std::fs::read_to_string(path).ok()?.split_once('\n')?.1.to_owned())
}

async fn shares(merger: &Merger) -> usize {
    merger.sink.shares.list().await.unwrap().values().map(std::collections::BTreeMap::len).sum()
}

#[tokio::test]
async fn what_partitions_have_of_a_window_is_one_row() {
    let folder = tempfile::tempdir().unwrap();
    let merger = merger(&folder, "a");
    share(&merger, 0, 0, &[("1", 1.0), ("2", 2.0)]).await;
    share(&merger, 1, 0, &[("2", 4.0), ("3", 8.0)]).await;
    durable(&merger, 0, 1).await;
    durable(&merger, 1, 1).await;
    let at = go_on(&merger, begin(&merger).await).await;
    let time = "2026-01-01T00:05:00Z";
    let expected = format!("{time},1,a,1,1.0\n{time},2,a,2,6.0\n{time},3,a,1,8.0\n");
    assert_eq!(file(folder.path(), 0).unwrap(), expected);
    assert_eq!(at.mark.durable, Some(START + MINUTE));
    assert_eq!(shares(&merger).await, 0, "they are no more needed");
}

#[tokio::test]
async fn nothing_is_put_together_before_all_partitions_have_it() {
    let folder = tempfile::tempdir().unwrap();
    let merger = merger(&folder, "a");
    for partition in [0, 1] {
        share(&merger, partition, 0, &[("1", 1.0)]).await;
        share(&merger, partition, 1, &[("1", 1.0)]).await;
    }
    durable(&merger, 0, 2).await;
    let at = go_on(&merger, begin(&merger).await).await;
    assert_eq!((at.mark.durable, file(folder.path(), 0)), (None, None), "a partition has no mark");
    durable(&merger, 1, 1).await;
    let at = go_on(&merger, at).await;
    assert_eq!(at.mark.durable, Some(START + MINUTE));
    assert!(file(folder.path(), 0).is_some() && file(folder.path(), 1).is_none());
    assert_eq!(shares(&merger).await, 2, "those of the second minute");
}

#[tokio::test]
async fn a_backlog_is_told_of_piece_by_piece_and_is_all_there_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let merger = merger(&folder, "a");
    let merger = Merger { at_most: Duration::ZERO, ..merger };
    let minutes = 3;
    for minute in 0..minutes {
        share(&merger, u32::try_from(minute % 2).unwrap(), minute, &[("1", 1.0)]).await;
    }
    durable(&merger, 0, minutes + 5).await;
    durable(&merger, 1, minutes + 5).await;
    let aimed = next(&merger, begin(&merger).await).await.unwrap();
    let first = next(&merger, aimed).await.unwrap();
    assert_eq!(first.mark.durable, Some(START + MINUTE));
    let last = go_on(&merger, first).await;
    assert_eq!(last.mark.durable, Some(START + (minutes + 5) * MINUTE), "of the last minutes there is nothing");
    assert!((0..minutes).all(|minute| file(folder.path(), minute).is_some()));
}

#[tokio::test]
async fn who_is_late_writes_nothing_over_what_was_put_together_of_shares_that_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (merger(&folder, "a"), merger(&folder, "b"));
    for partition in [0, 1] {
        share(&old, partition, 0, &[("1", 1.0)]).await;
        durable(&old, partition, 1).await;
    }
    let aimed = next(&old, begin(&old).await).await.unwrap();
    go_on(&new, begin(&new).await).await;
    let whole = file(folder.path(), 0).unwrap();
    // One of them comes back: it was on its way for long.
    share(&old, 1, 0, &[("1", 1.0)]).await;
    assert!(matches!(old.next(aimed).await, Next::Fenced));
    assert_eq!(file(folder.path(), 0).unwrap(), whole);
    let at = begin(&new).await;
    durable(&new, 0, 2).await;
    durable(&new, 1, 2).await;
    go_on(&new, at).await;
    assert_eq!((file(folder.path(), 0).unwrap(), shares(&new).await), (whole, 0), "nor later, and it goes, too");
}

#[tokio::test]
async fn a_partition_that_begins_while_windows_are_put_together_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let merger = merger(&folder, "a");
    for partition in [0, 1] {
        share(&merger, partition, 0, &[("1", 1.0)]).await;
        durable(&merger, partition, 1).await;
    }
    let aimed = next(&merger, begin(&merger).await).await.unwrap();
    assert_eq!(aimed.mark.watermark, Some(START + MINUTE));
    // It asked up to when they are before that was said, so it counts.
    let other = self::merger(&folder, "b");
    other.marks.set_partitions(3);
    let (_, grip, _) = other.marks.take_over(2, &Mark::default()).await.unwrap();
    let aimed = next(&merger, aimed).await.unwrap_err();
    share(&merger, 2, 0, &[("1", 1.0)]).await;
    other.marks.write(&grip, &Mark { durable: Some(START + MINUTE), ..Mark::default() }).await.unwrap();
    go_on(&merger, aimed).await;
    assert_eq!(file(folder.path(), 0).unwrap(), "2026-01-01T00:05:00Z,1,a,3,3.0\n");
}
