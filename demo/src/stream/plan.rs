//! What each sensor is to send: the simulation's average of each 5 seconds, and whether that is an anomaly. No I/O.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, bail};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Seconds of a window.
pub(crate) const WINDOW: i64 = 5;

/// A sensor: its device and tag.
pub(crate) type Sensor = (u32, u32);

/// A window of a sensor: when it begins, in seconds since 1970, and whose it is.
pub(crate) type Key = (i64, Sensor);

/// The average of a window, and whether it is an anomaly.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Average {
    value: f64,
    anomaly: bool,
}

/// All windows of all sensors.
#[derive(Debug, Default)]
pub(crate) struct Plan(BTreeMap<Key, Average>);

/// When the window of a time begins; of milliseconds since 1970, in seconds.
pub(crate) fn window(at: i64) -> i64 {
    at.div_euclid(1_000 * WINDOW) * WINDOW
}

impl Plan {
    /// Reads the simulation's labels: `TS,Device,Tag,Value,Anomaly`.
    pub(crate) fn parse(csv: &str) -> anyhow::Result<Self> {
        let rows =
            csv.lines().skip(1).map(|line| row(line).with_context(|| format!("what sensors are to send: {line}")));
        let plan: BTreeMap<_, _> = rows.collect::<anyhow::Result<_>>()?;
        Ok(Self(plan))
    }

    /// Whose windows they are.
    pub(crate) fn sensors(&self) -> Vec<Sensor> {
        let first = self.0.first_key_value().map(|(key, _)| key.0);
        self.0.keys().take_while(|key| Some(key.0) == first).map(|key| key.1).collect()
    }

    /// The average of a window.
    pub(crate) fn value(&self, key: Key) -> Option<f64> {
        self.0.get(&key).map(|average| average.value)
    }

    /// The windows that begin in a span, as labels; and how many they are.
    pub(crate) fn labels(&self, from: i64, until: i64) -> (String, u64) {
        let mut csv = "TS,Device,Tag,Anomaly\n".to_owned();
        let mut count = 0;
        for ((at, (device, tag)), average) in self.0.range((from, (0, 0))..(until, (0, 0))) {
            let Ok(time) = Timestamp::from_second(*at) else { continue };
            let _ = writeln!(csv, "{time},{device},{tag},{}", u8::from(average.anomaly));
            count += 1;
        }
        (csv, count)
    }
}

fn row(line: &str) -> anyhow::Result<(Key, Average)> {
    let fields: Vec<_> = line.split(',').collect();
    let [at, device, tag, value, anomaly] = fields[..] else { bail!("not five fields") };
    let at = at.parse::<DateTime>()?.to_zoned(TimeZone::UTC)?.timestamp().as_second();
    let average = Average { value: value.parse()?, anomaly: anomaly == "1" };
    Ok(((at, (device.parse()?, tag.parse()?)), average))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "TS,Device,Tag,Value,Anomaly\n2026-01-01 00:00:00.000,1,1,12.5,0\n2026-01-01 00:00:00.000,1,2,35.5,0\n\
                       2026-01-01 00:00:05.000,1,1,30,1\n2026-01-01 00:00:05.000,1,2,35,0\n";

    #[test]
    fn labels_are_those_of_windows_that_begin_in_the_span_with_times_as_files_of_windows_have_them() {
        let plan = Plan::parse(CSV).unwrap();
        let begin = "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap().as_second();
        assert_eq!(plan.sensors(), [(1, 1), (1, 2)]);
        assert_eq!(plan.value((begin + 5, (1, 1))), Some(30.0));
        let (csv, count) = plan.labels(begin + 1, begin + 6);
        assert_eq!(csv, "TS,Device,Tag,Anomaly\n2026-01-01T00:00:05Z,1,1,1\n2026-01-01T00:00:05Z,1,2,0\n");
        assert_eq!((count, plan.labels(begin, begin + 5).1), (2, 2), "a span is half open");
    }

    #[test]
    fn the_window_of_a_time_is_that_in_which_it_lies() {
        assert_eq!((window(4_999), window(5_000), window(9_999)), (0, 5, 5));
    }
}
