//! Simulated plants: 5-second averages of many devices x sensors in the reference's shape, with labelled anomalies.
//!
//! What a sensor is like (level, swing, noise) follows from its device and tag alone; the seed decides noise and
//! anomalies. So two simulations with different seeds are two stretches in the life of the same plant, and models can be
//! trained on one and judged by the other.

use std::f64::consts::TAU;
use std::io::{self, Write};

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use spec::Span;

/// Seconds between a sensor's rows.
pub const PERIOD: u64 = 5;

/// What to simulate.
#[derive(Clone, Copy, Debug)]
pub struct Plant {
    /// Devices, numbered from 1.
    pub devices: u32,
    /// Sensors of each device, numbered from 1.
    pub tags: u32,
    /// The first row's time.
    pub start: Timestamp,
    /// Until when rows go on, from `start`.
    pub length: Span,
    /// Decides noise and anomalies.
    pub seed: u64,
    /// The share of rows that are anomalies.
    pub anomalies: f64,
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// When.
    pub at: Timestamp,
    /// Which device.
    pub device: u32,
    /// Which of its sensors.
    pub tag: u32,
    /// The 5-second average.
    pub value: f64,
    /// Whether it was made an anomaly.
    pub anomaly: bool,
}

/// What a simulation holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Simulated {
    /// Rows written.
    pub rows: u64,
    /// Anomalies among them.
    pub anomalies: u64,
}

/// Writes readings (`TS,Device,Tag,Value`) and the same rows with their label (`Anomaly`, 0 or 1).
///
/// # Errors
/// When one of them cannot be written.
pub fn write(plant: &Plant, readings: &mut impl Write, labels: &mut impl Write) -> io::Result<Simulated> {
    writeln!(readings, "TS,Device,Tag,Value")?;
    writeln!(labels, "TS,Device,Tag,Value,Anomaly")?;
    let mut simulated = Simulated::default();
    for Row { at, device, tag, value, anomaly } in rows(plant) {
        let at = at.strftime("%Y-%m-%d %H:%M:%S.000");
        writeln!(readings, "{at},{device},{tag},{value}")?;
        writeln!(labels, "{at},{device},{tag},{value},{}", u8::from(anomaly))?;
        simulated.rows += 1;
        simulated.anomalies += u64::from(anomaly);
    }
    Ok(simulated)
}

/// The rows, by time, device and tag.
pub fn rows(plant: &Plant) -> impl Iterator<Item = Row> {
    let Plant { devices, tags, start, length, seed, anomalies } = *plant;
    let mut sensors: Vec<Sensor> =
        (1..=devices).flat_map(|device| (1..=tags).map(move |tag| Sensor::new(device, tag, seed, anomalies))).collect();
    let ticks = length.as_secs() / PERIOD;
    (0..ticks)
        .map_while(move |tick| start.checked_add(Span::from_secs(tick * PERIOD).to_signed()).ok())
        .flat_map(move |at| sensors.iter_mut().map(|s| s.next(at)).collect::<Vec<_>>())
}

/// A sensor: a level, a slow swing about it, noise, and now and then a fault.
struct Sensor {
    device: u32,
    tag: u32,
    level: f64,
    swing: f64,
    noise: f64,
    /// Seconds of one swing, and where in it the epoch lies.
    cycle: f64,
    phase: f64,
    rng: StdRng,
    /// The chance of a fault to begin at a row.
    fault_chance: f64,
    /// The fault that goes on: rows left, and how far from the level.
    fault: Option<(u32, f64)>,
}

/// Rows that a fault lasts on average: half are spikes of one row, half steps of 2 to 6.
const MEAN_FAULT: f64 = 0.5 * 1.0 + 0.5 * 4.0;

impl Sensor {
    fn new(device: u32, tag: u32, seed: u64, anomalies: f64) -> Self {
        let identity = (u64::from(device) << 32) | u64::from(tag);
        let mut nature = StdRng::seed_from_u64(identity);
        let swing = nature.random_range(0.8..2.0);
        // So many rows are inside faults in the long run, of those that are not a chance begins one.
        let fault_chance = (anomalies / (MEAN_FAULT * (1.0 - anomalies))).clamp(0.0, 1.0);
        Self {
            device,
            tag,
            level: 12.5 + 23.0 * f64::from(tag - 1) + nature.random_range(-0.5..0.5),
            swing,
            noise: swing * nature.random_range(0.2..0.4),
            cycle: nature.random_range(1_200.0..3_600.0),
            phase: nature.random_range(0.0..TAU),
            rng: StdRng::seed_from_u64(seed ^ identity.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            fault_chance,
            fault: None,
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
    fn next(&mut self, at: Timestamp) -> Row {
        let turn = self.phase + TAU * at.as_second() as f64 / self.cycle;
        // The average of five readings, one each second.
        let noise = (0..PERIOD).map(|_| self.rng.random_range(-1.0..1.0)).sum::<f64>() / PERIOD as f64;
        let normal = self.swing * libm::sin(turn) + self.noise * noise;
        if self.fault.is_none() && self.rng.random_bool(self.fault_chance) {
            let rows = if self.rng.random_bool(0.5) { 1 } else { self.rng.random_range(2..=6) };
            // Nothing normal is further from the level than swing and noise together.
            let reach = (self.swing + self.noise) * self.rng.random_range(2.0..4.0);
            self.fault = Some((rows, if self.rng.random_bool(0.5) { reach } else { -reach }));
        }
        let anomaly = self.fault.is_some();
        let offset = match self.fault {
            Some((rows, reach)) => {
                self.fault = (rows > 1).then_some((rows - 1, reach));
                reach + self.noise * noise
            }
            None => normal,
        };
        let value = (1_000.0 * (self.level + offset)).round() / 1_000.0;
        Row { at, device: self.device, tag: self.tag, value, anomaly }
    }
}
