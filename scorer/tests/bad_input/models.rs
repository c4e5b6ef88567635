//! Models, and their files' names.

use std::os::unix::ffi::OsStrExt;

use super::*;

#[test]
fn a_model_that_is_cut_short_fails_the_sensor() {
    let whole = std::fs::read(model("sklearn19_one_p4.pkl")).unwrap();
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        failed(&outcome("", Some(GOOD.as_bytes()), &whole[..length]), "ModelInvalid", &["models/bad"]);
    }
}

#[test]
fn a_model_that_is_too_large_fails_the_sensor_with_its_size_and_the_limit() {
    let outcome = outcome("", Some(GOOD.as_bytes()), &vec![0x80; (64 << 20) + 1]);
    failed(&outcome, "ModelTooLarge", &["models/bad", "67108865 bytes", "at most 67108864 (64 MiB)", "fewer rows"]);
}

#[test]
fn a_model_of_an_unknown_class_fails_the_sensor_and_names_the_class() {
    // What `pickle.dumps(sklearn.linear_model.LinearRegression)` begins with.
    let pickle = b"\x80\x04\x95\x32\x00\x00\x00\x00\x00\x00\x00\x8c\x14sklearn.linear_model\x94\x8c\x10LinearRegression\x94\x93\x94.";
    let outcome = outcome("", Some(GOOD.as_bytes()), pickle);
    failed(&outcome, "ModelUnsupported", &["models/bad", "LinearRegression"]);
}

#[test]
fn models_whose_names_no_sensor_can_have_are_left_out_and_told_in_the_record() {
    let plant = Plant::new();
    let model = std::fs::read(model("sklearn19_one_p4.pkl")).unwrap();
    for name in ["good", "pad ", ".", "..", "a\\b", "a\tb", &"x".repeat(200)] {
        plant.put(&format!("models/m_{name}"), &model);
    }
    let latin = std::ffi::OsStr::from_bytes(b"models/m_latin\xe9");
    std::fs::write(plant.path().join(latin), &model).unwrap();
    std::fs::write(plant.path().join("models/no\tmodel"), "").unwrap();
    let padded = GOOD.lines().skip(1).map(|row| format!("{row},good\n{row},pad \n")).collect::<String>();
    plant.put("data/all.csv", format!("ts,value,device\n{padded}"));
    let lines = "  model: {path: \"models/m_{device}\"}\n  data: {path: data/all.csv}\n  window: {length: 1h}\n";
    let record = plant.record(lines, AT);
    let of = |at: usize| &record["outcomes"][at];
    assert_eq!((of(0)["sensor"]["device"].as_str(), of(0)["scored"].as_u64()), (Some("good"), Some(3)), "{record}");
    assert_eq!((of(1)["sensor"]["device"].as_str(), of(1)["reason"].as_str()), (Some("pad "), Some("NoReadings")));
    assert_eq!(record["totals"]["sensors"], 2);
    let warnings = record["warnings"].as_array().unwrap();
    let first = warnings[0].as_str().unwrap();
    assert!(
        first.starts_with("6 model(s) are left out; the first is models/m_") && first.contains("rename"),
        "{first}"
    );
    let second = warnings[1].as_str().unwrap();
    assert!(second.starts_with("1 sensor(s) have white space around a key"), "{second}");
}

#[test]
fn a_sensor_whose_name_ends_as_files_do_that_are_being_written_is_told_and_fails_alone() {
    let plant = Plant::new();
    let model = std::fs::read(model("sklearn19_one_p4.pkl")).unwrap();
    for sensor in ["good", "pump#1"] {
        plant.put(&format!("models/{sensor}"), &model);
        plant.put(&format!("data/{sensor}"), GOOD);
    }
    let paths = "  model: {path: \"models/{device}\"}\n  data: {path: \"data/{device}\"}\n  window: {length: 1h}\n";

    let found = plant.record(paths, AT);
    assert_eq!(found["totals"]["sensors"], 1);
    let first = found["warnings"][0].as_str().unwrap();
    assert!(
        first.starts_with("1 model(s) are left out; the first is models/pump#1: ends with # and digits"),
        "{first}"
    );

    let named = plant.record(&format!("{paths}  sensors: {{list: [{{device: good}}, {{device: \"pump#1\"}}]}}\n"), AT);
    assert_eq!(named["outcomes"][0]["status"], "Succeeded", "{named}");
    failed_as(&named["outcomes"][1], "pump#1", "InvalidPath", &["ends with # and digits", "take another name"]);

    let with_endings = paths.replace("{device}", "{device}.x");
    for sensor in ["good", "pump#1"] {
        plant.put(&format!("models/{sensor}.x"), &model);
        plant.put(&format!("data/{sensor}.x"), GOOD);
    }
    let scored = plant.record(&with_endings, AT);
    assert_eq!((&scored["totals"]["sensors"], &scored["totals"]["succeeded"]), (&2.into(), &2.into()), "{scored}");
}
