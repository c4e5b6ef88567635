//! The command as people type it, without a process.

use clap::Parser;
use serde_json::Value;
use tempfile::TempDir;

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    arguments: Arguments,
}

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

fn arguments(words: &[&str]) -> Arguments {
    Cli::try_parse_from(std::iter::once(&"simulate").chain(words)).unwrap_or_else(|error| panic!("{error}")).arguments
}

fn simulated(words: &[&str]) -> Result<String, SimulateError> {
    let mut out = Vec::new();
    simulate(&arguments(words), &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn json_of(words: &[&str]) -> Value {
    let words: Vec<&str> = words.iter().chain(&["-o", "json"]).copied().collect();
    serde_json::from_str(&simulated(&words).unwrap()).unwrap()
}

/// A folder with one file.
fn folder(name: &str, text: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path.display().to_string())
}

const CLUSTER: &str = "apiVersion: batchscoring.dev/v1alpha1
kind: ScoringCluster
metadata: {name: cpu}
spec:
  nodePool: {aks: {subscriptionId: s, resourceGroup: g, clusterName: c, agentPool: p}}
  maxNodes: 4
  nodeCapacity: {cpu: '4', memory: 16Gi}
  scaleDown: {policy: After, after: 5m}
";

fn schedule(spec: &str) -> String {
    format!(
        "---
apiVersion: batchscoring.dev/v1alpha1
kind: ScoringSchedule
metadata: {{name: hourly, namespace: plant}}
spec:
  clusterRef: {{name: cpu}}
  schedule: \"@hourly\"
  store: {{url: az://models}}
  model: {{path: 'models/{{device}}'}}
  data: {{path: d.csv}}
{spec}"
    )
}

#[test]
fn the_examples_give_the_same_table_for_the_same_seed() {
    let words = ["-f", EXAMPLES, "--days", "2", "--price", "0.192", "--request-price", "reads=0.004,writes=0.05"];
    let table = simulated(&words).unwrap();
    let told = "if that is meant: operator simulate -f examples --days 2 --price 0.192 --request-price \
                reads=0.004,writes=0.05 > operator/src/simulate/examples.txt";
    assert_eq!(table, include_str!("examples.txt"), "{told}");
    let other: Vec<&str> = words.iter().chain(&["--seed", "7"]).copied().collect();
    assert_ne!(simulated(&other).unwrap(), table);
}

#[test]
fn what_manifests_say_counts_and_what_they_do_not_comes_from_options() {
    let sensors = "  sensors: {matrix: {device: [a, b, c], line: ['1', '2']}}
  packing: {sensorsPerPod: 4}
  scorer: {resources: {requests: {cpu: '2'}}}
";
    let (_kept, path) = folder("a.yaml", &format!("{CLUSTER}{}", schedule(sensors)));
    let told =
        json_of(&["-f", &path, "--days", "1", "--seconds-per-sensor", "9", "--seconds-per-sensor", "plant/hourly=3"]);
    let pool = &told["pools"][0];
    assert_eq!((pool["maxNodes"].as_u64(), pool["nodeCapacityAssumed"].as_bool()), (Some(4), Some(false)));
    let schedule = &pool["schedules"][0];
    assert_eq!((schedule["sensors"].as_u64(), schedule["sensorsAssumed"].as_bool()), (Some(6), Some(false)));
    // Four sensors of a pod, two at a time on two cores, three seconds each.
    assert_eq!((schedule["pods"].as_u64(), schedule["podSeconds"].as_i64()), (Some(2), Some(6)));
    assert_eq!(schedule["runs"].as_u64(), Some(24));
    let policies: Vec<&str> =
        pool["policies"].as_array().unwrap().iter().filter_map(|row| row["policy"].as_str()).collect();
    let as_set = "After 5m, prewarm Auto (as set)";
    let all = ["BreakEven, prewarm Auto", "After 5m", "Never", "cluster-autoscaler", "always on"];
    assert_eq!((policies[0], &policies[1..]), (as_set, all.as_slice()));
    assert!(pool["policies"][0].get("cost").is_none());
    let always = &pool["policies"][5];
    assert_eq!(always["startsLate"]["most"].as_i64(), Some(7), "{always}");
}

#[test]
fn policies_are_chosen_and_their_prewarm_too() {
    let chosen = ["--policy", "never,After=90s", "--policy", "Break-Even", "--prewarm", "2m"];
    let words: Vec<&str> = ["-f", EXAMPLES, "--days", "1"].into_iter().chain(chosen).collect();
    let told = json_of(&words);
    let rows = told["pools"][0]["policies"].as_array().unwrap();
    let policies: Vec<&str> = rows.iter().filter_map(|row| row["policy"].as_str()).collect();
    assert_eq!(policies, ["Never, prewarm 2m", "After 1m30s, prewarm 2m", "BreakEven, prewarm 2m"]);
}

#[test]
fn what_a_pool_has_set_is_compared_and_what_it_has_measured_counts() {
    let come = vec!["40"; 20].join(", ");
    let status =
        format!("status:\n  provisioning: {{p50Seconds: 40, p95Seconds: 70, drainSeconds: 30, come: [{come}]}}\n");
    let set = CLUSTER.replace("{policy: After, after: 5m}", "{policy: BreakEven}\n  prewarm: 5m") + &status;
    let (_kept, path) = folder("a.yaml", &format!("{set}{}", schedule("")));
    let pool = json_of(&["-f", &path, "--days", "1"])["pools"][0].clone();
    let policies: Vec<&str> =
        pool["policies"].as_array().unwrap().iter().filter_map(|row| row["policy"].as_str()).collect();
    let ours =
        ["BreakEven, prewarm 5m (as set)", "BreakEven, prewarm Auto", "After 1m, prewarm 5m", "Never, prewarm 5m"];
    assert_eq!(policies[..4], ours);
    assert_eq!(pool["provisioningSeconds"], serde_json::json!({"p50": 40, "p95": 70}));
    let told = json_of(&["-f", &path, "--days", "1", "--provisioning", "p50=1m,p95=2m"]);
    assert_eq!(told["pools"][0]["provisioningSeconds"]["p95"].as_u64(), Some(120));
}

#[test]
fn a_price_is_that_of_all_node_hours() {
    let told = json_of(&["-f", EXAMPLES, "--days", "1", "--price", "2", "--request-price", "10000"]);
    for row in told["pools"].as_array().unwrap().iter().flat_map(|pool| pool["policies"].as_array().unwrap()) {
        let number = |name: &str| row[name].as_f64().unwrap();
        assert!((number("cost") - 2.0 * number("nodeHours")).abs() < 1e-6, "{row}");
        let requests: f64 =
            ["reads", "writes", "lists"].iter().map(|kind| row["storeRequests"][kind].as_f64().unwrap()).sum();
        assert!((number("storeCost") - requests).abs() < 1e-6, "{row}");
    }
}

#[test]
fn a_pool_that_has_a_price_costs_that_unless_another_is_given() {
    let priced = CLUSTER.replace("maxNodes: 4", "maxNodes: 4\n  price: {nodeHour: \"0.25\", currency: EUR}");
    let (_kept, path) = folder("a.yaml", &format!("{priced}{}", schedule("")));
    let cost = |words: &[&str]| {
        let told = json_of(&[&["-f", path.as_str(), "--days", "1", "--policy", "Never"], words].concat());
        let (pool, row) = (&told["pools"][0], &told["pools"][0]["policies"][0]);
        let price = row["cost"].as_f64().unwrap() / row["nodeHours"].as_f64().unwrap();
        (format!("{price:.2}"), pool["currency"].as_str().unwrap().to_owned())
    };
    assert_eq!(cost(&[]), ("0.25".to_owned(), "EUR".to_owned()));
    assert_eq!(cost(&["--price", "2", "--currency", "CHF"]), ("2.00".to_owned(), "CHF".to_owned()));
    assert!(simulated(&["-f", &path, "--days", "1"]).unwrap().contains("COST EUR"));
}

#[test]
fn ticks_that_come_during_a_run_are_missed_and_told() {
    let (_kept, path) = folder("a.yaml", &format!("{CLUSTER}{}", schedule("  deadline: 30m\n")));
    let table =
        simulated(&["-f", &path, "--days", "1", "--seconds-per-sensor", "3000", "--policy", "BreakEven"]).unwrap();
    assert!(table.contains("plant/hourly misses 12 of 24 ticks: a run takes 1h40m9s at best"), "{table}");
    assert!(table.contains("longer than its deadline, 30m"), "{table}");
}

#[test]
fn suspended_schedules_and_paused_pools_are_told() {
    let paused = CLUSTER.replace("maxNodes: 4", "maxNodes: 4\n  paused: true");
    let (_kept, path) = folder("a.yaml", &format!("{paused}{}", schedule("  suspend: true\n")));
    let told = json_of(&["-f", &path, "--days", "1"]);
    assert_eq!(told["pools"][0]["policies"][0]["nodeHours"].as_f64(), Some(0.0));
    assert_eq!(told["pools"][0]["notes"].as_array().unwrap().len(), 2);
}

#[test]
fn a_budget_is_left_out_and_that_is_told() {
    let priced = "maxNodes: 4\n  price: {nodeHour: 1}\n  budget: {month: 5}";
    let (_kept, path) = folder("a.yaml", &format!("{}{}", CLUSTER.replace("maxNodes: 4", priced), schedule("")));
    let told = json_of(&["-f", &path, "--days", "1"]);
    assert_eq!(told["pools"][0]["notes"][0], "pool cpu has a budget; it is simulated as if it had none");
}

#[test]
fn a_trace_stands_in_the_place_of_schedules_on_the_pool_of_the_manifests() {
    let (_trace, path) = folder("trace.csv", "time,sensors,seconds\n3600,40,60\n0,20,30\n7200,0,1\n");
    let (_kept, cluster) = folder("a.yaml", &format!("{CLUSTER}{}", schedule("")));
    let told = json_of(&["-f", &cluster, "--trace", &path]);
    let pool = &told["pools"][0];
    assert_eq!((pool["pool"].as_str(), pool["maxNodes"].as_u64()), (Some("cpu"), Some(4)));
    assert_eq!(pool["schedules"][0]["runs"].as_u64(), Some(2));
    assert!(told["notes"][0].as_str().unwrap().contains("in the place of 1 ScoringSchedules"), "{told}");
    // Nobody knew, so both runs wait for nodes; where they are foretold, the second does not.
    let p50 = |told: &Value| told["pools"][0]["policies"][0]["startsLate"]["p50"].as_i64().unwrap();
    assert!(p50(&told) > 20, "{told}");
    let foretold = json_of(&["--trace", &path, "--foretold", "--node-capacity", "cpu=4", "--max-nodes", "4"]);
    assert!(p50(&foretold) < 20, "{foretold}");
    let cut = json_of(&["--trace", &path, "--days", "1"]);
    assert_eq!(cut["pools"][0]["schedules"][0]["runs"].as_u64(), Some(2));
}

#[test]
fn sizes_are_compared_with_as_many_cores_and_what_does_not_fit_is_told() {
    let list = "D2s_v5=0.1,D16s_v5=0.8,tiny:1:1=0.01";
    let told = json_of(&["-f", EXAMPLES, "--days", "1", "--compare-vm-sizes", list]);
    let sizes = told["pools"][0]["sizes"].as_array().unwrap();
    let nodes: Vec<u64> = sizes.iter().filter_map(|size| size["maxNodes"].as_u64()).collect();
    // 10 nodes of 3,800m; 1,600m, 15,440m and 640m are left of 2, 16 and 1 cores.
    assert_eq!(nodes, [24, 3, 60]);
    assert!(sizes[2]["doesNotFit"].as_str().unwrap().contains("five-minutes"), "{}", sizes[2]);
    let hours = |at: usize| sizes[at]["result"]["nodeHours"].as_f64().unwrap();
    assert!((sizes[0]["result"]["cost"].as_f64().unwrap() - 0.1 * hours(0)).abs() < 1e-9);
    assert!(hours(0) > hours(1));
    let (_kept, file) = folder("sizes.csv", "name,cpus,memory,price\nD2s_v5,,,0.1\nD16s_v5,,,0.8\ntiny,1,1,0.01\n");
    assert_eq!(json_of(&["-f", EXAMPLES, "--days", "1", "--compare-vm-sizes", &file]), told);
}

#[test]
fn the_picture_has_a_strip_for_each_policy_of_each_pool() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nodes.svg").display().to_string();
    simulated(&["-f", EXAMPLES, "--days", "1", "--plot", &path]).unwrap();
    let picture = std::fs::read_to_string(&path).unwrap();
    assert_eq!(picture.matches("node-hours</text>").count(), 10);
    assert!(picture.contains("Nodes of pool cpu") && picture.contains("hours since 2026-01-01T00:00:00Z"));
    let nowhere = folder.path().join("no/such/nodes.svg").display().to_string();
    let error = simulated(&["-f", EXAMPLES, "--days", "1", "--plot", &nowhere]).unwrap_err();
    assert!(error.to_string().starts_with("write "), "{error}");
}

#[test]
fn of_many_schedules_the_first_are_listed() {
    let many: String = (0..40).map(|n| schedule("").replace("name: hourly", &format!("name: s{n:02}"))).collect();
    let (_kept, path) = folder("a.yaml", &format!("{CLUSTER}{many}"));
    let words = ["-f", &path, "--days", "1", "--sensors", "1", "--policy", "BreakEven"];
    let table = simulated(&words).unwrap();
    assert!(table.contains("plant/s24") && !table.contains("plant/s25"), "{table}");
    assert!(table.contains("\nand 15 more, which -o json shows\n"), "{table}");
    assert_eq!(json_of(&words)["pools"][0]["schedules"].as_array().unwrap().len(), 40);
}

mod compare;
mod traces;
mod wrong;
