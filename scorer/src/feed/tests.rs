use proptest::prelude::*;

use super::*;
use crate::readings::{Pass, Wanted};

const HEADER: &str = "TS,Tag,Value\n";

fn budget(bytes: usize) -> Budget {
    Budget { bytes, ..Budget::share(1, 1) }
}

fn nowhere(bytes: usize) -> Budget {
    Budget { bytes, scratch: PathBuf::from("/nonexistent/scratch") }
}

fn wanted(sensors: usize) -> Wanted {
    let tags = (0..sensors).map(|tag| [("tag", tag.to_string())].into_iter().collect()).collect();
    Wanted { keys: vec!["tag".to_owned()], sensors: Some(tags), ..Wanted::default() }
}

/// Reads a file into feeds, and tells whether it was read to its end.
fn fill(file: &str, sensors: usize, mut filler: Filler) -> bool {
    let limits = filler.0.budget.limits();
    let mut pass = Pass::new(wanted(sensors), vec!["f.csv".to_owned()], limits);
    let whole = pass.file(file.as_bytes(), &mut filler).unwrap().is_continue();
    if whole {
        let end = pass.end(&mut filler).map_err(|e| Problem::of_readings(&e));
        filler.end(end);
    }
    whole
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

async fn all(mut feed: Feed) -> Result<Rows, Problem> {
    let mut rows = Rows::default();
    while let Some(more) = feed.next().await? {
        rows.append(&more);
    }
    Ok(rows)
}

fn file(tags: &[u8]) -> String {
    let lines = tags.iter().enumerate().map(|(at, tag)| match at % 7 {
        6 => format!("t{at},{tag},oops\n"),
        _ => format!("t{at},{tag},{at}.50\n"),
    });
    format!("{HEADER}{}", lines.collect::<String>())
}

/// What a sensor's rows are as texts, in which NaN is itself.
fn shown(rows: &Rows) -> String {
    format!("{rows:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_budget_and_whoever_comes_when_each_gets_its_rows(
        tags in proptest::collection::vec(0_u8..4, 0..300),
        bytes in 1_usize..20_000,
        early in proptest::collection::vec(any::<bool>(), 4),
    ) {
        let file = file(&tags);
        let expect = |sensor: usize| {
            let (filler, feeds) = feeds(4, budget(usize::MAX / 2));
            fill(&file, 4, filler);
            block_on(all(feeds.into_iter().nth(sensor).unwrap())).unwrap()
        };
        let (filler, feeds) = feeds(4, budget(bytes));
        let (read, early): (String, Vec<bool>) = (file.clone(), early);
        let reading = std::thread::spawn(move || fill(&read, 4, filler));
        let found = block_on(async {
            let consumers = feeds.into_iter().zip(&early).map(|(feed, early)| async move {
                if !early {
                    feed.end().await?;
                }
                all(feed).await
            });
            futures::future::join_all(consumers).await
        });
        prop_assert!(reading.join().unwrap());
        for (sensor, rows) in found.into_iter().enumerate() {
            prop_assert_eq!(shown(&rows.unwrap()), shown(&expect(sensor)), "sensor {}", sensor);
        }
    }

    #[test]
    fn packed_rows_are_unpacked_as_they_were(tags in proptest::collection::vec(0_u8..2, 0..100), cut in 0_usize..1_000) {
        let (filler, feeds) = feeds(2, budget(usize::MAX / 2));
        fill(&file(&tags), 2, filler);
        let rows = block_on(all(feeds.into_iter().next().unwrap())).unwrap();
        let mut packed = Vec::new();
        rows.pack(&mut packed);
        let mut unpacked = Rows::default();
        prop_assert!(unpacked.unpack(&mut packed.as_slice()).is_some());
        prop_assert_eq!(shown(&unpacked), shown(&rows));
        if cut < packed.len() {
            prop_assert!(Rows::default().unpack(&mut &packed[..cut]).is_none());
        }
    }
}

#[test]
fn what_waits_in_memory_stays_within_the_budget() {
    let (mut filler, feeds) = feeds(3, budget(3_000));
    let text = file(&(0..3_000_u32).map(|n| u8::try_from(n % 3).unwrap()).collect::<Vec<_>>());
    let mut pass = Pass::new(wanted(3), vec!["f.csv".to_owned()], filler.0.budget.limits());

    struct Watched<'a>(&'a mut Filler, usize);
    impl Sink for Watched<'_> {
        fn begin(&mut self, head: &Arc<Head>) {
            self.0.begin(head);
        }
        fn rows(&mut self, sensor: usize, rows: Rows) -> ControlFlow<()> {
            let flow = self.0.rows(sensor, rows);
            self.1 = self.1.max(self.0.0.state().waiting);
            flow
        }
    }
    let mut watched = Watched(&mut filler, 0);
    assert!(pass.file(text.as_bytes(), &mut watched).unwrap().is_continue());
    let end = pass.end(&mut watched).map_err(|e| Problem::of_readings(&e));
    assert!((1..=1_500).contains(&watched.1), "{} bytes wait", watched.1);
    filler.end(end);
    for feed in feeds {
        assert_eq!(block_on(all(feed)).unwrap().len(), 1_000);
    }
}

#[test]
fn rows_of_feeds_that_are_claimed_need_no_scratch_file() {
    let (filler, feeds) = feeds(1, nowhere(1_000));
    feeds[0].claim();
    let reading = std::thread::spawn(move || fill(&file(&[0; 1_000]), 1, filler));
    let rows = block_on(all(feeds.into_iter().next().unwrap())).unwrap();
    assert_eq!(rows.len(), 1_000);
    assert!(reading.join().unwrap());
}

#[test]
fn without_a_scratch_file_the_problem_says_how_much_is_needed_and_where() {
    let (filler, feeds) = feeds(2, nowhere(1_000));
    assert!(!fill(&file(&[0, 1].repeat(500)), 2, filler), "the rest is not read");
    for feed in feeds {
        let problem = block_on(all(feed)).unwrap_err();
        assert_eq!((problem.reason.as_str(), problem.retry), ("NoTemporarySpace", false));
        let words = ["bytes or more of scratch space in /nonexistent/scratch", "emptyDir", "TMPDIR"];
        assert!(words.iter().all(|w| problem.message.contains(w)), "{}", problem.message);
    }
}

#[test]
fn a_consumer_that_goes_away_does_not_hold_up_the_others() {
    for early in [true, false] {
        let (filler, mut feeds) = feeds(2, nowhere(1_000));
        let one = feeds.remove(0);
        feeds.iter().chain([&one]).for_each(Feed::claim);
        let gone = feeds.remove(0);
        let reading = std::thread::spawn(move || fill(&file(&[0, 1].repeat(500)), 2, filler));
        let rows = block_on(async {
            if early {
                drop(gone);
                return all(one).await;
            }
            let mut gone = gone;
            gone.next().await?;
            drop(gone);
            all(one).await
        });
        assert_eq!(rows.unwrap().len(), 500);
        assert!(reading.join().unwrap());
    }
}

#[test]
fn once_all_consumers_are_gone_the_files_are_not_read_on() {
    let (filler, feeds) = feeds(2, nowhere(1_000));
    drop(feeds);
    assert!(!fill(&file(&[0, 1].repeat(500)), 2, filler));
}

#[test]
fn a_pass_that_fails_midway_tells_all_consumers_why() {
    let (mut filler, feeds) = feeds(2, budget(10_000));
    filler.begin(&Arc::default());
    assert!(filler.rows(0, Rows::default()).is_continue());
    filler.end(Err(Problem::again("StoreUnavailable", "the store is away")));
    for feed in feeds {
        assert!(feed.problem().is_some());
        let problem = block_on(all(feed)).unwrap_err();
        assert_eq!((problem.reason.as_str(), problem.retry), ("StoreUnavailable", true));
    }
}

#[test]
fn a_pass_that_breaks_off_leaves_nobody_waiting() {
    let (filler, feeds) = feeds(1, budget(10_000));
    drop(filler);
    let feed = feeds.into_iter().next().unwrap();
    assert_eq!(block_on(feed.head()).unwrap_err().reason, "Internal");
    assert_eq!(block_on(feed.end()).unwrap_err().reason, "Internal");
}

#[test]
fn looking_at_rows_keeps_them() {
    for bytes in [1, usize::MAX / 2] {
        let (filler, feeds) = feeds(1, budget(bytes));
        assert!(fill(&file(&[0; 100]), 1, filler));
        let feed = feeds.into_iter().next().unwrap();
        let mut seen = 0;
        block_on(feed.look(|rows| seen += rows.len())).unwrap();
        assert_eq!((seen, block_on(all(feed)).unwrap().len()), (100, 100));
    }
}

#[test]
fn passes_share_what_a_process_may_hold_and_each_has_enough() {
    let share = |sensors, passes| Budget::share(sensors, passes).bytes;
    assert_eq!((share(1, 1), share(1, 4), share(1, 1_000)), (24 << 20, 6 << 20, 4 << 20));
    assert_eq!(
        share(100_000, 1),
        40 << 20,
        "very many sensors have more, so that the scratch file's pieces are not tiny"
    );
}
