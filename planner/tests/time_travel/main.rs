//! Ten years of 200 random schedules under a virtual clock, with times in which nobody looks or they are not valid, and deaths between making a
//! run and saying so; judged by an oracle that lives through every minute.
#![allow(clippy::unwrap_used)]

mod dice;
mod oracle;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use planner::ticks::{CatchUp, Concurrency, ScheduleView, Ticks, due, start};

use dice::Dice;
use oracle::{Clocks, Fate, Minute, Policy, Rules, live};

const SCHEDULES: u64 = 200;
/// 2026-01-01 to 2036-01-01.
const SPAN: (Minute, Minute) = (1_767_225_600 / 60, 2_082_758_400 / 60);
/// Half-hour steps, changes at midnight and before it, a winter time in Ramadan.
const ZONES: [&str; 9] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Nuuk",
    "Africa/Cairo",
    "America/Santiago",
    "Africa/Casablanca",
    "Asia/Kolkata",
];

fn at(minute: Minute) -> Timestamp {
    Timestamp::from_second(minute * 60).unwrap()
}

fn minute(at: Timestamp) -> Minute {
    at.as_second() / 60
}

/// What a schedule's status holds.
#[derive(Clone, Default)]
struct Memory {
    decided: Option<Timestamp>,
    waiting: Vec<Timestamp>,
}

/// Lives from one event to the next, as the operator does, and says what becomes of each tick.
fn travel(ticks: &Ticks, rules: &Rules, dice: &mut Dice) -> Vec<(Minute, Minute, Fate)> {
    let catch_up = match (rules.catch_up, rules.latest_only) {
        (0, _) => CatchUp::None,
        (_, true) => CatchUp::Latest,
        (limit, false) => CatchUp::All(u32::try_from(limit).unwrap()),
    };
    let concurrency = match rules.policy {
        Policy::Forbid => Concurrency::Forbid,
        Policy::Allow => Concurrency::Allow,
        Policy::Replace => Concurrency::Replace,
    };
    let jitter = SignedDuration::from_mins(rules.jitter);
    let mut fates = Vec::new();
    let mut memory = Memory::default();
    let mut made: BTreeSet<Timestamp> = BTreeSet::new();
    let mut ends: Vec<Minute> = Vec::new();
    let mut runs = 0;
    let mut now = SPAN.0;
    let spans = rules.down.iter().chain(&rules.suspended).chain(&rules.invalid);
    let edges: BTreeSet<Minute> = spans.flat_map(|(a, b)| [*a, *b]).collect();
    while now < SPAN.1 {
        ends.retain(|end| *end > now);
        let inside = |spans: &[(Minute, Minute)]| {
            let next = spans.partition_point(|(_, to)| *to <= now);
            spans.get(next).is_some_and(|(from, _)| *from <= now)
        };
        let mut wake = Some(SPAN.1);
        if !inside(&rules.down) {
            let view = ScheduleView {
                now: at(now),
                // Just before the span, so that a tick at its first minute is one.
                created: at(SPAN.0 - 1),
                decided: memory.decided,
                waiting: memory.waiting.clone(),
                made: made.clone(),
                suspended: inside(&rules.suspended),
                invalid: inside(&rules.invalid),
                starting_deadline: SignedDuration::from_mins(rules.deadline),
                jitter,
                catch_up,
            };
            let due = due(ticks, &view);
            let next = due.next;
            let start = start(due, !ends.is_empty(), concurrency, catch_up);
            if let Some(tick) = start.run
                && made.insert(tick)
            {
                if start.replace {
                    ends.clear();
                }
                ends.push(now + rules.lengths[runs % rules.lengths.len()]);
                runs += 1;
                fates.push((minute(tick), now, Fate::Run));
            }
            // It may die before it writes the status; then it looks again at once.
            if dice.below(10) == 0 && start.run.is_some() {
                continue;
            }
            fates.extend(start.missed.iter().map(|(tick, miss)| (minute(*tick), now, Fate::Missed(miss.reason()))));
            let seen = start.missed.iter().map(|(tick, _)| *tick).chain(start.run).chain(start.waiting.iter().copied());
            memory.decided = seen.max().max(memory.decided).max(made.last().copied());
            memory.waiting = start.waiting;
            // Runs' objects go with the history.
            while made.len() > 3 {
                made.pop_first();
            }
            // And when it is too late for what waits to start in time.
            let late = memory.waiting.last().map(|tick| minute(*tick) + rules.jitter + rules.deadline + 1);
            let late = late.filter(|late| *late > now && inside(&rules.invalid));
            wake = next.map(|next| minute(next) + rules.jitter).into_iter().chain(late).min();
        }
        let events = [wake, edges.range(now + 1..).next().copied(), ends.iter().min().copied()];
        now = events.into_iter().flatten().min().unwrap().max(now + 1);
    }
    fates
}

/// How long the planner and the oracle took, and how many ticks had which fate.
#[derive(Default)]
struct Judged {
    planner: Duration,
    oracle: Duration,
    fates: BTreeMap<Fate, u64>,
}

/// One schedule's ten years.
fn judge(seed: u64, number: u64, clocks: &BTreeMap<&str, Clocks>, judged: &Mutex<Judged>) {
    let mut dice = Dice::new(seed.wrapping_mul(SCHEDULES).wrapping_add(number));
    let (zone, cron) = (*dice.one(&ZONES), dice.cron());
    let rules = dice.rules(SPAN);
    let text = cron.to_string();
    let began = Instant::now();
    let ticks = Ticks::parse(&text, Some(zone), at(SPAN.0)).unwrap();
    let mut found = travel(&ticks, &rules, &mut dice);
    let planner = began.elapsed();
    let began = Instant::now();
    let mut expected = live(&cron.ticks(&clocks[zone]), &rules, SPAN.0, SPAN.1);
    let oracle = began.elapsed();
    // In the order of time, then of ticks.
    found.sort_unstable_by_key(|(tick, now, _)| (*now, *tick));
    expected.sort_unstable_by_key(|(tick, now, _)| (*now, *tick));
    let differs = found.iter().zip(&expected).find(|(found, expected)| found != expected);
    let show = |fate: &(Minute, Minute, Fate)| format!("the tick {} at {}: {:?}", at(fate.0), at(fate.1), fate.2);
    let told = differs.map(|(found, expected)| format!("{}; the oracle says {}", show(found), show(expected)));
    assert_eq!(told, None, "{text} in {zone}, seed {seed}, {rules}");
    assert_eq!(found.len(), expected.len(), "{text} in {zone}, seed {seed}, {rules}");
    let mut judged = judged.lock().unwrap();
    judged.planner += planner;
    judged.oracle += oracle;
    for (.., fate) in found {
        *judged.fates.entry(fate).or_default() += 1;
    }
}

#[test]
fn in_ten_years_of_random_schedules_no_tick_is_lost_or_repeated() {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    let clocks: BTreeMap<&str, Clocks> = ZONES.iter().map(|zone| (*zone, Clocks::of(zone, SPAN.0, SPAN.1))).collect();
    let (judged, next) = (Mutex::<Judged>::default(), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let numbers = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
                numbers
                    .take_while(|number| *number < SCHEDULES)
                    .for_each(|number| judge(seed, number, &clocks, &judged));
            });
        }
    });
    let Judged { planner, oracle, fates } = judged.into_inner().unwrap();
    println!("seed {seed}: {fates:?}; the planner took {planner:.1?}, the oracle {oracle:.1?}");
}
