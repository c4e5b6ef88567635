//! Twenty schedules, a hundred minutes, and what the oracle says will become of each tick.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tests::control_plane::{NAMESPACE, POOL};

use crate::dice::Dice;
use crate::oracle::{Clocks, Cron, Days, Fate, Field, Policy, Rules, live};

/// Seconds since 1970. The oracle counts any unit: here runs end, and schedules are suspended, between minutes.
pub(crate) type Second = i64;

pub(crate) const SCHEDULES: usize = 20;
pub(crate) const MINUTES: usize = 100;
/// 2027-10-31T00:10:00Z: in the middle of the hundred minutes summer time ends in Europe.
pub(crate) const START: Second = 1_824_941_400;
const END: Second = START + 6_000;
/// Before the first minute: the schedules are told when they tick.
pub(crate) const DAWN: Second = START - 30;
/// After the last one: they are told that they tick no more, and what waits is missed.
pub(crate) const DUSK: Second = END - 5;
/// Not due for years.
pub(crate) const NEVER: &str = "0 0 29 2 *";

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "Atlantic/Azores",
    "Asia/Kathmandu",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Cairo",
];

/// Half-open spans in which nobody looks: the operator has died, and is not started again.
pub(crate) fn down() -> Vec<(Second, Second)> {
    [(1_240, 1_400), (3_160, 3_530), (4_300, 4_340)].map(|(from, to)| (START + from, START + to)).to_vec()
}

/// A schedule, and all that the oracle says of it.
pub(crate) struct Planned {
    pub(crate) name: String,
    pub(crate) expression: String,
    pub(crate) zone: &'static str,
    pub(crate) rules: Rules,
    most_jitter: i64,
    pub(crate) ticks: Vec<Second>,
    /// Tick, when it is decided, what it becomes; in the order of decision.
    pub(crate) fates: Vec<(Second, Second, Fate)>,
}

pub(crate) fn schedules(seed: u64) -> Vec<Planned> {
    let mut dice = Dice::new(seed);
    (0..SCHEDULES).map(|number| schedule(number, &mut dice)).collect()
}

fn schedule(number: usize, dice: &mut Dice) -> Planned {
    let (zone, cron, ticks) = loop {
        let (zone, cron) = match number {
            // One ticks every minute, so that there is no minute without a tick.
            0 => ("UTC", every_minute()),
            _ => (*dice.one(&ZONES), dice.cron()),
        };
        // From a day before, so that clocks that go back find what they have shown.
        let clocks = Clocks::of(zone, START / 60 - 1_440, END / 60);
        let ticks: Vec<Second> = cron.ticks(&clocks).into_iter().map(|minute| minute * 60).collect();
        let ticks: Vec<Second> = ticks.into_iter().filter(|tick| *tick >= START).collect();
        if number == 0 || (5..=16).contains(&ticks.len()) {
            break (zone, cron, ticks);
        }
    };
    let name = format!("line-{number}");
    let most_jitter = *dice.one(&[0, 0, 0, 50]);
    // Any shorter time is right, as long as it is always the same: which one is the product's to choose.
    let jitter = planner::ticks::jitter(NAMESPACE, &name, SignedDuration::from_secs(most_jitter));
    // Up to twice the time between two ticks. A second more than minutes: no run ends, and so nothing is caught up, in the
    // moment of a tick.
    let minutes = 2 * 100 / ticks.len() as u64;
    let lengths = (0..5).map(|_| 60 * i64::try_from(1 + dice.below(minutes)).unwrap_or(1) + 1).collect();
    let policy = [Policy::Allow, Policy::Forbid, Policy::Replace][number % 3];
    let latest_only = number % 4 == 1;
    let suspended = match number % 6 {
        3 => vec![(START + 630, START + 1_170)],
        // They are resumed while nobody looks.
        4 => vec![(START + 2_750, START + 3_170)],
        _ => Vec::new(),
    };
    let rules = Rules {
        policy,
        catch_up: if latest_only { 1 } else { *dice.one(&[0, 0, 2, 5]) },
        latest_only,
        deadline: *dice.one(&[5, 45, 100, 600]),
        jitter: (i64::try_from(jitter.as_millis()).unwrap_or(0) + 999) / 1_000,
        lengths,
        down: down(),
        suspended,
        invalid: Vec::new(),
    };
    let mut fates = live(&ticks, &rules, DAWN, DUSK);
    let waiting: Vec<Second> = ticks.iter().copied().filter(|tick| fates.iter().all(|(of, ..)| of != tick)).collect();
    fates.extend(waiting.into_iter().map(|tick| (tick, DUSK, Fate::Missed("Rescheduled"))));
    Planned { name, expression: cron.to_string(), zone, rules, most_jitter, ticks, fates }
}

fn every_minute() -> Cron {
    let all = |values: u32| Field { text: "*".to_owned(), set: (1 << values) - 1, single: false };
    Cron { minute: all(60), hour: all(24), days: Days::Every }
}

impl Planned {
    /// As people would write it, but for when it ticks.
    pub(crate) fn manifest(&self) -> Value {
        let policy = match self.rules.policy {
            Policy::Forbid => "Forbid",
            Policy::Allow => "Allow",
            Policy::Replace => "Replace",
        };
        let catch_up = match (self.rules.catch_up, self.rules.latest_only) {
            (0, _) => json!({"policy": "None"}),
            (_, true) => json!({"policy": "Latest"}),
            (limit, false) => json!({"policy": "All", "limit": limit}),
        };
        json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringSchedule",
            "metadata": {"namespace": NAMESPACE, "name": self.name},
            "spec": {
                "clusterRef": {"name": POOL}, "schedule": NEVER, "timeZone": self.zone,
                "concurrencyPolicy": policy, "catchUp": catch_up, "startingDeadlineSeconds": self.rules.deadline,
                "jitter": format!("{}s", self.most_jitter), "history": {"successful": 1_000, "failed": 1_000}, "deadline": "1d",
                "store": {"url": "az://models"}, "model": {"path": "models/{device}"}, "data": {"path": "readings.csv"},
            },
        })
    }

    /// The runs, when each was to be made, and when the test ends it.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (Second, Second, Second)> {
        let runs = self.fates.iter().filter(|(.., fate)| *fate == Fate::Run);
        let lengths = self.rules.lengths.iter().cycle();
        runs.zip(lengths).map(|((tick, now, _), length)| (*tick, *now, now + length))
    }

    pub(crate) fn missed(&self) -> impl Iterator<Item = (Second, Second, &'static str)> {
        self.fates.iter().filter_map(|(tick, now, fate)| match fate {
            Fate::Missed(why) => Some((*tick, *now, *why)),
            Fate::Run => None,
        })
    }

    /// When anything happens to it.
    pub(crate) fn moments(&self) -> impl Iterator<Item = Second> {
        let starts = self.ticks.iter().map(|tick| tick + self.rules.jitter);
        let fates = self.fates.iter().map(|(_, now, _)| *now);
        let edges = self.rules.suspended.iter().chain(&self.rules.down).flat_map(|(from, to)| [*from, *to]);
        starts.chain(fates).chain(self.runs().map(|(.., end)| end)).chain(edges)
    }
}

/// Every moment at which something happens, in order.
pub(crate) fn moments(all: &[Planned]) -> BTreeSet<Second> {
    let minutes = (START..END).step_by(60).chain([DUSK]);
    all.iter().flat_map(Planned::moments).chain(minutes).filter(|at| (START..=DUSK).contains(at)).collect()
}

pub(crate) fn at(second: Second) -> Result<Timestamp> {
    Timestamp::from_second(second).with_context(|| format!("{second} is no time"))
}
