//! A store, a log, and lives that end at any moment.

use std::collections::BTreeMap;

use proptest::test_runner::TestCaseError;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::window::Stats;

struct Record {
    offset: i64,
    stamp: Micros,
    /// Sensor, seconds, value.
    events: Vec<(u8, i64, f64)>,
}

type Rows = BTreeMap<(Micros, Vec<u8>), Vec<f64>>;
type Letters = BTreeMap<(i64, usize), &'static str>;

/// What is in the store: objects by name, and the mark.
#[derive(Default)]
struct Store {
    files: BTreeMap<Micros, Slice>,
    letters: BTreeMap<i64, Letters>,
    mark: Mark,
    /// The furthest that a life has come: the log is as long at least.
    reached: i64,
    /// Where the watermark went on by itself, and a mark said so.
    jumps: BTreeMap<i64, Micros>,
}

fn log(random: &mut StdRng) -> Vec<Record> {
    let (mut offset, mut now) = (random.random_range(0..3), 100);
    let mut record = |random: &mut StdRng| {
        offset += if random.random_bool(0.1) { random.random_range(2..5) } else { 1 };
        now += if random.random_bool(0.05) { random.random_range(5..40) } else { random.random_range(0..2) };
        let event = |random: &mut StdRng| {
            let late = if random.random_bool(0.1) { random.random_range(5..25) } else { random.random_range(0..4) };
            let ahead = if random.random_bool(0.06) { random.random_range(1..60) } else { 0 };
            (random.random_range(0..3), now - late + ahead, f64::from(random.random_range(0..100)))
        };
        let events = (0..random.random_range(0..4)).map(|_| event(random)).collect();
        Record { offset, stamp: now * SECOND, events }
    };
    (0..random.random_range(1..80)).map(|_| record(random)).collect()
}

fn key(sensor: u8) -> Vec<u8> {
    vec![b'a' + sensor]
}

/// What dead letters call it; none where it is no dead letter.
fn reason(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Counted | Verdict::Durable => None,
        Verdict::Late { .. } => Some("Late"),
        Verdict::Future { .. } => Some("Future"),
        Verdict::Duplicate => Some("Duplicate"),
    }
}

fn process(partition: &mut Partition, record: &Record, letters: &mut Letters) {
    partition.begin(record.offset);
    for (index, (sensor, seconds, value)) in record.events.iter().enumerate() {
        let sensor = key(*sensor);
        let event = Event { sensor: &sensor, time: seconds * SECOND, value: *value };
        let verdict = partition.event(record.offset, Some(record.stamp), &event);
        if let Some(reason) = reason(verdict).filter(|_| !partition.is_behind(record.offset)) {
            letters.insert((record.offset, index), reason);
        }
    }
    partition.end(record.offset);
}

/// Lives until all of the log is in the store. Returns whether it did, or died before.
fn one_life(random: &mut StdRng, rules: &Arc<Rules>, log: &[Record], store: &mut Store, deadly: bool) -> bool {
    let mut partition = Partition::resume(Arc::clone(rules), store.mark.clone(), store.reached);
    let mut letters = Letters::new();
    let mut next = log.partition_point(|record| record.offset < store.mark.offset);
    let dies = |random: &mut StdRng, chance: f64| deadly && random.random_bool(chance);
    loop {
        let at_end = next == log.len();
        if dies(random, 0.02) {
            return false;
        }
        // The watermark goes on by itself.
        let silence = SECOND * random.random_range(0..60);
        let to = match random.random_range(0..40) {
            _ if at_end => partition.after_silence(10_000 * SECOND).or(partition.after_others(10_000 * SECOND, 0)),
            0 => partition.after_silence(silence),
            1 => partition.after_oldest(),
            2 => partition.after_others(random.random_range(90..140) * SECOND, silence),
            _ => None,
        };
        if let Some(to) = to {
            let mark = partition.jump(to, letters.is_empty());
            if dies(random, 0.3) {
                return false;
            }
            store.jumps.insert(partition.position(), to);
            store.mark = mark.clone();
            partition.mark(mark);
        }
        if at_end || (partition.closes() && random.random_bool(0.5)) || (!letters.is_empty() && random.random_bool(0.2))
        {
            let taken = partition.take();
            for slice in taken.slices {
                if dies(random, 0.1) {
                    return false;
                }
                store.files.insert(slice.start, slice.finish(&rules.aggregates));
            }
            if let Some(((first, _), _)) = letters.first_key_value() {
                store.letters.insert(*first, std::mem::take(&mut letters));
            }
            if dies(random, 0.3) {
                return false;
            }
            store.mark = taken.mark.clone();
            partition.mark(taken.mark);
        }
        let Some(record) = log.get(next) else { return true };
        process(&mut partition, record, &mut letters);
        store.reached = store.reached.max(partition.position());
        next += 1;
    }
}

/// One pass, by the definition: no slices, no marks.
fn one_pass(rules: &Rules, log: &[Record], jumps: &BTreeMap<i64, Micros>) -> (Rows, Letters) {
    let (mut watermark, mut windows, mut letters) = (Micros::MIN, BTreeMap::new(), Letters::new());
    for record in log {
        let passed = jumps.range(..=record.offset).map(|(_, to)| *to).max();
        watermark = watermark.max(passed.unwrap_or(Micros::MIN));
        for (index, (sensor, seconds, value)) in record.events.iter().enumerate() {
            let time = seconds * SECOND;
            let start = time - time.rem_euclid(rules.length);
            if time > record.stamp + rules.max_ahead {
                letters.insert((record.offset, index), "Future");
            } else if start + rules.length <= watermark {
                letters.insert((record.offset, index), "Late");
            } else {
                let stats = windows.entry((start, key(*sensor))).or_insert_with(|| Stats::new(rules));
                if !stats.add(rules, time, *value) {
                    letters.insert((record.offset, index), "Duplicate");
                }
                watermark = watermark.max(time.min(record.stamp) - rules.lateness);
            }
        }
    }
    let rows = windows.into_iter().map(|(name, stats)| (name, stats.values(&rules.aggregates).to_vec())).collect();
    (rows, letters)
}

pub(super) fn live(seed: u64, rules: Rules) -> Result<(), TestCaseError> {
    let random = &mut StdRng::seed_from_u64(seed);
    let (rules, log) = (Arc::new(rules), log(random));
    let mut store = Store::default();
    let mut lives = 0;
    while !one_life(random, &rules, &log, &mut store, lives < 20) {
        lives += 1;
    }
    let (rows, letters) = one_pass(&rules, &log, &store.jumps);
    let mut found = Rows::new();
    for slice in store.files.into_values() {
        for row in slice.rows {
            prop_assert!((slice.start..slice.start + rules.every).contains(&row.start));
            prop_assert!(found.insert((row.start, row.sensor.to_vec()), row.values.to_vec()).is_none());
        }
    }
    prop_assert_eq!(found, rows);
    let mut told = Letters::new();
    for (place, reason) in store.letters.into_values().flatten() {
        prop_assert!(told.insert(place, reason).is_none(), "{place:?} is told twice");
    }
    prop_assert_eq!(told, letters);
    Ok(())
}
