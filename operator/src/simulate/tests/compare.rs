//! Many small nodes or few large ones, pods with many threads or many pods.

use super::*;

/// What is told of the sizes of a pool with one schedule of 40 sensors.
fn compared(cluster: &str, spec: &str, words: &[&str]) -> Value {
    let (_kept, path) = folder("a.yaml", &format!("{cluster}{}", schedule(spec)));
    let words: Vec<&str> = ["-f", &path, "--days", "1", "--sensors", "40"].iter().chain(words).copied().collect();
    json_of(&words)
}

const ONE_CORE: &str = "  scorer: {resources: {requests: {cpu: '1', memory: 1Gi}}}\n";

#[test]
fn pods_of_one_two_and_four_threads_are_reckoned_on_each_size() {
    let words = ["--seconds-per-sensor", "60", "--compare-vm-sizes", "D4s_v5=0.2,D16s_v5=0.8"];
    let told = compared(CLUSTER, ONE_CORE, &words);
    let ways = told["pools"][0]["ways"].as_array().unwrap();
    let way = |size: &str, threads: u64| {
        let is = |way: &&Value| way["size"] == size && way["threads"].as_u64() == Some(threads);
        ways.iter().find(is).unwrap_or_else(|| panic!("{size} {threads}: {ways:?}"))
    };
    assert_eq!(ways.len(), 6);
    let pods = &way("D16s_v5", 4)["schedules"][0];
    assert_eq!(pods["podRequest"], serde_json::json!({"cpu": "4", "memory": "4294967296"}));
    let numbers = ["sensorsPerPod", "sensorsAtATime", "pods", "podSeconds"].map(|name| pods[name].as_u64().unwrap());
    assert_eq!(numbers, [4, 4, 10, 60]);
    // 15,440m have room for fifteen cores of ones, and for three fours.
    let room = |threads| way("D16s_v5", threads)["podsPerNode"][0].as_u64().unwrap();
    assert_eq!([room(1), room(2), room(4)], [15, 7, 3]);
    // What is set has one thread.
    assert_eq!([1, 2, 4].map(|threads| way("D16s_v5", threads)["asSet"] == true), [true, false, false]);
    let told = way("D4s_v5", 4)["doesNotFit"].as_str().unwrap();
    assert_eq!(
        told,
        "a pod of plant/hourly asks for cpu 4, memory 4Gi, and a node has cpu 3560m, memory 13638Mi, pods 100"
    );
}

#[test]
fn the_cheapest_come_first_and_the_best_are_marked() {
    let words = ["--seconds-per-sensor", "60", "--compare-vm-sizes", "D4s_v5=0.2,D16s_v5=0.8", "--request-price", "1"];
    let told = compared(CLUSTER, ONE_CORE, &words);
    let pool = &told["pools"][0];
    assert_eq!(pool["waysBy"], "cost");
    let simulated: Vec<&Value> =
        pool["ways"].as_array().unwrap().iter().filter(|way| way["result"].is_object()).collect();
    let number = |way: &Value, path: &str| way["result"].pointer(path).and_then(Value::as_f64).unwrap();
    let costs: Vec<f64> = simulated.iter().map(|way| number(way, "/cost") + number(way, "/storeCost")).collect();
    assert!(costs.is_sorted(), "{costs:?}");
    assert_eq!(simulated[0]["best"], true);
    for (at, way) in simulated.iter().enumerate().filter(|(_, way)| way["best"] == true) {
        let earlier = |other: &&&Value| {
            number(other, "/done/p95") <= number(way, "/done/p95") && other["missed"] == way["missed"]
        };
        assert_eq!(simulated[..at].iter().find(earlier), None);
    }
    // Without all prices hours of cores stand for money.
    let told = compared(CLUSTER, ONE_CORE, &["--compare-vm-sizes", "D4s_v5=0.2,D16s_v5"]);
    assert_eq!(told["pools"][0]["waysBy"], "coreHours");
}

#[test]
fn sensors_of_a_pod_are_reckoned_anew_for_the_slots_of_each_size() {
    let words = ["--sensors", "1000", "--seconds-per-sensor", "0.1", "--compare-vm-sizes", "D2s_v5=0.1,D16s_v5=0.8"];
    let told = compared(CLUSTER, "  packing: {sensorsPerPod: Auto}\n", &words);
    let of = |size: &str| {
        let ways = told["pools"][0]["ways"].as_array().unwrap();
        let way = ways.iter().find(|way| way["size"] == size && way["asSet"] == true).unwrap();
        let slots = way["podsPerNode"][0].as_u64().unwrap() * way["maxNodes"].as_u64().unwrap();
        (slots, way["schedules"][0]["sensorsPerPod"].as_u64().unwrap())
    };
    assert_eq!([of("D2s_v5"), of("D16s_v5")], [(60, 17), (122, 9)]);
}

#[test]
fn the_table_has_a_row_for_each_size_and_number_of_threads_and_says_which_is_best() {
    let (_kept, path) = folder("a.yaml", &format!("{CLUSTER}{}", schedule(ONE_CORE)));
    let words = ["-f", &path, "--days", "1", "--sensors", "40", "--compare-vm-sizes", "D4s_v5=0.2,D16s_v5=0.8"];
    let table = simulated(&words).unwrap();
    let first = table.lines().skip_while(|line| !line.starts_with("BEST ")).nth(1).unwrap();
    assert!(first.starts_with("yes "), "{table}");
    assert!(table.contains("1 (as set)") && table.contains("as many cores at most in each size"), "{table}");
    assert!(table.contains("\nD4s_v5 with 4 to a pod: a pod of plant/hourly asks for cpu 4"), "{table}");
    let set: Vec<&str> = words.iter().chain(&["--pod-threads", "as-set"]).copied().collect();
    let table = simulated(&set).unwrap();
    assert!(table.contains("\nSIZE ") && !table.contains("THREADS") && !table.contains("BEST"), "{table}");
    assert!(json_of(&set)["pools"][0].get("ways").is_none());
}

#[test]
fn commands_keep_their_pods_and_that_is_told() {
    let spec = "  scorer: {image: mine, command: [score]}\n";
    let told = compared(CLUSTER, spec, &["--compare-vm-sizes", "D4s_v5=0.2"]);
    let ways = told["pools"][0]["ways"].as_array().unwrap();
    assert_eq!((ways.len(), ways[0]["asSet"].as_bool()), (1, Some(true)));
    assert!(told["pools"][0]["notes"].to_string().contains("so the pods of 1 schedules are as set in each row"));
}

#[test]
fn nodes_of_other_sizes_are_counted_out_by_what_is_known_of_a_node() {
    let of = |capacity: &str| {
        let cluster = CLUSTER.replace("{cpu: '4', memory: 16Gi}", capacity);
        let (_kept, path) = folder("a.yaml", &format!("{cluster}{}", schedule("")));
        let words = ["-f", &path, "--days", "1", "--compare-vm-sizes", "D4s_v5=0.2", "--pod-threads", "as-set"];
        let nodes = json_of(&words)["pools"][0]["sizes"][0]["maxNodes"].as_u64().unwrap();
        let table = simulated(&words).unwrap();
        (nodes, table.lines().find(|line| line.starts_with("With ")).unwrap().to_owned())
    };
    // Four nodes of 4 cores are five of 3,560m, and four of 64Gi twenty of 13,638Mi.
    let (nodes, told) = of("{cpu: '4'}");
    assert!(nodes == 5 && told.contains("as many cores at most in each size,"), "{nodes} {told}");
    let (nodes, told) = of("{memory: 64Gi}");
    assert!(
        nodes == 20 && told.contains("as much memory at most in each size, as nodeCapacity names no cpu,"),
        "{nodes} {told}"
    );
    let (nodes, told) = of("{pods: '30'}");
    assert!(
        nodes == 4 && told.contains("as many nodes at most in each size, as nodeCapacity names neither"),
        "{nodes} {told}"
    );
}

#[test]
fn a_way_whose_runs_would_pile_up_is_left_out_and_the_others_are_not() {
    // Of nodes with 4 GiB there are two with room for two pods each.
    let spec = "  concurrencyPolicy: Allow\n  scorer: {resources: {requests: {cpu: 250m, memory: 1Gi}}}\n";
    let words = ["--seconds-per-sensor", "3000", "--compare-vm-sizes", "lean:16:4=0.1,D4s_v5=0.2"];
    let told = compared(CLUSTER, spec, &words);
    let ways = told["pools"][0]["ways"].as_array().unwrap();
    let why = |way: &Value| way["doesNotFit"].as_str().map(|why| why.contains("they would only pile up"));
    let lean = ways.iter().find(|way| way["size"] == "lean" && way["asSet"] == true).unwrap();
    assert_eq!(why(lean), Some(true), "{lean}");
    assert!(ways.iter().any(|way| way["size"] == "D4s_v5" && way["result"].is_object()), "{ways:?}");
}

#[test]
fn what_a_pool_is_told_about_stands_there_once() {
    let paused = CLUSTER.replace("maxNodes: 4", "maxNodes: 4\n  paused: true");
    let told = compared(&paused, "", &["--compare-vm-sizes", "D4s_v5=0.2,D16s_v5=0.8"]);
    assert_eq!(told["pools"][0]["notes"], serde_json::json!(["pool cpu is paused; it is simulated as if it were not"]));
}
