use super::*;

const SMALLEST: &str = r#"apiVersion: batchscoring.dev/v1alpha1
kind: ScoringSchedule
metadata: {name: hourly}
spec:
  clusterRef: {name: cpu}
  schedule: "@hourly"
  store: {url: https://ACCOUNT.blob.core.windows.net}
  model: {path: "models/model_{device}_{tag}"}
  data: {path: data/sensor_data.csv}
"#;

fn error(text: &str) -> String {
    Schedule::parse("schedule.yaml", text).unwrap_err().to_string()
}

#[test]
fn the_smallest_manifest_makes_a_request() {
    let schedule = Schedule::parse("schedule.yaml", SMALLEST).unwrap();
    let at: Timestamp = "2018-08-29T01:00:30Z".parse().unwrap();
    let request = schedule.request(at, "local-1".into(), Some("file:///tmp/plant")).unwrap();
    assert_eq!((request.namespace.as_str(), request.run.as_str()), ("default", "hourly-25591740"));
    assert_eq!(request.work.store.url, "file:///tmp/plant");
    assert_eq!(request.window, None);
}

#[test]
fn a_window_follows_from_the_tick() {
    let text = SMALLEST.replace("  data:", "  window: {length: 1h, delay: 30s}\n  data:");
    let at: Timestamp = "2018-08-29T01:00:30Z".parse().unwrap();
    let request = Schedule::parse("s.yaml", &text).unwrap().request(at, "local-1".into(), None).unwrap();
    let window = request.window.unwrap();
    assert_eq!(window.start.to_string(), "2018-08-29T00:00:00Z");
    assert_eq!(window.end.to_string(), "2018-08-29T01:00:00Z");
}

#[test]
fn a_window_without_length_reaches_from_tick_to_tick() {
    let request = |schedule: &str| {
        let text = SMALLEST.replace("\"@hourly\"", schedule).replace("  data:", "  window: {}\n  data:");
        let at: Timestamp = "2018-08-29T13:30:00Z".parse().unwrap();
        Schedule::parse("s.yaml", &text).unwrap().request(at, "local-1".into(), None)
    };
    let window = request("\"@hourly\"").unwrap().window.unwrap();
    assert_eq!(
        (window.start.to_string().as_str(), window.end.to_string().as_str()),
        ("2018-08-29T12:00:00Z", "2018-08-29T13:00:00Z")
    );
    let zoned = request("\"0 6,14 * * *\"\n  timeZone: Europe/Berlin").unwrap().window.unwrap();
    assert_eq!(zoned.end.to_string(), "2018-08-29T12:00:00Z");
    assert!(request("often").unwrap_err().to_string().starts_with("field spec.schedule: "));
    assert!(request("null").unwrap_err().to_string().starts_with("field spec.window: "));
}

#[test]
fn a_wrong_field_is_named_with_its_file_and_line() {
    for (from, to, line, words) in [
        ("  data: {path: data/sensor_data.csv}", "  data:\n    paht: x", 10, vec!["spec.data.paht", "unknown field"]),
        ("  schedule:", "  shedule:", 6, vec!["shedule", "unknown field"]),
        ("models/model_{device}_{tag}", "models/{device", 8, vec!["spec.model", "brace"]),
        ("  data:", "  packing: {sensorsPerPod: many}\n  data:", 9, vec!["spec.packing", "sensorsPerPod: many"]),
        ("  data:", "  retries: -1\n  data:", 9, vec!["spec.retries", "a whole number from 0 to 4294967295"]),
        (
            "  data:",
            "  maxFailedSensors: -1\n  data:",
            9,
            vec!["spec.maxFailedSensors", "a whole number from 0, such as 5"],
        ),
        ("  data:", "  store: {url: https://b}\n  data:", 9, vec!["spec.store", "store is there twice; write it once"]),
        ("  data:", "  window:\n    length: 5 minutes\n  data:", 10, vec!["spec.window.length", "5m"]),
    ] {
        let message = error(&SMALLEST.replace(from, to));
        assert!(message.starts_with(&format!("schedule.yaml, line {line}, field ")), "{message}");
        assert!(words.iter().all(|w| message.contains(w)), "{words:?}: {message}");
    }
    let message = error(&SMALLEST.replace("  store: {url: https://ACCOUNT.blob.core.windows.net}\n", ""));
    assert!(message.contains("schedule.yaml") && message.contains("store"), "{message}");
}

#[test]
fn a_file_may_hold_other_documents_and_lines_stay_true() {
    let cluster = "# a pool\napiVersion: batchscoring.dev/v1alpha1\nkind: ScoringCluster\nmetadata: {name: cpu}\n---\n";
    Schedule::parse("both.yaml", &format!("{cluster}{SMALLEST}---\n")).unwrap();
    let message = error(&format!("{cluster}{}", SMALLEST.replace("  schedule:", "  shedule:")));
    assert!(message.contains("line 11"), "{message}");
    assert!(error(cluster).contains("holds no ScoringSchedule"));
    assert!(error(&format!("{SMALLEST}---\n{SMALLEST}")).contains("more than one"));
    assert!(error(&SMALLEST.replace("v1alpha1", "v1")).contains("v1alpha1"));
}

#[test]
fn failed_sensors_are_tolerated_as_the_operator_does() {
    let with =
        |tolerance: &str| Schedule::parse("s.yaml", &format!("{SMALLEST}  maxFailedSensors: {tolerance}\n")).unwrap();
    assert!(with("2").tolerates(2, 10) && !with("2").tolerates(3, 10));
    assert!(with("20%").tolerates(2, 10) && !with("20%").tolerates(3, 10));
    let default = Schedule::parse("s.yaml", SMALLEST).unwrap();
    assert!(default.tolerates(9, 10) && !default.tolerates(10, 10));
    assert!(Schedule::parse("s.yaml", &format!("{SMALLEST}  maxFailedSensors: many\n")).is_err());
}

#[test]
fn every_field_of_the_custom_resource_is_known() {
    let crd = include_str!("../../../charts/batch-scoring/crds/scoringschedules.yaml");
    let crd: serde_json::Value = serde_saphyr::from_str(crd).unwrap();
    let fields = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    for field in fields.as_object().unwrap().keys() {
        let message = Schedule::parse("s.yaml", &format!("{SMALLEST}  {field}: null\n"))
            .map_or_else(|e| e.to_string(), |_| String::new());
        assert!(!message.contains("unknown field"), "{message}");
    }
}
