//! What stands in the way of a pool, and what that holds back.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::memory::Memory;
use crate::aks::{AksError, Kind};

/// How long operations wait that nobody could wait out.
const LONGEST: SignedDuration = SignedDuration::from_hours(1);

/// What did not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Reading the pool.
    Pool,
    /// Listing its machines.
    Machines,
    /// Having an operation accepted.
    Operation,
    /// An operation that was accepted.
    Outcome,
}

impl Asked {
    fn reads(self) -> bool {
        matches!(self, Self::Pool | Self::Machines)
    }
}

/// Trouble with the pool.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// What did not work.
    pub(super) asked: Asked,
    /// Its kind.
    pub(super) kind: Kind,
    /// What was asked, and the answer.
    pub(super) message: String,
    /// How often in a row.
    pub(super) times: u32,
    /// When it was first seen in this row, and last.
    pub(super) since: Timestamp,
    pub(super) last: Timestamp,
}

impl Trouble {
    /// Whether people should know of it: what passes by itself within seconds is nobody's business.
    #[must_use]
    pub(super) fn is_worth_telling(&self) -> bool {
        let often = match self.kind {
            Kind::Busy | Kind::Changed => 10,
            Kind::Unavailable | Kind::Preempted => 3,
            _ => 1,
        };
        self.times >= often
    }

    /// What is said of it.
    #[must_use]
    pub(super) fn told(&self) -> String {
        format!("{}. {}", self.message.trim_end_matches('.'), self.kind.advice())
    }
}

impl Memory {
    /// What stands in the way: first of reading the pool, then of changing it.
    #[must_use]
    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.reading.as_ref().or(self.operating.as_ref())
    }

    /// A request did not work. Returns whether people should hear of it now.
    pub(super) fn failed(&mut self, asked: Asked, error: &AksError, now: Timestamp) -> bool {
        self.troubled(asked, error.kind, error.to_string(), error.retry_after, now)
    }

    /// A request did not work, or an operation of ours came to a bad end. Returns whether people should hear of it now.
    pub(super) fn troubled(
        &mut self,
        asked: Asked,
        kind: Kind,
        message: String,
        retry_after: Option<Duration>,
        now: Timestamp,
    ) -> bool {
        let grew = !asked.reads() && self.more > 0;
        // Where fewer may be had, asking for fewer is no further failure.
        let fewer = Some(self.more / 2).filter(|half| grew && *half > 0 && kind.may_have_fewer());
        let (times, news) = self.note(asked, kind, message, fewer.is_some(), now);
        let after = |wait: Duration| {
            let wait = SignedDuration::try_from(wait).unwrap_or(LONGEST).min(LONGEST);
            Some(now.saturating_add(wait).unwrap_or(now))
        };
        let until = after(retry_after.unwrap_or_default().max(kind.backoff(times)));
        match asked {
            _ if asked.reads() => self.no_read_before = until,
            _ if kind == Kind::Throttled => (self.no_read_before, self.back_off.all) = (until, until),
            _ if grew && kind.is_about_growth() => {
                self.back_off.most = fewer;
                match asked {
                    // That quota is short is known at once; that Azure has no machines takes minutes to tell.
                    Asked::Operation if fewer.is_some() => self.back_off.all = after(Kind::Changed.backoff(2)),
                    _ => self.back_off.growth = until,
                }
            }
            _ => {
                self.back_off.all = until;
                if !grew {
                    // Machines that cannot be deleted keep no others from coming.
                    self.may_grow();
                }
            }
        }
        news
    }

    /// The same of an operation that somebody else asked for, or an earlier process: it holds up nothing.
    pub(super) fn noted(&mut self, kind: Kind, message: String, now: Timestamp) -> bool {
        self.note(Asked::Outcome, kind, message, false, now).1
    }

    /// Remembers it; tells how often it was seen in a row, and whether it is worth telling from now on.
    fn note(&mut self, asked: Asked, kind: Kind, message: String, again: bool, now: Timestamp) -> (u32, bool) {
        let slot = if asked.reads() { &mut self.reading } else { &mut self.operating };
        let before = slot.take();
        if let Some(other) = before.as_ref().filter(|before| before.kind != kind) {
            self.told.remove(other.kind.reason());
        }
        let before = before.filter(|before| (before.asked, before.kind) == (asked, kind));
        let known = before.as_ref().is_some_and(Trouble::is_worth_telling);
        let since = before.as_ref().map_or(now, |trouble| trouble.since);
        let times = before.map_or(1, |trouble| trouble.times.saturating_add(u32::from(!again)));
        let trouble = slot.insert(Trouble { asked, kind, message, times, since, last: now });
        (times, !known && trouble.is_worth_telling())
    }

    /// A request to read worked.
    pub(super) fn read(&mut self, asked: Asked) {
        over(&mut self.reading, &mut self.told, |trouble| trouble.asked == asked);
    }

    /// An operation was accepted. Whether there are machines to be had is only known at its end.
    pub(super) fn accepted(&mut self) {
        self.under_way = true;
        let grows = self.more > 0;
        let is_over = |kind: Kind| !kind.is_about_growth() || kind == Kind::Refused && grows;
        over(&mut self.operating, &mut self.told, |trouble| trouble.asked == Asked::Operation && is_over(trouble.kind));
    }

    /// An operation came to a good end: machines have come, or the quota has room for others.
    pub(super) fn succeeded(&mut self) {
        let grew = std::mem::take(&mut self.more) > 0;
        let helps = |trouble: &Trouble| grew || trouble.kind == Kind::Quota || !trouble.kind.is_about_growth();
        if grew || self.operating.as_ref().is_some_and(|trouble| trouble.kind == Kind::Quota) {
            self.may_grow();
        }
        over(&mut self.operating, &mut self.told, helps);
    }

    /// No operation is wanted any more, so what stood in its way is no trouble. What is wanted again soon is not tried at once.
    pub(super) fn unneeded(&mut self, now: Timestamp) {
        if self.back_off.growth.is_none_or(|at| at <= now) {
            self.may_grow();
        }
        over(&mut self.operating, &mut self.told, |_| true);
    }

    fn may_grow(&mut self) {
        (self.back_off.growth, self.back_off.most) = (None, None);
    }
}

/// Forgets such trouble, so that it is told again if it comes again.
fn over(slot: &mut Option<Trouble>, told: &mut BTreeMap<&'static str, String>, is: impl Fn(&Trouble) -> bool) {
    if let Some(trouble) = slot.take_if(|trouble| is(trouble)) {
        told.remove(trouble.kind.reason());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + secs).unwrap()
    }

    fn memory() -> Memory {
        Memory::restore(None, at(0))
    }

    fn fails(memory: &mut Memory, asked: Asked, kind: Kind, second: i64) -> bool {
        memory.troubled(asked, kind, "m".into(), None, at(second))
    }

    #[test]
    fn people_hear_of_trouble_once_and_again_only_after_it_was_over() {
        let mut memory = Memory { more: 1, ..memory() };
        assert!(fails(&mut memory, Asked::Operation, Kind::Refused, 0));
        assert!(!fails(&mut memory, Asked::Operation, Kind::Refused, 1));
        memory.told.insert(Kind::Refused.reason(), "m".into());
        memory.accepted();
        assert!(memory.told.is_empty() && memory.trouble().is_none());
        assert!(fails(&mut memory, Asked::Operation, Kind::Refused, 2));
    }

    #[test]
    fn what_may_pass_by_itself_is_told_once_it_does_not() {
        let mut memory = memory();
        let told: Vec<bool> = (0..5).map(|at| fails(&mut memory, Asked::Operation, Kind::Unavailable, at)).collect();
        assert_eq!(told, [false, false, true, false, false]);
    }

    #[test]
    fn an_operation_that_is_never_accepted_is_tried_less_and_less_often_though_the_pool_can_be_read() {
        let mut memory = memory();
        let waits: Vec<i64> = (0..4)
            .map(|_| {
                fails(&mut memory, Asked::Operation, Kind::Unavailable, 0);
                memory.read(Asked::Pool);
                memory.back_off.all.unwrap().duration_since(at(0)).as_secs()
            })
            .collect();
        assert_eq!(waits, [5, 10, 20, 40]);
        assert_eq!(memory.no_read_before, None);
    }

    #[test]
    fn a_list_that_is_refused_is_trouble_though_the_pool_can_be_read() {
        let mut memory = memory();
        fails(&mut memory, Asked::Machines, Kind::Denied, 0);
        memory.read(Asked::Pool);
        assert!(memory.trouble().is_some() && memory.no_read_before == Some(at(30)));
        memory.read(Asked::Machines);
        assert!(memory.trouble().is_none());
    }

    #[test]
    fn where_quota_is_short_half_as_many_are_asked_for_until_it_is_one() {
        let mut memory = memory();
        let most: Vec<Option<u32>> = [20, 10, 5, 2, 1]
            .map(|more| {
                memory.more = more;
                fails(&mut memory, Asked::Operation, Kind::Quota, 0);
                memory.back_off.most
            })
            .to_vec();
        assert_eq!(most, [Some(10), Some(5), Some(2), Some(1), None]);
        assert_eq!(memory.back_off.growth, Some(at(240)));
        memory.succeeded();
        assert_eq!((memory.back_off.growth, memory.back_off.most), (None, None));
    }

    #[test]
    fn what_is_about_growth_holds_up_nothing_else() {
        for kind in [Kind::Quota, Kind::Allocation, Kind::Sku, Kind::Provisioning, Kind::Refused] {
            let mut memory = Memory { more: 1, ..memory() };
            fails(&mut memory, Asked::Outcome, kind, 0);
            assert!(memory.back_off.growth.is_some() && memory.back_off.all.is_none(), "{kind:?}");
        }
    }

    #[test]
    fn machines_that_cannot_be_deleted_hold_up_no_growth_for_good() {
        let mut memory = Memory { more: 1, ..memory() };
        fails(&mut memory, Asked::Operation, Kind::Quota, 0);
        memory.more = 0;
        fails(&mut memory, Asked::Outcome, Kind::Provisioning, 1);
        assert!(memory.back_off.all.is_some() && memory.back_off.growth.is_none());
    }

    #[test]
    fn what_stands_in_the_way_of_operations_is_known_though_a_read_fails_meanwhile() {
        let mut memory = Memory { more: 1, ..memory() };
        fails(&mut memory, Asked::Operation, Kind::Quota, 0);
        fails(&mut memory, Asked::Pool, Kind::Unavailable, 1);
        memory.read(Asked::Pool);
        assert_eq!(memory.trouble().map(|trouble| trouble.kind), Some(Kind::Quota));
    }

    #[test]
    fn a_deletion_makes_room_in_the_quota_and_no_machines() {
        for (kind, grows) in [(Kind::Quota, true), (Kind::Allocation, false)] {
            let mut memory = Memory { more: 1, ..memory() };
            fails(&mut memory, Asked::Outcome, kind, 0);
            memory.more = 0;
            memory.succeeded();
            assert_eq!((memory.back_off.growth.is_none(), memory.trouble().is_none()), (grows, grows), "{kind:?}");
        }
    }

    #[test]
    fn what_is_not_wanted_for_a_moment_is_not_tried_at_once_when_it_is_wanted_again() {
        let mut memory = Memory { more: 1, ..memory() };
        fails(&mut memory, Asked::Operation, Kind::Quota, 0);
        memory.unneeded(at(60));
        assert!(memory.back_off.growth.is_some() && memory.trouble().is_none());
        memory.unneeded(at(120));
        assert_eq!(memory.back_off.growth, None);
    }
}
