//! Reading the agent pool: rarely when nothing happens, often while something does, within the request budget.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crds::AksPool;
use crds::ScoringCluster;
use jiff::{SignedDuration, Timestamp};
use planner::bucket::{Bucket, Rate};
use planner::pool::{LATER, SOON};

use super::memory::{End, Memory};
use super::step;
use super::trouble::Asked;
use crate::Ctx;
use crate::aks::{self, AgentPools, AksError, ErrorBody, Kind};
use crate::context::name_of;

/// How old a list of machines may get while the pool is at rest and something is waited for.
const LIST: SignedDuration = SignedDuration::from_secs(4);

/// How much is kept of what Azure says of an operation that failed.
const MOST_SAID: usize = 700;

/// What a request to Azure, other than a PUT, is for. What is read as a matter of routine leaves enough for what has to be
/// done: else a busy pool is watched so closely that nothing of it can be deleted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// To know what goes on: one request.
    Routine,
    /// To know what is, right before an operation: the pool and its machines.
    FreshLook,
    /// An operation.
    Operation,
}

impl Purpose {
    /// How many tokens it takes, and how many it leaves to others.
    fn tokens(self) -> (u32, u32) {
        match self {
            Self::Routine => (1, 6),
            Self::FreshLook => (2, 1),
            Self::Operation => (1, 0),
        }
    }
}

/// The way to Azure, shared by all clusters.
#[derive(Debug, Default)]
pub(super) struct Provider {
    client: tokio::sync::Mutex<Option<AgentPools>>,
    /// What is left of the requests other than PUTs, by subscription.
    requests: Mutex<BTreeMap<String, Bucket>>,
}

impl Provider {
    /// The client; made at its first use, and again until that works.
    ///
    /// # Errors
    /// When the pod has no usable identity.
    pub(super) async fn client(&self, ctx: &Ctx) -> Result<AgentPools, AksError> {
        let mut client = self.client.lock().await;
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let authorization = aks::authorization(&ctx.settings.arm_scope())?;
        let new = AgentPools::new(ctx.settings.arm_endpoint.clone(), authorization, Default::default());
        Ok(client.insert(new).clone())
    }

    /// Azure does not take the token: the next client asks for another one.
    pub(super) async fn forget_token(&self) {
        *self.client.lock().await = None;
    }

    /// Takes tokens of the subscription's requests other than PUTs.
    #[must_use]
    pub(super) fn may_request(&self, pool: &AksPool, purpose: Purpose, now: Timestamp) -> bool {
        let (tokens, keep) = purpose.tokens();
        self.with_bucket(pool, now, |bucket| bucket.take_all(tokens, keep, now))
    }

    /// So many requests were made beyond those that were asked for: nobody knows before how many pages a list has.
    fn asked_more(&self, pool: &AksPool, requests: u32, now: Timestamp) {
        self.with_bucket(pool, now, |bucket| {
            if !bucket.take_all(requests, 0, now) {
                bucket.drain(now);
            }
        });
    }

    /// Azure said that the subscription's requests are used up.
    pub(super) fn throttled(&self, pool: &AksPool, now: Timestamp) {
        self.with_bucket(pool, now, |bucket| bucket.drain(now));
    }

    fn with_bucket<T>(&self, pool: &AksPool, now: Timestamp, what: impl FnOnce(&mut Bucket) -> T) -> T {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let key = pool.subscription_id.to_ascii_lowercase();
        what(requests.entry(key).or_insert_with(|| Bucket::full(Rate::OTHER, now)))
    }

    /// Reads what is due: the pool, and its machines. With `fresh`, both. Returns whether both are of this moment.
    ///
    /// # Errors
    /// When Azure refuses or is not reached, with what did not work; then what is remembered stays.
    pub(super) async fn observe(
        &self,
        ctx: &Ctx,
        cluster: &ScoringCluster,
        memory: &mut Memory,
        fresh: bool,
    ) -> Result<bool, (Asked, AksError)> {
        let now = ctx.now();
        let Some(pool) = cluster.spec.node_pool.aks() else { return Ok(false) };
        if memory.no_read_before.is_some_and(|at| now < at) {
            return Ok(false);
        }
        let of = |asked: Asked| move |error: AksError| (asked, error);
        let client = self.client(ctx).await.map_err(of(Asked::Pool))?;
        let often = memory.active || memory.pool.as_ref().is_some_and(|(pool, _)| pool.is_running());
        // A little less than the interval, so that a look that comes a moment early does not skip its turn.
        let every = if often { SOON } else { LATER } - SignedDuration::from_millis(200);
        let due = fresh || memory.pool.as_ref().is_none_or(|(_, at)| now.duration_since(*at) >= every);
        let purpose = if fresh { Purpose::FreshLook } else { Purpose::Routine };
        if !due || !self.may_request(pool, purpose, now) {
            return Ok(false);
        }
        let read = client.get(pool).await.map_err(of(Asked::Pool))?;
        let (state, count) = (read.provisioning_state().to_owned(), read.count());
        memory.read(Asked::Pool);
        let end = memory.ended(&read);
        let running = read.is_running();
        let failure = read.failure();
        memory.pool = Some((read, now));
        match end {
            Some(End::Good) => memory.succeeded(),
            Some(end) => ended_badly(ctx, cluster, memory, end, &failure.unwrap_or_default()).await,
            None => {}
        }
        let list_every = match () {
            () if fresh => SignedDuration::ZERO,
            () if often && !running => LIST,
            () => LATER,
        };
        let stale = memory
            .listed
            .as_ref()
            .is_none_or(|(at, c, s)| now.duration_since(*at) >= list_every || (*c, s.as_str()) != (count, &state));
        let whole = stale && (fresh || self.may_request(pool, Purpose::Routine, now));
        if whole {
            let listed = client.machines(pool).await.map_err(of(Asked::Machines))?;
            self.asked_more(pool, listed.pages.saturating_sub(1), now);
            memory.list(listed.names.into_iter().collect());
            memory.read(Asked::Machines);
            memory.listed = Some((now, count, state));
        }
        Ok(whole)
    }
}

/// Notes how the last operation on the pool ended, and tells people.
async fn ended_badly(ctx: &Ctx, cluster: &ScoringCluster, memory: &mut Memory, end: End, failure: &ErrorBody) {
    let (name, now) = (cluster.spec.node_pool.aks().map_or("", |pool| &pool.agent_pool), ctx.now());
    let (kind, how) = match end {
        End::Canceled => (Kind::Preempted, "gave way to another one"),
        _ => (Kind::of(None, failure), "failed"),
    };
    let said = format!("{} {}", failure.codes.join(" "), failure.message);
    let said = if said.trim().is_empty() { String::new() } else { format!(": {}", said.trim()) };
    let message = format!("the last operation on agent pool {name} {how}{said}").chars().take(MOST_SAID).collect();
    let news = match end {
        // Nobody knows when, and it may have been told.
        End::Found => {
            memory.noted(kind, message, now);
            false
        }
        End::Theirs => memory.noted(kind, message, now),
        _ => memory.troubled(Asked::Outcome, kind, message, None, now),
    };
    memory.more = 0;
    if end != End::Found {
        ctx.metrics.pools.failed(name_of(cluster), kind);
    }
    if news {
        step::tell_trouble(cluster, ctx, memory, Asked::Outcome).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_closely_a_pool_is_watched_a_machine_can_be_deleted_within_three_seconds() {
        let (provider, mut now) = (Provider::default(), Timestamp::UNIX_EPOCH);
        let pool = AksPool {
            subscription_id: "s".to_owned(),
            resource_group: "g".to_owned(),
            cluster_name: "c".to_owned(),
            agent_pool: "p".to_owned(),
        };
        let mut waited = 0;
        for _ in 0..600 {
            now += SignedDuration::from_secs(1);
            while provider.may_request(&pool, Purpose::Routine, now) {}
            if provider.may_request(&pool, Purpose::FreshLook, now) {
                assert!(provider.may_request(&pool, Purpose::Operation, now), "after {waited} s");
                waited = 0;
            } else {
                waited += 1;
                assert!(waited < 3, "no look at the pool for {waited} s");
            }
        }
    }
}
