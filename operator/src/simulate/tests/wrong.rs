//! What is wrong is told: in manifests with file, line and field; in options with what to write.

use super::*;

/// What is said of a manifest, without its folder.
fn said(text: &str) -> String {
    let (kept, path) = folder("a.yaml", text);
    let error = simulated(&["-f", &path, "--days", "1"]).unwrap_err();
    assert_eq!(error.exit_code(), 1);
    error.to_string().replace(&format!("{}/", kept.path().display()), "")
}

#[test]
fn a_manifest_that_is_wrong_is_told_with_file_line_and_field() {
    let both = |from: &str, to: &str| {
        let text = format!("{CLUSTER}{}", schedule(""));
        assert!(text.contains(from), "{from}");
        said(&text.replace(from, to))
    };
    let cases = [
        ("maxNodes: 4", "maxnodes: 4", "a.yaml, line 6, field spec.maxnodes: is not known; did you mean maxNodes?"),
        (
            "maxNodes: 4",
            "maxNodes: four",
            "a.yaml, line 6, field spec.maxNodes: string \"four\" cannot stand here; write a whole number from 0",
        ),
        (
            "maxNodes: 4",
            "maxNodes: 4000",
            "a.yaml, line 6, field spec.maxNodes: 4000 is out of range; write a number up to 1000",
        ),
        ("maxNodes: 4", "maxNodes: 0", "a.yaml, line 6, field spec.maxNodes: with 0 nodes nothing is ever scored"),
        (
            "maxNodes: 4",
            "maxNodes: 4\n  minNodes: 5",
            "a.yaml, line 7, field spec.minNodes: minNodes must not be greater than maxNodes",
        ),
        (
            "maxNodes: 4",
            "maxNodes: 4\n  budget: {month: 5}",
            "a.yaml, line 7, field spec.budget: needs price.nodeHour, which says what a node costs",
        ),
        (
            "maxNodes: 4",
            "maxNodes: 4\n  price: {nodeHour: \"a lot\"}",
            "a.yaml, line 7, field spec.price.nodeHour: \"a lot\" is no amount of money; write a decimal with up to six digits after the point, such as \"0.192\"",
        ),
        (
            "maxNodes: 4",
            "maxNodes: 4\n  price: {nodeHour: 2000000}",
            "a.yaml, line 7, field spec.price.nodeHour: write a price of a node's hour from 0 to 1000000, such as 0.192",
        ),
        (
            "maxNodes: 4",
            "maxNodes: 4\n  price: {nodeHour: 1, currency: US DOLLAR}",
            "a.yaml, line 7, field spec.price.currency: write a currency of up to eight characters, such as EUR",
        ),
        ("  maxNodes: 4\n", "", "a.yaml, line 5, field spec: missing field `maxNodes`; add it"),
        (
            "cpu: '4'",
            "cpu: four",
            "a.yaml, line 7, field spec.nodeCapacity.cpu: cpu: \"four\" is not a quantity; write a number with a unit, such as 250m, 2, 128Mi or 1.5G",
        ),
        (
            "cpu: '4'",
            "cpu: 100m",
            "a.yaml, line 14, field spec.scorer.resources: a pod asks for cpu 250m, memory 128Mi, and a node has cpu 100m, memory 16Gi",
        ),
        (
            "after: 5m",
            "after: soon",
            "a.yaml, line 8, field spec.scaleDown.after: \"soon\" is not a duration; write whole numbers with units, largest first, such as 90s, 5m, 1h30m or 2d",
        ),
        (
            "\"@hourly\"",
            "\"every hour\"",
            "a.yaml, line 15, field spec.schedule: \"every hour\" is not a cron expression",
        ),
        (
            "\"@hourly\"",
            "\"@hourly\"\n  timeZone: Mars/Olympus",
            "a.yaml, line 16, field spec.timeZone: \"Mars/Olympus\" is not in the IANA time zone database",
        ),
        ("az://models", "ftp://models", "a.yaml, line 16, field spec.store.url: "),
        ("'models/{device}'", "models/all", "a.yaml, line 17, field spec.model.path: names no key"),
        (
            "data: {path: d.csv}",
            "data: {path: d.csv}\n  packing: {sensorsPerPod: 0}",
            "a.yaml, line 19, field spec.packing.sensorsPerPod: \"0\" is neither a number of sensors from 1 to 10000, nor Auto",
        ),
        ("name: hourly, ", "", "a.yaml, line 12, field metadata.name: is missing; add it"),
        (
            "apiVersion: batchscoring.dev/v1alpha1\nkind: ScoringCluster",
            "apiVersion: batchscoring.dev/v9\nkind: ScoringCluster",
            "a.yaml, line 1, field apiVersion: \"batchscoring.dev/v9\" is not known; write batchscoring.dev/v1alpha1",
        ),
        (
            "kind: ScoringSchedule",
            "kind: ScoringShedule",
            "a.yaml, line 11, field kind: \"ScoringShedule\" is not known; write ScoringCluster, ScoringSchedule, ScoringRun",
        ),
        (
            "name: hourly, ",
            "name: Hourly_X, ",
            "a.yaml, line 12, field metadata.name: \"Hourly_X\" is refused: the name of a ScoringSchedule is a DNS label of at most 44 characters",
        ),
        (
            "metadata: {name: cpu}",
            "metadata: {name: c<p&u}",
            "a.yaml, line 3, field metadata.name: \"c<p&u\" is refused: ",
        ),
        ("namespace: plant", "namespace: Plant", "a.yaml, line 12, field metadata.namespace: \"Plant\" is refused: "),
        (
            "clusterRef: {name: cpu}",
            "clusterRef: {name: c<p&u}",
            "a.yaml, line 14, field spec.clusterRef.name: there can be none: \"c<p&u\" is refused: the name of a ScoringCluster is",
        ),
        ("store: {url", "store: [url", "a.yaml, line 16: "),
        (
            "  clusterRef: {name: cpu}\n",
            "  clusterRef: {name: cpu}\n  clusterRef: {name: cpu}\n",
            "a.yaml, line 15: \"clusterRef\" is there twice; write it once",
        ),
    ];
    for (from, to, expected) in cases {
        let said = both(from, to);
        assert!(said.starts_with(expected), "{to}:\n{said}\n{expected}");
    }
}

#[test]
fn what_is_there_twice_or_not_at_all_is_told() {
    let twice = said(&format!("{CLUSTER}{}{}", schedule(""), schedule("")));
    assert!(
        twice.starts_with("a.yaml, line 22, field metadata.name: plant/hourly is in ")
            && twice.ends_with("line 10 too"),
        "{twice}"
    );
    let twice = said(&format!("{CLUSTER}---\n{CLUSTER}"));
    assert!(twice.contains("line 12, field metadata.name: \"cpu\" is in "), "{twice}");
    assert!(said(CLUSTER).starts_with("no ScoringSchedule in "));
    assert!(said("kind: ConfigMap\ndata: {maxNodes: x}\n").starts_with("no ScoringSchedule in "));
    let error = simulated(&["-f", "/no/such/folder"]).unwrap_err().to_string();
    assert!(error.starts_with("read /no/such/folder: "), "{error}");
}

#[test]
fn files_that_are_no_text_or_too_large_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    std::fs::write(&path, b"a: b\n\xff\xfe").unwrap();
    let words = |path: &std::path::Path| simulated(&["-f", path.to_str().unwrap()]).unwrap_err().to_string();
    assert!(words(&path).ends_with("a.yaml, line 2: this is not UTF-8"));
    std::fs::write(&path, vec![b'#'; 16 * 1024 * 1024 + 1]).unwrap();
    assert!(words(folder.path()).ends_with("a.yaml is larger than 16777216 bytes"));
}

#[test]
fn a_list_as_kubectl_writes_it_and_folders_in_folders_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("one/two");
    std::fs::create_dir_all(&below).unwrap();
    let item = |text: &str| {
        let text = text.trim_start_matches("---\n").replace('\n', "\n  ");
        format!("- {}\n", text.trim_end())
    };
    let list = format!("apiVersion: v1\nkind: List\nitems:\n{}{}", item(CLUSTER), item(&schedule("")));
    std::fs::write(below.join("list.yml"), list).unwrap();
    std::fs::write(below.join("other.txt"), "not: [yaml").unwrap();
    std::os::unix::fs::symlink(folder.path(), below.join("around")).unwrap();
    let told = json_of(&["-f", folder.path().to_str().unwrap(), "--days", "1"]);
    assert_eq!(told["pools"][0]["schedules"][0]["name"].as_str(), Some("plant/hourly"));
    assert_eq!(told["pools"][0]["maxNodes"].as_u64(), Some(4));
}

#[test]
fn runs_that_could_never_be_done_are_refused() {
    let many: String = (0..5).map(|n| schedule("").replace("name: hourly", &format!("name: s{n}"))).collect();
    let (_kept, path) = folder("a.yaml", &format!("{CLUSTER}{many}"));
    let error = simulated(&["-f", &path, "--seconds-per-sensor", "3000", "--days", "2"]).unwrap_err().to_string();
    assert!(error.starts_with("pool cpu: its runs need ") && error.ends_with("they would only pile up"), "{error}");
    let error = simulated(&["-f", &path, "--sensors", "1000000", "--days", "3660"]).unwrap_err().to_string();
    assert!(error.starts_with("pool cpu: "), "{error}");
}

#[test]
fn a_trace_that_is_wrong_is_told_with_file_and_line() {
    let (_kept, path) = folder("t.csv", "0,1,1\n5,many,1\n");
    let error = simulated(&["--trace", &path]).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("{path}, line 2: \"many\" is not a number of sensors; write a whole number from 0 to 1000000")
    );
    let clusters = format!("{CLUSTER}---\n{}", CLUSTER.replace("name: cpu", "name: gpu"));
    let (_both, clusters) = folder("a.yaml", &clusters);
    let (_trace, good) = folder("t.csv", "0,1,1\n");
    let error = simulated(&["--trace", &good, "-f", &clusters]).unwrap_err();
    assert_eq!((error.exit_code(), error.to_string().contains("several ScoringClusters")), (2, true));
}

#[test]
fn every_wrong_value_of_an_option_is_told_with_what_to_write() {
    let cases = [
        ("--days", "0", "1..=3660"),
        ("--days", "4000", "1..=3660"),
        ("--start", "yesterday", "between 1970 and 3000"),
        ("--start", "9999-12-30T00:00:00Z", "between 1970 and 3000"),
        ("--policy", "Sometimes", "write BreakEven, After, After=DURATION, Never"),
        ("--policy", "After=soon", "is not a duration"),
        ("--policy", "After=99999d", "is longer than"),
        ("--policy", "Never=5m", "write BreakEven"),
        ("--prewarm", "early", "write Auto, Off, or a duration"),
        ("--prewarm", "2d", "is longer than 1d"),
        ("--sensors", "0", "from 1 to 1000000"),
        ("--sensors", "many", "from 1 to 1000000"),
        ("--sensors", "hourly=-1", "from 1 to 1000000"),
        ("--sensors", "=5", "the name of a schedule is before the ="),
        ("--seconds-per-sensor", "0", "write seconds above 0"),
        ("--seconds-per-sensor", "NaN", "write seconds above 0"),
        ("--seconds-per-sensor", "1e9", "write seconds above 0"),
        ("--provisioning", "90s", "p50=90s,p95=180s"),
        ("--provisioning", "p50=90s", "write both quantiles"),
        ("--provisioning", "p50=90s,p95=60s", "p95 is below p50"),
        ("--provisioning", "p50=0s,p95=60s", "longer than 0s"),
        ("--provisioning", "p50=90s,p50=90s", "given once"),
        ("--provisioning", "p50=2d,p95=3d", "is longer than 1d"),
        ("--node-capacity", "4", "write name=amount"),
        ("--node-capacity", "cpu=four", "is not a quantity"),
        ("--node-capacity", "cpu=4,cpu=5", "there twice"),
        ("--request", "cpu", "write name=amount"),
        ("--max-nodes", "0", "1..=1000"),
        ("--max-nodes", "1001", "1..=1000"),
        ("--sensors-per-pod", "0", "1..=10000"),
        ("--price", "-1", "write a price of a node's hour"),
        ("--price", "inf", "write a price of a node's hour"),
        ("--currency", "", "up to eight characters"),
        ("--currency", "US DOLLAR", "up to eight characters"),
        ("--request-price", "cheap", "write a price of 10,000 requests"),
        ("--request-price", "reads=1", "write a price of 10,000 requests"),
        ("--request-price", "reads=1,reads=2", "write a price of 10,000 requests"),
        ("--seed", "-1", "invalid digit"),
        ("--pod-threads", "0", "write numbers from 1 to 4"),
        ("--pod-threads", "8", "write numbers from 1 to 4"),
        ("--pod-threads", "many", "or as-set"),
        ("--output", "yaml", "possible values: table, json"),
    ];
    for (option, value, expected) in cases {
        let option = format!("{option}={value}");
        let Err(error) = Cli::try_parse_from(["simulate", "-f", EXAMPLES, &option]) else {
            panic!("{option} is taken")
        };
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(expected), "{option}: {error}");
    }
    let missing =
        [vec![], vec!["--foretold", "-f", "x"], vec!["-f", "x", "--compare-vm-sizes", "D2s_v5", "--price", "1"]];
    for words in missing {
        assert!(Cli::try_parse_from(std::iter::once("simulate").chain(words.clone())).is_err(), "{words:?}");
    }
}

#[test]
fn values_that_only_the_manifests_refute_are_wrong_arguments_too() {
    let cases = [
        ("--sensors", "weekly=5", "--sensors: there is no ScoringSchedule \"weekly\""),
        ("--seconds-per-sensor", "elsewhere/hourly=5", "--seconds-per-sensor: there is no ScoringSchedule"),
        ("--compare-vm-sizes", "M64", "--compare-vm-sizes: cpus and memory of \"M64\" are not known here"),
        ("--compare-vm-sizes", "", "--compare-vm-sizes: 0 sizes"),
    ];
    for (option, value, expected) in cases {
        let error = simulated(&["-f", EXAMPLES, "--days", "1", option, value]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    let (_kept, path) = folder("sizes.csv", "name,cpus,memory,price\nbig,many,4,1\n");
    let error = simulated(&["-f", EXAMPLES, "--compare-vm-sizes", &path]).unwrap_err();
    assert_eq!(
        (error.exit_code(), error.to_string()),
        (1, format!("{path}, line 2: \"many\" is not a number of cores; write a whole number from 1 to 1024"))
    );
}
