//! The sensors: a thread that sends their readings to the broker as time goes on, each under its sensor's key.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow};
use jiff::Timestamp;

use super::plan::{Plan, Sensor, WINDOW, window};
use super::producer::Producer;
use super::sent::Sent;

/// Milliseconds between a sensor's events: at 24 sensors 2,400 events in a second.
const EVERY: i64 = 10;
/// By how many milliseconds an event may come out of order; less than ingest allows.
const BEHIND: u64 = 1_000;
/// So often, in milliseconds, one event is far too late, and another is none.
const ODD_EVERY: i64 = 10_000;
const LATE_BY: i64 = 120_000;
/// How far readings are from the window's average, at most.
const WOBBLE: f64 = 0.2;
const PAUSE: Duration = Duration::from_millis(20);

/// They send until told to stop; dropped, they stop at once.
pub(crate) struct Sensors {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<anyhow::Result<Sent>>>,
}

/// What the thread tells, and is told.
struct Shared {
    events: AtomicU64,
    /// No event is due from then on; milliseconds since 1970.
    until: AtomicI64,
    dropped: AtomicBool,
}

impl Sensors {
    /// Starts them.
    pub(crate) fn start(plan: Arc<Plan>, bootstrap: &str, topic: &'static str) -> anyhow::Result<Self> {
        let producer = Producer::new(bootstrap, topic)?;
        let until = AtomicI64::new(i64::MAX);
        let shared = Arc::new(Shared { events: AtomicU64::new(0), until, dropped: AtomicBool::new(false) });
        let told = shared.clone();
        let thread = std::thread::Builder::new().name("sensors".to_owned());
        let thread = thread.spawn(move || run(&plan, producer, &told)).context("starting the sensors")?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Events that were sent so far.
    pub(crate) fn events(&self) -> u64 {
        self.shared.events.load(Ordering::Relaxed)
    }

    /// They stop after so long, unless they do earlier.
    pub(crate) fn stop_after(&self, time: Duration) {
        let after = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.shared.until.fetch_min(Timestamp::now().as_millisecond().saturating_add(after), Ordering::Relaxed);
    }

    /// Whether they have ended, be it by an error.
    pub(crate) fn have_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Whether they have ended without having been told to.
    pub(crate) fn have_failed(&self) -> bool {
        self.have_ended() && self.shared.until.load(Ordering::Relaxed) == i64::MAX
    }

    /// What they have sent, once they have ended.
    pub(crate) fn join(&mut self) -> anyhow::Result<Sent> {
        let thread = self.thread.take().context("the sensors were asked twice")?;
        thread.join().map_err(|_| anyhow!("the sensors broke off"))?
    }
}

impl Drop for Sensors {
    fn drop(&mut self) {
        self.shared.dropped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(plan: &Plan, producer: Producer, shared: &Shared) -> anyhow::Result<Sent> {
    let sensors = plan.sensors();
    // At the beginning of a window, so that none is sent in part.
    let begin = (window(Timestamp::now().as_millisecond()) + WINDOW) * 1_000;
    let mut sent = Sent { begin, ..Sent::default() };
    let mut due = begin;
    while !shared.dropped.load(Ordering::Relaxed) {
        let (now, until) = (Timestamp::now().as_millisecond(), shared.until.load(Ordering::Relaxed));
        while due <= now && due < until {
            for sensor in &sensors {
                let noise = mix(sent.events);
                let at = (due - i64::try_from(noise % BEHIND)?).max(begin);
                let key = (window(at), *sensor);
                let average = plan.value(key).context("the sensors have sent all that they were to send in an hour")?;
                let value =
                    average + WOBBLE * (2.0 * f64::from(u32::try_from(noise >> 32)?) / f64::from(u32::MAX) - 1.0);
                producer.send(&name(*sensor), &event(at, *sensor, &format!("{value:.3}"))?)?;
                sent.add(key, now);
            }
            odd(&producer, &sensors, due, &mut sent)?;
            due += EVERY;
        }
        shared.events.store(sent.events, Ordering::Relaxed);
        if due >= until {
            break;
        }
        producer.pause(PAUSE);
    }
    sent.until = due;
    producer.finish()?;
    Ok(sent)
}

/// An event that is far too late, or one that is none, where it is time for it.
fn odd(producer: &Producer, sensors: &[Sensor], due: i64, sent: &mut Sent) -> anyhow::Result<()> {
    let passed = due - sent.begin;
    let turn = usize::try_from(passed / ODD_EVERY)?;
    let Some(sensor) = sensors.get(turn % sensors.len().max(1)).copied() else { return Ok(()) };
    let payload = match passed % ODD_EVERY {
        5_000 => {
            sent.late += 1;
            event(due - LATE_BY, sensor, "0.0")?
        }
        8_000 => {
            sent.malformed += 1;
            event(due, sensor, "\"n/a\"")?
        }
        _ => return Ok(()),
    };
    sent.events += 1;
    producer.send(&name(sensor), &payload)
}

/// As the reference's simulated sensors do.
fn event(at: i64, (device, tag): Sensor, value: &str) -> anyhow::Result<String> {
    let at = Timestamp::from_millisecond(at)?;
    Ok(format!(r#"{{"TS":"{at:.3}","Device":{device},"Tag":{tag},"Value":{value}}}"#))
}

fn name((device, tag): Sensor) -> String {
    format!("{device}-{tag}")
}

/// Noise that is the same each time (splitmix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_in_the_references_shape() {
        let at = "2026-01-01T00:00:05.25Z".parse::<Timestamp>().unwrap().as_millisecond();
        let json = event(at, (1, 5), "104.5").unwrap();
        assert_eq!(json, r#"{"TS":"2026-01-01T00:00:05.250Z","Device":1,"Tag":5,"Value":104.5}"#);
    }
}
