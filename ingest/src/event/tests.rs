use super::*;

mod csv;
mod filter;
mod json;
mod properties;

/// What is found in a record, in the order in which it is told: events as texts, why others are none, `-` for what is passed over.
fn told_by(config: &EventConfig, payload: &[u8]) -> Vec<String> {
    let mut told = Vec::new();
    let mut decoder = Decoder::new(config).unwrap();
    decoder.decode(payload, |index, decoded| {
        assert_eq!(index as usize, told.len(), "told in order");
        told.push(match decoded {
            Decoded::Event(event) => {
                let sensor: Vec<&str> = keys(event.sensor).collect();
                format!("{} {} {}", crate::timestamp(event.time), sensor.join("|"), event.value)
            }
            Decoded::Filtered => "-".to_owned(),
            Decoded::Malformed(malformed) => malformed.to_string(),
        });
    });
    told
}

fn told(payload: &str) -> Vec<String> {
    told_by(&EventConfig::default(), payload.as_bytes())
}

const EVENT: &str = r#"{"TS":"2026-01-01T00:00:05Z","Device":1,"Tag":5,"Value":12.5}"#;
const TOLD: &str = "2026-01-01T00:00:05Z 1|5 12.5";

#[test]
fn a_decoder_goes_where_its_task_goes() {
    fn is_send<T: Send>() {}
    is_send::<Decoder>();
}

#[test]
fn an_empty_record_is_told_as_that() {
    for payload in ["", " \r\n", "\u{feff}"] {
        assert_eq!(told(payload), ["it is empty"], "{payload:?}");
    }
}

#[test]
fn a_record_after_a_broken_one_is_read_as_ever() {
    let mut decoder = Decoder::new(&EventConfig::default()).unwrap();
    let mut good = 0;
    for payload in ["{\"TS\":", EVENT, "{\"Device\":7}", EVENT] {
        decoder.decode(payload.as_bytes(), |_, decoded| good += usize::from(matches!(decoded, Decoded::Event(_))));
    }
    assert_eq!(good, 2);
}

#[test]
fn a_record_of_too_many_events_is_read_up_to_the_limit() {
    let payload = EVENT.repeat(MAX_EVENTS as usize + 2);
    let found = told(&payload);
    assert_eq!(found.len(), MAX_EVENTS as usize + 1);
    assert_eq!(found.last().unwrap(), "more than 100000 events in a record; the rest is not read");
    assert_eq!(found[MAX_EVENTS as usize - 1], TOLD);
    assert_eq!(told(&EVENT.repeat(MAX_EVENTS as usize)).last().unwrap(), TOLD);
}
