//! Pools with runs in them, by a seed.

use jiff::{SignedDuration, Timestamp};
use planner::bucket::{Bucket, Rate};
use planner::capacity::Resources;
use planner::pool::{BackOff, Machine, Node, PoolView, Readiness};
use planner::provisioning::Measured;
use planner::slots::{Demand, Room};
use planner::warmth::{End, Expected, Policy, Prewarm};

/// What there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Nothing but runs.
    Empty,
    /// Half of the nodes, filled at random; some idle, on their way, about to go, or lost.
    Half,
    /// All nodes, filled as far as pods fit, and more that wait.
    Full,
    /// As full, with pods of another size in each run.
    Mixed,
    /// All nodes, half of them with only processors left and half with only memory, one by one, so that of every two
    /// together more seems to be free than is. Each run asks for both, and no run for less than another of both.
    Jagged,
}

impl Shape {
    pub(crate) const ALL: [Self; 5] = [Self::Empty, Self::Half, Self::Full, Self::Mixed, Self::Jagged];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Half => "half",
            Self::Full => "full",
            Self::Mixed => "mixed",
            Self::Jagged => "jagged",
        }
    }

    /// What a pod of this run asks for: thousandths of a processor, and MiB.
    fn pod(self, run: u32, dice: &mut Dice) -> (u32, u32) {
        match self {
            Self::Empty | Self::Half | Self::Full => (500, 1_024),
            Self::Mixed => (300 + dice.below(900), 512 + dice.below(3_000)),
            Self::Jagged => (100 + run, 2_048 - run),
        }
    }
}

/// What an empty node has: thousandths of a processor, MiB, and pods.
const NODE: (u32, u32, u32) = (3_860, 12_628, 30);

/// A pool and its runs.
pub(crate) struct Scene {
    pub(crate) demands: Vec<Demand>,
    pub(crate) room: Room,
    pub(crate) view: PoolView,
}

impl Scene {
    pub(crate) fn new(shape: Shape, nodes: u32, items: u32, runs: u32, seed: u64) -> Result<Self, String> {
        let mut dice = Dice::new(seed);
        let pods: Vec<(u32, u32)> = (0..runs).map(|run| shape.pod(run, &mut dice)).collect();
        let mut started = vec![0; runs as usize];
        let left = |run: usize, started: &[u32]| items / runs - started[run];
        let there = match shape {
            Shape::Empty => 0,
            Shape::Half => nodes / 2,
            Shape::Full | Shape::Mixed | Shape::Jagged => nodes,
        };
        let mut machines = Vec::new();
        for at in 0..there {
            let (mut cpu, mut memory, mut more) = NODE;
            let part = dice.below(100);
            let mut ends = Vec::new();
            if shape == Shape::Jagged {
                (cpu, memory) = if at.is_multiple_of(2) { (cpu, 100) } else { (50, memory) };
            } else if shape != Shape::Half || part >= 15 {
                more = if shape == Shape::Half { 1 + dice.below(8) } else { more };
                while more > 0 {
                    let run = dice.below(runs) as usize;
                    let (asked_cpu, asked_memory) = pods[run];
                    if cpu < asked_cpu || memory < asked_memory || left(run, &started) == 0 {
                        break;
                    }
                    (cpu, memory, more) = (cpu - asked_cpu, memory - asked_memory, more - 1);
                    started[run] += 1;
                    let left = SignedDuration::from_secs(dice.below(600).into());
                    ends.push(End { at: now() + left, frees: resources(asked_cpu, asked_memory, 1)? });
                }
            }
            let free = resources(cpu, memory, NODE.2)?;
            machines.push(machine(at, node(free, ends, shape, part)));
        }
        let capacity = Some(resources(NODE.0, NODE.1, NODE.2)?);
        let demand = |(run, (cpu, memory)): (u32, &(u32, u32))| {
            let (run_name, started) = (format!("default/hourly-{run:08}"), started[run as usize]);
            Ok::<_, String>(Demand {
                run: run_name,
                priority: i32::from(run.is_multiple_of(10)),
                created: now() - SignedDuration::from_secs((run * 7_919 % runs).into()),
                request: resources(*cpu, *memory, 0)?,
                remaining: items / runs,
                started,
                starting: 0,
                held: items / runs,
                most: u32::MAX,
                given: started,
            })
        };
        let demands: Vec<Demand> = (0..).zip(&pods).map(demand).collect::<Result<_, _>>()?;
        // Each schedule ticks again within a quarter of an hour, at a whole minute.
        let tick = |demand: &Demand| Expected {
            at: now() + SignedDuration::from_mins((1 + dice.below(15)).into()),
            request: demand.request.clone(),
            pods: items / runs,
            lasts: SignedDuration::from_secs((60 + dice.below(600)).into()),
        };
        let ticks = demands.iter().map(tick).collect();
        let view = PoolView {
            now: now(),
            min: 0,
            max: nodes,
            paused: false,
            policy: Policy::BreakEven,
            prewarm: Prewarm::Auto,
            measured: Measured::default(),
            expected: ticks,
            count: there,
            running: false,
            tainted: true,
            machines,
            capacity: capacity.clone(),
            work: Vec::new(),
            puts: Bucket::full(Rate::PUT, now()),
            back_off: BackOff::default(),
        };
        let takes_pods = |node: &&Node| node.ready.is_ready() && !node.cordoned;
        let there = view.machines.iter().filter_map(|machine| machine.node.as_ref()).filter(takes_pods);
        let there = there.map(|node| node.free.clone()).collect();
        let room = Room {
            capacity,
            max_nodes: nodes,
            nodes: there,
            overflow: Vec::new(),
            runs_on: Vec::new(),
            starts_on_room: true,
            paused: false,
            closing: false,
        };
        Ok(Self { demands, room, view })
    }
}

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(500_000)
}

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

fn resources(cpu: u32, memory: u32, pods: u32) -> Result<Resources, String> {
    let (cpu, memory, pods) = (format!("{cpu}m"), format!("{memory}Mi"), pods.to_string());
    Resources::parse([("cpu", cpu.as_str()), ("memory", &memory), ("pods", &pods)]).map_err(|e| e.to_string())
}

/// A node, or a machine that is none yet.
fn node(free: Resources, ends: Vec<End>, shape: Shape, part: u32) -> Option<Node> {
    let busy = !ends.is_empty() || shape == Shape::Jagged;
    let node = Node {
        ready: Readiness::Ready,
        since: ago(900),
        joining: false,
        out_of_service: None,
        cordoned: false,
        draining_since: None,
        busy,
        busy_until: ends.iter().map(|end| end.at).max(),
        ends,
        idle_since: (!busy).then(|| ago(30)),
        unforeseen: part.is_multiple_of(2),
        free,
    };
    match part {
        0..4 if shape == Shape::Half => None,
        4..8 if shape == Shape::Half => Some(Node { cordoned: true, draining_since: Some(ago(1)), ..node }),
        8..10 if shape == Shape::Half => Some(Node { ready: Readiness::Silent, since: ago(60), ..node }),
        _ => Some(node),
    }
}

fn machine(at: u32, node: Option<Node>) -> Machine {
    // Not in the order of their names.
    let name = format!("aks-pool-{:08x}", at.wrapping_mul(2_654_435_761));
    Machine { name, listed: true, seen: ago(60), leaving: false, node, node_gone: None }
}

/// Numbers by a seed (xorshift).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 16) % u64::from(bound)) as u32
    }
}
