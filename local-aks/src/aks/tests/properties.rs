//! What holds for the state machine whatever is asked of it, in whatever order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::super::error::Failure;
use super::super::faults::FaultOrder;
use super::super::fleet::{Conditions, Fleet, Taking};
use super::super::work::{Outcome, Work};
use super::{at, empty_fleet};

const POOLS: [&str; 3] = ["system", "scoring", "other"];

#[derive(Debug, Clone)]
enum Step {
    Put {
        pool: usize,
        count: u64,
        taint: bool,
        keep: bool,
        stale: bool,
    },
    DeleteMachines {
        pool: usize,
        picks: Vec<usize>,
        bogus: bool,
    },
    DeletePool {
        pool: usize,
    },
    Abort {
        pool: usize,
    },
    Fault {
        machines: usize,
    },
    /// Another actor ends what is under way.
    Preempt {
        pool: usize,
        seconds: u64,
    },
    /// Machines are taken: one that is there, or one of the next to come.
    Reclaim {
        pool: usize,
        next: bool,
        seconds: u64,
    },
    /// Machines take anything from now on.
    Scatter,
    Wait {
        seconds: i64,
    },
    /// The oldest work ends; the machines whose bit is not set fail.
    Finish {
        good: u16,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let pool = 0..POOLS.len();
    prop_oneof![
        4 => (pool.clone(), 0u64..6, any::<bool>(), prop::bool::weighted(0.7), prop::bool::weighted(0.1))
            .prop_map(|(pool, count, taint, keep, stale)| Step::Put { pool, count, taint, keep, stale }),
        3 => (pool.clone(), prop::collection::vec(0usize..6, 1..3), prop::bool::weighted(0.1))
            .prop_map(|(pool, picks, bogus)| Step::DeleteMachines { pool, picks, bogus }),
        1 => pool.clone().prop_map(|pool| Step::DeletePool { pool }),
        1 => pool.clone().prop_map(|pool| Step::Abort { pool }),
        1 => (pool.clone(), 0u64..20).prop_map(|(pool, seconds)| Step::Preempt { pool, seconds }),
        1 => (pool, any::<bool>(), 0u64..40).prop_map(|(pool, next, seconds)| Step::Reclaim { pool, next, seconds }),
        1 => Just(Step::Scatter),
        1 => (0usize..3).prop_map(|machines| Step::Fault { machines }),
        4 => (0i64..30).prop_map(|seconds| Step::Wait { seconds }),
        4 => prop_oneof![3 => Just(u16::MAX), 1 => any::<u16>()].prop_map(|good| Step::Finish { good }),
    ]
}

/// The world around the state machine: time, the machines there really are, and the work under way.
struct World {
    fleet: Fleet,
    now: i64,
    real: BTreeSet<String>,
    /// Those of them that are deallocated.
    asleep: BTreeSet<String>,
    ever: BTreeSet<String>,
    acting: Vec<Work>,
    running: BTreeMap<&'static str, String>,
}

impl World {
    fn new(seed: u64, count_falls: bool) -> Self {
        let mut fleet = empty_fleet(seed);
        fleet.settings.count_falls = count_falls;
        fleet.found("system", &json!({"properties": {"mode": "System", "count": 1}}), at(0)).unwrap();
        fleet.found("scoring", &json!({"properties": {"count": 0}}), at(0)).unwrap();
        let (real, asleep, ever, acting, running) = Default::default();
        Self { fleet, now: 0, real, asleep, ever, acting, running }
    }

    fn busy(&self, pool: &str) -> bool {
        let busy = ["Creating", "Updating", "Scaling", "Starting", "Stopping", "Deleting", "Canceling"];
        self.fleet.get(pool).is_ok_and(|body| busy.contains(&body["properties"]["provisioningState"].as_str().unwrap()))
    }

    fn machines(&self, pool: &str) -> Vec<String> {
        let Ok(page) = self.fleet.machines(pool, "", &BTreeMap::new()) else { return Vec::new() };
        page.value.iter().map(|machine| machine["name"].as_str().unwrap().to_owned()).collect()
    }

    fn take(&mut self, step: Step) {
        let now = at(self.now);
        match step {
            Step::Put { pool, count, taint, keep, stale } => {
                let pool = POOLS[pool];
                let busy = self.busy(pool);
                let before = self.fleet.get(pool).ok();
                let taints = if taint { json!(["k=v:NoSchedule"]) } else { json!([]) };
                let mode = if keep { "Deallocate" } else { "Delete" };
                let body = json!({"properties": {"count": count, "nodeTaints": taints, "scaleDownMode": mode}});
                let conditions = Conditions { if_match: stale.then(|| "stale".to_owned()), if_none_match: None };
                match self.fleet.put(pool, &body, &conditions, now) {
                    Ok(put) => {
                        assert!(!busy, "an operation was accepted on busy pool {pool}");
                        assert!(!stale, "a stale etag was accepted");
                        if let Some(operation) = put.operation {
                            assert_ne!(
                                before.map(|body| body["properties"]["eTag"].clone()),
                                Some(put.body["properties"]["eTag"].clone())
                            );
                            self.running.insert(pool, operation);
                        }
                    }
                    Err(error) => {
                        assert_eq!(self.fleet.get(pool).ok(), before, "a refused request changed something");
                        let expected = if stale {
                            412
                        } else if busy {
                            409
                        } else {
                            400
                        };
                        assert_eq!(error.status, expected, "{error}");
                    }
                }
            }
            Step::DeleteMachines { pool, picks, bogus } => {
                let pool = POOLS[pool];
                let busy = self.busy(pool);
                let there = self.machines(pool);
                let mut names: Vec<String> = picks.iter().filter_map(|pick| there.get(*pick).cloned()).collect();
                names.extend(bogus.then(|| "aks-none-00000000-vmss000000".to_owned()));
                if let Ok(operation) = self.fleet.delete_machines(pool, &names, now) {
                    assert!(!busy && !bogus && !names.is_empty());
                    self.running.insert(pool, operation);
                }
            }
            Step::DeletePool { pool } => {
                let busy = self.busy(POOLS[pool]);
                if let Ok(Some(operation)) = self.fleet.delete_pool(POOLS[pool], &Conditions::default(), now) {
                    assert!(!busy && pool != 0);
                    self.running.insert(POOLS[pool], operation);
                }
            }
            Step::Abort { pool } => drop(self.fleet.abort(POOLS[pool], now)),
            Step::Fault { machines } => {
                self.order(&json!({"provisioning": [{"machines": machines}]}));
            }
            Step::Preempt { pool, seconds } => {
                let pool = POOLS[pool];
                let busy = self.busy(pool);
                let ordered = self.order(&json!({"preempt": [{"pool": pool, "holdsSeconds": seconds}]}));
                assert_eq!(ordered, busy, "only what is under way can be ended");
                // Whose operation it is now, nobody who uses the API can know.
                if ordered && let Some(ended) = self.running.remove(pool) {
                    assert!(!self.fleet.operation(&ended).unwrap().is_running());
                }
            }
            Step::Reclaim { pool, next: false, seconds } => {
                self.order(&json!({"reclaim": [{"pool": POOLS[pool], "noticeSeconds": seconds}]}));
            }
            Step::Reclaim { pool, next: true, seconds } => {
                self.order(&json!({"reclaim": [{"pool": POOLS[pool], "count": 1, "noticeSeconds": seconds}]}));
            }
            Step::Scatter => {
                self.fleet.settings.provisioning = "1s..30s".parse().unwrap();
            }
            Step::Wait { seconds } => {
                self.now += seconds;
                self.acting.extend(self.fleet.take_due(at(self.now)));
                for taking in self.fleet.take_machines(at(self.now)) {
                    if let Taking::Stop { machine, deleted } = taking {
                        assert!(deleted && self.real.remove(&machine), "{machine} was taken but was not there");
                        assert!(!self.asleep.contains(&machine), "{machine} was taken and did not run");
                    }
                }
            }
            Step::Finish { good } => {
                if !self.acting.is_empty() {
                    let work = self.acting.remove(0);
                    self.finish(&work, good);
                }
            }
        }
        self.check();
    }

    /// Whether the order could be carried out.
    fn order(&mut self, faults: &serde_json::Value) -> bool {
        let order = FaultOrder::read(&faults.to_string()).unwrap();
        let possible = self.fleet.check(&order).is_ok();
        if possible {
            self.fleet.order(&order, at(self.now));
        }
        possible
    }

    fn finish(&mut self, work: &Work, good: u16) {
        let mut outcome = Outcome::default();
        let mut works = (0..16).map(|bit| good & (1 << bit) != 0).chain(std::iter::repeat(true));
        for name in &work.delete {
            if works.next() == Some(true) {
                // Azure may have taken it meanwhile; deleting what is gone works.
                self.real.remove(name);
                self.asleep.remove(name);
                outcome.deleted.push(name.clone());
            } else {
                outcome.error = Some(Failure::new("InternalExecutionError", ""));
            }
        }
        for name in &work.deallocate {
            if works.next() == Some(true) {
                // Azure may have taken it meanwhile.
                if self.real.contains(name) {
                    assert!(self.asleep.insert(name.clone()), "{name} was deallocated already");
                }
                outcome.deallocated.push(name.clone());
            } else {
                outcome.error = Some(Failure::new("InternalExecutionError", ""));
            }
        }
        for spec in &work.start {
            if works.next() == Some(true) {
                assert!(self.asleep.remove(&spec.name), "{} was not deallocated", spec.name);
                outcome.started.push(spec.name.clone());
            } else {
                outcome.error = Some(Failure::new("InternalExecutionError", ""));
            }
        }
        for spec in &work.create {
            assert!(self.ever.insert(spec.name.clone()), "{} was used before", spec.name);
            if works.next() == Some(true) {
                self.real.insert(spec.name.clone());
                outcome.created.push(spec.name.clone());
            } else {
                outcome.error = Some(Failure::new("InternalExecutionError", ""));
            }
        }
        self.fleet.finish(&work.operation, outcome, at(self.now));
    }

    fn check(&mut self) {
        let mut known = BTreeSet::new();
        for pool in POOLS {
            let machines = self.machines(pool);
            if self.fleet.get(pool).is_err() {
                // A pool of the same name starts to count anew, as on AKS.
                self.ever.retain(|name| !name.starts_with(&format!("aks-{pool}-")));
            }
            if let Ok(body) = self.fleet.get(pool)
                && !self.busy(pool)
                && self.fleet.settings.count_falls
            {
                let awake = machines.iter().filter(|machine| !self.asleep.contains(*machine)).count();
                assert_eq!(body["properties"]["count"], awake, "the count of idle pool {pool}");
            }
            known.extend(machines);
            if let Some(operation) = self.running.get(pool) {
                let running = self.fleet.operation(operation).unwrap().is_running();
                assert_eq!(running, self.busy(pool), "pool {pool} and its latest operation");
            }
            let works = self.acting.iter().filter(|work| self.fleet.operation(&work.operation).unwrap().pool == pool);
            let still = works.filter(|work| self.fleet.operation(&work.operation).unwrap().is_running());
            let operations: BTreeSet<&String> = still.map(|work| &work.operation).collect();
            assert!(operations.len() <= 1, "pool {pool} has two operations at once");
        }
        assert_eq!(known, self.real, "the machines that the API shows and those there are");
        assert_eq!(self.fleet.machines_made - self.fleet.machines_deleted, self.real.len() as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_api_tells_the_truth_and_never_does_two_things_at_once(
        seed in any::<u64>(),
        count_falls in any::<bool>(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut world = World::new(seed, count_falls);
        for step in steps {
            world.take(step);
        }
    }

    #[test]
    fn every_pool_comes_to_rest(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::new(seed, true);
        for step in steps {
            world.take(step);
        }
        for _ in 0..3 {
            world.take(Step::Wait { seconds: 3600 });
            while !world.acting.is_empty() {
                world.take(Step::Finish { good: u16::MAX });
            }
        }
        prop_assert!(POOLS.iter().all(|pool| !world.busy(pool)));
        prop_assert_eq!(world.fleet.next_due(), None);
    }
}
