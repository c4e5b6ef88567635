use super::*;
use proptest::prelude::*;

fn path(text: &str) -> DataPath {
    text.parse().unwrap()
}

fn window(start: &str, end: &str) -> TimeRange {
    TimeRange { start: start.parse().unwrap(), end: end.parse().unwrap() }
}

fn files(text: &str, start: &str, end: &str) -> Vec<String> {
    path(text).files(Some(window(start, end))).unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn each_of_the_windows_hours_days_months_and_years_has_a_path() {
    let hours = files("data/{yyyy}/{MM}/{dd}/{HH}/*.json", "2018-12-31T22:59:59Z", "2019-01-01T01:00:00Z");
    assert_eq!(
        hours,
        ["data/2018/12/31/22/*.json", "data/2018/12/31/23/*.json", "data/2019/01/01/00/*.json"],
        "the end is not in the window"
    );
    let days = files("raw/{yyyy}-{MM}-{dd}.csv", "2024-02-28T23:00:00Z", "2024-03-01T00:00:00.001Z");
    assert_eq!(days, ["raw/2024-02-28.csv", "raw/2024-02-29.csv", "raw/2024-03-01.csv"]);
    assert_eq!(files("{yyyy}{MM}", "2018-01-31T00:00:00Z", "2018-02-28T00:00:00Z"), ["201801", "201802"]);
    assert_eq!(files("{yyyy}/x", "2018-01-31T00:00:00Z", "2018-02-28T00:00:00Z"), ["2018/x"]);
    assert_eq!(files("{yyyy}{MM}{dd}T{HH}{mm}", "2018-01-31T10:59:30Z", "2018-01-31T11:00:30Z").len(), 2);
    assert_eq!(files("{yyyy}", "2018-01-31T00:00:00Z", "2018-01-31T00:00:00Z"), [""; 0], "an empty window has none");
}

#[test]
fn a_path_without_times_needs_no_window_and_one_with_times_does() {
    assert_eq!(path("data/*.csv").files(None).unwrap()[0].to_string(), "data/*.csv");
    let error = path("data/{yyyy}.csv").files(None).unwrap_err();
    assert!(error.to_string().contains("give window.length"), "{error}");
}

#[test]
fn a_part_of_a_time_needs_the_coarser_ones() {
    for (text, says) in [
        ("{MM}/x", "{MM} without {yyyy}: it would name files of every year; put {yyyy} before it"),
        ("{yyyy}/{dd}", "{dd} without {MM}"),
        ("{yyyy}/{MM}/{dd}/{mm}", "{mm} without {HH}"),
    ] {
        let error = text.parse::<DataPath>().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn what_cannot_be_a_path_is_refused() {
    for text in ["", "/a", "a//b", "../a", "a/{device", "a/}", "{a}{b}", "a/{Device}", "a/{}", "a/**/b", "a/{hh}{DD}"] {
        assert!(text.parse::<DataPath>().is_err(), "{text:?}");
    }
}

#[test]
fn keys_are_filled_in_and_cannot_become_patterns() {
    let sensor = |device: &str| [("device", device)].into_iter().collect::<SensorKeys>();
    let daily = path("raw/{device}/{yyyy}/*.csv");
    assert_eq!(daily.keys(), BTreeSet::from(["device"]));
    assert_eq!(daily.render(&sensor("7")).unwrap(), "raw/7/{yyyy}/*.csv");
    for value in ["*", "{yyyy}", "a/b", "", ".."] {
        assert!(daily.render(&sensor(value)).is_err(), "{value:?}");
    }
    assert_eq!(path("raw/{device}.csv").render(&sensor("a*")).unwrap(), "raw/a*.csv", "this is one file");
}

#[test]
fn too_many_files_are_refused() {
    let minutes = path("{yyyy}{MM}{dd}{HH}{mm}");
    let long = window("2018-01-01T00:00:00Z", "2018-03-12T00:00:00Z");
    assert!(minutes.files(Some(long)).unwrap_err().to_string().contains("more than 100000 files"));
}

proptest! {
    #[test]
    fn every_instants_path_is_there_and_no_other(
        start in 0_i64..4_000_000_000,
        length in 1_i64..3_000_000,
        at in 0.0..1.0_f64,
        finest in 0_usize..5,
    ) {
        let text: String = TimePart::ALL.iter().take(finest + 1).map(|part| format!("{}/", part.braces())).collect();
        let path = path(&format!("{text}x"));
        let instant = |second: i64| Timestamp::from_second(second).unwrap();
        let range = TimeRange { start: instant(start), end: instant(start + length) };
        let files: Vec<String> = path.files(Some(range)).unwrap().iter().map(ToString::to_string).collect();
        let of = |at: Timestamp| {
            let whole = at.strftime("%Y/%m/%d/%H/%M").to_string();
            format!("{}/x", whole.split('/').take(finest + 1).collect::<Vec<_>>().join("/"))
        };
        // One instant of the window, its first, and its last.
        let inside = start + (length as f64 * at) as i64;
        for at in [start, inside.min(start + length - 1), start + length - 1] {
            prop_assert!(files.contains(&of(instant(at))), "{} is not in {:?}", of(instant(at)), files);
        }
        // Ordered, each once, and from the first to the last: none outside.
        prop_assert!(files.is_sorted_by(|a, b| a < b));
        prop_assert_eq!(files.first(), Some(&of(range.start)));
        prop_assert_eq!(files.last(), Some(&of(instant(start + length - 1))));
    }

    #[test]
    fn any_text_parses_or_is_refused_without_panic(text in "[a-z{}*/yMdHm_.]{0,40}") {
        if let Ok(path) = text.parse::<DataPath>() {
            prop_assert_eq!(path.to_string(), text);
        }
    }
}
