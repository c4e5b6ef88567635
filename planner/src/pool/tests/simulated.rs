//! A small world: an agent pool that takes its time, a scheduler that is behind, and random work.

use proptest::prelude::*;

use super::*;
use crate::warmth::Expected;

const PROVISIONING: i64 = 20;
const GARBAGE_COLLECTION: i64 = 20;
const PER_NODE: u32 = 4;

#[derive(Clone, Debug)]
struct Server {
    name: String,
    ready_at: i64,
    cordoned: Option<i64>,
    idle_since: Option<i64>,
    lost_at: Option<i64>,
    out_of_service: Option<i64>,
    /// When each pod ends.
    pods: Vec<i64>,
}

#[derive(Debug)]
struct World {
    now: i64,
    count: u32,
    busy_until: Option<i64>,
    doomed: Vec<String>,
    servers: Vec<Server>,
    pending: u32,
    made: u32,
    puts: Bucket,
    /// AKS lowers the count by itself after deleteMachines, or does not: both are handled.
    count_falls: bool,
    put_times: Vec<i64>,
    /// When most of the nodes were lost at last.
    outage: i64,
    settings: Settings,
    policy: Policy,
    /// When ticks bring how many pods.
    ticks: Vec<(i64, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    min: u32,
    max: u32,
    /// The ScoringCluster has been deleted: all nodes go, once their pods have ended.
    closing: bool,
}

impl World {
    fn new(settings: Settings, policy: Policy, count_falls: bool) -> Self {
        Self {
            now: 0,
            count: 0,
            busy_until: None,
            doomed: Vec::new(),
            servers: Vec::new(),
            pending: 0,
            made: 0,
            puts: Bucket::full(Rate::PUT, at(0)),
            count_falls,
            put_times: Vec::new(),
            outage: 0,
            settings,
            policy,
            ticks: Vec::new(),
        }
    }

    fn view(&self) -> PoolView {
        let machine = |s: &Server| {
            let lost = s.lost_at.filter(|at| *at <= self.now);
            Machine {
                name: s.name.clone(),
                listed: true,
                seen: at(0),
                leaving: self.doomed.contains(&s.name),
                node_gone: None,
                node: (s.ready_at <= self.now).then(|| Node {
                    ready: if lost.is_none() { Readiness::Ready } else { Readiness::Silent },
                    since: at(lost.unwrap_or(s.ready_at)),
                    joining: false,
                    out_of_service: s.out_of_service.map(|_| OutOfService::Ours),
                    cordoned: s.cordoned.is_some(),
                    draining_since: s.cordoned.map(at),
                    busy: !s.pods.is_empty(),
                    busy_until: None,
                    ends: Vec::new(),
                    idle_since: s.idle_since.map(at),
                    unforeseen: false,
                    free: cpu(PER_NODE - size(s.pods.len())),
                }),
            }
        };
        PoolView {
            now: at(self.now),
            min: if self.settings.closing { 0 } else { self.settings.min },
            max: self.settings.max,
            paused: self.settings.closing,
            policy: if self.settings.closing { Policy::After(SignedDuration::ZERO) } else { self.policy },
            expected: self.ticks.iter().map(|(tick, pods)| expect(*tick, *pods)).collect(),
            count: self.count,
            running: self.busy_until.is_some(),
            machines: self
                .servers
                .iter()
                .map(|s| Machine { seen: at(s.ready_at - PROVISIONING), ..machine(s) })
                .collect(),
            work: pods(self.pending.min(self.settings.max * PER_NODE)),
            puts: self.puts,
            ..pool()
        }
    }

    /// The scheduler: one pod per node and second, so that it is always a little behind.
    fn schedule(&mut self, seconds: i64) {
        for server in &mut self.servers {
            let usable = server.ready_at <= self.now && server.cordoned.is_none() && server.lost_at.is_none();
            if usable && server.out_of_service.is_none() && self.pending > 0 && size(server.pods.len()) < PER_NODE {
                server.pods.push(self.now + seconds);
                self.pending -= 1;
            }
        }
    }

    fn pass_a_second(&mut self) {
        self.now += 1;
        let now = self.now;
        self.pending += self.ticks.iter().filter(|(at, _)| *at <= now).map(|(_, pods)| pods).sum::<u32>();
        self.ticks.retain(|(at, _)| *at > now);
        if self.busy_until.is_some_and(|end| end <= self.now) {
            self.busy_until = None;
            let doomed = std::mem::take(&mut self.doomed);
            self.servers.retain(|s| !doomed.contains(&s.name));
        }
        for server in &mut self.servers {
            if server.lost_at.is_none_or(|at| at > self.now) {
                server.pods.retain(|end| *end > self.now);
            }
            // Pod garbage collection lets go of them, and their Job makes others.
            if server.out_of_service.is_some_and(|at| at + GARBAGE_COLLECTION <= self.now) {
                self.pending += size(std::mem::take(&mut server.pods).len());
            }
            let empty = server.pods.is_empty() && server.ready_at <= self.now;
            server.idle_since = if empty { server.idle_since.or(Some(self.now)) } else { None };
        }
    }

    /// What AKS and Kubernetes do, and what must never be asked of them.
    fn take(&mut self, action: Action) -> Result<(), TestCaseError> {
        let now = self.now;
        match action {
            Action::Put { count } => {
                let made = count.saturating_sub(size(self.servers.len()));
                prop_assert!(!self.settings.closing || made == 0, "a pool that is closing grows");
                prop_assert!(self.busy_until.is_none(), "PUT while an operation goes on");
                prop_assert!(count <= self.settings.max.max(size(self.servers.len())), "{count} is above the maximum");
                prop_assert!(count >= size(self.servers.len()), "PUT {count} lets AKS choose a victim");
                prop_assert!(self.puts.take(at(now)), "PUT beyond the bucket");
                self.put_times.push(now);
                self.count = count;
                while size(self.servers.len()) < count {
                    self.made += 1;
                    self.servers.push(Server {
                        name: format!("m{:04}", self.made),
                        ready_at: now + PROVISIONING,
                        cordoned: None,
                        idle_since: None,
                        lost_at: None,
                        out_of_service: None,
                        pods: Vec::new(),
                    });
                }
                self.busy_until = Some(now + PROVISIONING);
            }
            Action::Delete { idle, lost } => {
                prop_assert!(self.busy_until.is_none(), "delete while an operation goes on");
                for name in idle.iter().chain(&lost) {
                    let server = self.servers.iter().find(|s| s.name == *name).unwrap();
                    let lost = server.lost_at.is_some_and(|at| at + 30 <= now);
                    let gone = server.lost_at.is_some_and(|at| at + 300 <= now);
                    prop_assert!(server.pods.is_empty() || gone, "{name} is busy");
                    prop_assert!(lost || server.cordoned.is_some_and(|at| at + 3 <= now), "{name} has not settled");
                    if self.count_falls {
                        self.count -= 1;
                    }
                }
                self.doomed = [idle, lost].concat();
                self.busy_until = Some(now + 5);
            }
            Action::Cordon(names) => self.cordon(&names, Some(now)),
            Action::Retire(names) => {
                let left = self.servers.iter().filter(|s| s.cordoned.is_none()).count() - names.len();
                prop_assert!(left >= self.settings.max as usize, "{names:?} are not all above the maximum");
                self.cordon(&names, Some(now));
            }
            Action::OutOfService(names) => {
                for server in self.servers.iter_mut().filter(|s| names.contains(&s.name)) {
                    let lost = server.lost_at.is_some_and(|at| at + 30 <= now) && !server.pods.is_empty();
                    prop_assert!(lost && server.out_of_service.is_none(), "{server:?} is not lost");
                    server.out_of_service = Some(now);
                }
            }
            Action::InService(names) => {
                for server in self.servers.iter_mut().filter(|s| names.contains(&s.name)) {
                    prop_assert!(server.lost_at.is_none() && server.out_of_service.is_some(), "{server:?}");
                    server.out_of_service = None;
                }
            }
            Action::Uncordon(names) => self.cordon(&names, None),
            Action::Forget(names) => prop_assert!(names.is_empty(), "every machine is listed"),
        }
        Ok(())
    }

    fn cordon(&mut self, names: &[String], since: Option<i64>) {
        self.servers.iter_mut().filter(|s| names.contains(&s.name)).for_each(|s| s.cordoned = since);
    }

    /// Lets things happen, each after its gap.
    fn live(&mut self, happenings: Vec<(i64, Happening)>, seconds: i64) -> Result<(), TestCaseError> {
        for (gap, happening) in happenings {
            for _ in 0..gap {
                self.step(seconds)?;
            }
            match happening {
                Happening::Work(pods) => self.pending += pods,
                Happening::Tick(after, pods) => self.ticks.push((self.now + after, pods)),
                Happening::Limits(settings) => self.settings = settings,
                Happening::Lost(which) => {
                    let now = self.now;
                    if let Some(server) = self.servers.get_mut(which).filter(|s| s.ready_at <= now) {
                        server.lost_at.get_or_insert(now);
                    }
                }
                Happening::Back(which) => {
                    if let Some(server) = self.servers.get_mut(which) {
                        server.lost_at = None;
                    }
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, seconds: i64) -> Result<PoolDecision, TestCaseError> {
        let view = self.view();
        self.outage = if Lost::of(&view).outage { self.now } else { self.outage };
        for server in self.servers.iter().filter(|s| !s.pods.is_empty()) {
            let since = server.lost_at.map_or(self.now, |at| at.max(self.outage));
            prop_assert!(self.now - since <= 30 + GARBAGE_COLLECTION + 3, "pods are stuck on {server:?}");
        }
        let decision = decide(&view);
        prop_assert!(decision.desired <= self.settings.max);
        if let Some(action) = decision.action.clone() {
            self.take(action)?;
        }
        self.schedule(seconds);
        self.pass_a_second();
        Ok(decision)
    }
}

/// Something that happens at a time.
#[derive(Clone, Debug)]
enum Happening {
    Work(u32),
    Tick(i64, u32),
    Limits(Settings),
    Lost(usize),
    Back(usize),
}

fn expect(tick: i64, pods: u32) -> Expected {
    Expected { at: at(tick), request: cpu(1), pods, lasts: SignedDuration::from_secs(20) }
}

fn policies() -> impl Strategy<Value = Policy> {
    prop_oneof![Just(Policy::BreakEven), Just(Policy::After(SignedDuration::from_secs(60)))]
}

fn happenings() -> impl Strategy<Value = Vec<(i64, Happening)>> {
    let limits =
        (0u32..3, 0u32..6).prop_map(|(min, more)| Happening::Limits(Settings { min, max: min + more, closing: false }));
    let one = prop_oneof![
        4 => (1u32..60).prop_map(Happening::Work),
        4 => (1i64..400, 1u32..60).prop_map(|(after, pods)| Happening::Tick(after, pods)),
        1 => limits,
        1 => (0usize..5).prop_map(Happening::Lost),
        1 => (0usize..5).prop_map(Happening::Back),
    ];
    proptest::collection::vec((0i64..90, one), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_pool_does_its_work_without_harm_and_ends_at_its_minimum(
        happenings in happenings(), seconds in 1i64..40, policy in policies(), count_falls: bool
    ) {
        let mut world = World::new(Settings { min: 0, max: 4, closing: false }, policy, count_falls);
        world.live(happenings, seconds)?;
        if world.settings.max == 0 {
            world.settings.max = 1;
        }
        // Everything is scored, and then everything above the minimum goes.
        let least = |w: &World| w.settings.min as usize;
        let settled = |w: &World| w.pending == 0 && w.ticks.is_empty() && w.servers.len() == least(w) && w.count as usize == least(w);
        let mut quiet = 0;
        for _ in 0..12_000 {
            let decision = world.step(seconds)?;
            quiet = if settled(&world) && decision.action.is_none() { quiet + 1 } else { 0 };
            if quiet > 200 {
                break;
            }
        }
        prop_assert!(quiet > 200, "it never came to rest: {world:?}");
        for (i, time) in world.put_times.iter().enumerate() {
            let within = world.put_times[..=i].iter().filter(|t| **t > time - 60).count();
            prop_assert!(within <= 21, "{within} PUTs within a minute");
        }
    }

    #[test]
    fn a_pool_that_closes_ends_its_pods_and_then_has_no_nodes(
        happenings in happenings(), seconds in 1i64..40, policy in policies(), count_falls: bool
    ) {
        let mut world = World::new(Settings { min: 0, max: 4, closing: false }, policy, count_falls);
        world.live(happenings, seconds)?;
        world.settings.closing = true;
        world.settings.max = world.settings.max.max(1);
        let empty = |world: &World| world.servers.is_empty() && world.count == 0;
        for _ in 0..12_000 {
            if empty(&world) {
                break;
            }
            world.step(seconds)?;
        }
        prop_assert!(empty(&world), "nodes stay: {world:?}");
    }
}
