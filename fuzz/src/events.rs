//! Records of Kafka: JSON and CSV, with what a configuration of `ingest` may say of them.

use ingest::config::{EventConfig, EventFormat};
use ingest::event::{Decoded, Decoder, MAX_EVENTS, Malformed, keys};
use serde_json::Value;

/// The first byte says how events are read; the rest is a record. What is in it is told in order, once for each thing, the same
/// each time; an event has keys that a path may have, and a finite number. JSON is what serde_json takes for JSON.
pub fn events(input: &[u8]) {
    let [said, payload @ ..] = input else { return };
    let config = asked(*said);
    let mut decoder = Decoder::new(&config).expect("it is one");
    let told = told(&mut decoder, &config, payload);
    assert_eq!(told, self::told(&mut decoder, &config, payload), "the same again");
    if config.format == EventFormat::Json {
        as_serde_json(payload, &told);
    }
}

/// How events are read, a bit for each question.
fn asked(said: u8) -> EventConfig {
    let bit = |number: u8| said & (1 << number) != 0;
    let mut config = EventConfig::default();
    if bit(0) {
        config.format = EventFormat::Csv;
        config.names = ["TS", "Device", "note", "Tag", "Value"].map(str::to_owned).to_vec();
        config.delimiter = bit(1).then(|| ";".to_owned());
    } else if bit(1) {
        config.columns.keys = ["id", "é", "a", "b"].map(str::to_owned).to_vec();
    }
    if bit(2) {
        config.time_zone = Some("Europe/Berlin".to_owned());
        config.time_format = bit(3).then(|| "%d.%m.%Y %H:%M:%S".to_owned());
    }
    if bit(4) {
        let filter = match bit(0) {
            true => "note != 'test' && Value > 0",
            false => "x == 1 || Value > 0 || [x, y.z, y[0]].exists(i, i == Tag || size(i) > 2)",
        };
        config.filter = Some(filter.to_owned());
    }
    config
}

/// What is told: an event as its parts, and why another thing is none.
#[derive(Debug, PartialEq)]
enum Told {
    Event(Vec<u8>, i64, u64),
    Filtered,
    Malformed(Malformed),
}

fn told(decoder: &mut Decoder, config: &EventConfig, payload: &[u8]) -> Vec<Told> {
    let mut all = Vec::new();
    decoder.decode(payload, |index, decoded| {
        assert_eq!(index as usize, all.len(), "in order");
        all.push(match decoded {
            Decoded::Event(event) => {
                assert!(event.value.is_finite());
                let found: Vec<&str> = keys(event.sensor).collect();
                assert_eq!(found.len(), config.columns.keys.len());
                for key in found {
                    assert!((1..=160).contains(&key.len()) && key == key.trim_ascii(), "{key:?}");
                    assert!(key != "." && key != ".." && !key.contains('\\'), "{key:?}");
                    assert!(!key.contains(spec::shown::is_control), "{key:?}");
                }
                Told::Event(event.sensor.to_vec(), event.time, event.value.to_bits())
            }
            Decoded::Filtered => Told::Filtered,
            Decoded::Malformed(malformed) => {
                let said = malformed.to_string();
                assert!(said.len() < 2000 && !said.contains(spec::shown::is_control), "{said:?}");
                Told::Malformed(malformed)
            }
        });
    });
    assert!(all.len() <= MAX_EVENTS as usize + 1);
    all
}

/// What serde_json reads whole is told whole, and as many things of it.
fn as_serde_json(payload: &[u8], told: &[Told]) {
    let text = payload.strip_prefix("\u{feff}".as_bytes()).unwrap_or(payload);
    let values: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(text).into_iter().collect();
    let Ok(values) = values else { return };
    if values.is_empty() || values.iter().any(|value| !value.is_array() && !value.is_object()) {
        return;
    }
    let count: usize = values.iter().map(|value| value.as_array().map_or(1, Vec::len)).sum();
    if count <= MAX_EVENTS as usize {
        assert_eq!(told.len(), count);
    }
    let broken = |told: &Told| matches!(told, Told::Malformed(Malformed::NotJson { .. } | Malformed::NotUtf8 { .. }));
    assert!(!told.iter().any(broken), "{told:?}");
}
