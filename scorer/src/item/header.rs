//! The first line of a sensor's log: which run, sensor and attempt it is of, as `name=value` pairs.

use std::fmt::Write;

use spec::RunRequest;
use store::PlannedSensor;

/// What a log is of.
pub(crate) struct Header<'a> {
    pub(crate) request: &'a RunRequest,
    pub(crate) planned: &'a PlannedSensor,
    pub(crate) index: u32,
    pub(crate) pod_uid: &'a str,
    pub(crate) node: &'a str,
    pub(crate) image: &'a str,
}

impl Header<'_> {
    /// The line's text. What is not known is left out.
    pub(crate) fn text(&self) -> String {
        let Self { request, planned, index, pod_uid, node, image } = self;
        let mut text = format!("run={}/{} item={index}", request.namespace, request.run);
        add(&mut text, "sensor", &planned.sensor.to_string());
        add(&mut text, "attempt", pod_uid);
        add(&mut text, "node", node);
        add(&mut text, "image", image);
        add(&mut text, "tick", &request.tick.to_string());
        if let Some(window) = request.window {
            add(&mut text, "window", &format!("{}/{}", window.start, window.end));
        }
        add(&mut text, "model", &planned.model.path);
        text
    }
}

fn add(text: &mut String, name: &str, value: &str) {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\');
    // Writing to a String does not fail.
    let _ = match value {
        "" => Ok(()),
        value if value.chars().all(plain) => write!(text, " {name}={value}"),
        value => write!(text, " {name}={value:?}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_names_all_that_is_known_in_pairs_that_a_program_can_split() {
        let request: RunRequest = serde_json::from_value(serde_json::json!({
            "namespace": "plant", "schedule": "hourly", "run": "hourly-1", "runUid": "u", "tick": "2018-08-29T01:00:00Z",
            "window": {"start": "2018-08-29T00:00:00Z", "end": "2018-08-29T01:00:00Z"},
            "work": {"store": {"url": "file:///x"}, "model": {"path": "m/{device}"}, "data": {"path": "d.csv"}},
        }))
        .unwrap();
        let planned: PlannedSensor = serde_json::from_value(serde_json::json!({
            "sensor": {"device": "1", "tag": "a \"b\""}, "model": {"path": "m/1"},
        }))
        .unwrap();
        let header =
            Header { request: &request, planned: &planned, index: 3, pod_uid: "ab-1", node: "", image: "scorer:1" };
        assert_eq!(
            header.text(),
            r#"run=plant/hourly-1 item=3 sensor="device=1, tag=a \"b\"" attempt=ab-1 image=scorer:1 tick=2018-08-29T01:00:00Z window=2018-08-29T00:00:00Z/2018-08-29T01:00:00Z model=m/1"#
        );
    }
}
