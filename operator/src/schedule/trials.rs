//! What the API server said of the Jobs of schedules: asked once for each generation, not at each look.

use std::sync::{Mutex, PoisonError};

use crds::ScoringSchedule;
use jiff::{SignedDuration, Timestamp};

use super::LOOK;
use crate::Error;
use crate::cache::Cache;
use crate::cluster::PoolNodes;
use crate::context::{Ctx, uid_of};
use crate::guard::Guard;
use crate::known::Known;
use crate::run::trial::{Verdict, ask};

/// How soon it is asked again where the answer was none.
pub(super) const SOON: SignedDuration = SignedDuration::from_secs(60);

/// The answers, by the UID of the schedule.
#[derive(Debug)]
pub(super) struct Trials(Mutex<Known<String, Trial>>);

#[derive(Clone, Debug)]
struct Trial {
    generation: Option<i64>,
    pool: PoolNodes,
    at: Timestamp,
    verdict: Verdict,
}

impl Trial {
    /// Whether the answer still holds.
    fn holds(&self, generation: Option<i64>, pool: &PoolNodes, now: Timestamp) -> bool {
        let age = now.duration_since(self.at);
        let fresh = match self.verdict {
            Verdict::Taken => true,
            // The API server's rules, or those of an admission webhook, may have changed.
            Verdict::Invalid(_) => age < SignedDuration::try_from(LOOK).unwrap_or(SOON),
            Verdict::Forbidden(_) | Verdict::Unknown(_) => age < SOON,
        };
        fresh && self.generation == generation && self.pool == *pool
    }
}

impl Trials {
    /// None yet, of these schedules.
    pub(super) fn of(schedules: Cache<Guard<ScoringSchedule>>) -> Self {
        Self(Mutex::new(Known::new(move || schedules.uids())))
    }

    /// What the API server says of the Jobs of this schedule, or said of the same a while ago.
    ///
    /// # Errors
    /// When it is not reached.
    pub(super) async fn verdict(&self, ctx: &Ctx, schedule: &ScoringSchedule) -> Result<Verdict, Error> {
        let cluster = ctx.caches.clusters.get_global(&schedule.spec.cluster_ref.name);
        let cluster = cluster.as_deref().and_then(|guard| guard.0.as_ref().ok());
        let pool = cluster.map(PoolNodes::of).unwrap_or_default();
        let (uid, generation, now) = (uid_of(schedule), schedule.metadata.generation, ctx.now());
        if let Some(verdict) = self.known(uid, generation, &pool, now) {
            return Ok(verdict);
        }
        let verdict = ask(ctx, schedule, &pool).await?;
        self.remember(uid, Trial { generation, pool, at: now, verdict: verdict.clone() });
        Ok(verdict)
    }

    fn known(&self, uid: &str, generation: Option<i64>, pool: &PoolNodes, now: Timestamp) -> Option<Verdict> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(uid).filter(|trial| trial.holds(generation, pool, now)).map(|trial| trial.verdict.clone())
    }

    fn remember(&self, uid: &str, trial: Trial) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.to_owned(), trial);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn of(pool: &str) -> PoolNodes {
        PoolNodes::labelled(&[("pool", pool)])
    }

    fn trial(verdict: Verdict) -> Trial {
        Trial { generation: Some(1), pool: of("pool"), at: at(0), verdict }
    }

    #[test]
    fn a_generation_is_tried_once_and_a_doubt_again_after_a_minute() {
        let known = |verdict, generation, pool, second| {
            let trials = Trials(Mutex::new(Known::new(HashSet::new)));
            trials.remember("u", trial(verdict));
            trials.known("u", Some(generation), &of(pool), at(second)).is_some()
        };
        assert!(known(Verdict::Taken, 1, "pool", 1_000_000));
        assert!(!known(Verdict::Taken, 2, "pool", 1) && !known(Verdict::Taken, 1, "other", 1));
        let invalid = || Verdict::Invalid(String::new());
        assert!(known(invalid(), 1, "pool", 299) && !known(invalid(), 1, "pool", 300));
        for doubt in [Verdict::Forbidden(String::new()), Verdict::Unknown(String::new())] {
            assert!(known(doubt.clone(), 1, "pool", 59) && !known(doubt, 1, "pool", 60));
        }
    }
}
