//! Whole runs with commands of the user's, in a folder, by the program itself.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;
mod killers;
mod pods;

use std::fs;

use common::Plant;
use serde_json::Value;

const AT: &str = "2026-01-01T01:00:00Z";
const READINGS: &str = "TS,Device,Value,Note\n2026-01-01T00:10:00Z,a,1.5,x\n2026-01-01T00:20:00Z,b,20,y\n\
                        2026-01-01T00:30:00Z,a,,z\n2026-01-01T00:40:00Z,a,odd,z\n2026-01-01T02:00:00Z,a,9,late\n";

/// A plant with two sensors whose command is a shell script.
fn plant(script: &str) -> Plant {
    let plant = Plant::new();
    plant.put("models/model_a", "model of a");
    plant.put("models/model_b", "model of b");
    plant.put("data/readings.csv", READINGS);
    plant.put("predict.sh", script);
    plant
}

fn lines(plant: &Plant, more: &str) -> String {
    let script = plant.path().join("predict.sh");
    format!(
        "  model: {{path: \"models/model_{{device}}\"}}\n  data: {{path: data/readings.csv}}\n  window: {{length: 1h}}\n  \
         retries: 0\n  scorer:\n    image: none\n    command: [sh, {script:?}]\n{more}"
    )
}

/// The record of a run of a script.
fn record(script: &str, more: &str) -> (Plant, Value) {
    let plant = plant(script);
    let record = plant.record(&lines(&plant, more), AT);
    (plant, record)
}

fn outcome<'a>(record: &'a Value, device: &str) -> &'a Value {
    let outcomes = record["outcomes"].as_array().unwrap();
    outcomes.iter().find(|outcome| outcome["sensor"]["device"] == device).unwrap()
}

/// The log of a sensor.
fn log(plant: &Plant, record: &Value, device: &str) -> String {
    let uri = outcome(record, device)["log"].as_str().unwrap().to_owned();
    let root = format!("file://{}/", plant.path().display());
    fs::read_to_string(plant.path().join(uri.strip_prefix(&root).unwrap())).unwrap()
}

fn prediction(plant: &Plant, device: &str) -> String {
    let folder = plant.path().join(format!("predictions/default/plant/device={device}"));
    let file = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    assert!(file.ends_with("20260101T000000Z.csv"), "{file:?}");
    fs::read_to_string(file).unwrap()
}

#[test]
fn what_a_command_writes_becomes_the_predictions_of_its_sensor() {
    let (plant, record) =
        record("cat $SCORING_MODEL $SCORING_INPUT > $SCORING_OUTPUT; echo prediction,1 >> $SCORING_OUTPUT", "");
    // A value is a number or missing; what is neither is a bad row that the command does not get.
    let expected = "model of aTS,Device,Value\n2026-01-01T00:10:00Z,a,1.5\n2026-01-01T00:30:00Z,a,\nprediction,1\n";
    assert_eq!(prediction(&plant, "a"), expected);
    assert_eq!(prediction(&plant, "b"), "model of bTS,Device,Value\n2026-01-01T00:20:00Z,b,20\nprediction,1\n");
    let a = outcome(&record, "a");
    assert_eq!((&a["status"], &a["rows"], &a["badRows"]), (&"Succeeded".into(), &3.into(), &1.into()), "{a}");
    assert_eq!((&a["exitCode"], &a["columns"]["time"]), (&0.into(), &"TS".into()), "{a}");
    assert!(a["peakMemoryBytes"].as_u64().unwrap() > 100_000 && a["cpuSeconds"].is_number(), "{a}");
    assert_eq!(a["modelHash"].as_str().unwrap().len(), 64, "{a}");
}

#[test]
fn rows_and_anomalies_of_its_csv_are_counted() {
    let (_, record) = record("printf 'prediction,score\\n1,2\\n0,1\\n1,0\\n' > $SCORING_OUTPUT", "");
    let a = outcome(&record, "a");
    assert_eq!((&a["scored"], &a["anomalies"]), (&3.into(), &2.into()), "{a}");
    assert_eq!(a["warnings"][0], "the command was given 2 row(s), and its output has 3", "{a}");
}

#[test]
fn a_command_may_leave_out_rows_without_a_value_and_no_others() {
    for (rows, warned) in [("0\\n0\\n", false), ("0\\n", false), ("", true)] {
        let (_, record) = record(&format!("printf 'prediction\\n{rows}' > $SCORING_OUTPUT"), "");
        let a = outcome(&record, "a");
        assert_eq!(a["warnings"].to_string().contains("was given 2 row(s)"), warned, "{a}");
    }
}

#[test]
fn the_means_of_what_a_command_is_given_and_the_rows_of_its_json_lines_are_in_the_outcome() {
    let script = "printf '{\"prediction\":1}\\n{\"prediction\":0}\\n' > \"$SCORING_OUTPUT\"";
    let (_plant, record) = record(script, "  predictions: {format: JsonLines}\n");
    let of = |device| (&outcome(&record, device)["scored"], &outcome(&record, device)["anomalies"]);
    assert_eq!((of("a"), of("b")), ((&2.into(), &1.into()), (&2.into(), &1.into())), "{record}");
    // A missing value has no part in it, nor has a bad row.
    assert_eq!(outcome(&record, "a")["inputMeans"], serde_json::json!([1.5]));
    assert_eq!(outcome(&record, "b")["inputMeans"], serde_json::json!([20.0]));
}

#[test]
fn a_command_finds_its_task_in_its_environment_and_in_its_arguments() {
    let script = "env | grep -v '^PWD\\|^OLDPWD\\|^_=\\|^SHLVL' > $SCORING_OUTPUT; for word; do echo \"arg: $word\" >> $SCORING_OUTPUT; done";
    let more = "    args: [\"--device={device}\", \"{model}\", \"{window.start}\", \"a b{{}}\"]\n    env: [{name: LEVEL, value: \"5\"}]\n";
    let plant = plant(script);
    let secret = [
        ("AZURE_STORAGE_ACCOUNT_KEY", "SECRET"),
        ("AWS_SECRET_ACCESS_KEY", "SECRET"),
        ("SCORING_ITEMS", "SECRET"),
        ("OTHER", "kept"),
    ];
    let record = plant.record_with(&lines(&plant, more), AT, &secret);
    let told = prediction(&plant, "a");
    for line in [
        "SCORING_KEY_DEVICE=a",
        "SCORING_WINDOW_START=2026-01-01T00:00:00Z",
        "SCORING_WINDOW_END=2026-01-01T01:00:00Z",
        "SCORING_TICK=2026-01-01T01:00:00Z",
        "SCORING_SCHEDULE=plant",
        "SCORING_NAMESPACE=default",
        "SCORING_RUN=plant-29453820",
        "LEVEL=5",
        "OTHER=kept",
        "arg: --device=a",
        "arg: 2026-01-01T00:00:00Z",
        "arg: a b{}",
    ] {
        assert!(told.lines().any(|l| l == line), "{line} is not in {told}");
    }
    assert!(!told.contains("SECRET"), "{told}");
    let model = told.lines().find_map(|line| line.strip_prefix("SCORING_MODEL=")).unwrap();
    assert!(model.ends_with("/model/model_a") && told.contains(&format!("arg: {model}\n")), "{told}");
    assert!(!std::path::Path::new(model).exists(), "its files are gone");
    assert_eq!(outcome(&record, "a")["status"], "Succeeded");
}

#[test]
fn a_version_of_a_model_is_called_as_the_published_one_is() {
    let plant = plant("printf '%s\\n' \"${SCORING_MODEL##*/} $(cat \"$SCORING_MODEL\")\" > \"$SCORING_OUTPUT\"");
    for (model, content) in [("a.joblib", "model of a"), ("_versions/a.joblib/v1", "first model of a")] {
        plant.put(&format!("named/{model}"), content);
    }
    let path = "models/model_{device}\"}";
    let version = "named/{device}.joblib\", version: v1}\n  sensors: {list: [{device: a}]}";
    let record = plant.record(&lines(&plant, "").replace(path, version), AT);
    assert_eq!(record["totals"]["succeeded"], 1, "{record}");
    assert_eq!(prediction(&plant, "a"), "a.joblib first model of a\n");
}

#[test]
fn a_failure_says_how_the_command_ended_and_what_it_printed_last() {
    let script = "echo scoring $SCORING_KEY_DEVICE; echo 'Traceback:' >&2; echo \"ValueError: $(printf '\\033')odd\" >&2; exit 3";
    let (plant, record) = record(script, "");
    let a = outcome(&record, "a");
    assert_eq!((&a["status"], &a["reason"], &a["exitCode"]), (&"Failed".into(), &"CommandFailed".into(), &3.into()));
    let message = a["message"].as_str().unwrap();
    assert!(message.contains("failed with exit code 3: ValueError: \\u{1b}odd\n"), "{message}");
    assert!(message.ends_with("Traceback:\nValueError: \\u{1b}odd"), "{message}");
    let log = log(&plant, &record, "a");
    assert!(log.contains("scoring a") && log.contains("Traceback:"), "{log}");
    assert!(!plant.path().join("predictions/default/plant/device=a").exists());
}

#[test]
fn each_end_of_a_command_has_its_reason() {
    for (script, again, reason, words) in [
        ("exit 75", true, "CommandRetry", "asks to be run again"),
        ("kill -SEGV $$", true, "CommandKilled", "SIGSEGV"),
        ("exit 0", false, "NoOutput", "there is no "),
        ("mkdir $SCORING_OUTPUT", false, "NoOutput", "is no regular file"),
        (": > $SCORING_OUTPUT", false, "NoOutput", "is empty"),
        ("exit 255", false, "CommandFailed", "it printed nothing"),
    ] {
        let (_, record) = record(script, "");
        let a = outcome(&record, "a");
        assert_eq!((&a["reason"], &a["status"]), (&reason.into(), &"Failed".into()), "{script}: {a}");
        let message = a["message"].as_str().unwrap();
        assert!(message.contains(words) && message.ends_with("; no attempt is left") == again, "{script}: {a}");
    }
}

#[test]
fn a_command_that_takes_too_long_for_one_sensor_is_ended_and_the_others_are_scored() {
    let script =
        "echo at $SCORING_KEY_DEVICE; [ $SCORING_KEY_DEVICE = a ] && exec sleep 600; echo done > $SCORING_OUTPUT";
    let (_plant, record) = record(script, "    timeoutSeconds: 1\n");
    let a = outcome(&record, "a");
    assert_eq!((&a["status"], &a["reason"]), (&"Failed".into(), &"DeadlineExceeded".into()), "{a}");
    let message = a["message"].as_str().unwrap();
    assert!(message.contains("(SIGTERM): it took longer than 1 s (scorer.timeoutSeconds): at a"), "{message}");
    assert_eq!(outcome(&record, "b")["status"], "Succeeded", "{record}");
}

#[test]
fn a_command_that_is_not_there_is_told_with_where_it_was_looked_for() {
    let plant = plant("");
    plant.put("text", "no program");
    let text = plant.path().join("text");
    for (command, words) in [
        ("no-such-program", "it is in no folder of PATH"),
        ("/no/such", "the image has no such file"),
        (text.to_str().unwrap(), "chmod a+rx"),
    ] {
        let lines = lines(&plant, "").replace("command: [sh,", &format!("command: [{command:?},"));
        let record = plant.record(&lines, AT);
        let a = outcome(&record, "a");
        assert_eq!((&a["reason"], &a["status"]), (&"CommandNotFound".into(), &"Failed".into()), "{a}");
        let message = a["message"].as_str().unwrap();
        assert!(message.contains(words) && message.contains(command), "{message}");
    }
}

#[test]
fn files_may_be_handed_over_as_they_are() {
    let plant = plant("cat $SCORING_INPUT/data/*.csv > $SCORING_OUTPUT");
    let record = plant.record(&lines(&plant, "    input: Files\n"), AT);
    assert_eq!(prediction(&plant, "a"), READINGS);
    let a = outcome(&record, "a");
    assert_eq!((&a["scored"], &a["columns"]), (&5.into(), &Value::Null), "{a}");
}

#[test]
fn a_command_may_be_run_once_for_all_sensors_of_an_item() {
    let script = "echo run >> $1/count; cp $SCORING_ITEMS $1/items; while read -r line; do
        output=$(echo \"$line\" | sed 's/.*\"output\":\"\\([^\"]*\\)\".*/\\1/')
        error=$(echo \"$line\" | sed 's/.*\"error\":\"\\([^\"]*\\)\".*/\\1/')
        case $line in *'\"device\":\"a\"'*) echo prediction > $output;; *) echo 'no such pump' > $error;; esac
    done < $2";
    let plant = plant(script);
    let more =
        format!("    args: [{:?}, \"{{items}}\"]\n    perItem: true\n  packing: {{sensorsPerPod: 2}}\n", plant.path());
    let record = plant.record(&lines(&plant, &more), AT);
    assert_eq!(fs::read_to_string(plant.path().join("count")).unwrap(), "run\n");
    assert_eq!(prediction(&plant, "a"), "prediction\n");
    let (a, b) = (outcome(&record, "a"), outcome(&record, "b"));
    assert_eq!((&a["status"], &a["exitCode"]), (&"Succeeded".into(), &0.into()), "{a}");
    assert_eq!((&b["status"], &b["reason"]), (&"Failed".into(), &"CommandFailed".into()), "{b}");
    assert!(b["message"].as_str().unwrap().ends_with("the command says: no such pump"), "{b}");
    let items = fs::read_to_string(plant.path().join("items")).unwrap();
    let first: Value = serde_json::from_str(items.lines().next().unwrap()).unwrap();
    assert_eq!(first["sensor"]["device"], "a", "{items}");
}

#[test]
fn sensors_without_model_or_readings_fail_without_a_run_of_the_command() {
    let plant = plant("echo $SCORING_KEY_DEVICE > $SCORING_OUTPUT");
    plant.put("models/model_c", "model of c");
    let record = plant.record(&lines(&plant, ""), AT);
    let c = outcome(&record, "c");
    assert_eq!((&c["reason"], &c["exitCode"]), (&"NoReadings".into(), &Value::Null), "{c}");
    assert_eq!(outcome(&record, "a")["status"], "Succeeded");
}
