//! What the benchmark against Flink takes for equal output.

#[path = "../benches/flink/rows.rs"]
mod rows;

use jiff::Timestamp;
use rows::{Rows, read, same};

const HEADER: &str = "TS,Device,Tag,avg,min,max,count\n";
const OURS: &str = "2026-01-01T00:00:00Z,1,2,0.30000000000000004,0.1,0.2,2\n";
const THEIRS: &str = "\"2026-01-01 00:00:00\",1,2,0.3,0.1,0.2,2\n";

/// Those of files, of windows before five minutes past.
fn rows(files: &[(&str, &str)]) -> anyhow::Result<Rows> {
    let folder = tempfile::tempdir()?;
    for (path, text) in files {
        let path = folder.path().join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
    }
    let end: Timestamp = "2026-01-01T00:05:00Z".parse()?;
    read(folder.path(), end)
}

fn difference(found: &str, wanted: &str) -> anyhow::Result<Option<String>> {
    let (found, wanted) = (rows(&[("part-1", found)])?, rows(&[("data/00/a.csv", wanted)])?);
    Ok(same(&found, &wanted).err().map(|error| error.to_string()))
}

#[test]
fn sums_in_another_order_and_times_written_otherwise_are_equal() {
    assert_eq!(difference(THEIRS, &format!("{HEADER}{OURS}")).unwrap(), None);
}

#[test]
fn each_row_that_is_missing_other_or_too_many_is_a_difference() {
    for (found, wanted, hint) in [
        ("", OURS, "1 of 1 rows differ; device 1, tag 2 at 2026-01-01T00:00:00Z is missing"),
        (THEIRS.replace("0.3,", "0.300001,").as_str(), OURS, "avg: 0.300001"),
        (THEIRS.replace(",2\n", ",3\n").as_str(), OURS, "count: 3"),
        (THEIRS, HEADER, "should not be"),
    ] {
        let told = difference(found, wanted).unwrap().unwrap();
        assert!(told.contains(hint), "{told}");
    }
}

#[test]
fn windows_behind_the_end_and_files_that_are_no_output_are_left_out() {
    let late = THEIRS.replace("00:00:00", "00:05:00");
    let files = [("part-1", late.as_str()), (".part-2.inprogress", THEIRS), ("_watermarks/0.json", "{}")];
    assert_eq!(rows(&files).unwrap(), Rows::new());
}

#[test]
fn a_row_that_is_there_twice_is_an_error() {
    let error = rows(&[("a.csv", OURS), ("b.csv", OURS)]).unwrap_err().to_string();
    assert!(error.contains("a second row of device 1, tag 2"), "{error}");
}

#[test]
fn a_line_that_is_no_row_is_told_with_its_file() {
    let error = format!("{:#}", rows(&[("a.csv", "2026-01-01T00:00:00Z,1,2,x,1,1,1\n")]).unwrap_err());
    assert!(error.contains("a.csv, line 1") && error.contains("\"x\" is no number"), "{error}");
}
