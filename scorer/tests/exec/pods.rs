//! `scorer exec` as a pod runs it: told to stop, as the first process of its container, with a command that floods it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use wait4::Wait4;

use super::common::Plant;

/// A planned run of sensors in one item, whose command is a shell script.
pub(super) struct Pod {
    pub(super) plant: Plant,
}

impl Pod {
    /// One of two sensors.
    fn new(script: &str) -> Self {
        Self::of(super::plant(script), 2)
    }

    pub(super) fn of(plant: Plant, sensors: usize) -> Self {
        let request = json!({
            "namespace": "plant", "schedule": "hourly", "run": "hourly-1", "runUid": "1", "tick": super::AT,
            "work": {
                "store": {"url": format!("file://{}", plant.path().display())},
                "model": {"path": "models/model_{device}"}, "data": {"path": "data/readings.csv"},
                "packing": {"sensorsPerPod": sensors}, "command": {"command": ["sh", plant.path().join("predict.sh")]},
            },
        });
        plant.put("request.json", request.to_string());
        let pod = Self { plant };
        let planned = pod.scorer(&[], &["plan"]).output().unwrap();
        assert!(planned.status.success(), "{}", String::from_utf8_lossy(&planned.stderr));
        pod
    }

    /// The scorer with the run's request; `before` runs it.
    pub(super) fn scorer(&self, before: &[&str], args: &[&str]) -> Command {
        let words = before.iter().copied().chain([env!("CARGO_BIN_EXE_scorer")]).chain(args.iter().copied());
        let words: Vec<&str> = words.collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("--request").arg(self.plant.path().join("request.json"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn exec(&self, before: &[&str], grace: &str) -> Command {
        self.scorer(before, &["exec", "--index", "0", "--pod-uid", "try-1", "--grace", grace])
    }

    /// The scorer is sent SIGTERM once its command has said something: its exit code, and what came on stdout then.
    fn told(&self, grace: &str) -> (Option<i32>, String) {
        let mut scorer = self.exec(&[], grace).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(scorer.stdout.take().unwrap());
        let (mut first, mut rest) = (String::new(), String::new());
        stdout.read_line(&mut first).unwrap();
        term(&scorer);
        stdout.read_to_string(&mut rest).unwrap();
        (scorer.wait().unwrap().code(), rest)
    }

    fn outcome(&self, device: &str) -> Value {
        let file = self.plant.path().join("runs/plant/hourly/hourly-1/outcomes/0.try-1.ndjson");
        let text = fs::read_to_string(file).unwrap();
        let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.find(|line| line["sensor"]["device"] == device).unwrap()
    }

    pub(super) fn log(&self, device: &str, uid: &str) -> String {
        let file = format!("logs/plant/hourly/hourly-1/device={device}.{uid}.log");
        fs::read_to_string(self.plant.path().join(file)).unwrap()
    }
}

fn term(process: &Child) {
    assert!(Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap().success());
}

/// The last line of what a pod prints.
fn report(stdout: &str) -> Value {
    serde_json::from_str(stdout.lines().last().unwrap()).unwrap()
}

#[test]
fn a_pod_tells_what_its_commands_print_and_what_became_of_its_sensors() {
    let pod = Pod::new("echo scoring $SCORING_KEY_DEVICE; echo prediction > $SCORING_OUTPUT");
    let output = pod.exec(&[], "25").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.starts_with("scoring a\nscoring b\n"), "{stdout}");
    assert_eq!(report(&stdout), json!({"index": 0, "succeeded": 2, "failed": 0, "retry": 0}));
    assert!(pod.log("b", "try-1").contains("scoring b"));
}

#[test]
fn the_certificates_that_an_image_names_are_the_commands_and_the_scorers_are_not() {
    let pod = Pod::new("cp \"$SCORING_INPUT\" \"$SCORING_OUTPUT\"; echo \"$SSL_CERT_FILE ${SCORING_CA_FILE-none}\"");
    let mut exec = pod.exec(&[], "25");
    let output = exec.env("SSL_CERT_FILE", "/etc/ours.pem").env("SCORING_CA_FILE", "/opt/ca.crt").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(pod.log("a", "try-1").contains(" OUT   /etc/ours.pem none"), "{}", pod.log("a", "try-1"));
}

#[test]
fn a_model_that_was_replaced_after_the_run_was_planned_is_the_commands_and_told_of() {
    let pod = Pod::new("cp \"$SCORING_MODEL\" \"$SCORING_OUTPUT\"");
    pod.plant.put("models/model_a", "newer model of a");
    let output = pod.exec(&[], "25").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let outcome = pod.outcome("a");
    let warning = outcome["warnings"][0].as_str().unwrap();
    assert!(warning.contains("models/model_a was replaced after the run was planned"), "{outcome}");
    assert!(
        warning.ends_with(outcome["modelHash"].as_str().unwrap()) && pod.log("a", "try-1").contains(warning),
        "{outcome}"
    );
    assert!(!pod.outcome("b")["warnings"].to_string().contains("replaced"), "{}", pod.outcome("b"));
}

#[test]
fn what_a_command_finishes_when_it_is_told_to_stop_counts() {
    let pod =
        Pod::new("trap 'echo told; cp $SCORING_INPUT $SCORING_OUTPUT; exit 0' TERM; echo ready; sleep 1000 & wait");
    let (code, stdout) = pod.told("600");
    assert_eq!((code, stdout.lines().next()), (Some(75), Some("told")), "{stdout}");
    assert_eq!(pod.outcome("a")["status"], "Succeeded");
    let b = pod.outcome("b");
    assert_eq!((&b["status"], &b["reason"]), (&"Retry".into(), &"Stopped".into()), "{b}");
}

#[test]
fn half_an_output_of_a_command_that_was_told_to_stop_is_left_to_another_attempt() {
    let pod = Pod::new(
        "trap 'echo told; head -n 2 $SCORING_INPUT > $SCORING_OUTPUT; exit 0' TERM; echo ready; sleep 1000 & wait",
    );
    let (code, stdout) = pod.told("600");
    assert_eq!((code, &report(&stdout)["retry"]), (Some(75), &json!(2)), "{stdout}");
    let a = pod.outcome("a");
    assert_eq!((&a["status"], &a["reason"]), (&"Retry".into(), &"Stopped".into()), "{a}");
    assert!(a["message"].as_str().unwrap().contains("was given 3 row(s), and its output has 1"), "{a}");
    assert!(!pod.plant.path().join("predictions").exists());
}

#[test]
fn a_command_that_exits_well_without_an_output_when_it_is_told_to_stop_is_left_to_another_attempt() {
    for output in ["", ": > $SCORING_OUTPUT;"] {
        let pod = Pod::new(&format!("trap 'echo told; {output} exit 0' TERM; echo ready; sleep 1000 & wait"));
        let (code, stdout) = pod.told("600");
        assert_eq!((code, &report(&stdout)["retry"]), (Some(75), &json!(2)), "{stdout}");
        assert_eq!(pod.outcome("a")["reason"], "Stopped");
    }
}

#[test]
fn a_command_that_is_stopped_leaves_its_words_and_its_sensor_to_another_attempt() {
    let pod = Pod::new("trap 'echo the end of it; exit 1' TERM; echo ready; sleep 1000 & wait");
    let (code, stdout) = pod.told("600");
    assert_eq!((code, &report(&stdout)["retry"]), (Some(75), &json!(2)), "{stdout}");
    assert_eq!(pod.outcome("a")["reason"], "Stopped");
    assert!(pod.log("a", "try-1").contains("the end of it"), "{}", pod.log("a", "try-1"));
}

#[test]
fn a_command_that_does_not_stop_is_killed() {
    let pod = Pod::new("trap '' TERM; echo ready; while :; do sleep 1; done");
    let (code, stdout) = pod.told("0");
    assert_eq!((code, &report(&stdout)["retry"]), (Some(75), &json!(2)), "{stdout}");
    assert_eq!(pod.outcome("a")["reason"], "Stopped");
}

#[test]
fn the_first_process_of_a_container_reaps_orphans_and_still_knows_how_its_command_ended() {
    let container = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
    if !Command::new(container[0])
        .args(&container[1..])
        .arg("true")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        let _ = writeln!(std::io::stderr(), "SKIPPED: a PID namespace cannot be made here");
        return;
    }
    // The orphan is a zombie until its new parent takes note of its end; so the script ends only if that does.
    let pod = Pod::new(
        "(setsid sleep 0.01 &); (sleep 0.01 &); n=0; sleep 0.02
        while grep -qs '^State:.Z' /proc/[0-9]*/status; do n=$((n+1)); [ $n -lt 10000 ] || exit 4; done; exit 3",
    );
    let output = pod.exec(&container, "25").output().unwrap();
    let a = pod.outcome("a");
    assert_eq!((&a["reason"], &a["exitCode"]), (&"CommandFailed".into(), &3.into()), "{a}");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_flood_without_a_line_end_takes_little_memory_and_loses_no_prediction() {
    let pod = Pod::new("head -c 50000000 /dev/zero | tr '\\0' x; echo prediction > $SCORING_OUTPUT");
    let scorer = pod.exec(&[], "25").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let ended = scorer.wait4().unwrap();
    assert!(ended.status.success());
    assert!(ended.rusage.maxrss < 100 << 20, "{} MiB", ended.rusage.maxrss >> 20);
    assert_eq!(pod.outcome("b")["status"], "Succeeded");
}

#[test]
fn what_is_no_text_is_heard_and_told() {
    let pod = Pod::new("printf '\\377\\376 odd \\000' >&2; exit 1");
    let output = pod.exec(&[], "25").output().unwrap();
    assert!(output.stderr.windows(4).any(|bytes| bytes == b" odd"));
    assert!(pod.outcome("a")["message"].as_str().unwrap().contains("\u{fffd}\u{fffd} odd \\0"));
    assert!(pod.log("a", "try-1").contains(" odd "));
}

#[test]
fn a_request_without_a_command_is_none_for_it() {
    let pod = Pod::new("");
    let request = fs::read_to_string(pod.plant.path().join("request.json")).unwrap();
    let mut request: Value = serde_json::from_str(&request).unwrap();
    request["work"]["command"].take();
    pod.plant.put("request.json", request.to_string());
    let output = pod.exec(&[], "25").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let why = report(&String::from_utf8(output.stdout).unwrap())["error"]["message"].take();
    assert!(why.as_str().unwrap().contains("use scorer item"), "{why}");
}

#[test]
fn the_program_installs_itself_with_the_certificates_of_its_image() {
    let folder = tempfile::tempdir().unwrap();
    let (certificates, into) = (folder.path().join("ca.crt"), folder.path().join("into"));
    fs::write(&certificates, "certificates").unwrap();
    fs::create_dir(&into).unwrap();
    let mut install = Command::new(env!("CARGO_BIN_EXE_scorer"));
    assert!(install.arg("install").arg(&into).env("SSL_CERT_FILE", &certificates).status().unwrap().success());
    assert_eq!(fs::read_to_string(into.join("ca-certificates.crt")).unwrap(), "certificates");
    assert!(Command::new(into.join("scorer")).arg("--version").output().unwrap().status.success());
}
