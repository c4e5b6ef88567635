//! Demand of people's own.

use super::*;

fn numbers(told: &Value, name: &str) -> Vec<f64> {
    told["pools"][0]["policies"].as_array().unwrap().iter().map(|row| row[name].as_f64().unwrap()).collect()
}

#[test]
fn all_policies_are_billed_to_one_end() {
    let (_kept, path) = folder("one.csv", "time,sensors,seconds\n0,10,60\n");
    let told = json_of(&["--trace", &path, "--price", "1"]);
    let end = told["pools"][0]["billedSeconds"].as_f64().unwrap();
    let [break_even, after, never, autoscaler, always] = numbers(&told, "cost").try_into().unwrap();
    assert!((always - end / 3_600.0).abs() < 1e-9, "{always}");
    assert!(after <= break_even && break_even < never && never < always && autoscaler < always, "{told}");
    // The autoscaler is the last to be done: what it takes is less than always on by the time before its node was asked for.
    assert!(always - never < 60.0 / 3_600.0, "{told}");
}

#[test]
fn days_that_are_given_are_billed() {
    let (_kept, path) = folder("one.csv", "time,sensors,seconds\n0,10,60\n");
    let told = json_of(&["--trace", &path, "--days", "1", "--policy", "always-on,never,break-even"]);
    let hours = numbers(&told, "nodeHours");
    assert_eq!((hours[0], told["pools"][0]["billedSeconds"].as_i64()), (24.0, Some(86_400)));
    assert!(hours[1] > 23.0 && hours[2] < 1.0, "{hours:?}");
    let table = simulated(&["--trace", &path, "--days", "1"]).unwrap();
    assert!(table.starts_with("1 day from its first row, seed 42.\n"), "{table}");
    assert!(table.contains("\nAll billed to one end, 1d after the start:\nPOLICY "), "{table}");
}

#[test]
fn a_start_is_refused_as_a_trace_has_its_own() {
    let words = ["simulate", "--trace", "t.csv", "--start", "2026-06-01T00:00:00Z"];
    let error = Cli::try_parse_from(words).err().unwrap();
    assert_eq!(error.exit_code(), 2);
    let told = "'--trace <FILE.csv>' cannot be used with '--start <TIME>'";
    assert!(error.to_string().contains(told), "{error}");
}

#[test]
fn how_long_sensors_take_is_told_by_the_trace_or_the_command_line_and_never_guessed() {
    let (_kept, path) = folder("t.csv", "time,sensors,waiting\n0,10,60\n");
    let error = simulated(&["--trace", &path]).unwrap_err().to_string();
    let expected =
        format!("{path}, line 1: none of the columns time, sensors, waiting says how many seconds a sensor takes");
    assert!(error.starts_with(&expected), "{error}");
    let words = ["--trace", &path, "--seconds-per-sensor", "30"];
    let schedule = json_of(&words)["pools"][0]["schedules"][0].clone();
    assert_eq!((schedule["podSeconds"].as_i64(), schedule["secondsAssumed"].as_bool()), (Some(30), Some(true)));
    assert!(simulated(&words).unwrap().contains("≤ 30s*"));
    let (_kept, path) = folder("t.csv", "time,sensors,duration_s\n0,10,60\n");
    let words = ["--trace", &path, "--seconds-per-sensor", "30"];
    assert!(simulated(&words).unwrap().contains("≤ 1m  "));
    assert!(json_of(&words)["pools"][0]["notes"][0].as_str().unwrap().starts_with("--seconds-per-sensor is not used"));
}

#[test]
fn a_row_that_is_more_than_can_be_simulated_is_named() {
    let (_kept, path) = folder("t.csv", "time,sensors,seconds\n60,1000000,604800\n0,1,1\n");
    let error = simulated(&["--trace", &path]).unwrap_err();
    let expected = format!(
        "{path}, line 2: 1,000,000 sensors of 604800 s, and the rows before, keep 10 nodes busy for more than ten years"
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[test]
fn a_picture_never_overwrites_what_it_is_made_of() {
    let (kept, path) = folder("t.csv", "0,1,1\n");
    let link = kept.path().join("nodes.svg");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for plot in [path.as_str(), link.to_str().unwrap()] {
        let error = simulated(&["--trace", &path, "--plot", plot]).unwrap_err();
        assert_eq!((error.exit_code(), error.to_string().contains("would overwrite")), (2, true), "{error}");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "0,1,1\n");
    let (_kept, manifest) = folder("a.yaml", &format!("{CLUSTER}{}", schedule("")));
    let error = simulated(&["-f", &manifest, "--plot", &manifest]).unwrap_err();
    assert!(error.to_string().ends_with("which is read; name another file"), "{error}");
}
