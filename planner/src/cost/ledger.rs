//! The ledger of a pool's node time.
//!
//! Between two looks nothing is known but what pods and nodes tell of their own times, so each look reckons the time since the
//! one before. A pool, a run and a schedule each remember up to when their time is reckoned: a later process goes on from
//! there, and counts nothing twice, whichever of them was written down last.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Month, NodeTime};

/// Months of the pool that are kept: this one and the last.
const MONTHS: usize = 2;

/// A machine that is there.
#[derive(Clone, Debug)]
pub struct Machine<'a> {
    /// Its name.
    pub name: &'a str,
    /// Since when it is there, as far as known.
    pub since: Timestamp,
    /// The pods of runs that are on it or have been, as far as they are still seen.
    pub uses: Vec<Use<'a>>,
}

/// A pod of a run on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use<'a> {
    /// The pod, by its UID.
    pub pod: &'a str,
    /// The account of its run.
    pub run: &'a str,
    /// The account of its schedule; empty: none.
    pub schedule: &'a str,
    /// How much of the machine it takes: see [`super::weight`].
    pub weight: u64,
    /// Since when it is on the machine.
    pub since: Timestamp,
    /// When it ended.
    pub until: Option<Timestamp>,
}

/// A pod that had not ended at the last look.
#[derive(Clone, Debug)]
struct Open {
    pod: String,
    run: String,
    schedule: String,
    weight: u64,
    since: Timestamp,
}

impl Open {
    fn of(used: &Use<'_>) -> Self {
        let (pod, run, schedule) = (used.pod.to_owned(), used.run.to_owned(), used.schedule.to_owned());
        Self { pod, run, schedule, weight: used.weight, since: used.since }
    }

    fn closed(&self, until: Timestamp) -> Use<'_> {
        let Self { pod, run, schedule, weight, since } = self;
        Use { pod, run, schedule, weight: *weight, since: *since, until: Some(until) }
    }
}

/// Node time of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// All of it.
    pub all: NodeTime,
    /// That of nodes on which nothing of a run was.
    pub idle: NodeTime,
}

/// What was written down of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The month of `time`.
    pub month: Month,
    /// The node time of that month; of a run, all of it.
    pub time: NodeTime,
    /// Up to when it is reckoned.
    pub as_of: Timestamp,
}

/// The node time of a run or a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Up to when it is reckoned.
    pub as_of: Timestamp,
    /// When the last of its pods ended that are known to have ended.
    pub ended: Timestamp,
    /// A pod of it was on a machine at the last look.
    pub living: bool,
    month: Month,
    in_month: NodeTime,
    before: NodeTime,
}

impl Account {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> NodeTime {
        self.before.plus(self.in_month)
    }

    /// That of a month, as long as there is none of a later one.
    #[must_use]
    pub fn of_month(&self, month: Month) -> NodeTime {
        if self.month == month { self.in_month } else { NodeTime::default() }
    }

    fn credit(&mut self, month: Month, time: NodeTime) {
        if month > self.month {
            self.before = self.before.plus(std::mem::take(&mut self.in_month));
            self.month = month;
        }
        let into = if month == self.month { &mut self.in_month } else { &mut self.before };
        *into = into.plus(time);
    }
}

/// The ledger of a pool.
#[derive(Clone, Debug)]
pub struct Ledger {
    as_of: Timestamp,
    looked: bool,
    months: BTreeMap<Month, Sums>,
    accounts: BTreeMap<String, Account>,
    there: BTreeMap<String, Vec<Open>>,
}

impl Ledger {
    /// One that reckons from then on, with what was reckoned of months before.
    #[must_use]
    pub fn from(as_of: Timestamp, months: impl IntoIterator<Item = (Month, Sums)>) -> Self {
        let months = months.into_iter().collect();
        Self { as_of: whole(as_of), looked: false, months, accounts: BTreeMap::new(), there: BTreeMap::new() }
    }

    /// Up to when it is reckoned.
    #[must_use]
    pub fn as_of(&self) -> Timestamp {
        self.as_of
    }

    /// A month of the pool: this one or the last.
    #[must_use]
    pub fn month(&self, month: Month) -> Option<Sums> {
        self.months.get(&month).copied()
    }

    /// The latest month before this one of which anything is known.
    #[must_use]
    pub fn month_before(&self, month: Month) -> Option<(Month, Sums)> {
        self.months.range(..month).next_back().map(|(month, sums)| (*month, *sums))
    }

    /// How many machines were there at the last look.
    #[must_use]
    pub fn machines(&self) -> usize {
        self.there.len()
    }

    /// A run or a schedule.
    #[must_use]
    pub fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.get(name)
    }

    /// Opens an account that is not open yet, with what was saved of it; where nothing was, its time counts from `since` on.
    pub fn open(&mut self, name: &str, since: Timestamp, saved: Option<Saved>) {
        if self.accounts.contains_key(name) {
            return;
        }
        let saved = saved.unwrap_or_else(|| Saved { month: Month::of(since), time: NodeTime::default(), as_of: since });
        // What this process has reckoned already it has given to others, or to nobody.
        let as_of = if self.looked { saved.as_of.max(self.as_of) } else { saved.as_of };
        let account = Account {
            as_of: whole(as_of),
            ended: Timestamp::MIN,
            living: false,
            month: saved.month,
            in_month: saved.time,
            before: NodeTime::default(),
        };
        self.accounts.insert(name.to_owned(), account);
    }

    /// Closes an account.
    pub fn close(&mut self, name: &str) {
        self.accounts.remove(name);
    }

    /// What passed up to now is nobody's: the pool was not ours.
    pub fn skip(&mut self, now: Timestamp) {
        self.as_of = self.as_of.max(whole(now));
        self.there.clear();
        for account in self.accounts.values_mut() {
            account.as_of = account.as_of.max(self.as_of);
            account.living = false;
        }
    }

    /// Reckons the time since the last look, with the machines and pods that are there now; those that were there at the last
    /// look of this process and are not any more count up to now. Returns what was added to the pool's time.
    pub fn look(&mut self, now: Timestamp, machines: &[Machine<'_>]) -> Sums {
        let now = whole(now);
        if self.looked && now < self.as_of {
            return Sums::default();
        }
        let there = std::mem::take(&mut self.there);
        let mut added = Sums::default();
        let mut living = BTreeSet::new();
        for machine in machines {
            let before = there.get(machine.name).map_or(&[][..], Vec::as_slice);
            let seen: BTreeSet<&str> = machine.uses.iter().map(|used| used.pod).collect();
            let gone = before.iter().filter(|open| !seen.contains(open.pod.as_str())).map(|open| open.closed(now));
            let uses: Vec<Use<'_>> = machine.uses.iter().copied().chain(gone).collect();
            self.reckon(machine.since, &uses, now, &mut added);
            let open = uses.iter().filter(|used| used.until.is_none_or(|until| until > now));
            let open: Vec<Open> = open.map(Open::of).collect();
            living.extend(open.iter().flat_map(|open| [open.run.clone(), open.schedule.clone()]));
            self.there.insert(machine.name.to_owned(), open);
        }
        for (name, open) in &there {
            if self.there.contains_key(name) {
                continue;
            }
            let uses: Vec<Use<'_>> = open.iter().map(|open| open.closed(now)).collect();
            self.reckon(self.as_of, &uses, now, &mut added);
        }
        self.as_of = self.as_of.max(now);
        self.looked = true;
        for (name, account) in &mut self.accounts {
            account.as_of = account.as_of.max(now);
            account.living = living.contains(name);
        }
        while self.months.len() > MONTHS {
            self.months.pop_first();
        }
        added
    }

    /// Reckons one machine, in pieces in which nothing changes.
    fn reckon(&mut self, since: Timestamp, uses: &[Use<'_>], now: Timestamp, added: &mut Sums) {
        let as_ofs: Vec<Timestamp> = uses
            .iter()
            .flat_map(|used| [used.run, used.schedule])
            .filter_map(|name| self.accounts.get(name).map(|account| account.as_of))
            .collect();
        let from = whole(since).max(as_ofs.iter().copied().fold(self.as_of, Timestamp::min));
        let mut cuts: Vec<Timestamp> = vec![from, now, self.as_of];
        cuts.extend(as_ofs);
        let mut on = Vec::new();
        for used in uses {
            let until = used.until.map_or(now, whole);
            if until > from {
                cuts.extend([whole(used.since), until]);
                on.push(*used);
            }
            if until <= now && used.until.is_some() {
                for name in [used.run, used.schedule] {
                    if let Some(account) = self.accounts.get_mut(name) {
                        account.ended = account.ended.max(until);
                    }
                }
            }
        }
        let mut turn = Month::of(from).end();
        while let Some(at) = turn.filter(|at| *at < now) {
            cuts.push(at);
            turn = Month::of(at).end();
        }
        cuts.retain(|at| (from..=now).contains(at));
        cuts.sort_unstable();
        cuts.dedup();
        for piece in cuts.windows(2) {
            if let [start, end] = piece {
                self.piece(*start, *end, &on, now, added);
            }
        }
    }

    fn piece(&mut self, start: Timestamp, end: Timestamp, uses: &[Use<'_>], now: Timestamp, added: &mut Sums) {
        let time = NodeTime::from_secs(u64::try_from(end.duration_since(start).as_secs()).unwrap_or(0));
        let month = Month::of(start);
        let is_on = |used: &&Use<'_>| whole(used.since) <= start && used.until.map_or(now, whole) >= end;
        let on: Vec<&Use<'_>> = uses.iter().filter(is_on).collect();
        if start >= self.as_of {
            let idle = if on.is_empty() { time } else { NodeTime::default() };
            for sums in [self.months.entry(month).or_default(), added] {
                (sums.all, sums.idle) = (sums.all.plus(time), sums.idle.plus(idle));
            }
        }
        let weights: Vec<u64> = on.iter().map(|used| used.weight.max(1)).collect();
        for (used, part) in on.iter().zip(time.split(&weights)) {
            for name in [used.run, used.schedule] {
                if let Some(account) = self.accounts.get_mut(name).filter(|account| account.as_of <= start) {
                    account.credit(month, part);
                }
            }
        }
    }
}

/// Reckoned is up to whole seconds; what is left of one counts at the next look.
fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
