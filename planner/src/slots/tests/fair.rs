//! What holds of fair shares, whatever the runs are.

use super::*;
use crate::bins::plain::PlainBins;

const CPU: u32 = 12;
const MEMORY: u32 = 16;
const PODS: u32 = 10;

fn resources(cpu: u32, memory: u32) -> Resources {
    let (cpu, memory) = (cpu.to_string(), memory.to_string());
    Resources::parse([("cpu", cpu.as_str()), ("memory", memory.as_str())]).unwrap()
}

fn nodes(nodes: u32) -> Room {
    let pods = Resources::parse([("pods", PODS.to_string().as_str())]).unwrap();
    Room { capacity: Some(resources(CPU, MEMORY).overlaid(&pods)), ..room(nodes) }
}

/// A run and what its pods take.
#[derive(Clone, Debug)]
struct Run {
    demand: Demand,
    cpu: u32,
    memory: u32,
}

impl Run {
    /// The dominant share of so many pods, in 240ths of a node.
    fn share(&self, pods: u32) -> u32 {
        let pod = (self.cpu * 240 / CPU).max(self.memory * 240 / MEMORY).max(240 / PODS);
        pod * pods
    }

    fn is_no_larger_than(&self, other: &Self) -> bool {
        self.cpu <= other.cpu && self.memory <= other.memory
    }
}

/// Up to eight runs; a pod of few of them is larger than a node.
fn runs() -> impl Strategy<Value = Vec<Run>> {
    let size = prop_oneof![9 => (0..=6u32, 0..=8u32), 1 => (CPU + 1..=20, 0..=8u32)];
    let run = (size, -1i32..2, 0i64..3, 0u32..30, (0u32..12, 0u32..3), 0u32..30);
    proptest::collection::vec(run, 1..9).prop_map(|runs| {
        let run = |(at, run): (usize, _)| {
            let ((cpu, memory), priority, created, remaining, (started, starting), given) = run;
            let request = resources(cpu, memory);
            let created = super::at(created);
            let started = u32::min(started, remaining);
            let starting = u32::min(starting, remaining - started);
            let demand = demand(&format!("r{at}"), remaining);
            let demand = Demand { priority, created, request, started, starting, given, ..demand };
            Run { demand, cpu, memory }
        };
        runs.into_iter().enumerate().map(run).collect()
    })
}

/// The same runs with nothing started.
fn fresh(runs: Vec<Run>) -> Vec<Run> {
    let unstarted = |run: Run| Run { demand: Demand { started: 0, starting: 0, given: 0, ..run.demand }, ..run };
    runs.into_iter().map(unstarted).collect()
}

/// The same runs with pods of one size.
fn alike(runs: Vec<Run>) -> Vec<Run> {
    let alike =
        |run: Run| Run { demand: Demand { request: resources(1, 4), given: 0, ..run.demand }, cpu: 1, memory: 4 };
    runs.into_iter().map(alike).collect()
}

fn grants(runs: &[Run], room: &Room) -> Grants {
    let demands: Vec<Demand> = runs.iter().map(|run| run.demand.clone()).collect();
    grant(&demands, room)
}

/// The slots of each run that mean something: those beyond its items are numbers that were left as they were.
fn used(runs: &[Run], room: &Room) -> Vec<u32> {
    let grants = grants(runs, room);
    runs.iter().map(|run| grants.slots[&run.demand.run].min(run.demand.remaining)).collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Pod by pod: of those that may still get one, the run with the smallest share is looked for anew each time. What a node lacks is
/// measured in the units of [`crate::bins::Bins`], in which what nobody could use does not count.
fn plainly(runs: &[Run], room: &Room) -> Vec<u32> {
    let demand = |at: &usize| &runs[*at].demand;
    let mut order: Vec<usize> = (0..runs.len()).collect();
    order.sort_by_key(|at| (Reverse(demand(at).priority), demand(at).created, demand(at).run.clone()));
    let demands: Vec<Demand> = runs.iter().map(|run| run.demand.clone()).collect();
    let room = seen(room, &demands);
    let all_there = room.nodes.len() == room.max_nodes as usize;
    let mut bins = PlainBins::new(room.capacity.clone().unwrap(), room.nodes, room.max_nodes as usize);
    let fits_empty = |at: usize| room.capacity.as_ref().unwrap().fits(&demand(&at).request) > 0;
    let mut slots: Vec<u32> = runs.iter().map(|run| run.demand.floor()).collect();
    let (mut without_room, mut aside) = (None, false);
    for at in &order {
        for _ in 0..demand(at).starting {
            if bins.place_one(&demand(at).request).is_none() && fits_empty(*at) {
                without_room = without_room.or(Some(*at));
            }
        }
    }
    let mut out = Vec::new();
    loop {
        let wants = |at: &&usize| slots[**at] < demand(at).remaining && !out.contains(*at);
        let turn = |at: &&usize| (Reverse(demand(at).priority), runs[**at].share(slots[**at]));
        let Some(next) = order.iter().filter(wants).min_by_key(turn).copied() else { break };
        let competes = bins.has_room(&runs[next].demand.request);
        if let Some(before) = without_room.take_if(|_| all_there && !aside && competes) {
            let lacks = |free: &Resources| {
                let part = |name: &str, takes: &dyn Fn(&Run) -> u32, of: u32| {
                    let unit = runs.iter().map(takes).fold(0, gcd);
                    let units = |amount: u128| amount.checked_div(unit.into()).unwrap_or_default();
                    let lacks =
                        units(takes(&runs[before]).into()).saturating_sub(units(free.milli(name).unwrap() / 1_000));
                    (lacks << 32) / units(of.into()).max(1)
                };
                let cpu_or_memory = part("cpu", &|run| run.cpu, CPU).max(part("memory", &|run| run.memory, MEMORY));
                cpu_or_memory.max(part("pods", &|_| 1, PODS))
            };
            bins.close_first_by(lacks);
            aside = true;
        }
        match bins.place_one(&runs[next].demand.request) {
            Some(_) => slots[next] += 1,
            None => {
                out.push(next);
                without_room = without_room.or(Some(next).filter(|at| fits_empty(*at)));
            }
        }
    }
    for at in out {
        assert_eq!(bins.place_one(&runs[at].demand.request), None, "{at} waits though there is room");
    }
    slots
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn slots_are_given_as_if_the_smallest_share_were_looked_for_pod_by_pod(runs in runs(), most in 0u32..8) {
        prop_assert_eq!(used(&runs, &nodes(most)), plainly(&runs, &nodes(most)));
    }

    #[test]
    fn nobody_who_waits_has_less_than_another_but_for_a_pod(runs in runs().prop_map(fresh), most in 0u32..8) {
        let slots = used(&runs, &nodes(most));
        for (run, has) in runs.iter().zip(&slots).filter(|(run, has)| **has < run.demand.remaining) {
            for (other, others) in runs.iter().zip(&slots).filter(|(other, _)| other.demand.priority == run.demand.priority) {
                // A larger pod may find no room where a smaller one still does.
                if run.is_no_larger_than(other) {
                    let but_one = other.share(others.saturating_sub(1));
                    prop_assert!(but_one <= run.share(*has), "{run:?} has {has}, {other:?} {others}");
                }
            }
        }
    }

    #[test]
    fn equal_runs_that_wait_have_the_same_number_of_pods_but_for_one(
        runs in runs().prop_map(|runs| alike(fresh(runs))), most in 0u32..8
    ) {
        let slots = used(&runs, &nodes(most));
        let waiting = runs.iter().zip(&slots).filter(|(run, has)| **has < run.demand.remaining);
        let mut by_priority: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
        waiting.for_each(|(run, has)| by_priority.entry(run.demand.priority).or_default().push(*has));
        for slots in by_priority.values() {
            prop_assert!(slots.iter().max().unwrap() - slots.iter().min().unwrap() <= 1, "{slots:?}");
        }
    }

    #[test]
    fn what_runs_of_a_lower_priority_want_takes_nothing_from_higher_ones(runs in runs(), most in 0u32..8) {
        let modest = |run: &Run| {
            let higher = run.demand.priority > 0;
            let remaining = if higher { run.demand.remaining } else { run.demand.floor() };
            Run { demand: Demand { remaining, ..run.demand.clone() }, ..run.clone() }
        };
        let alone: Vec<Run> = runs.iter().map(modest).collect();
        let (with, without) = (used(&runs, &nodes(most)), used(&alone, &nodes(most)));
        for (at, run) in runs.iter().enumerate().filter(|(_, run)| run.demand.priority > 0) {
            prop_assert_eq!(with[at], without[at], "{:?}", run);
        }
    }

    #[test]
    fn slots_add_up_and_started_pods_keep_theirs(runs in runs(), most in 0u32..8) {
        let (slots, grants) = (used(&runs, &nodes(most)), grants(&runs, &nodes(most)));
        let remaining: u32 = runs.iter().map(|run| run.demand.remaining).sum();
        prop_assert_eq!(grants.given, slots.iter().sum::<u32>());
        prop_assert_eq!(grants.given + grants.waiting, remaining);
        for (run, has) in runs.iter().zip(&slots) {
            prop_assert!(*has >= run.demand.floor());
        }
        // Beyond what started pods take, nothing is given that the pool has not.
        let started = |run: &Run| run.demand.floor();
        let fits = |of: fn(&Run) -> u32, capacity| {
            let extra = runs.iter().zip(&slots).map(|(run, has)| of(run) * (has - started(run)));
            extra.sum::<u32>() <= most * capacity
        };
        prop_assert!(fits(|run| run.cpu, CPU) && fits(|run| run.memory, MEMORY) && fits(|_| 1, PODS), "{slots:?}");
    }

    #[test]
    fn with_pods_of_one_size_no_more_is_given_than_has_room_or_has_started(
        runs in runs().prop_map(alike), most in 0u32..8
    ) {
        let started: u32 = runs.iter().map(|run| run.demand.floor()).sum();
        let grants = grants(&runs, &nodes(most));
        let room = most * (MEMORY / 4);
        prop_assert!(grants.given <= started.max(room));
        prop_assert!(grants.waiting == 0 || grants.given >= room, "somebody waits while there is room");
    }

    #[test]
    fn the_order_in_which_runs_are_told_does_not_matter(
        (runs, told) in runs().prop_flat_map(|runs| (Just(runs.clone()), Just(runs).prop_shuffle())), most in 0u32..8
    ) {
        let (one, other) = (grants(&runs, &nodes(most)), grants(&told, &nodes(most)));
        prop_assert_eq!(one, other);
    }

    #[test]
    fn with_pods_of_one_size_more_nodes_take_slots_from_nobody(
        runs in runs().prop_map(alike), most in 0u32..8, more in 1u32..4
    ) {
        let (few, many) = (used(&runs, &nodes(most)), used(&runs, &nodes(most + more)));
        prop_assert!(few.iter().zip(&many).all(|(few, many)| few <= many), "{few:?} {many:?}");
    }

    #[test]
    fn with_pods_of_one_size_another_run_gives_slots_to_nobody(runs in runs().prop_map(alike), most in 0u32..8) {
        let (with, without) = (used(&runs, &nodes(most)), used(&runs[1..], &nodes(most)));
        prop_assert!(with[1..].iter().zip(&without).all(|(with, without)| with <= without), "{with:?} {without:?}");
    }

    #[test]
    fn with_pods_of_one_size_slots_stay_as_they_are_while_their_pods_start(
        runs in runs().prop_map(alike), most in 0u32..8, starting in proptest::collection::vec(0u32..30, 8)
    ) {
        let slots = used(&runs, &nodes(most));
        let mut later = runs;
        for ((run, has), starts) in later.iter_mut().zip(&slots).zip(starting) {
            run.demand.started = (run.demand.started + run.demand.starting + starts).min(*has);
            (run.demand.starting, run.demand.given) = (0, *has);
        }
        prop_assert_eq!(used(&later, &nodes(most)), slots);
    }

    #[test]
    fn what_starts_has_a_slot_and_room_and_of_one_size_all_of_it_starts_once_there_are_all_nodes(
        runs in runs(), same: bool, most in 0u32..8, ready in 0usize..8
    ) {
        let runs = if same { alike(runs) } else { runs };
        let demands: Vec<Demand> = runs.iter().map(|run| run.demand.clone()).collect();
        let mut room = seen(&nodes(most), &demands);
        let empty = room.capacity.clone().unwrap();
        room.nodes.resize(ready.min(most as usize).max(room.nodes.len()), empty);
        let grants = super::super::grant(&demands, &room);
        let starts = |demand: &Demand| grants.starts.get(&demand.run).copied().unwrap_or_default();
        let slots = |demand: &Demand| grants.slots[&demand.run].min(demand.remaining);
        prop_assert!(demands.iter().all(|demand| demand.floor() + starts(demand) <= slots(demand)));
        let takes = |of: fn(&Run) -> u32| runs.iter().map(|run| u128::from(of(run) * starts(&run.demand))).sum::<u128>();
        let free = |name| room.nodes.iter().filter_map(|node| node.milli(name)).sum::<u128>() / 1000;
        prop_assert!(takes(|run| run.cpu) <= free("cpu") && takes(|run| run.memory) <= free("memory"));
        prop_assert!(takes(|_| 1) <= free("pods"));
        let whole = room.nodes.len() >= most as usize;
        let one_size = runs.iter().all(|run| (run.cpu, run.memory) == (runs[0].cpu, runs[0].memory));
        prop_assert!(!whole || !one_size || demands.iter().all(|demand| demand.floor() + starts(demand) == slots(demand)));
    }
}
