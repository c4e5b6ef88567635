//! Runs whose Jobs cannot have as many pods as they may: a quota or a policy refuses more. Slots and nodes go by those that there
//! can be.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

/// How long a Job may take to make its pods.
const PATIENCE: SignedDuration = SignedDuration::from_secs(20);

/// How many pods Jobs had at most lately, by the run's UID. One that still gains pods lacks none.
#[derive(Debug, Default)]
pub(super) struct Lacking(BTreeMap<String, Lately>);

/// The most pods that a Job had, since then and in the time before, in each of which it lacked some all the time.
#[derive(Debug)]
struct Lately {
    parallelism: u32,
    since: Timestamp,
    most: u32,
    before: u32,
}

impl Lacking {
    /// The most pods that a run can have, as far as can be seen, whose Job wants so many at a time of its parallelism and has
    /// this many.
    pub(super) fn most(&mut self, uid: &str, parallelism: u32, wanted: u32, has: u32, now: Timestamp) -> u32 {
        if has >= wanted.min(parallelism) {
            self.0.remove(uid);
            return u32::MAX;
        }
        let new = || Lately { parallelism, since: now, most: has, before: u32::MAX };
        let lately = self.0.entry(uid.to_owned()).or_insert_with(new);
        if lately.parallelism != parallelism {
            *lately = new();
        }
        if has > lately.most && (lately.before == u32::MAX || has > lately.before) {
            *lately = new();
        }
        lately.most = lately.most.max(has);
        if now.duration_since(lately.since) >= PATIENCE {
            (lately.before, lately.most, lately.since) = (lately.most, has, now);
        }
        lately.before.max(lately.most)
    }

    /// Forgets all other runs.
    pub(super) fn retain(&mut self, uids: &BTreeSet<&str>) {
        self.0.retain(|uid, _| uids.contains(uid.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most of a Job with a parallelism of 250, of which that many pods are there in each second.
    fn most(has: impl Fn(i64) -> u32, seconds: i64) -> u32 {
        let (mut lacking, mut most) = (Lacking::default(), 0);
        for second in 0..=seconds {
            most = lacking.most("run", 250, 500, has(second), Timestamp::from_second(second).unwrap());
        }
        most
    }

    #[test]
    fn a_job_is_given_time_to_make_its_pods() {
        assert_eq!((most(|_| 8, 19), most(|_| 8, 20)), (u32::MAX, 8));
        assert_eq!((most(|_| 0, 20), most(|_| 250, 20)), (0, u32::MAX));
    }

    #[test]
    fn one_whose_pods_come_and_go_has_as_many_as_there_were_at_most() {
        assert_eq!(most(|second| if second % 7 == 0 { 8 } else { 3 }, 100), 8);
        assert_eq!(most(|second| if second % 7 == 0 { 250 } else { 240 }, 100), u32::MAX);
    }

    #[test]
    fn one_that_still_gains_pods_is_waited_for() {
        assert_eq!(most(|second| u32::try_from(second * 2).unwrap(), 100), u32::MAX);
        assert_eq!(most(|second| if second < 60 { 8 } else { 30 }, 60), u32::MAX);
        assert_eq!(most(|second| if second < 60 { 8 } else { 30 }, 80), 30);
        assert_eq!(most(|second| if second < 60 { 8 } else { 250 }, 60), u32::MAX);
    }

    #[test]
    fn a_job_that_may_make_more_is_given_time_again() {
        let (mut lacking, at) = (Lacking::default(), |second| Timestamp::from_second(second).unwrap());
        for second in 0..30 {
            lacking.most("run", 5, 500, 2, at(second));
        }
        assert_eq!(lacking.most("run", 5, 500, 2, at(30)), 2);
        assert_eq!(lacking.most("run", 10, 500, 2, at(31)), u32::MAX);
    }
}
