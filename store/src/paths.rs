//! Where things of a run are in the store.

use jiff::Timestamp;
use spec::work::{LogLayout, PredictionLayout, Predictions, Work};
use spec::{ModelVersion, RunRequest, SensorKeys, TimeRange};

mod told;

pub use told::{FlatLog, LogName, pod_of_outcomes};

/// The folder of claims, manifests, outcomes and records; a container of its own where the store's URL has none.
pub const RUNS: &str = "runs";
/// The folder of logs.
pub const LOGS: &str = "logs";

/// The paths of one run. Every part of them has been checked to be a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPaths {
    namespace: String,
    schedule: String,
    run: String,
    predictions: Predictions,
    /// The window's start, or the tick without a window: what the run's predictions are named after, so that another
    /// run of the same window overwrites them.
    at: Timestamp,
    logs: LogLayout,
    /// The run whose failed sensors are scored again: their predictions join those of the others, in files of their own.
    rerun_of: Option<String>,
}

/// A pod's UID, which names an attempt: letters, digits and `-`, so that it can be part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodUid(String);

impl PodUid {
    /// Checks a UID.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let hint = "give the pod's UID (letters, digits and -), by --pod-uid or POD_UID";
        if fits { Ok(Self(text.to_owned())) } else { Err(NameError { what: "pod UID", text: text.to_owned(), hint }) }
    }

    /// As a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A part of a path that is no name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{what} {text:?} cannot be part of a path; {hint}")]
pub struct NameError {
    what: &'static str,
    text: String,
    hint: &'static str,
}

impl RunPaths {
    /// The paths of a request's run.
    ///
    /// # Errors
    /// When a name of the request could leave its folder.
    pub fn of(request: &RunRequest) -> Result<Self, NameError> {
        let (RunRequest { namespace, schedule, run, work, window, tick, .. }, of) = (request, &request.rerun_failed_of);
        let rerun_of = of.as_deref().map(|run| name("rerunFailedOf", run)).transpose()?;
        Ok(Self { rerun_of, ..Self::new(namespace, schedule, run, work, *window, *tick)? })
    }

    /// The paths of a run.
    ///
    /// # Errors
    /// When a name could leave its folder.
    pub fn new(
        namespace: &str,
        schedule: &str,
        run: &str,
        work: &Work,
        window: Option<TimeRange>,
        tick: Timestamp,
    ) -> Result<Self, NameError> {
        Ok(Self {
            namespace: name("namespace", namespace)?,
            schedule: name("schedule", schedule)?,
            run: name("run", run)?,
            predictions: Predictions { path: folder(&work.predictions.path)?, ..work.predictions.clone() },
            at: window.map_or(tick, |w| w.start),
            logs: work.logs.layout,
            rerun_of: None,
        })
    }

    /// The run's folder: `runs/{namespace}/{schedule}/{run}`.
    #[must_use]
    pub fn run(&self) -> String {
        format!("{RUNS}/{}/{}/{}", self.namespace, self.schedule, self.run)
    }

    /// The paths of another run of the schedule: its manifest and its record.
    ///
    /// # Errors
    /// When the name could leave its folder.
    pub fn of_run(&self, run: &str) -> Result<Self, NameError> {
        Ok(Self { run: name("run", run)?, ..self.clone() })
    }

    /// Who holds the tick.
    #[must_use]
    pub fn claim(&self) -> String {
        format!("{}/claim.json", self.run())
    }

    /// The manifest's index.
    #[must_use]
    pub fn manifest(&self) -> String {
        format!("{}/manifest/index.json", self.run())
    }

    /// A shard of the manifest.
    #[must_use]
    pub fn shard(&self, shard: u32) -> String {
        format!("{}/manifest/{shard}.json", self.run())
    }

    /// What all outcomes start with.
    #[must_use]
    pub fn outcomes(&self) -> String {
        format!("{}/outcomes/", self.run())
    }

    /// What an item's outcomes start with, those of every attempt.
    #[must_use]
    pub fn item_outcomes(&self, index: u32) -> String {
        format!("{}{index}.", self.outcomes())
    }

    /// The outcomes of one attempt at an item.
    #[must_use]
    pub fn outcome(&self, index: u32, pod: &PodUid) -> String {
        format!("{}{}.ndjson", self.item_outcomes(index), pod.0)
    }

    /// What the run did.
    #[must_use]
    pub fn record(&self) -> String {
        format!("{}/record.json", self.run())
    }

    /// What the run's logs start with.
    #[must_use]
    pub fn logs(&self) -> String {
        match self.logs {
            LogLayout::PerSensor => format!("{LOGS}/{}/{}/{}/", self.namespace, self.schedule, self.run),
            LogLayout::SingleDirectory => format!("{LOGS}/{}.", self.run),
        }
    }

    /// A sensor's log of one attempt; `part` 0 is the first, later ones follow each roll.
    #[must_use]
    pub fn log(&self, sensor: &SensorKeys, pod: &PodUid, part: u32) -> String {
        self.log_named(&sensor.slug(), pod, part)
    }

    /// The same of a sensor as paths name it.
    #[must_use]
    pub fn log_named(&self, slug: &str, pod: &PodUid, part: u32) -> String {
        let part = if part == 0 { String::new() } else { format!(".{part}") };
        format!("{}{slug}.{}{part}.log", self.logs(), pod.0)
    }

    /// The file with a sensor's predictions, which the sensors of its item may share.
    #[must_use]
    pub fn prediction(&self, item: u32, sensor: &SensorKeys) -> String {
        self.prediction_file(&sensor.slug(), &format!("{item:05}"))
    }

    /// The file with what a challenger predicts of a sensor: in a folder that Spark and Hive take for hidden. Names sort by
    /// their times.
    #[must_use]
    pub fn challenger(&self, version: &ModelVersion, sensor: &SensorKeys) -> String {
        let (folder, time, ending) = (self.predictions(), file_time(self.at), self.predictions.format.extension());
        format!("{folder}/_challengers/{time}/{version}/{}.{ending}", sensor.slug())
    }

    /// What all files of the run's predictions match: `*` stands for any text without `/`.
    #[must_use]
    pub fn prediction_glob(&self) -> String {
        self.prediction_file("*", "*")
    }

    fn prediction_file(&self, sensor: &str, item: &str) -> String {
        let (folder, time, ending) = (self.predictions(), file_time(self.at), self.predictions.format.extension());
        let item = self.rerun_of.as_ref().map_or_else(|| item.to_owned(), |run| format!("{run}.rerun.{item}"));
        match self.predictions.layout {
            PredictionLayout::PerSensor => format!("{folder}/{sensor}/{time}.{ending}"),
            PredictionLayout::PerItem => format!("{folder}/{time}/{item}.{ending}"),
            PredictionLayout::Partitioned => {
                format!("{folder}/{}/{time}.{item}.{ending}", self.at.strftime("date=%Y-%m-%d/hour=%H"))
            }
        }
    }

    /// What says that all predictions of the run are written. In a folder that Spark and Hive take for hidden.
    #[must_use]
    pub fn success(&self) -> String {
        let rerun = self.rerun_of.as_ref().map_or_else(String::new, |run| format!(".{run}.rerun"));
        format!("{}/_runs/{}{rerun}/_SUCCESS", self.predictions(), file_time(self.at))
    }

    /// What tells the latest run of the schedule whose predictions are all written.
    #[must_use]
    pub fn latest(&self) -> String {
        format!("{}/_runs/latest.json", self.predictions())
    }

    /// The folder of the schedule's predictions.
    #[must_use]
    pub fn predictions(&self) -> String {
        format!("{}/{}/{}", self.predictions.path, self.namespace, self.schedule)
    }
}

/// A time as a file's name has it: sorts by time, and is a name on every file system.
fn file_time(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A Kubernetes name: lower case letters, digits, `-` and `.`, at most 253, a letter or digit at both ends.
fn name(what: &'static str, text: &str) -> Result<String, NameError> {
    let end = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = text.as_bytes();
    let fits = bytes.len() <= 253
        && end(bytes.first())
        && end(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
        && !text.contains("..");
    let hint = "use lower case letters, digits and -, such as hourly";
    if fits { Ok(text.to_owned()) } else { Err(NameError { what, text: text.to_owned(), hint }) }
}

/// A folder in the store, without leading or trailing slash.
fn folder(text: &str) -> Result<String, NameError> {
    let path = text.trim_end_matches('/');
    let segment =
        |s: &str| !s.is_empty() && s != "." && s != ".." && !s.contains('\\') && !s.chars().any(char::is_control);
    let hint = "write predictions.path as folder/folder, without leading /, empty segments, . or ..";
    if path.len() <= 512 && path.split('/').all(segment) {
        Ok(path.to_owned())
    } else {
        Err(NameError { what: "predictions.path", text: text.to_owned(), hint })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn work(predictions: &str, layout: &str) -> Work {
        serde_json::from_value(serde_json::json!({
            "store": {"url": "file:///x"}, "model": {"path": "models/{device}"}, "data": {"path": "data/d.csv"},
            "predictions": {"path": predictions}, "logs": {"layout": layout},
        }))
        .unwrap()
    }

    fn paths(namespace: &str, schedule: &str, run: &str, predictions: &str) -> Result<RunPaths, NameError> {
        let window =
            TimeRange { start: "2018-08-28T23:00:00Z".parse().unwrap(), end: "2018-08-29T00:00:00Z".parse().unwrap() };
        RunPaths::new(namespace, schedule, run, &work(predictions, "PerSensor"), Some(window), window.end)
    }

    #[test]
    fn things_are_where_the_documentation_says() {
        let paths = paths("plant", "hourly", "hourly-25591680", "predictions/").unwrap();
        let sensor: SensorKeys = [("device", "1"), ("tag", "5")].into_iter().collect();
        assert_eq!(paths.claim(), "runs/plant/hourly/hourly-25591680/claim.json");
        assert_eq!(paths.manifest(), "runs/plant/hourly/hourly-25591680/manifest/index.json");
        assert_eq!(paths.shard(3), "runs/plant/hourly/hourly-25591680/manifest/3.json");
        let pod = PodUid::parse("ab-1").unwrap();
        assert_eq!(paths.outcome(7, &pod), "runs/plant/hourly/hourly-25591680/outcomes/7.ab-1.ndjson");
        assert_eq!(paths.record(), "runs/plant/hourly/hourly-25591680/record.json");
        assert_eq!(paths.prediction(0, &sensor), "predictions/plant/hourly/device=1,tag=5/20180828T230000Z.csv");
        assert_eq!(paths.success(), "predictions/plant/hourly/_runs/20180828T230000Z/_SUCCESS");
        let challenger = paths.challenger(&"v2".parse().unwrap(), &sensor);
        assert_eq!(challenger, "predictions/plant/hourly/_challengers/20180828T230000Z/v2/device=1,tag=5.csv");
        assert_eq!(paths.window_of(&challenger), Some(paths.at), "retention knows it");
        assert_eq!(paths.latest(), "predictions/plant/hourly/_runs/latest.json");
        assert_eq!(paths.log(&sensor, &pod, 0), "logs/plant/hourly/hourly-25591680/device=1,tag=5.ab-1.log");
        assert_eq!(paths.log(&sensor, &pod, 2), "logs/plant/hourly/hourly-25591680/device=1,tag=5.ab-1.2.log");
    }

    #[test]
    fn a_single_directory_holds_the_logs_of_all_runs() {
        let tick = "2018-08-28T23:00:00Z".parse().unwrap();
        let paths = RunPaths::new("plant", "hourly", "hourly-1", &work("p", "SingleDirectory"), None, tick).unwrap();
        let sensor: SensorKeys = [("device", "1")].into_iter().collect();
        assert_eq!(paths.log(&sensor, &PodUid::parse("u").unwrap(), 0), "logs/hourly-1.device=1.u.log");
        assert_eq!(paths.prediction(0, &sensor), "p/plant/hourly/device=1/20180828T230000Z.csv");
    }

    #[test]
    fn predictions_of_an_item_share_a_file_named_after_window_and_item() {
        let tick = "2018-08-28T23:00:00Z".parse().unwrap();
        for (layout, format, path, glob) in [
            ("PerItem", "Csv", "20180828T230000Z/00012.csv", "20180828T230000Z/*.csv"),
            ("PerItem", "JsonLines", "20180828T230000Z/00012.jsonl", "20180828T230000Z/*.jsonl"),
            (
                "Partitioned",
                "Parquet",
                "date=2018-08-28/hour=23/20180828T230000Z.00012.parquet",
                "date=2018-08-28/hour=23/20180828T230000Z.*.parquet",
            ),
            ("PerSensor", "Parquet", "device=1/20180828T230000Z.parquet", "*/20180828T230000Z.parquet"),
        ] {
            let mut work = work("p", "PerSensor");
            let kind = serde_json::json!({"path": "p", "layout": layout, "format": format});
            work.predictions = serde_json::from_value(kind).unwrap();
            let paths = RunPaths::new("plant", "hourly", "hourly-1", &work, None, tick).unwrap();
            let sensor: SensorKeys = [("device", "1")].into_iter().collect();
            assert_eq!(paths.prediction(12, &sensor), format!("p/plant/hourly/{path}"));
            assert_eq!(paths.prediction_glob(), format!("p/plant/hourly/{glob}"));
        }
    }

    #[test]
    fn a_rerun_overwrites_nothing_of_the_run_whose_failures_it_scores() {
        let request = |of: Option<&str>| -> RunRequest {
            let mut work = work("p", "PerSensor");
            work.predictions.layout = PredictionLayout::PerItem;
            let (namespace, schedule, run) = ("plant".to_owned(), "hourly".to_owned(), "again".to_owned());
            let tick = "2018-08-28T23:00:00Z".parse().unwrap();
            let of = of.map(str::to_owned);
            RunRequest {
                namespace,
                schedule,
                run,
                run_uid: "u".into(),
                tick,
                window: None,
                work,
                rerun_failed_of: of,
                slots: None,
                deadline: None,
                wait_until: None,
            }
        };
        let paths = RunPaths::of(&request(Some("hourly-1"))).unwrap();
        let sensor: SensorKeys = [("device", "1")].into_iter().collect();
        assert_eq!(paths.prediction(0, &sensor), "p/plant/hourly/20180828T230000Z/hourly-1.rerun.00000.csv");
        assert_eq!(paths.success(), "p/plant/hourly/_runs/20180828T230000Z.hourly-1.rerun/_SUCCESS");
        assert_eq!(paths.of_run("hourly-1").unwrap().record(), "runs/plant/hourly/hourly-1/record.json");
        assert!(RunPaths::of(&request(Some("../x"))).is_err());
    }

    #[test]
    fn names_that_could_leave_their_folder_are_refused() {
        for bad in ["", "..", "a/b", "A", "a..b", "-a", "a b", "a\n"] {
            assert!(paths(bad, "s", "r", "p").is_err(), "{bad:?}");
            assert!(paths("n", bad, "r", "p").is_err(), "{bad:?}");
            assert!(paths("n", "s", bad, "p").is_err(), "{bad:?}");
        }
        for bad in ["", "/", "/p", "p//q", "p/../q", "p\\q"] {
            assert!(paths("n", "s", "r", bad).is_err(), "{bad:?}");
        }
        assert!(PodUid::parse("../x").is_err());
    }

    proptest! {
        #[test]
        fn no_text_escapes_the_runs_folder(run in "\\PC{0,20}", uid in "\\PC{0,20}", value in "\\PC{0,20}") {
            if let Ok(paths) = paths("n", "s", &run, "p") {
                prop_assert!(paths.record().starts_with("runs/n/s/"));
                prop_assert_eq!(paths.record().split('/').count(), 5);
                let sensor: SensorKeys = [("device", value)].into_iter().collect();
                prop_assert_eq!(paths.prediction(0, &sensor).split('/').count(), 5);
                if let Ok(pod) = PodUid::parse(&uid) {
                    let log = paths.log(&sensor, &pod, 0);
                    prop_assert_eq!(log.split('/').count(), 5);
                    prop_assert!(!log.split('/').any(|s| s == ".." || s == "." || s.is_empty()));
                }
            }
        }
    }
}
