//! What a path of the store tells: the other way round from how paths are made. What is not exactly of a form that is
//! written is nobody's.

use jiff::civil::{Date, DateTime};
use jiff::{Timestamp, tz::TimeZone};
use spec::ModelVersion;

use super::{LOGS, PodUid, RUNS, RunPaths, file_time};

/// The length of a time as files are named after it.
const TIME: usize = 16;

/// What the path of a run's log tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogName<'a> {
    /// The sensor, as paths name it.
    pub slug: &'a str,
    /// The UID of the pod that wrote it.
    pub pod: &'a str,
    /// Which part of the log it is.
    pub part: u32,
}

impl<'a> LogName<'a> {
    /// Reads a log's name without what the run's logs start with.
    fn of(name: &'a str) -> Option<Self> {
        let (rest, last) = name.strip_suffix(".log")?.rsplit_once('.')?;
        let number = last.bytes().all(|b| b.is_ascii_digit());
        // No part is numbered 0.
        let later = number.then(|| Some((rest.rsplit_once('.')?, last.parse().ok()?))).flatten();
        let ((slug, pod), part) = later.unwrap_or(((rest, last), 0));
        let fits = !name.contains('/') && slug.contains('=') && PodUid::parse(pod).is_ok();
        fits.then_some(Self { slug, pod, part })
    }
}

/// A log in the one folder of all schedules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlatLog<'a> {
    /// The run.
    pub run: &'a str,
    /// The UID of the pod that wrote it.
    pub pod: &'a str,
}

impl RunPaths {
    /// The run's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.run
    }

    /// The folder of the schedule's runs, with a `/` at its end.
    #[must_use]
    pub fn runs(&self) -> String {
        format!("{RUNS}/{}/{}/", self.namespace, self.schedule)
    }

    /// What was last deleted of the schedule, and when.
    #[must_use]
    pub fn retention(&self) -> String {
        format!("{}_retention.json", self.runs())
    }

    /// What is usual for the schedule's sensors.
    #[must_use]
    pub fn bands(&self) -> String {
        format!("{}_bands.json", self.runs())
    }

    /// The folder of the schedule's logs that lie in folders, with a `/` at its end.
    #[must_use]
    pub fn log_folders(&self) -> String {
        format!("{LOGS}/{}/{}/", self.namespace, self.schedule)
    }

    /// What the logs of the ticks' runs start with that lie in the one folder of all schedules; those of other schedules
    /// may start so too.
    #[must_use]
    pub fn flat_tick_logs(&self) -> String {
        format!("{LOGS}/{}-", self.schedule)
    }

    /// What a run's logs start with that lie in the one folder of all schedules.
    #[must_use]
    pub fn flat_logs(run: &str) -> String {
        format!("{LOGS}/{run}.")
    }

    /// What a path of one of the run's logs tells.
    #[must_use]
    pub fn log_of<'a>(&self, path: &'a str) -> Option<LogName<'a>> {
        LogName::of(path.strip_prefix(&self.logs())?)
    }

    /// The tick that a run is named after, if its name is that of a tick of this schedule.
    #[must_use]
    pub fn tick_of(&self, run: &str) -> Option<Timestamp> {
        let minutes = run.strip_prefix(&self.schedule)?.strip_prefix('-')?;
        if minutes.is_empty() || minutes.len() > 9 || !minutes.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Timestamp::from_second(minutes.parse::<i64>().ok()? * 60).ok()
    }

    /// The window that a file of the schedule's predictions, or the `_SUCCESS` of its run, is named after, whatever the
    /// layout. None of any other file.
    #[must_use]
    pub fn window_of(&self, path: &str) -> Option<Timestamp> {
        let inside = path.strip_prefix(&self.predictions())?.strip_prefix('/')?;
        let parts: Vec<&str> = inside.split('/').collect();
        match *parts.as_slice() {
            ["_runs", window, "_SUCCESS"] => {
                let (at, rest) = time(window)?;
                let rerun = rest.strip_prefix('.').is_some_and(|rest| rest.ends_with(".rerun"));
                (rest.is_empty() || rerun).then_some(at)
            }
            ["_challengers", window, version, file] => {
                let (at, rest) = time(window)?;
                let named = version.parse::<ModelVersion>().is_ok() && file.contains('=');
                (rest.is_empty() && named).then_some(at)
            }
            [day, hour, file] if day.starts_with("date=") && hour.starts_with("hour=") => {
                let (at, rest) = time(file)?;
                is_item(rest.strip_prefix('.')?).then_some(at)
            }
            [folder, file] => match time(folder) {
                Some((at, "")) => is_item(file).then_some(at),
                _ if folder.contains('=') => {
                    let (at, rest) = time(file)?;
                    is_ending(rest.strip_prefix('.')?).then_some(at)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The earliest window that files in a folder of the schedule's predictions may be named after, where its name tells:
    /// a window's or a day's.
    #[must_use]
    pub fn window_of_folder(&self, folder: &str) -> Option<Timestamp> {
        let name = folder.strip_prefix(&self.predictions())?.strip_prefix('/')?;
        match name.strip_prefix("date=") {
            Some(day) => Some(day.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp()),
            None => time(name).filter(|(_, rest)| rest.is_empty()).map(|(at, _)| at),
        }
    }
}

impl<'a> FlatLog<'a> {
    /// Reads the path of a log that a run of such a name wrote.
    #[must_use]
    pub fn of(path: &'a str) -> Option<Self> {
        let (run, name) = path.strip_prefix(LOGS)?.strip_prefix('/')?.split_once('.')?;
        let LogName { pod, .. } = LogName::of(name).filter(|_| !run.contains('/'))?;
        Some(Self { run, pod })
    }
}

/// The UID of the pod that left these outcomes.
#[must_use]
pub fn pod_of_outcomes(path: &str) -> Option<&str> {
    let (_, name) = path.rsplit_once('/')?;
    let (index, pod) = name.strip_suffix(".ndjson")?.split_once('.')?;
    index.bytes().all(|b| b.is_ascii_digit()).then_some(pod)
}

/// The time at the start of a name, and the rest of it.
fn time(name: &str) -> Option<(Timestamp, &str)> {
    let (text, rest) = name.split_at_checked(TIME)?;
    let at = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    (file_time(at) == text).then_some((at, rest))
}

/// Whether this is the name of an item's file: `00012.csv`, `{run}.rerun.00012.csv`.
fn is_item(name: &str) -> bool {
    let Some((item, ending)) = name.rsplit_once('.') else { return false };
    let number = item.rsplit_once('.').map_or(Some(item), |(of, number)| of.ends_with(".rerun").then_some(number));
    is_ending(ending) && number.is_some_and(|n| n.len() >= 5 && n.bytes().all(|b| b.is_ascii_digit()))
}

fn is_ending(text: &str) -> bool {
    matches!(text, "csv" | "jsonl" | "parquet")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use spec::work::{PredictionFormat, PredictionLayout};
    use spec::{RunRequest, SensorKeys};

    use super::*;

    const LAYOUTS: [PredictionLayout; 3] =
        [PredictionLayout::PerSensor, PredictionLayout::PerItem, PredictionLayout::Partitioned];
    const FORMATS: [PredictionFormat; 3] =
        [PredictionFormat::Csv, PredictionFormat::JsonLines, PredictionFormat::Parquet];

    fn paths(schedule: &str, run: &str, tick: Timestamp, change: impl FnOnce(&mut RunRequest)) -> RunPaths {
        let mut request: RunRequest = serde_json::from_value(serde_json::json!({
            "namespace": "plant", "schedule": schedule, "run": run, "runUid": "u", "tick": tick,
            "work": {
                "store": {"url": "file:///x"}, "model": {"path": "m/{device}"}, "data": {"path": "d.csv"},
                "logs": {"layout": "SingleDirectory"},
            },
        }))
        .unwrap();
        change(&mut request);
        RunPaths::of(&request).unwrap()
    }

    fn hourly() -> RunPaths {
        paths("hourly", "hourly-1", Timestamp::UNIX_EPOCH, |_| {})
    }

    #[test]
    fn a_run_is_named_after_a_tick_of_its_own_schedule_only() {
        let minute = Timestamp::from_second(60).unwrap();
        assert_eq!(hourly().tick_of("hourly-1"), Some(minute));
        for other in ["hourly-x-1", "hourly-", "hourly", "hourly-1x", "hourly-1.a", "hourlyx-1", "hourly-9999999999"] {
            assert_eq!(hourly().tick_of(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_not_written_by_a_run_has_no_window() {
        for stranger in [
            "predictions/plant/hourly/_runs/latest.json",
            "predictions/plant/hourly/_runs/20180828T230000Z/notes.txt",
            "predictions/plant/hourly/device=1/20180828T230000Z.txt",
            "predictions/plant/hourly/device=1/20181328T230000Z.csv",
            "predictions/plant/hourly/device=1/deep/20180828T230000Z.csv",
            "predictions/plant/hourly/20180828T230000Z/README.csv",
            "predictions/plant/hourly/20180828T230000Z.csv",
            "predictions/plant/hourly-x/device=1/20180828T230000Z.csv",
            "predictions/plant/hourly/mine/20180828T230000Z.csv",
            "predictions/other/hourly/device=1/20180828T230000Z.csv",
            "models/device=1/20180828T230000Z.csv",
        ] {
            assert_eq!(hourly().window_of(stranger), None, "{stranger}");
        }
    }

    #[test]
    fn a_flat_log_tells_its_run_and_pod() {
        let told = |path: &'static str| FlatLog::of(path).map(|log| (log.run, log.pod));
        assert_eq!(told("logs/hourly-1.device=1.ab-1.log"), Some(("hourly-1", "ab-1")));
        assert_eq!(told("logs/hourly-1.device=1.5,tag=a.b.ab-1.12.log"), Some(("hourly-1", "ab-1")));
        for none in ["logs/plant/hourly-1.device=1.u.log", "logs/hourly-1.log", "logs/a.b.log", "x/hourly-1.d=1.u.log"]
        {
            assert_eq!(told(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn every_path_that_a_run_writes_tells_its_window(
            second in 0i64..4_000_000_000, item in 0u32..200_000, value in "\\PC{1,12}", key in "[a-z]{1,5}",
            layout in 0usize..3, format in 0usize..3, rerun in any::<bool>(),
        ) {
            let at = Timestamp::from_second(second).unwrap();
            let sensor: SensorKeys = [(key, value)].into_iter().collect();
            let paths = paths("hourly", "hourly-1", at, |request| {
                request.work.predictions.layout = LAYOUTS[layout];
                request.work.predictions.format = FORMATS[format];
                request.rerun_failed_of = rerun.then(|| "again".to_owned());
            });
            prop_assert_eq!(paths.window_of(&paths.prediction(item, &sensor)), Some(at));
            prop_assert_eq!(paths.window_of(&paths.success()), Some(at));
            let other = super::tests::paths("hourly-x", "hourly-x-1", at, |_| {});
            prop_assert_eq!(other.window_of(&paths.prediction(item, &sensor)), None);
            prop_assert_eq!(hourly().window_of(&other.prediction(item, &sensor)), None);

            let pod = PodUid::parse("0b5a-1").unwrap();
            let log = paths.log(&sensor, &pod, item % 3);
            prop_assert_eq!(FlatLog::of(&log), Some(FlatLog { run: "hourly-1", pod: "0b5a-1" }));
            let (slug, pod_uid) = (sensor.slug(), "0b5a-1");
            prop_assert_eq!(paths.log_of(&log), Some(LogName { slug: &slug, pod: pod_uid, part: item % 3 }));
            let outcomes = paths.outcome(item, &pod);
            prop_assert_eq!(pod_of_outcomes(&outcomes), Some("0b5a-1"));
        }

        #[test]
        fn names_sort_by_the_times_that_they_tell(one in 0i64..4_000_000_000, other in 0i64..4_000_000_000) {
            let name = |second| file_time(Timestamp::from_second(second).unwrap());
            prop_assert_eq!(name(one).cmp(&name(other)), one.cmp(&other));
        }

        #[test]
        fn no_text_is_taken_for_what_it_is_not(path in "\\PC{0,60}") {
            if let Some(at) = hourly().window_of(&format!("predictions/plant/hourly/{path}")) {
                prop_assert!(path.contains(&file_time(at)));
            }
            let _ = (FlatLog::of(&path), pod_of_outcomes(&path), hourly().tick_of(&path));
        }
    }
}
