//! What holds of any record.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::config::EventFormat;

/// An event, on its own.
type Owned = (Vec<u8>, Micros, u64);

fn read(config: &EventConfig, payload: &[u8]) -> Vec<Option<Owned>> {
    let mut all = Vec::new();
    Decoder::new(config).unwrap().decode(payload, |index, decoded| {
        assert_eq!(index as usize, all.len());
        all.push(match decoded {
            Decoded::Event(event) => {
                assert!(event.value.is_finite());
                let found: Vec<&str> = keys(event.sensor).collect();
                assert_eq!(found.len(), config.columns.keys.len());
                for key in found {
                    assert!((1..=160).contains(&key.len()) && !key.contains(spec::shown::is_control), "{key:?}");
                }
                Some((event.sensor.to_vec(), event.time, event.value.to_bits()))
            }
            Decoded::Filtered => None,
            Decoded::Malformed(malformed) => {
                let said = malformed.to_string();
                assert!(said.len() < 1000 && !said.contains(spec::shown::is_control), "{said:?}");
                None
            }
        });
    });
    all
}

fn csv() -> EventConfig {
    let names = ["TS", "Device", "Tag", "Value"].map(str::to_owned).to_vec();
    EventConfig { format: EventFormat::Csv, names, ..EventConfig::default() }
}

fn filtered() -> EventConfig {
    EventConfig { filter: Some("a == 1 || Value > 0 || [1, b].exists(x, x == c)".to_owned()), ..EventConfig::default() }
}

/// What serde_json makes of an object: an event as it should be.
fn slowly(object: &Map<String, Value>) -> Option<Owned> {
    let text = |name: &str| match object.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let value: f64 = text("Value")?.trim_ascii().parse().ok().filter(|n: &f64| n.is_finite())?;
    let time = TimeParser::default().parse(text("TS")?.as_bytes())?.as_microsecond();
    let keys = ["Device", "Tag"].map(|name| {
        let key = text(name)?.trim_ascii().to_owned();
        let bad = key.trim().is_empty() || key.len() > 160 || key == "." || key == ".." || key.contains('\\');
        (!bad && !key.contains(spec::shown::is_control)).then_some(key)
    });
    let [Some(device), Some(tag)] = keys else { return None };
    Some((format!("{device}\u{1f}{tag}").into_bytes(), time, value.to_bits()))
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9_.-]{1,8}",
        "\\PC{0,6}",
        "[ a-z\\\\\"/\u{1f}\u{e9}\u{202e}\t\n]{0,5}",
        Just("..".to_owned()),
        "x{158,162}",
    ]
}

fn good_key() -> impl Strategy<Value = String> {
    "[a-z0-9é\",;' {}\\[\\]]{0,6}[a-z0-9é\"{}]".prop_map(|key| key.trim().to_owned())
}

fn field() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        key().prop_map(Value::from),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        Just(json!({"TS": [1, {"a": "]"}], "é\n": "\\"})),
        (1_000_000_000_i64..2_000_000_000).prop_map(Value::from),
        (1_000_000_000_i64..2_000_000_000).prop_map(|s| crate::timestamp(s * 1_000_000).to_string().into()),
        Just(json!("-1.5")),
        (-100_000_i32..100_000).prop_map(|n| Value::from(f64::from(n) / 8.0)),
    ]
}

/// An object that has mostly what it should, in some order.
fn object() -> impl Strategy<Value = Map<String, Value>> {
    let names = prop::sample::select(vec!["TS", "Device", "Tag", "Value", "a", "b\"", "c\u{e9}"]);
    let good = (1_000_000_000_i64..2_000_000_000, good_key(), any::<u32>(), -1e9_f64..1e9).prop_map(
        |(time, device, tag, value)| {
            let value = (value * 16.0).round() / 16.0;
            [("TS", json!(time)), ("Device", json!(device)), ("Tag", json!(tag)), ("Value", json!(value))]
        },
    );
    (good, prop::collection::vec((names, field()), 0..4))
        .prop_map(|(good, more)| good.into_iter().chain(more).map(|(name, value)| (name.to_owned(), value)).collect())
}

/// 0001-01-01T00:00:00Z.
const YEAR_1: i64 = -62_135_596_800_000_000;

fn line() -> impl Strategy<Value = Vec<String>> {
    (good_key(), good_key(), YEAR_1..253_402_207_200_000_000 / 4, any::<f64>()).prop_filter_map(
        "finite",
        |(device, tag, time, value)| {
            value.is_finite().then(|| vec![crate::timestamp(time).to_string(), device, tag, format!("{value:?}")])
        },
    )
}

proptest! {
    #[test]
    fn any_bytes_are_told_in_order(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for config in [EventConfig::default(), csv(), filtered()] {
            read(&config, &bytes);
        }
    }

    #[test]
    fn anything_like_json_is_told_in_order(text in "([\\[\\]{}:, \n]|\"TS\"|\"Value\"|\"[a\\\\\"u]|-?[0-9.e]{1,3}|null|tru|é|\"){0,60}") {
        for config in [EventConfig::default(), csv(), filtered()] {
            read(&config, text.as_bytes());
        }
    }

    #[test]
    fn what_serde_json_reads_is_read_the_same(
        objects in prop::collection::vec(object(), 1..5),
        form in 0..4,
    ) {
        let payload = match form {
            0 => serde_json::to_string(&objects).unwrap(),
            1 => serde_json::to_string_pretty(&objects).unwrap(),
            2 => objects.iter().map(|object| serde_json::to_string(object).unwrap() + "\n").collect(),
            _ => objects.iter().map(|object| serde_json::to_string_pretty(object).unwrap()).collect(),
        };
        prop_assert_eq!(
            read(&EventConfig::default(), payload.as_bytes()),
            objects.iter().map(slowly).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_record_is_json_here_where_it_is_json_there(text in "[\\[{]([\\[\\]{}:, ]|\"a\"|\"\\\\[nxu]|\"|[-0-9.eE]{1,4}|null|true){0,12}") {
        let mut there = serde_json::Deserializer::from_str(&text).into_iter::<serde::de::IgnoredAny>();
        let first = there.next().is_some_and(|value| value.is_ok());
        let cut = &text[..if first { there.byte_offset() } else { text.len() }];
        let mut broken = false;
        Decoder::new(&EventConfig::default()).unwrap().decode(cut.as_bytes(), |_, decoded| {
            broken |= matches!(decoded, Decoded::Malformed(Malformed::NotJson { .. }));
        });
        prop_assert_eq!(first, !broken, "{}", cut);
    }

    #[test]
    fn events_that_are_written_are_read_back(lines in prop::collection::vec(line(), 1..5)) {
        let expected: Vec<Option<Owned>> = lines
            .iter()
            .map(|line| {
                let time: jiff::Timestamp = line[0].parse().unwrap();
                let value: f64 = line[3].parse().unwrap();
                Some((format!("{}\u{1f}{}", line[1], line[2]).into_bytes(), time.as_microsecond(), value.to_bits()))
            })
            .collect();
        let mut writer = ::csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        for line in &lines {
            writer.write_record(line).unwrap();
        }
        prop_assert_eq!(&read(&csv(), &writer.into_inner().unwrap()), &expected);
        let number = |text: &String| serde_json::from_str::<Box<serde_json::value::RawValue>>(text).unwrap();
        let objects: String = lines
            .iter()
            .map(|line| {
                let text = |text: &String| serde_json::to_string(text).unwrap();
                format!(
                    r#"{{"TS":{},"Device":{},"Tag":{},"Value":{}}}"#,
                    text(&line[0]), text(&line[1]), text(&line[2]), number(&line[3])
                )
            })
            .collect();
        prop_assert_eq!(read(&EventConfig::default(), objects.as_bytes()), expected);
    }

    #[test]
    fn a_filter_that_is_true_changes_nothing(objects in prop::collection::vec(object(), 1..4)) {
        let payload = serde_json::to_string(&objects).unwrap();
        let always = EventConfig { filter: Some("true || a == b".to_owned()), ..EventConfig::default() };
        prop_assert_eq!(
            read(&always, payload.as_bytes()),
            read(&EventConfig::default(), payload.as_bytes())
        );
    }
}
