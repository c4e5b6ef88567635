//! What a pool costs: the planner's ledger, fed by what a look sees, restored from what statuses tell, and told in them.

use std::collections::BTreeMap;

use crds::cost::{MonthCost, OnExceed, PoolCost, ScheduleCost};
use crds::{Price, ScoringCluster, ScoringRun, ScoringSchedule};
use jiff::{SignedDuration, Timestamp};
use planner::cost::{Account, Ledger, Month, NodeTime, Saved, Sums};
use serde::Serialize;
use spec::Money;

use crate::context::{name_of, namespace_of, uid_of};

mod seen;
mod tell;

pub(super) use seen::is_reckoned;
pub(super) use tell::{reckon, tell_budget};

/// How long a pool's sums that have changed wait to be told, while nothing needs them.
const TELL: SignedDuration = SignedDuration::from_secs(60);

/// What is known of a pool's node time.
#[derive(Debug, Default)]
pub(super) struct Books {
    ledger: Option<Ledger>,
    price: Option<Price>,
    /// The pool's sums as they are told.
    shown: Option<PoolCost>,
    /// What was last written of each run and schedule, by UID.
    written: BTreeMap<String, Written>,
    /// The namespaces and names of the schedules among them.
    schedules: BTreeMap<String, (String, String)>,
}

/// What was last written of a run or schedule, and when.
#[derive(Clone, Copy, Debug)]
struct Written {
    /// Up to when it is reckoned.
    as_of: Timestamp,
    at: Timestamp,
    /// Of a run: no more is to come than that.
    last: Option<NodeTime>,
    /// And that is written.
    told: bool,
}

/// The part of a run's status that this controller owns.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunPart {
    #[serde(skip_serializing_if = "Option::is_none")]
    slots: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_seconds_as_of: Option<Timestamp>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    node_seconds_final: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
}

/// A budget that is spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exceeded {
    /// Whether nothing new starts.
    pub(super) pauses: bool,
    /// What is wrong, and what to do; the same until one of both changes.
    pub(super) note: String,
    /// The same with what is spent by now.
    pub(super) message: String,
}

impl Books {
    /// Begins where the cluster's status ends; after that, only takes over the price.
    pub(super) fn open(&mut self, cluster: &ScoringCluster, now: Timestamp) {
        self.price.clone_from(&cluster.spec.price);
        if self.ledger.is_some() {
            return;
        }
        let created = cluster.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
        let told = cluster.status.as_ref().and_then(|status| status.cost.as_ref());
        let sums = |month: &str, all, idle| {
            let (all, idle) = (NodeTime::from_secs(all), NodeTime::from_secs(idle));
            Some((month.parse::<Month>().ok()?, Sums { all, idle }))
        };
        let months = told.into_iter().flat_map(|told| {
            let last = told.last_month.as_ref();
            let last = last.and_then(|last| sums(&last.month, last.node_seconds, last.idle_node_seconds));
            last.into_iter().chain(sums(&told.month, told.node_seconds, told.idle_node_seconds))
        });
        self.ledger = Some(Ledger::from(told.map_or(created, |told| told.as_of), months));
        self.shown = told.cloned();
    }

    /// What passes is not this pool's: it may not be touched.
    pub(super) fn skip(&mut self, now: Timestamp) {
        if let Some(ledger) = &mut self.ledger {
            ledger.skip(now);
        }
    }

    /// Opens the account of a run, unless its time is told for good.
    fn open_run(&mut self, run: &ScoringRun, now: Timestamp) {
        let (uid, status) = (uid_of(run), run.status.as_ref());
        let Some(ledger) = self.ledger.as_mut().filter(|_| !self.written.contains_key(uid)) else { return };
        let told =
            status.and_then(|status| Some((NodeTime::from_secs(status.node_seconds?), status.node_seconds_as_of?)));
        let created = run.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
        let last = told.map(|(time, _)| time).filter(|_| status.is_some_and(|status| status.node_seconds_final));
        let as_of = told.map_or(created, |(_, as_of)| as_of);
        self.written.insert(uid.to_owned(), Written { as_of, at: now, last, told: last.is_some() });
        if last.is_none() {
            let saved = told.map(|(time, as_of)| Saved { month: Month::of(as_of), time, as_of });
            ledger.open(uid, created, saved);
        }
    }

    /// Opens the account of a schedule.
    fn open_schedule(&mut self, schedule: &ScoringSchedule, now: Timestamp) {
        let uid = uid_of(schedule);
        let Some(ledger) = self.ledger.as_mut().filter(|_| !self.written.contains_key(uid)) else { return };
        let created = schedule.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
        let told = schedule.status.as_ref().and_then(|status| status.cost.as_ref());
        let saved = told.and_then(|told| {
            let (month, time) = (told.month.parse().ok()?, NodeTime::from_secs(told.node_seconds));
            Some(Saved { month, time, as_of: told.as_of })
        });
        let as_of = saved.map_or(created, |saved| saved.as_of);
        self.written.insert(uid.to_owned(), Written { as_of, at: now, last: None, told: false });
        self.schedules.insert(uid.to_owned(), (namespace_of(schedule).to_owned(), name_of(schedule).to_owned()));
        ledger.open(uid, created, saved);
    }

    /// Forgets the runs that are gone, or told for good.
    fn retain_runs(&mut self, is_there: impl Fn(&str) -> bool) {
        let runs = self.written.keys().filter(|uid| !self.schedules.contains_key(*uid));
        let gone: Vec<String> = runs.filter(|uid| !is_there(uid)).cloned().collect();
        gone.iter().for_each(|uid| self.close(uid));
    }

    /// Forgets a run or schedule.
    fn close(&mut self, uid: &str) {
        self.written.remove(uid);
        self.schedules.remove(uid);
        if let Some(ledger) = &mut self.ledger {
            ledger.close(uid);
        }
    }

    /// Whether a run or schedule is among those of which something is remembered.
    fn knows(&self, uid: &str) -> bool {
        self.written.contains_key(uid)
    }

    /// The account of a run or schedule, and what was last written of it, unless that is told for good.
    fn of(&self, uid: &str) -> Option<(Account, Written)> {
        Some((*self.account(uid)?, *self.written.get(uid)?))
            .filter(|(_, written)| written.last.is_none() || !written.told)
    }

    /// No more is to come for a run.
    fn last(&mut self, uid: &str, account: &Account) {
        if let Some(written) = self.written.get_mut(uid) {
            (written.last, written.as_of) = (Some(account.total()), account.as_of);
        }
    }

    fn account(&self, uid: &str) -> Option<&Account> {
        self.ledger.as_ref()?.account(uid)
    }

    fn money(&self, time: NodeTime) -> (Option<Money>, Option<String>) {
        let price = self.price.as_ref();
        (price.map(|price| time.cost(price.node_hour)), price.map(|price| price.currency.clone()))
    }

    /// What is told of a run, beside its slots. Whatever is left out would be taken away.
    #[must_use]
    pub(super) fn part(&self, run: &ScoringRun, slots: Option<u32>) -> RunPart {
        let uid = uid_of(run);
        let last = self.written.get(uid).and_then(|written| Some((written.last?, written.as_of)));
        let known = last.or_else(|| self.account(uid).map(|account| (account.total(), account.as_of)));
        let status = run.status.as_ref();
        let Some((time, as_of)) = known else {
            return RunPart {
                slots,
                node_seconds: status.and_then(|status| status.node_seconds),
                node_seconds_as_of: status.and_then(|status| status.node_seconds_as_of),
                node_seconds_final: status.is_some_and(|status| status.node_seconds_final),
                cost: status.and_then(|status| status.cost),
                currency: status.and_then(|status| status.currency.clone()),
            };
        };
        let (cost, currency) = match status.filter(|status| status.node_seconds_final) {
            // It keeps the price with which it ended.
            Some(status) => (status.cost, status.currency.clone()),
            None => self.money(time),
        };
        RunPart {
            slots,
            node_seconds: Some(time.as_secs()),
            node_seconds_as_of: Some(as_of),
            node_seconds_final: last.is_some(),
            cost,
            currency,
        }
    }

    /// This was written of a run.
    pub(super) fn wrote(&mut self, uid: &str, part: &RunPart, now: Timestamp) {
        if let (Some(as_of), Some(written)) = (part.node_seconds_as_of, self.written.get_mut(uid)) {
            (written.as_of, written.at, written.told) = (as_of, now, part.node_seconds_final);
        }
    }

    /// This was written of a schedule.
    fn wrote_schedule(&mut self, uid: &str, as_of: Timestamp, now: Timestamp) {
        if let Some(written) = self.written.get_mut(uid) {
            (written.as_of, written.at) = (as_of, now);
        }
    }

    /// What is told of a schedule.
    fn of_schedule(&self, uid: &str) -> Option<ScheduleCost> {
        let account = self.account(uid)?;
        let month = Month::of(account.as_of);
        let time = account.of_month(month);
        let (cost, currency) = self.money(time);
        Some(ScheduleCost {
            month: month.to_string(),
            node_seconds: time.as_secs(),
            cost,
            currency,
            as_of: account.as_of,
        })
    }

    /// The budget, if it is spent.
    #[must_use]
    pub(super) fn exceeded(&self, cluster: &ScoringCluster, now: Timestamp) -> Option<Exceeded> {
        let spec = &cluster.spec;
        let (budget, price) = (spec.budget.as_ref()?, spec.price.as_ref()?);
        let month = Month::of(now);
        let sums = self.ledger.as_ref().and_then(|ledger| ledger.month(month)).unwrap_or_default();
        let spent = sums.all.cost(price.node_hour);
        if spent < budget.month {
            return None;
        }
        let pauses = budget.on_exceed == OnExceed::Pause;
        let (limit, currency) = (budget.month, &price.currency);
        let follows = match pauses {
            true => {
                "no new slots are given and no nodes are added until the next month (UTC); raise spec.budget.month to go \
                 on at once, or set onExceed: Alert"
            }
            false => "nothing stops for it; raise spec.budget.month, lower maxNodes, or set onExceed: Pause",
        };
        let note = format!("the budget of {limit} {currency} for {month} is spent: {follows}");
        let message = format!("{spent} {currency} of a budget of {limit} {currency} for {month} are spent: {follows}");
        Some(Exceeded { pauses, note, message })
    }

    /// Whether nothing new starts: somebody said so, or the budget is spent and said so.
    #[must_use]
    pub(super) fn paused(&self, cluster: &ScoringCluster, now: Timestamp) -> bool {
        cluster.spec.paused || self.exceeded(cluster, now).is_some_and(|exceeded| exceeded.pauses)
    }

    /// What is told of the pool.
    #[must_use]
    pub(super) fn shown(&self) -> Option<&PoolCost> {
        self.shown.as_ref()
    }

    /// Renews what is told of the pool, where that is due: growing sums are told now and then, and what a restart could not
    /// find again at once.
    fn show(&mut self, cluster: &ScoringCluster, hurry: bool) {
        let Some(ledger) = &self.ledger else { return };
        let month = Month::of(ledger.as_of());
        let sums = ledger.month(month).unwrap_or_default();
        let last = ledger.month_before(month);
        if self.shown.is_none() && sums == Sums::default() && last.is_none() {
            return;
        }
        let (cost, currency) = self.money(sums.all);
        let told = PoolCost {
            month: month.to_string(),
            node_seconds: sums.all.as_secs(),
            idle_node_seconds: sums.idle.as_secs(),
            cost,
            currency,
            as_of: ledger.as_of(),
            last_month: last.map(|(month, sums)| MonthCost {
                month: month.to_string(),
                node_seconds: sums.all.as_secs(),
                idle_node_seconds: sums.idle.as_secs(),
                cost: self.money(sums.all).0,
            }),
        };
        let budget = cluster.spec.budget.as_ref().map(|budget| budget.month);
        let is_spent = |cost: Option<Money>| budget.zip(cost).is_some_and(|(budget, cost)| cost >= budget);
        let is_due = self.shown.as_ref().is_none_or(|shown| {
            let grown = shown.node_seconds != told.node_seconds;
            let long = told.as_of.duration_since(shown.as_of) >= TELL;
            let at_once = hurry || ledger.machines() == 0 || is_spent(shown.cost) != is_spent(told.cost);
            let edited = shown.month != told.month || shown.currency != told.currency || {
                let before = self.money(NodeTime::from_secs(shown.node_seconds)).0;
                shown.cost != before
            };
            edited || grown && (long || at_once)
        });
        if is_due {
            self.shown = Some(told);
        }
    }
}

/// Why a cluster is Degraded whose budget is spent.
pub(super) const EXCEEDED: &str = "BudgetExceeded";

/// Whether the status says that the budget is spent.
pub(super) fn was_exceeded(cluster: &ScoringCluster) -> bool {
    let conditions = cluster.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    crate::conditions::find(conditions, "Degraded").is_some_and(|degraded| degraded.reason == EXCEEDED)
}

#[cfg(test)]
mod tests;
