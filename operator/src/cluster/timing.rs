//! How long the machines of a pool take to come and to go, measured as they do.

use std::collections::{BTreeMap, BTreeSet};

use crds::cluster::ProvisioningStatus;
use jiff::{SignedDuration, Timestamp};
use planner::pool::NEVER_JOINED_LIMIT;
use planner::provisioning::{Prior, Provisioning, Times};

/// What is measured, and what was.
#[derive(Clone, Debug, Default)]
pub(super) struct Timing {
    /// When more machines were asked for last, and how many of them are not there yet.
    asked: Option<(Timestamp, usize)>,
    /// When those were asked for that are not Ready yet.
    coming: BTreeMap<String, Timestamp>,
    /// Since when those are let go that are cordoned for it.
    draining: BTreeMap<String, Timestamp>,
    /// Since when those were, whose deletion has been asked for.
    leaving: BTreeMap<String, Timestamp>,
    /// What was measured.
    pub(super) provisioning: Provisioning,
}

impl Timing {
    /// With what an earlier process measured.
    pub(super) fn restore(saved: Option<&ProvisioningStatus>) -> Self {
        let Some(saved) = saved else { return Self::default() };
        let come = Times::restore(Prior::COME, saved.come.iter().copied());
        let go = Times::restore(Prior::GO, saved.go.iter().copied());
        Self { provisioning: Provisioning { come, go }, ..Self::default() }
    }

    /// So many more machines were asked for.
    pub(super) fn asked(&mut self, machines: usize, now: Timestamp) {
        self.asked = Some((now, machines));
    }

    /// A machine is there that was not before. Whoever starts anew does not know when it was asked for; and somebody else
    /// may have asked for it, such as AKS itself in an upgrade.
    pub(super) fn came(&mut self, name: &str, now: Timestamp) {
        let Some((asked, left)) = self.asked.as_mut().filter(|(_, left)| *left > 0) else { return };
        if now.duration_since(*asked) < NEVER_JOINED_LIMIT {
            *left -= 1;
            self.coming.insert(name.to_owned(), *asked);
        }
    }

    /// A machine's node has been Ready since then.
    pub(super) fn ready(&mut self, name: &str, since: Timestamp) {
        if let Some(asked) = self.coming.remove(name) {
            self.provisioning.come.add(since.duration_since(asked));
        }
    }

    /// A node is let go since then, or not any more.
    pub(super) fn draining(&mut self, name: &str, since: Option<Timestamp>) {
        match since {
            Some(since) => drop(self.draining.insert(name.to_owned(), since)),
            None => drop(self.draining.remove(name)),
        }
    }

    /// The deletion of a machine was asked for. What somebody else deletes tells nothing.
    pub(super) fn leaves(&mut self, name: &str) {
        if let Some(since) = self.draining.get(name) {
            self.leaving.insert(name.to_owned(), *since);
        }
    }

    /// These machines are there, of all that were.
    pub(super) fn left(&mut self, there: &BTreeSet<String>, now: Timestamp) {
        self.coming.retain(|name, _| there.contains(name));
        self.draining.retain(|name, _| there.contains(name));
        let go = &mut self.provisioning.go;
        self.leaving.retain(|name, since| {
            let gone = !there.contains(name);
            if gone {
                go.add(now.duration_since(*since));
            }
            !gone
        });
    }

    /// As a status has it; nothing where nothing was measured.
    pub(super) fn status(&self) -> Option<ProvisioningStatus> {
        let Provisioning { come, go } = &self.provisioning;
        if come.samples() + go.samples() == 0 {
            return None;
        }
        let seconds = |time: SignedDuration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let measured = self.provisioning.measured();
        Some(ProvisioningStatus {
            p50_seconds: seconds(measured.p50),
            p95_seconds: seconds(measured.p95),
            drain_seconds: seconds(measured.drain),
            come: come.saved(),
            go: go.saved(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_machine_takes_from_the_put_until_its_node_is_ready() {
        let mut timing = Timing::default();
        timing.asked(1, at(0));
        timing.came("a", at(5));
        timing.asked(1, at(60));
        timing.came("b", at(61));
        timing.ready("a", at(70));
        timing.ready("b", at(90));
        timing.ready("a", at(500));
        assert_eq!(timing.status().unwrap().come, [70, 30]);
    }

    #[test]
    fn what_was_asked_for_by_an_earlier_process_is_not_measured() {
        let mut timing = Timing::default();
        timing.came("a", at(1));
        timing.ready("a", at(70));
        assert_eq!(timing.status(), None);
    }

    #[test]
    fn a_machine_that_somebody_else_asked_for_is_not_measured() {
        let mut timing = Timing::default();
        timing.asked(1, at(0));
        timing.came("ours", at(5));
        timing.came("surge", at(6));
        timing.asked(1, at(10));
        timing.came("much-later", at(8 * 3_600));
        for name in ["ours", "surge", "much-later"] {
            timing.ready(name, at(8 * 3_600 + 60));
        }
        assert_eq!(timing.status().unwrap().come.len(), 1);
    }

    #[test]
    fn a_node_takes_from_its_cordon_until_its_machine_is_gone_by_our_deletion() {
        let mut timing = Timing::default();
        for name in ["ours", "reclaimed", "kept"] {
            timing.draining(name, Some(at(10)));
        }
        timing.draining("kept", None);
        timing.leaves("ours");
        timing.left(&names(&["kept"]), at(55));
        assert_eq!(timing.status().unwrap().go, [45]);
    }

    #[test]
    fn a_restart_keeps_what_was_measured() {
        let mut timing = Timing::default();
        timing.asked(1, at(0));
        timing.came("a", at(5));
        timing.ready("a", at(70));
        let status = timing.status();
        assert_eq!(Timing::restore(status.as_ref()).status(), status);
    }
}
