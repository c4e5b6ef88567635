use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::work::Work;

fn check(command: &Value, changes: &Value) -> Result<(), WorkError> {
    let mut work = json!({
        "store": {"url": "file:///x"}, "model": {"path": "models/model_{device}_{tag}"},
        "data": {"path": "data/sensor_data.csv"}, "command": command,
    });
    for (field, value) in changes.as_object().unwrap() {
        work[field] = value.clone();
    }
    serde_json::from_value::<Work>(work).unwrap().check()
}

fn refused(command: &Value, changes: &Value) -> String {
    let error = check(command, changes).unwrap_err();
    assert!(["InvalidCommand", "InvalidPredictions"].contains(&error.reason), "{error}");
    error.to_string()
}

fn command(words: &[&str]) -> Command {
    let command = words.iter().map(|word| (*word).to_owned()).collect();
    Command { command, args: Vec::new(), per_item: false, input: CommandInput::Rows, timeout_seconds: None }
}

#[test]
fn a_command_may_name_the_sensors_keys_its_paths_and_the_window() {
    let words =
        json!({"command": ["python", "/app/predict.py"], "args": ["--sensor={device}/{tag}", "{model}", "{input}"]});
    check(&words, &json!({})).unwrap();
    let window = json!({"command": ["predict", "{window.start}", "{window.end}"]});
    check(&window, &json!({"window": {"length": "1h"}})).unwrap();
    check(&json!({"command": ["predict", "{items}"], "perItem": true}), &json!({})).unwrap();
    check(&json!({"command": ["awk", "{{print $1}}"]}), &json!({})).unwrap();
}

#[test]
fn a_variable_that_is_not_known_is_told_with_those_that_are() {
    let message = refused(&json!({"command": ["predict"], "args": ["{plant}"]}), &json!({}));
    assert_eq!(
        message,
        "scorer.args: \"{plant}\" has {plant}, which is no variable; there are {device}, {tag}, {model}, {input}, \
         {output}. Write {{ and }} for braces"
    );
    let message = refused(&json!({"command": ["predict", "{window.start}"]}), &json!({}));
    assert!(message.starts_with("scorer.command: ") && message.contains("give the schedule a window"), "{message}");
    for (words, hint) in [
        (json!({"command": ["awk", "{print $1}"]}), "write {{ and }} for braces"),
        (json!({"command": ["a", "{device"]}), "without its partner"),
        (json!({"command": ["a", "device}"]}), "without its partner"),
        (json!({"command": ["a", "{items}"]}), "{items}, which is no variable"),
        (json!({"command": ["a", "{model}"], "perItem": true}), "there are {items} (with perItem"),
        (json!({"command": []}), "names no program"),
        (json!({"command": [""]}), "names no program"),
        (json!({"command": ["a", "b\0"]}), "NUL"),
        (json!({"command": vec!["a"; 257]}), "more than 256 words"),
    ] {
        let message = refused(&words, &json!({}));
        assert!(message.contains(hint), "{words}: {message}");
    }
}

#[test]
fn a_key_named_like_a_path_is_refused_only_where_it_matters() {
    let keys = json!({"model": {"path": "models/{model}_{tag}"}});
    check(&json!({"command": ["predict", "{tag}"]}), &keys).unwrap();
    let message = refused(&json!({"command": ["predict", "{model}"]}), &keys);
    assert!(message.contains("SCORING_KEY_MODEL and SCORING_MODEL"), "{message}");
}

#[test]
fn sensors_of_a_command_share_no_file_of_predictions() {
    for layout in ["PerItem", "Partitioned"] {
        let message = refused(&json!({"command": ["predict"]}), &json!({"predictions": {"layout": layout}}));
        assert!(message.starts_with("predictions.layout: ") && message.ends_with("use PerSensor"), "{message}");
    }
}

#[test]
fn a_key_is_told_in_upper_case() {
    assert_eq!(key_variable("device"), "SCORING_KEY_DEVICE");
    assert_eq!(key_variable("line_2"), "SCORING_KEY_LINE_2");
    assert!(is_reserved("SCORING_KEY_X") && is_reserved("SCORING_MODEL") && !is_reserved("SCORING_LOG"));
}

#[test]
fn words_are_filled_in_one_by_one_so_that_a_value_is_never_split() {
    let value = |name: &str| (name == "device").then(|| "a b;{tag}".to_owned());
    let words = command(&["predict", "--x={device}", "{{device}}"]).words(value).unwrap();
    assert_eq!(words, ["predict", "--x=a b;{tag}", "{device}"]);
    assert!(command(&["{model}"]).words(value).is_err());
}

proptest! {
    #[test]
    fn any_word_is_filled_in_or_refused_without_panic(word in "[{}a-z. é]{0,16}") {
        let _ = command(&[&word]).words(|_| Some(String::new()));
    }

    #[test]
    fn a_text_whose_braces_are_doubled_stays_as_it_is(text in "\\PC{0,24}") {
        let word = text.replace('{', "{{").replace('}', "}}");
        prop_assert_eq!(command(&[&word]).words(|_| None).unwrap(), [text]);
    }
}
