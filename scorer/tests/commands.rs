//! The commands that need no cluster, as a user types them.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn scorer(folder: &Path, line: &str) -> Output {
    let args = line.split(' ').filter(|a| !a.is_empty());
    Command::new(env!("CARGO_BIN_EXE_scorer")).current_dir(folder).args(args).output().unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "one JSON line: {text}");
    serde_json::from_str(&text).unwrap()
}

fn fails(output: &Output, says: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.contains(says) && output.stdout.is_empty(), "{text}");
}

const SIMULATE: &str = "simulate --devices 1 --tags 2 --start 2026-01-01T00:00:00Z --length 1h --seed 3";

#[test]
fn a_simulated_plant_is_trained_on_and_scored() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let simulated = json(&scorer(here, &format!("{SIMULATE} --output .")));
    assert_eq!((&simulated["sensors"], &simulated["rows"]), (&2.into(), &1440.into()));

    let store = format!("file://{}", here.display());
    let trained = json(&scorer(here, &format!("train --store {store} --models models/model_{{device}}_{{tag}}")));
    assert_eq!((&trained["models"], &trained["failed"]), (&2.into(), &0.into()));

    let what = "score --model models/model_1_2 --input data/sensor_data.csv --where Device=1,Tag=2 --output out.csv";
    let scored = json(&scorer(here, what));
    assert_eq!((&scored["rows"], &scored["bad_rows"]), (&720.into(), &0.into()));
    let labels = std::fs::read_to_string(here.join("data/labels.csv")).unwrap();
    let injected = labels.lines().filter(|l| l.contains(",1,2,") && l.ends_with(",1")).count();
    assert!(injected > 0);
    assert_eq!(scored["anomalies"], injected, "on a plant this small every anomaly is found, and nothing else");
    assert!(scored["seconds"].as_f64().unwrap() > 0.0);

    let first = std::fs::read(here.join("out.csv")).unwrap();
    json(&scorer(here, what));
    assert!(std::fs::read(here.join("out.csv")).unwrap() == first, "the same input gives the same bytes");
}

#[test]
fn a_simulation_has_the_same_bytes_in_a_folder_and_in_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    json(&scorer(here, &format!("{SIMULATE} --output one")));
    json(&scorer(here, &format!("{SIMULATE} --store file://{}/two", here.display())));
    for file in ["data/sensor_data.csv", "data/labels.csv"] {
        assert!(
            std::fs::read(here.join("one").join(file)).unwrap() == std::fs::read(here.join("two").join(file)).unwrap()
        );
    }
}

#[test]
fn what_a_killed_process_was_writing_to_a_folder_is_read_by_nobody_and_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    json(&scorer(here, &format!("{SIMULATE} --output .")));
    std::fs::create_dir_all(here.join("native")).unwrap();
    let left = ["models/model_1_1#1", "models/model_1_9#1", "native/model_1_2#1", "native/model_1_2#2"];
    std::fs::create_dir_all(here.join("models")).unwrap();
    left.iter().for_each(|path| std::fs::write(here.join(path), "half a mod").unwrap());

    let store = format!("--store file://{}", here.display());
    assert_eq!(json(&scorer(here, &format!("train {store}")))["models"], 2);
    assert_eq!(json(&scorer(here, &format!("import {store} --to native/model_{{device}}_{{tag}}")))["imported"], 2);
    for (folder, files) in [("models", 4), ("native", 4)] {
        let all = format!("inspect --all file://{} --models {folder}/model_{{device}}_{{tag}}", here.display());
        let output = scorer(here, &all);
        assert!(String::from_utf8_lossy(&output.stdout).contains("2 load: 2 OneClassSVM"), "{output:?}");
        assert_eq!((output.status.code(), std::fs::read_dir(here.join(folder)).unwrap().count()), (Some(0), files));
    }
}

#[test]
fn a_degenerate_model_is_refused_by_its_sensors_name_and_the_others_are_trained() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let rows = (0..60).map(|i| format!("{i},1,1,5\n{i},1,2,{}\n{i},1,3,x\n", i % 7));
    std::fs::create_dir(here.join("data")).unwrap();
    let data = std::iter::once("TS,Device,Tag,Value\n".to_owned()).chain(rows).collect::<String>();
    std::fs::write(here.join("data/sensor_data.csv"), data).unwrap();
    let models = || {
        let mut names: Vec<_> =
            std::fs::read_dir(here.join("models")).unwrap().map(|f| f.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let train =
        |args: &str| scorer(here, &format!("train --store file://{} --columns value=Value {args}", here.display()));

    let first = train("");
    let (told, printed) = (String::from_utf8_lossy(&first.stderr), String::from_utf8_lossy(&first.stdout));
    assert_eq!(first.status.code(), Some(64));
    assert!(
        told.contains("data/sensor_data.csv: sensor device=1, tag=1: all 60 readings are [5.0]")
            && told.contains("--force"),
        "{told}"
    );
    assert!(told.contains("sensor device=1, tag=3: 0 usable reading(s)"), "{told}");
    assert!(printed.starts_with("{\"models\":1,\"refused\":1,\"failed\":1,\"rows\":60,"), "{printed}");
    assert_eq!(models(), ["model_1_2"]);

    let forced = json(&train("--force --where Device=1,Tag=1"));
    assert_eq!((&forced["models"], &forced["refused"]), (&1.into(), &0.into()));
    assert_eq!(models(), ["model_1_1", "model_1_2"]);
    let inspected = json(&scorer(here, "inspect models/model_1_1 -o json"));
    assert!(inspected["warnings"][0].as_str().unwrap().contains("knows a single point"), "{inspected}");
    let what = "score --model models/model_1_1 --input data/sensor_data.csv --where Device=1,Tag=1 --output out.csv";
    let scored = scorer(here, &format!("{what} --columns value=Value"));
    assert_eq!(json(&scored)["rows"], 60);
    assert!(String::from_utf8_lossy(&scored.stderr).contains("model models/model_1_1: the model has"));
    fails(&train("--nu -1 --where Tag=2"), "nu is -1.0; it must be a number above 0");
    fails(&train("--max-rows 9 --where Tag=2"), "max_rows is 9");
}

#[test]
fn a_sensor_whose_model_cannot_have_its_name_in_a_folder_is_told_and_the_others_are_trained() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let rows = (0..60).map(|i| format!("{i},pump#1,{}\n{i},pump 2,{}\n", i % 7, i % 5));
    std::fs::write(
        here.join("in.csv"),
        std::iter::once("TS,Device,Value\n".to_owned()).chain(rows).collect::<String>(),
    )
    .unwrap();
    let train = |models: &str| {
        scorer(here, &format!("train --store file://{} --data in.csv --models {models}", here.display()))
    };
    let refused = train("models/{device}");
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(64), "{told}");
    assert!(told.contains("path \"models/pump#1\"") && told.contains("ends with # and digits"), "{told}");
    assert!(String::from_utf8_lossy(&refused.stdout).starts_with("{\"models\":1,\"refused\":0,\"failed\":1,"));
    assert!(here.join("models/pump 2").is_file());
    assert_eq!(json(&train("models/{device}.model"))["models"], 2);
}

#[test]
fn what_cannot_be_scored_says_why_and_leaves_the_old_output_alone() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    std::fs::write(here.join("data.csv"), "TS,Device,Tag,Value\nx,1,1,2\n").unwrap();
    std::fs::write(here.join("evil"), b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x0ctouch evidence\x85R.").unwrap();
    std::fs::write(here.join("out.csv"), "old").unwrap();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/sklearn19_one_p4.pkl");
    let wide = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/sklearn19_scale_p4.pkl");
    let try_it = |args: &str| scorer(here, &format!("score --output out.csv {args}"));
    fails(&try_it("--model evil --input data.csv"), "posix.system");
    fails(&try_it("--model none --input data.csv"), "cannot read the model none");
    fails(&try_it(&format!("--model {model} --input none.csv")), "none.csv: cannot read it");
    fails(&try_it(&format!("--model {model} --input data.csv --where Device=9")), "no row has device=9");
    fails(&try_it(&format!("--model {model} --input data.csv --where Place=9")), "no column \"place\"");
    fails(&try_it(&format!("--model {model} --input data.csv --columns tiem=TS")), "--columns tiem=");
    fails(&try_it(&format!("--model {model} --input data.csv")), "takes 1 value(s) per reading, the data has 3");
    fails(&try_it(&format!("--model {wide} --input data.csv --columns value=Value")), "takes 3 value(s)");
    assert_eq!(std::fs::read_to_string(here.join("out.csv")).unwrap(), "old");
    assert!(!here.join("evidence").exists());
    assert_eq!(std::fs::read_dir(here).unwrap().count(), 3, "nothing half-written is left");
}

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/sklearn19_one_p4.pkl");

/// A folder with a model and readings.
fn readings(csv: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(MODEL, folder.path().join("model")).unwrap();
    std::fs::write(folder.path().join("in.csv"), csv).unwrap();
    folder
}

#[test]
fn a_file_of_bad_rows_alone_is_not_scored() {
    let folder = readings("TS,Value\n1,\n2,x\n");
    let scored = scorer(folder.path(), "score --model model --input in.csv --columns value=Value --output out.csv");
    fails(&scored, "in.csv: none of its 2 rows is good; the first is line 2");
    assert!(!folder.path().join("out.csv").exists());
}

#[test]
fn a_file_without_a_header_is_scored_and_trained_on_with_the_names_that_are_said() {
    let rows: String = (0..60).map(|row| format!("01.02.2026 03:00:{row:02};{}\n", row % 7)).collect();
    let folder = readings(&rows);
    let here = folder.path();
    fails(
        &scorer(here, "score --model model --input in.csv --output out.csv"),
        "in.csv: line 1: the first row is no header",
    );
    let said = "--input in.csv --names ts,value --delimiter ; --time-zone Europe/Berlin --input-format csv";
    let scored = json(&scorer(here, &format!("score --model model {said} --format parquet --output out.parquet")));
    assert_eq!(scored["rows"], 60);
    let trained = json(&scorer(here, &format!("train {said} --output trained")));
    assert_eq!(trained["rows"], 60);
    let store = format!("--store file://{} --data in.csv --models m_{{ts}}", here.display());
    fails(
        &scorer(here, &format!("train {store} --names ts,value --time-zone Berlin")),
        "--time-zone: \"Berlin\" is no zone",
    );
    fails(
        &scorer(here, &format!("score --model model --output x {said} --time-format x")),
        "--time-format: \"x\" has no",
    );
}

#[test]
fn the_readings_and_the_model_are_not_written_over() {
    let folder = readings("TS,Value\na,1\n");
    let here = folder.path();
    std::os::unix::fs::symlink("in.csv", here.join("link")).unwrap();
    for output in ["in.csv", "link", "model"] {
        let scored = scorer(here, &format!("score --model model --input in.csv --output {output}"));
        fails(&scored, &format!("cannot write {output}: it is the same file as the input"));
    }
    fails(&scorer(here, "train --input in.csv --output link"), "cannot write link: it is the same file as the input");
    fails(&scorer(here, "import --input model --output ./model --force"), "it is the same file as the input model");
    assert_eq!(std::fs::read_to_string(here.join("in.csv")).unwrap(), "TS,Value\na,1\n");
    assert!(std::fs::read(here.join("model")).unwrap() == std::fs::read(MODEL).unwrap());
}

#[test]
fn a_name_with_control_characters_stays_on_the_line_of_its_message() {
    let folder = readings("TS,Value\na,1\n");
    let name = "no\r\nERROR forged\u{1b}[2K\tmodel";
    let args = ["score", "--model", name, "--input", "in.csv", "--output", "out.csv"];
    let told = Command::new(env!("CARGO_BIN_EXE_scorer")).current_dir(folder.path()).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&told.stderr);
    assert!(text.ends_with('\n') && text.chars().filter(|c| c.is_control()).count() == 1, "{text:?}");
    assert!(text.contains(r"no\r\nERROR forged\x1b[2K\tmodel"), "{text}");
}

#[test]
fn a_reader_that_goes_away_changes_nothing() {
    let folder = readings("TS,Value\na,1\nb,2\n");
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    for line in [
        "score --model model --input in.csv --output out.csv",
        "inspect model",
        "inspect model -o json",
        "score --model none --input in.csv --output out.csv",
    ] {
        let run = |out: Stdio, err: Stdio| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_scorer"));
            let args = line.split(' ');
            command.current_dir(folder.path()).args(args).stdout(out).stderr(err).output().unwrap()
        };
        let whole = run(Stdio::piped(), Stdio::piped());
        let cut = run(closed().into(), Stdio::piped());
        assert_eq!(cut.status, whole.status, "{line}");
        let text = String::from_utf8_lossy(&cut.stderr);
        assert!(!text.contains("panicked") && !text.contains("stdout"), "{line}: {text}");
        assert_eq!(run(closed().into(), closed().into()).status, whole.status, "{line}");
    }
}
