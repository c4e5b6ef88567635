//! A million rows take no more memory than a few.

use std::path::Path;

use serde_json::json;
use tokio::process::Command;

use crate::plant::{Plant, rows};
use crate::server;

/// Names the folder of the Secret to a process that is started for the measurement alone.
const SECRET: &str = "SQL_TESTS_SECRET";
const ROWS: u64 = 1_000_000;
/// As text they are more than 40 MB, and much more while they wait side by side.
const MOST_KIB: u64 = 200 * 1024;

/// What a process had in memory at most.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_rows_are_scored_in_bounded_memory() {
    let Some(server) = server().await else { return };
    let mut measured = Command::new(std::env::current_exe().unwrap());
    measured.args(["--exact", "--ignored", "--nocapture", "memory::a_process_of_its_own"]);
    measured.env(SECRET, server.secret_dir()).env("MALLOC_ARENA_MAX", "2").kill_on_drop(true);
    let output = measured.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let peak = said.lines().find_map(|line| line.strip_prefix("peak KiB: ")?.parse::<u64>().ok()).unwrap();
    tests::local::tell("sql", &format!("{ROWS} rows: {} MiB at most", peak / 1024));
    assert!(peak < MOST_KIB, "{peak} KiB");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process of its own, which another test starts"]
async fn a_process_of_its_own() {
    let Some(secret) = std::env::var_os(SECRET) else { return };
    let plant = Plant::new().await;
    // The parameters make it one sensor's own.
    let query = format!(
        "SELECT '2026-01-01T00:00:00Z'::timestamptz + n * interval '1 ms' AS ts, 20 + sin(n)::numeric(9, 6) AS value
         FROM generate_series(1, {ROWS}) n WHERE $1 = '1' AND $2 = '1'"
    );
    let list = json!([{"device": "1", "tag": "1"}]);
    let work = json!({"data": rows(&query, &["{device}", "{tag}"]), "sensors": {"list": list}});
    let before = peak_kib();
    let (record, _) = plant.run("million", &work, Some(Path::new(&secret))).await.unwrap();
    assert_eq!((record.totals.succeeded, record.totals.scored), (1, ROWS), "{:#?}", record.outcomes);
    println!("before KiB: {before}");
    println!("peak KiB: {}", peak_kib());
}
