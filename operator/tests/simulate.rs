//! `operator simulate` as a process: exit codes, and what goes where.

use std::process::{Command, Output, Stdio};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

fn operator(words: &[&str]) -> std::io::Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
    command.arg("simulate").args(words).stdin(Stdio::null()).output()
}

#[test]
fn a_table_goes_to_standard_output_and_nothing_else_anywhere() {
    let done = operator(&["-f", EXAMPLES, "--days", "1"]).unwrap();
    assert_eq!(done.status.code(), Some(0));
    assert!(String::from_utf8(done.stdout).unwrap().contains("BreakEven, prewarm Auto"));
    assert_eq!(String::from_utf8(done.stderr).unwrap(), "");
}

#[test]
fn what_is_wrong_goes_to_standard_error_with_its_exit_code() {
    let code = |words: &[&str]| {
        let done = operator(words).unwrap();
        assert!(done.stdout.is_empty() && !done.stderr.is_empty(), "{words:?}: {done:?}");
        done.status.code()
    };
    assert_eq!(code(&["-f", "/no/such/folder"]), Some(1));
    assert_eq!(code(&["-f", EXAMPLES, "--compare-vm-sizes", "M64"]), Some(2));
    assert_eq!(code(&["-f", EXAMPLES, "--days", "0"]), Some(2));
    assert_eq!(code(&[]), Some(2));
}

#[test]
fn who_reads_no_further_than_the_first_line_breaks_nothing() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
    command.args(["simulate", "-f", EXAMPLES, "--days", "1"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), String::from_utf8(done.stderr).unwrap().as_str()), (Some(0), ""));
}
