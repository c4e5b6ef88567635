//! What logs hold of attempts that ended by themselves, that were killed, and that never started.

use spec::request::EndDetails;
use spec::work::LogLayout;

use super::*;

fn killed(uid: &str, index: u32, reason: &str) -> PodEnd {
    PodEnd {
        pod: format!("hourly-1-{index}-{uid}"),
        uid: uid.into(),
        index,
        node: "node-2".into(),
        started: Some("2018-08-29T01:00:00Z".parse().unwrap()),
        ended: Some("2018-08-29T01:00:30Z".parse().unwrap()),
        exit_code: Some(137),
        reason: reason.into(),
        image: "scorer@sha256:00".into(),
        succeeded: 0,
        failed: 0,
        failures: Vec::new(),
        details: EndDetails::default(),
    }
}

impl Plant {
    /// The logs of all sensors, by file.
    fn logs(&self) -> std::collections::BTreeMap<String, String> {
        let mut found = std::collections::BTreeMap::new();
        let mut folders = vec![self.path("logs")];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.dir.path()).unwrap().to_str().unwrap().to_owned();
                    found.insert(name, fs::read_to_string(path).unwrap());
                }
            }
        }
        found
    }
}

/// The lines of a log without their times.
fn untimed(log: &str) -> Vec<&str> {
    log.lines().map(|line| line.split_once(' ').unwrap().1).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_says_first_what_it_is_of_and_last_what_became_of_it_and_how_long_all_took() {
    let Some(plant) = plant() else { return };
    let context = plant.context("uid-1", 10, |_| {});
    plan(&context).await.unwrap();
    item::run(&context, 0, &pod("a-1"), None, never().1).await.unwrap();
    let logs = plant.logs();
    assert_eq!(logs.len(), 10);
    let lines = untimed(&logs["logs/plant/hourly/hourly-1/device=1,tag=5.a-1.log"]);
    assert_eq!(
        lines[0],
        r#"START run=plant/hourly-1 item=0 sensor="device=1, tag=5" attempt=a-1 node=node-1 image=scorer:1 tick=2018-08-29T01:00:00Z model=models/model_1_5"#
    );
    assert!(lines.iter().any(|line| line.starts_with("INFO  model sha256=")), "{lines:?}");
    let last = lines.last().unwrap();
    assert!(last.starts_with("END   succeeded: ") && last.contains("scoring") && last.contains("whole job"), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_open_logs_of_a_killed_pod_are_told_how_it_ended_and_its_finished_ones_are_left_as_they_are() {
    for layout in [LogLayout::PerSensor, LogLayout::SingleDirectory] {
        let Some(plant) = plant() else { return };
        let context = plant.context("uid-1", 5, |request| request.work.logs.layout = layout);
        plan(&context).await.unwrap();
        item::run(&context, 0, &pod("a-1"), None, never().1).await.unwrap();
        // As if it had been killed: two sensors are in the outcomes, the third was ended since, the fourth was under way, the
        // fifth had not begun.
        let outcomes = plant.path("runs/plant/hourly/hourly-1/outcomes/0.a-1.ndjson");
        let text = fs::read_to_string(&outcomes).unwrap();
        let kept = |line: &&str| ["Run", "tag\":\"1", "tag\":\"2"].iter().any(|kept| line.contains(kept));
        fs::write(&outcomes, text.lines().filter(kept).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        let part =
            |tag: u32, part| context.paths.log(&sensor("1", &tag.to_string()), &PodUid::parse("a-1").unwrap(), part);
        let log = |tag: u32| part(tag, 0);
        let begun = fs::read_to_string(plant.path(&log(4))).unwrap();
        let begun: String = begun.lines().take(3).map(|line| format!("{line}\n")).collect();
        fs::write(plant.path(&log(4)), &begun).unwrap();
        let open = "2018-08-29T01:00:29.000Z OUT   much was printed before this\n";
        fs::write(plant.path(&part(4, 1)), open).unwrap();
        fs::remove_file(plant.path(&log(5))).unwrap();
        let before = plant.logs();

        let mut end = killed("a-1", 0, "OOMKilled");
        end.details = EndDetails {
            message: "out of memory".into(),
            events: vec!["Evicted: The node was low on resource: memory.".into()],
            output: "reading\nscoring \u{1b}[1m".into(),
        };
        let ends = PodEnds { ends: vec![end], ..PodEnds::default() };
        let asked = context.store.requests();
        let (record, _) = archive(&context, &ends).await.unwrap();
        let asked = context.store.requests() - asked;
        let after = plant.logs();
        assert_eq!(after.len(), before.len());
        let changed: Vec<_> = after.iter().filter(|(path, log)| before.get(*path) != Some(log)).collect();
        let [(path, text)] = changed.as_slice() else { panic!("{changed:?}") };
        assert_eq!(**path, part(4, 1));
        let added = text.strip_prefix(open).unwrap();
        assert_eq!(
            untimed(added),
            [
                "POD   pod hourly-1-0-a-1 on node node-2 ended as Kubernetes saw it: OOMKilled, exit code 137, started \
                 2018-08-29T01:00:00Z, ended 2018-08-29T01:00:30Z, image scorer@sha256:00",
                "POD   out of memory",
                "POD   event Evicted: The node was low on resource: memory.",
                "POD   last output: reading",
                "POD   last output: scoring \\u{1b}[1m",
            ]
        );
        let of = |tag: &str| record.outcomes.iter().find(|o| o.sensor == sensor("1", tag)).unwrap().log.clone();
        assert!(of("4").is_some_and(|uri| uri.ends_with(&log(4))) && of("5").is_none());
        assert_eq!(asked.lists, 2, "the outcomes, and all logs at once");
        archive(&context, &ends).await.unwrap();
        assert_eq!(plant.logs(), after, "done twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_left_no_log_gets_one_that_says_why() {
    let Some(plant) = plant() else { return };
    let context = plant.context("uid-1", 5, |_| {});
    plan(&context).await.unwrap();
    let mut end = killed("b-2", 1, "Vanished");
    (end.node, end.started, end.ended, end.exit_code) = (String::new(), None, None, None);
    end.image.clear();
    end.details.events = vec!["Failed: Error: ErrImagePull".into()];
    let of_another_run = killed("../../x", 1, "Vanished");
    let beyond = killed("c-3", 7, "Vanished");
    let ends = PodEnds { ends: vec![end, of_another_run, beyond], ..PodEnds::default() };
    archive(&context, &ends).await.unwrap();
    let logs = plant.logs();
    assert_eq!(logs.keys().collect::<Vec<_>>(), ["logs/plant/hourly/hourly-1/device=2,tag=1.b-2.log"]);
    let log = logs.values().next().unwrap();
    assert_eq!(
        untimed(log),
        [
            r#"START run=plant/hourly-1 item=1 sensor="device=2, tag=1" attempt=b-2 tick=2018-08-29T01:00:00Z model=models/model_2_1"#,
            "POD   pod hourly-1-1-b-2 on no node ended as Kubernetes saw it: Vanished",
            "POD   event Failed: Error: ErrImagePull",
        ]
    );
    archive(&context, &ends).await.unwrap();
    assert_eq!(plant.logs(), logs, "done twice");
}

/// The outcomes of an attempt at ten sensors as if it had been killed when so many were in them.
fn cut(plant: &Plant, uid: &str, outcomes: usize) {
    let file = plant.path(&format!("runs/plant/hourly/hourly-1/outcomes/0.{uid}.ndjson"));
    let text = fs::read_to_string(&file).unwrap();
    fs::write(file, text.lines().take(1 + outcomes).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_whose_logs_are_all_ended_gets_one_more_or_is_told_of_in_one_of_them() {
    let Some(plant) = plant() else { return };
    let context = plant.context("uid-1", 10, |_| {});
    plan(&context).await.unwrap();
    item::run(&context, 0, &pod("a-1"), None, never().1).await.unwrap();
    let ends = PodEnds { ends: vec![killed("a-1", 0, "OOMKilled")], ..PodEnds::default() };
    let all = plant.logs();
    cut(&plant, "a-1", 10);
    archive(&context, &ends).await.unwrap();
    let told = plant.logs();
    assert_eq!(told.iter().filter(|(path, text)| all[*path] != **text).count(), 1, "one log of a finished sensor");
    archive(&context, &ends).await.unwrap();
    assert_eq!(plant.logs(), told, "done twice");

    // Two were not begun when it died.
    for (path, text) in &all {
        fs::write(plant.path(path), text).unwrap();
    }
    cut(&plant, "a-1", 8);
    let outcomes = fs::read_to_string(plant.path("runs/plant/hourly/hourly-1/outcomes/0.a-1.ndjson")).unwrap();
    let missing: Vec<&String> = all.keys().filter(|path| !outcomes.contains(path.as_str())).collect();
    assert_eq!(missing.len(), 2);
    missing.iter().for_each(|path| fs::remove_file(plant.path(path)).unwrap());
    let (record, _) = archive(&context, &ends).await.unwrap();
    let logs = plant.logs();
    let made = missing.iter().filter(|path| logs.contains_key(path.as_str())).collect::<Vec<_>>();
    assert_eq!((logs.len(), made.len()), (9, 1));
    let text = untimed(&logs[made[0].as_str()]);
    assert!(text[0].starts_with("START ") && text[1].contains("OOMKilled, exit code 137"), "{text:?}");
    let failed = record.outcomes.iter().filter(|o| o.status == Status::Failed);
    assert_eq!(failed.filter(|o| o.log.as_ref().is_some_and(|log| log.ends_with(made[0].as_str()))).count(), 1);
}
