use super::*;

/// What is told of an object with these fields.
fn object(fields: &str) -> String {
    let found = told(&format!("{{{fields}}}"));
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

#[test]
fn objects_come_alone_in_a_row_in_lines_and_in_arrays() {
    for (payload, events) in [
        (EVENT.to_owned(), 1),
        (format!("\u{feff} {EVENT}\n"), 1),
        (format!("{EVENT}{EVENT}"), 2),
        (format!("{EVENT}\r\n{EVENT}\n\n{EVENT}\n"), 3),
        (format!("[{EVENT}, {EVENT}\n,{EVENT}]"), 3),
        (format!("[{EVENT}]\n[{EVENT}] {EVENT}"), 3),
        (EVENT.replace(',', "\n ,\n "), 1),
        ("[]".to_owned(), 0),
    ] {
        assert_eq!(told(&payload), vec![TOLD; events], "{payload}");
    }
}

#[test]
fn fields_stand_in_any_order_among_others() {
    let fields = r#""a":{"TS":[1,{"b":"}"}]},"Value":1,"b":null,"Tag":"t","c":[[],{}],"TS":1767225605,"d":true,"Device":"d","ts":0"#;
    assert_eq!(object(fields), "2026-01-01T00:00:05Z d|t 1");
}

#[test]
fn names_and_texts_may_be_escaped() {
    let fields = r#""\u0054S":"2026-01-01T00:00:05\u005a","Device":"caf\u00e9 \"1\"","Tag":" a\/b ","Value":"\u0031""#;
    assert_eq!(object(fields), "2026-01-01T00:00:05Z café \"1\"|a/b 1");
}

#[test]
fn a_key_that_is_a_number_is_the_text_that_stands_there() {
    let fields = r#""TS":1767225605123,"Device":1.0,"Tag":-0,"Value":-1e-3"#;
    assert_eq!(object(fields), "2026-01-01T00:00:05.123Z 1.0|-0 -0.001");
}

#[test]
fn the_zone_and_the_format_of_times_are_as_is_said() {
    let config = EventConfig {
        time_zone: Some("Europe/Berlin".to_owned()),
        time_format: Some("%d.%m.%Y %H:%M:%S".to_owned()),
        ..EventConfig::default()
    };
    let payload = EVENT.replace("2026-01-01T00:00:05Z", "01.01.2026 01:00:05");
    assert_eq!(told_by(&config, payload.as_bytes()), [TOLD]);
}

#[test]
fn a_field_that_is_not_there_or_is_wrong_is_named() {
    for (good, bad, why) in [
        (r#""TS":"2026-01-01T00:00:05Z","#, "", "there is no TS"),
        (r#""Tag":5,"#, "", "there is no Tag"),
        (r#","Value":12.5"#, "", "there is no Value"),
        (r#""Tag":5"#, r#""Tag":5,"Tag":6"#, "Tag is there twice"),
        ("12.5", "null", "Value is no finite number: null"),
        ("12.5", "true", "Value is no finite number: true"),
        ("12.5", "1e999", "Value is no finite number: 1e999"),
        ("12.5", r#""""#, "Value is no finite number: nothing"),
        ("12.5", r#""NaN""#, "Value is no finite number: NaN"),
        ("12.5", r#""12,5""#, "Value is no finite number: 12,5"),
        ("12.5", "[12.5]", "Value is no finite number: [12.5]"),
        ("2026-01-01T00:00:05Z", "yesterday\\n", "TS is no time: \"yesterday\\n\""),
        (r#""2026-01-01T00:00:05Z""#, "5", "TS is no time: 5"),
        (r#""2026-01-01T00:00:05Z""#, "null", "TS is no time: null"),
        (r#""Tag":5"#, r#""Tag":null"#, "Tag is neither text nor number: null"),
        (r#""Tag":5"#, r#""Tag":true"#, "Tag is neither text nor number: true"),
        (r#""Tag":5"#, r#""Tag":{"a":1}"#, "Tag is neither text nor number: {\"a\":1}"),
        (r#""Tag":5"#, r#""Tag":"  ""#, "Tag is empty:   "),
        (r#""Tag":5"#, r#""Tag":".""#, "Tag is a folder's name: ."),
        (r#""Tag":5"#, r#""Tag":" .. ""#, "Tag is a folder's name:  .. "),
        (r#""Tag":5"#, r#""Tag":"a\\b""#, r#"Tag has a \: "a\\b""#),
        (r#""Tag":5"#, r#""Tag":"a\u001fb""#, r#"Tag has a control character: "a\u001fb""#),
        (r#""Tag":5"#, r#""Tag":"a\tb""#, r#"Tag has a control character: "a\tb""#),
        (r#""Tag":5"#, "\"Tag\":\"a\u{202e}b\"", "Tag has a control character: a\\u{202e}b"),
        (r#""Tag":5"#, r#""Tag":"\ud83d""#, r#"Tag is no Unicode: "\ud83d""#),
    ] {
        let payload = EVENT.replace(good, bad);
        assert_ne!(payload, EVENT);
        assert_eq!(told(&format!("{payload}{EVENT}")), [why, TOLD], "{payload}");
    }
}

#[test]
fn a_key_has_160_bytes_at_most() {
    let with =
        |bytes: usize| object(&EVENT[1..EVENT.len() - 1].replace(":5,", &format!(":\"{}\",", "x".repeat(bytes))));
    assert!(with(160).ends_with("x 12.5"));
    assert!(with(161).starts_with("Tag has more than 160 bytes: xxx"));
}

#[test]
fn what_is_in_an_array_and_no_object_is_told_alone() {
    let payload = format!(r#"[1, "a", [{EVENT}], null, {EVENT}]"#);
    let begins = |at: usize| format!("byte {at} begins no object");
    assert_eq!(told(&payload), [begins(1), begins(4), begins(9), begins(9 + EVENT.len() + 4), TOLD.to_owned()]);
}

#[test]
fn of_a_record_that_breaks_what_came_before_counts() {
    let after = EVENT.len();
    for (rest, why) in [
        ("hello".to_owned(), format!("byte {after} begins no object")),
        (format!("\n,{EVENT}"), format!("byte {} begins no object", after + 1)),
        (format!("{{{EVENT}"), format!("no JSON at byte {}: no name of a field", after + 1)),
        ("{\"TS\"".to_owned(), format!("no JSON at byte {}: no colon behind a name", after + 5)),
        ("{\"TS".to_owned(), format!("no JSON at byte {}: a string does not end", after + 4)),
        ("{\"TS\":1".to_owned(), format!("no JSON at byte {}: an object does not end", after + 7)),
        ("{\"TS\":01}".to_owned(), format!("no JSON at byte {}: no comma between two fields", after + 7)),
        ("{\"TS\":1.}".to_owned(), format!("no JSON at byte {}: a number without digits", after + 8)),
        ("{\"TS\":NaN}".to_owned(), format!("no JSON at byte {}: no value", after + 6)),
        ("{\"TS\":[1}".to_owned(), format!("no JSON at byte {}: a list or object that is none", after + 6)),
        ("{\"TS\":\"\n\"}".to_owned(), format!("no JSON at byte {}: a control character in a string", after + 7)),
        ("{\"TS\":\"\\x\"}".to_owned(), format!("no JSON at byte {}: an escape that there is not", after + 7)),
        ("{\"a\":1,}".to_owned(), format!("no JSON at byte {}: no name of a field", after + 7)),
        ("[1".to_owned(), format!("no JSON at byte {}: an array does not end", after + 2)),
    ] {
        let mut found = told(&format!("{EVENT}{rest}"));
        // What is in an array is told by itself.
        found.retain(|told| rest != "[1" || !told.starts_with("byte "));
        assert_eq!(found, [TOLD.to_owned(), why], "{rest}");
    }
}

#[test]
fn bytes_that_are_no_utf8_are_told_with_their_place() {
    for (rest, at) in [(&b"\xff"[..], 0), (b"{\"a\":\"\xff\"}", 6), (b"[{\"a\":1,\xc3", 8)] {
        let payload = [EVENT.as_bytes(), rest].concat();
        let why = format!("byte {} is no UTF-8", EVENT.len() + at);
        assert_eq!(told_by(&EventConfig::default(), &payload), [TOLD.to_owned(), why]);
    }
}

#[test]
fn lists_may_be_as_deep_as_they_like_where_nobody_looks() {
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    assert_eq!(told(&EVENT.replace('{', &format!("{{\"a\":{deep},"))), [TOLD]);
}
