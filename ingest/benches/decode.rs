//! How many events a core decodes in a second: `cargo bench -p ingest --bench decode`.

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use ingest::config::{EventConfig, EventFormat};
use ingest::event::{Decoded, Decoder};

const EVENTS: usize = 20_000;
const REPEATS: usize = 60;

fn main() {
    let one = |i: usize| {
        let (second, device, tag) = (i / 20 % 60, i % 20, i % 7);
        format!(r#"{{"TS":"2026-01-01T00:00:{second:02}.123Z","Device":{device},"Tag":{tag},"Value":{}.5}}"#, i % 100)
    };
    let line = |i: usize| format!("2026-01-01T00:00:{:02}.123Z,{},{},{}.5", i / 20 % 60, i % 20, i % 7, i % 100);
    let longer = |i: usize| {
        format!(
            r#"{{"id": "{i:032}", "site": "north", "TS": "2026-01-01T00:00:05.123Z", "Device": "pump-{}", "Tag": "pressure", "Value": {}.25, "quality": {{"good": true, "codes": [1, 2]}}}}"#,
            i % 20,
            i % 100
        )
    };
    let json = EventConfig::default();
    let names = ["TS", "Device", "Tag", "Value"].map(str::to_owned).to_vec();
    let csv = EventConfig { format: EventFormat::Csv, names, ..json.clone() };
    let filtered = EventConfig { filter: Some(r#"Tag != "test" && Value > -50.0"#.to_owned()), ..json.clone() };
    println!("{:<40} {:>12} {:>10}", "records of", "events/s", "MB/s");
    measure("one small JSON object", &json, &each(one));
    measure("100 small JSON objects in lines", &json, &together(one, "", "\n", ""));
    measure("100 small JSON objects in an array", &json, &together(one, "[", ",", "]"));
    measure("one JSON object with more in it", &json, &each(longer));
    measure("one line of CSV", &csv, &each(line));
    measure("100 lines of CSV", &csv, &together(line, "", "\n", ""));
    measure("one small JSON object, with a filter", &filtered, &each(one));
}

fn each(one: impl Fn(usize) -> String) -> Vec<String> {
    (0..EVENTS).map(one).collect()
}

fn together(one: impl Fn(usize) -> String, begin: &str, between: &str, end: &str) -> Vec<String> {
    (0..EVENTS / 100)
        .map(|record| {
            let mut text = begin.to_owned();
            for i in 0..100 {
                let _ = write!(text, "{}{}", if i == 0 { "" } else { between }, one(record * 100 + i));
            }
            text + end
        })
        .collect()
}

fn measure(name: &str, config: &EventConfig, records: &[String]) {
    let Ok(mut decoder) = Decoder::new(config) else { return };
    let bytes: usize = records.iter().map(String::len).sum();
    let mut best = f64::INFINITY;
    for _ in 0..REPEATS {
        let (mut events, mut sum) = (0_usize, 0.0);
        let began = Instant::now();
        for record in records {
            decoder.decode(black_box(record.as_bytes()), |_, decoded| {
                if let Decoded::Event(event) = decoded {
                    events += 1;
                    sum += event.value + event.sensor.len() as f64;
                }
            });
        }
        best = best.min(began.elapsed().as_secs_f64());
        black_box(sum);
        assert_eq!(events, EVENTS, "{name}");
    }
    println!("{name:<40} {:>12.0} {:>10.0}", EVENTS as f64 / best, bytes as f64 / best / 1e6);
}
