use proptest::prelude::*;

use super::*;

const DAY: i64 = 86_400;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn file(path: &str, modified: i64) -> File {
    File { path: path.to_owned(), size: 1, etag: None, modified: at(modified) }
}

fn days(runs: u64, logs: u64) -> Retention {
    let span = |days| Some(Span::from_secs(days * 86_400));
    Retention { runs: span(runs), logs: span(logs), predictions: None }
}

fn swept(completed: Option<i64>, up_to: Option<Position>) -> Swept {
    let (started, completed) = (at(0), completed.map(at));
    let (deleted, store_requests) = Default::default();
    Swept {
        version: VERSION,
        retention: days(90, 30),
        run: "r".into(),
        started,
        completed,
        up_to,
        deleted,
        store_requests,
    }
}

#[test]
fn a_sweep_is_made_once_a_day_and_at_once_when_the_spans_are_others() {
    let (noon, asked) = (DAY / 2, days(90, 30));
    assert_eq!(next(None, &asked, at(noon)), Next::Begin);
    assert_eq!(next(None, &Retention::default(), at(noon)), Next::Nothing);
    let done = swept(Some(noon), None);
    assert_eq!(next(Some(&done), &asked, at(DAY - 1)), Next::Nothing);
    assert_eq!(next(Some(&done), &asked, at(DAY)), Next::Begin);
    assert_eq!(next(Some(&done), &days(60, 30), at(noon)), Next::Begin);
    assert_eq!(next(Some(&done), &asked, at(0)), Next::Nothing, "a clock that went back");
    assert_eq!(next(Some(&Swept { version: 9, ..done }), &asked, at(noon)), Next::Begin);
}

#[test]
fn what_ran_out_of_time_goes_on_where_it_was() {
    let position = Position { part: Part::Runs, after: "runs/plant/hourly/a".into() };
    assert_eq!(next(Some(&swept(None, Some(position.clone()))), &days(90, 30), at(9)), Next::GoOn(position));
    assert_eq!(next(Some(&swept(None, None)), &days(90, 30), at(9)), Next::Begin);
}

#[test]
fn runs_tell_whose_flat_logs_are_and_are_kept_as_long() {
    let now = at(100 * DAY);
    assert_eq!(Cutoffs::at(now, &days(30, 90), false).runs, Some(at(70 * DAY)));
    assert_eq!(Cutoffs::at(now, &days(30, 90), true).runs, Some(at(10 * DAY)));
    assert_eq!(Cutoffs::at(now, &days(90, 30), true).runs, Some(at(10 * DAY)));
    assert_eq!(Cutoffs::at(now, &Retention::default(), true), Cutoffs { runs: None, logs: None, predictions: None });
}

#[test]
fn a_run_without_a_record_may_still_go_on_and_is_kept_longer() {
    let files = [file("r/claim.json", 0), file("r/manifest/index.json", 0)];
    assert!(!run_is_old(&files, "r/record.json", at(30 * DAY)));
    assert!(run_is_old(&files, "r/record.json", at(30 * DAY + 1)));
}

proptest! {
    #[test]
    fn nothing_that_is_young_is_ever_too_old(modified in 0i64..9_000_000, now in 0i64..9_000_000, kept in 1u64..100) {
        let Some(cutoff) = Cutoffs::at(at(now), &days(kept, kept), false).logs else { return Ok(()) };
        let age = now - modified;
        prop_assert_eq!(is_old(&file("x", modified), cutoff), age > i64::try_from(kept).unwrap() * DAY);
    }

    #[test]
    fn a_run_goes_only_when_its_newest_file_is_too_old(times in prop::collection::vec(0i64..10 * DAY, 1..9), cutoff in 0i64..10 * DAY) {
        let mut files: Vec<File> = times.iter().map(|time| file("runs/outcome", *time)).collect();
        files[0].path = "runs/record.json".to_owned();
        prop_assert_eq!(run_is_old(&files, "runs/record.json", at(cutoff)), *times.iter().max().unwrap() < cutoff);
    }

    #[test]
    fn what_is_named_after_a_later_time_is_never_looked_at(named in 0i64..9_000, cutoff in 0i64..9_000) {
        prop_assert_eq!(seek(Some(at(named)), at(cutoff)) == Seek::Take, named < cutoff);
    }
}
