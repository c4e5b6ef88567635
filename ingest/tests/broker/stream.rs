//! A stream with everything that goes wrong in one, and what a batch computation makes of all of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// 2026-01-01T00:00:00Z, in seconds.
pub(crate) const BEGIN: i64 = 1_767_225_600;
pub(crate) const WINDOW: i64 = 5;
/// By how much an event may be late, in seconds.
pub(crate) const LATENESS: i64 = 60;
const MAX_AHEAD: i64 = 300;

/// What a batch computation makes of a partition's events.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) max: f64,
}

/// What becomes of all events.
#[derive(Default)]
pub(crate) struct Expected {
    /// By the window's begin in seconds, device and tag.
    pub(crate) windows: BTreeMap<(i64, u32, u32), Window>,
    /// Dead letters by reason.
    pub(crate) dead: BTreeMap<&'static str, u64>,
}

/// A partition of the stream: which records it gets, one after the other.
pub(crate) struct Sensors {
    random: StdRng,
    partition: u32,
    /// Over how many partitions sensors are divided: with 1, each is in all of them.
    divided: u32,
    sensors: u32,
    /// Event time in microseconds.
    now: i64,
    step: i64,
    watermark: i64,
    text: String,
}

/// A record: when the broker is to believe that it got it, in milliseconds.
pub(crate) struct Record<'a> {
    pub(crate) stamp: i64,
    pub(crate) payload: &'a [u8],
}

impl Sensors {
    /// `events` of them in all take an hour of event time.
    pub(crate) fn new(seed: u64, partition: u32, divided: u32, events: u64) -> Self {
        let step = 3_600_000_000 / i64::try_from(events.max(1)).unwrap();
        let random = StdRng::seed_from_u64(seed ^ u64::from(partition) << 32);
        Self {
            random,
            partition,
            divided,
            sensors: 250,
            now: BEGIN * 1_000_000,
            step,
            watermark: i64::MIN,
            text: String::new(),
        }
    }

    /// The next record, whose fate is entered.
    pub(crate) fn next(&mut self, expected: &mut Expected) -> Record<'_> {
        use std::fmt::Write as _;
        self.now += self.step;
        let random = &mut self.random;
        // Most sensors are heard of seldom, some of them all the time.
        let skewed = random.random_range(0.0..1.0_f64).powi(3);
        let sensor = (skewed * f64::from(self.sensors)) as u32;
        let (device, tag) = (sensor * self.divided + self.partition % self.divided, sensor % 7);
        let stamp = self.now / 1000;
        self.text.clear();
        let dice = random.random_range(0..10_000);
        if dice < 5 {
            *expected.dead.entry("Malformed").or_default() += 1;
            let _ = write!(self.text, "{{\"TS\":\"2026-01-01T00:00:00Z\",\"Device\":{device}");
            return Record { stamp, payload: self.text.as_bytes() };
        }
        let behind = match dice {
            5..15 => random.random_range(61_000_000..120_000_000),
            15..1000 => random.random_range(0..59_000_000),
            _ => random.random_range(0..2_000_000),
        };
        let ahead = match dice {
            1000..1005 => (MAX_AHEAD + 10) * 1_000_000,
            // Some clocks are ahead, and within bounds.
            1005..1050 => random.random_range(0..MAX_AHEAD - 1) * 1_000_000,
            _ => 0,
        };
        let at = (self.now - behind + ahead) / 1000 * 1000;
        let value = f64::from(random.random_range(-4000..4000)) / 32.0;
        let time = Timestamp::from_microsecond(at).unwrap();
        let _ = write!(self.text, "{{\"TS\":\"{time:.3}\",\"Device\":{device},\"Tag\":{tag},\"Value\":{value}}}");
        let start = at.div_euclid(WINDOW * 1_000_000) * WINDOW;
        if at > stamp * 1000 + MAX_AHEAD * 1_000_000 {
            *expected.dead.entry("Future").or_default() += 1;
        } else if (start + WINDOW) * 1_000_000 <= self.watermark {
            *expected.dead.entry("Late").or_default() += 1;
        } else {
            self.watermark = self.watermark.max(at.min(stamp * 1000) - LATENESS * 1_000_000);
            let window =
                expected.windows.entry((start, device, tag)).or_insert(Window { max: f64::MIN, ..Window::default() });
            window.count += 1;
            window.sum += value;
            window.max = window.max.max(value);
        }
        Record { stamp, payload: self.text.as_bytes() }
    }

    /// A last event, far enough ahead that all windows before are complete. Its own is not among those that are expected.
    pub(crate) fn last(&mut self) -> Record<'_> {
        let at = Timestamp::from_second(BEGIN + 2 * 3600).unwrap();
        self.text = format!("{{\"TS\":\"{at}\",\"Device\":{},\"Tag\":0,\"Value\":0}}", self.partition);
        Record { stamp: at.as_millisecond(), payload: self.text.as_bytes() }
    }
}
