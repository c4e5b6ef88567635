//! What the API server said of the Jobs of schedules: asked once for each generation, not at each look.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use crds::ScoringSchedule;
use jiff::{SignedDuration, Timestamp};

use super::LOOK;
use crate::Error;
use crate::context::{Ctx, uid_of};
use crate::run::trial::{Verdict, ask};

/// How soon it is asked again where the answer was none.
pub(super) const SOON: SignedDuration = SignedDuration::from_secs(60);
/// How many answers are remembered at least before those are forgotten whose schedules are gone.
const FEW: usize = 64;

/// The answers, by the UID of the schedule.
#[derive(Debug, Default)]
pub(super) struct Trials(Mutex<HashMap<String, Trial>>);

#[derive(Clone, Debug)]
struct Trial {
    generation: Option<i64>,
    agent_pool: String,
    at: Timestamp,
    verdict: Verdict,
}

impl Trial {
    /// Whether the answer still holds.
    fn holds(&self, generation: Option<i64>, agent_pool: &str, now: Timestamp) -> bool {
        let age = now.duration_since(self.at);
        let fresh = match self.verdict {
            Verdict::Taken => true,
            // The API server's rules, or those of an admission webhook, may have changed.
            Verdict::Invalid(_) => age < SignedDuration::try_from(LOOK).unwrap_or(SOON),
            Verdict::Forbidden(_) | Verdict::Unknown(_) => age < SOON,
        };
        fresh && self.generation == generation && self.agent_pool == agent_pool
    }
}

impl Trials {
    /// What the API server says of the Jobs of this schedule, or said of the same a while ago.
    ///
    /// # Errors
    /// When it is not reached.
    pub(super) async fn verdict(&self, ctx: &Ctx, schedule: &ScoringSchedule) -> Result<Verdict, Error> {
        let cluster = ctx.caches.clusters.get_global(&schedule.spec.cluster_ref.name);
        let cluster = cluster.as_deref().and_then(|guard| guard.0.as_ref().ok());
        let agent_pool = cluster.map(|cluster| cluster.spec.node_pool.aks.agent_pool.clone()).unwrap_or_default();
        let (uid, generation, now) = (uid_of(schedule), schedule.metadata.generation, ctx.now());
        if let Some(verdict) = self.known(uid, generation, &agent_pool, now) {
            return Ok(verdict);
        }
        let verdict = ask(ctx, schedule, &agent_pool).await?;
        self.remember(uid, Trial { generation, agent_pool, at: now, verdict: verdict.clone() }, || {
            ctx.caches.schedules.all().iter().map(|schedule| uid_of(&**schedule).to_owned()).collect()
        });
        Ok(verdict)
    }

    fn known(&self, uid: &str, generation: Option<i64>, agent_pool: &str, now: Timestamp) -> Option<Verdict> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(uid).filter(|trial| trial.holds(generation, agent_pool, now)).map(|trial| trial.verdict.clone())
    }

    fn remember(&self, uid: &str, trial: Trial, there: impl FnOnce() -> HashSet<String>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(uid.to_owned(), trial);
        // Each time it has doubled: forgetting costs nothing to speak of.
        if all.len() > FEW && all.len().is_power_of_two() {
            let there = there();
            all.retain(|uid, _| there.contains(uid));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn trial(verdict: Verdict) -> Trial {
        Trial { generation: Some(1), agent_pool: "pool".to_owned(), at: at(0), verdict }
    }

    #[test]
    fn a_generation_is_tried_once_and_a_doubt_again_after_a_minute() {
        let known = |verdict, generation, pool, second| {
            let trials = Trials::default();
            trials.remember("u", trial(verdict), HashSet::new);
            trials.known("u", Some(generation), pool, at(second)).is_some()
        };
        assert!(known(Verdict::Taken, 1, "pool", 1_000_000));
        assert!(!known(Verdict::Taken, 2, "pool", 1) && !known(Verdict::Taken, 1, "other", 1));
        let invalid = || Verdict::Invalid(String::new());
        assert!(known(invalid(), 1, "pool", 299) && !known(invalid(), 1, "pool", 300));
        for doubt in [Verdict::Forbidden(String::new()), Verdict::Unknown(String::new())] {
            assert!(known(doubt.clone(), 1, "pool", 59) && !known(doubt, 1, "pool", 60));
        }
    }

    #[test]
    fn what_is_known_of_schedules_that_are_gone_is_forgotten() {
        let trials = Trials::default();
        for number in 0..10_000 {
            trials.remember(&number.to_string(), trial(Verdict::Taken), || HashSet::from([number.to_string()]));
        }
        assert!(trials.0.lock().unwrap().len() < 2 * FEW);
    }
}
