use super::*;
use crate::config::EventFormat;

fn with(filter: &str) -> EventConfig {
    EventConfig { filter: Some(filter.to_owned()), ..EventConfig::default() }
}

fn with_filter(filter: &str, payload: &str) -> String {
    let found = told_by(&with(filter), payload.as_bytes());
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

fn error(filter: &str) -> String {
    Decoder::new(&with(filter)).unwrap_err().to_string()
}

#[test]
fn an_event_counts_where_the_filter_is_true() {
    for (filter, counts) in [
        (r#"Tag != "test" && Value > -50.0"#, true),
        (r#"Tag == "test" || Value > 13.0"#, false),
        ("Value > 12", true),
        (r#"Device in ["1", "2"]"#, true),
        (r#"TS.startsWith("2026-")"#, true),
        (r#"["5", "6"].exists(tag, tag == Tag)"#, true),
        ("double(Tag) < 5.0", false),
        ("true", true),
    ] {
        assert_eq!(with_filter(filter, EVENT), if counts { TOLD } else { "-" }, "{filter}");
    }
}

#[test]
fn other_fields_are_what_json_says_they_are() {
    let payload = EVENT.replace(
        '{',
        r#"{"n":3,"big":18446744073709551616,"x":0.5,"ok":true,"none":null,"s":"caf\u00e9","o":{"a":[1,"b"]},"#,
    );
    for filter in [
        "n == 3 && n + 1 == 4",
        "big > 1e19",
        "x == 0.5",
        "ok",
        "none == null",
        r#"s == "café""#,
        r#"o.a[1] == "b" && has(o.a) && !has(o.b)"#,
    ] {
        assert_eq!(with_filter(filter, &payload), TOLD, "{filter}");
    }
}

#[test]
fn white_space_around_a_text_is_no_part_of_it_however_it_is_written() {
    for device in ["caf\u{e9} ", "caf\\u00e9 ", " \\u0063af\u{e9}"] {
        let payload = EVENT.replace('{', &format!("{{\"s\":\"{device}\","));
        assert_eq!(with_filter(r#"s == "café""#, &payload), TOLD, "{device}");
    }
}

#[test]
fn a_list_that_is_too_long_is_told_where_it_matters() {
    let list = |count: usize| EVENT.replace('{', &format!("{{\"l\":[{}0],", "1,".repeat(count)));
    assert_eq!(with_filter("l[0] == 1 && l[1] == 1", &list(1000)), TOLD);
    let told = with_filter("l[0] == 1", &list(10_000));
    assert!(told.contains("l is a list or an object of more than 16384 bytes"), "{told}");
    assert_eq!(with_filter("Value > 12.0 || l[0] == 1", &list(10_000)), TOLD);
}

#[test]
fn fields_of_csv_are_texts_but_for_the_value() {
    let config = EventConfig {
        format: EventFormat::Csv,
        names: ["TS", "Device", "Tag", "Value", "n"].map(str::to_owned).to_vec(),
        ..with(r#"n == "3" && Device == "1" && Value == 12.5"#)
    };
    let found = told_by(&config, b"2026-01-01T00:00:05Z,1,5,12.5, 3\n2026-01-01T00:00:05Z,1,5,12.5,4\n");
    assert_eq!(found, [TOLD, "-"]);
}

#[test]
fn what_is_passed_over_need_be_no_event() {
    let found = told_by(
        &with(r#"kind == "reading" && Value > 0.0"#),
        r#"{"kind":"hello"} {"kind":"reading","Value":-1} {"kind":"reading"} {"kind":"reading","Value":1}"#.as_bytes(),
    );
    assert_eq!(found, ["-", "-", "there is no TS", "there is no TS"]);
}

#[test]
fn a_filter_that_is_neither_true_nor_false_of_an_event_makes_it_none() {
    for (filter, why) in [
        ("colour == 1", "event.filter: Undeclared reference to 'colour'"),
        ("Value", "event.filter: it gives no truth value, but a float"),
        ("Tag > 5", "event.filter: "),
        ("1 / 0 == 1", "event.filter: Division by zero of Int(1)"),
    ] {
        let told = with_filter(filter, EVENT);
        assert!(told.starts_with(why) && told.len() < 160, "{told}");
    }
    assert_eq!(with_filter("colour == 1 || Device == '1'", EVENT), TOLD);
}

#[test]
fn a_filter_that_is_none_is_refused_at_once() {
    assert!(error("Value >").starts_with("line 1, column 8 of the expression: "), "{}", error("Value >"));
    assert_eq!(error("Tag.looksLike('p')"), "there is no function looksLike()");
    assert_eq!(error("Tag.matches('p.*')"), "there is no function matches()");
    assert!(error(&vec!["Value"; 60].join(" + ")).starts_with("more than 48 expressions are in one another"));
    assert_eq!(error(&format!("Tag == \"{}\"", "x".repeat(4096))), "4105 bytes; a filter has at most 4096");
    assert!(error("").starts_with("line 1, column "), "{}", error(""));
}

#[test]
fn a_filter_of_csv_asks_for_fields_that_lines_have() {
    let of_csv = |filter: &str| EventConfig {
        format: EventFormat::Csv,
        names: ["TS", "Device", "Tag", "Value"].map(str::to_owned).to_vec(),
        ..with(filter)
    };
    assert!(Decoder::new(&of_csv("[1, 2].exists(x, x == int(Tag)) && type(Value) == double")).is_ok());
    assert_eq!(Decoder::new(&of_csv("[1].exists(x, x == y)")).unwrap_err().to_string(), "y is not among event.names");
    assert_eq!(
        Decoder::new(&of_csv("x == 1 && [1].all(x, true)")).unwrap_err().to_string(),
        "x is not among event.names"
    );
}

#[test]
fn a_filter_as_deep_as_may_be_is_refused_or_answered_on_the_stack_of_a_task() {
    let run = || {
        for (open, middle, close) in [
            ("(", "true", ")"),
            ("[", "1", "]"),
            ("!", "true", ""),
            ("-", "1", ""),
            ("{1:", "1", "}"),
            ("true?true:", "true", ""),
            ("", "1", "+1"),
            ("", "true", "&&true"),
            ("", "true", "==true"),
            ("", "o", ".a"),
            ("", "o", "[0]"),
            ("[1].all(x,", "true", ")"),
        ] {
            let many = (4096 - middle.len()) / (open.len() + close.len());
            for many in [10, 20, 30, 40, many] {
                let filter = format!("{}{middle}{}", open.repeat(many), close.repeat(many));
                if let Ok(mut decoder) = Decoder::new(&with(&filter)) {
                    decoder.decode(EVENT.as_bytes(), |_, _| {});
                }
            }
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}
