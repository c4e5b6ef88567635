use super::*;
use crate::config::EventFormat;

fn csv() -> EventConfig {
    let names = ["TS", "Device", "note", "Tag", "Value"].map(str::to_owned).to_vec();
    EventConfig { format: EventFormat::Csv, names, ..EventConfig::default() }
}

fn told_of(payload: &str) -> Vec<String> {
    told_by(&csv(), payload.as_bytes())
}

const LINE: &str = "2026-01-01T00:00:05Z,1,x,5,12.5";

#[test]
fn lines_end_as_they_like_and_blank_ones_are_none() {
    for (payload, events) in [
        (LINE.to_owned(), 1),
        (format!("{LINE}\n"), 1),
        (format!("\u{feff}{LINE}\r\n\r\n{LINE}\n\n   \n{LINE}"), 3),
        ("2026-01-01 00:00:05 , 1,, 5 ,\t12.5 \r\n".to_owned(), 1),
    ] {
        assert_eq!(told_of(&payload), vec![TOLD; events], "{payload:?}");
    }
}

#[test]
fn quotes_hold_delimiters_line_ends_and_quotes() {
    let payload = "\"2026-01-01T00:00:05Z\",\"1\",\"a,\r\n\"\"b\"\"\n\",5,\"12.5\"\r\n".repeat(2);
    assert_eq!(told_of(&payload), [TOLD, TOLD]);
    let payload = format!("{LINE}\n2026-01-01T00:00:05Z,\"a \"\"b\"\"\",5\" pipe,5,12.5\n{LINE}\n");
    assert_eq!(told_of(&payload), [TOLD, "2026-01-01T00:00:05Z a \"b\"|5 12.5", TOLD]);
}

#[test]
fn a_row_with_quotes_may_be_long() {
    for bytes in [200, 255, 256, 257, 100_000] {
        let payload = format!("2026-01-01T00:00:05Z,1,\"{}\",5,12.5\n", "x".repeat(bytes)).repeat(3);
        assert_eq!(told_of(&payload), [TOLD; 3], "{bytes}");
    }
    assert_eq!(told_of(&format!("\"\"{}\n{LINE}", ",".repeat(99))), ["100 fields, but event.names has 5", TOLD]);
}

#[test]
fn a_delimiter_is_what_is_said() {
    let config = EventConfig { delimiter: Some(";".to_owned()), ..csv() };
    assert_eq!(told_by(&config, LINE.replace(',', ";").as_bytes()), [TOLD]);
}

#[test]
fn a_line_of_another_number_of_fields_is_alone_in_it() {
    let payload = format!("{LINE}\n{LINE},\n1,\"2\"\n{LINE}\n");
    assert_eq!(told_of(&payload), [TOLD, "6 fields, but event.names has 5", "2 fields, but event.names has 5", TOLD]);
}

#[test]
fn a_line_with_a_wrong_field_is_alone_in_it() {
    for (good, bad, why) in [
        ("12.5", "", "Value is no finite number: nothing"),
        ("12.5", "inf", "Value is no finite number: inf"),
        ("2026-01-01T00:00:05Z", "TS", "TS is no time: TS"),
        (",5,", ",,", "Tag is empty: nothing"),
        (",5,", ",..,", "Tag is a folder's name: .."),
        (",5,", ",a\u{1f}b,", "Tag has a control character: a\\u{1f}b"),
        (",5,", ",\"a\nb\",", "Tag has a control character: a\\nb"),
    ] {
        assert_eq!(told_of(&format!("{}\n{LINE}", LINE.replace(good, bad))), [why, TOLD], "{bad:?}");
    }
}

#[test]
fn quotes_that_are_never_closed_swallow_nothing_unseen() {
    for open in ["2026-01-01T00:00:05Z,1,\"x,5,12.5", "2026-01-01T00:00:05Z,1,x,5,\"12.5"] {
        assert_eq!(told_of(&format!("{LINE}\n{open}\n{LINE}\n{LINE}\n")), [TOLD, "a quote is never closed"]);
        assert_eq!(told_of(open), ["a quote is never closed"]);
    }
}

#[test]
fn only_keys_need_be_utf8() {
    let line = |note: &[u8], tag: &[u8]| [b"2026-01-01T00:00:05Z,1,", note, b",", tag, b",12.5"].concat();
    assert_eq!(told_by(&csv(), &line(b"caf\xe9", b"5")), [TOLD]);
    assert_eq!(told_by(&csv(), &line(b"x", b"caf\xe9")), ["Tag is no Unicode: caf\u{fffd}"]);
}
