use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

/// Ten minutes before the turn of a month.
const START: i64 = 1_796_082_600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

fn month(of: i64) -> Month {
    Month::of(at(of))
}

fn used(pod: &'static str, run: &'static str, weight: u64, since: i64, until: Option<i64>) -> Use<'static> {
    Use { pod, run, schedule: "s", weight, since: at(since), until: until.map(at) }
}

fn machine(since: i64, uses: Vec<Use<'_>>) -> Machine<'_> {
    Machine { name: "n", since: at(since), uses }
}

fn ledger(runs: &[&str]) -> Ledger {
    let mut ledger = Ledger::from(at(0), []);
    runs.iter().chain(&["s"]).for_each(|name| ledger.open(name, at(0), None));
    ledger
}

fn secs(ledger: &Ledger, name: &str) -> u64 {
    ledger.account(name).unwrap().total().as_secs()
}

#[test]
fn a_node_is_its_runs_by_the_parts_that_they_take_of_it_and_idle_where_there_is_none() {
    let mut ledger = ledger(&["a", "b"]);
    let uses = vec![used("1", "a", 1, 10, Some(40)), used("2", "a", 1, 20, Some(40)), used("3", "b", 2, 20, Some(50))];
    let added = ledger.look(at(60), &[machine(0, uses)]);
    // Until 10 nobody, until 20 a, until 40 half and half, until 50 b.
    assert_eq!((secs(&ledger, "a"), secs(&ledger, "b"), secs(&ledger, "s")), (20, 20, 40));
    assert_eq!((added.all.as_secs(), added.idle.as_secs()), (60, 20));
    assert_eq!(ledger.month(month(0)), Some(added));
}

#[test]
fn what_is_gone_since_the_last_look_counts_up_to_this_one_and_no_further() {
    let mut ledger = ledger(&["a"]);
    ledger.look(at(10), &[machine(0, vec![used("1", "a", 1, 0, None)])]);
    assert!(ledger.account("a").unwrap().living);
    // The pod, and then the node.
    ledger.look(at(20), &[machine(0, vec![])]);
    let account = *ledger.account("a").unwrap();
    assert_eq!((account.total().as_secs(), account.living, account.ended), (20, false, at(20)));
    ledger.look(at(30), &[]);
    ledger.look(at(40), &[]);
    let sums = ledger.month(month(0)).unwrap();
    assert_eq!((sums.all.as_secs(), sums.idle.as_secs(), secs(&ledger, "a")), (30, 10, 20));
}

#[test]
fn a_later_process_goes_on_from_where_each_account_was_written_down() {
    let mut ledger =
        Ledger::from(at(20), [(month(0), Sums { all: NodeTime::from_secs(20), idle: NodeTime::default() })]);
    let saved = |secs, as_of| Some(Saved { month: month(0), time: NodeTime::from_secs(secs), as_of: at(as_of) });
    ledger.open("a", at(0), saved(15, 15));
    ledger.open("b", at(0), saved(30, 30));
    let uses = vec![used("1", "a", 1, 0, None), used("2", "b", 1, 40, None)];
    let added = ledger.look(at(60), &[machine(0, uses)]);
    assert_eq!((added.all.as_secs(), added.idle.as_secs()), (40, 0));
    assert_eq!((secs(&ledger, "a"), secs(&ledger, "b")), (15 + 25 + 10, 30 + 10));
    assert_eq!(ledger.month(month(0)).unwrap().all.as_secs(), 60);
}

#[test]
fn a_machine_that_came_while_nobody_looked_counts_from_when_it_came() {
    let mut ledger = ledger(&[]);
    let added = ledger.look(at(100), &[machine(70, vec![])]);
    assert_eq!((added.all.as_secs(), added.idle.as_secs()), (30, 30));
}

#[test]
fn each_month_has_its_own_sums_and_a_run_has_one() {
    let mut ledger = ledger(&["a"]);
    let turn = month(0).end().unwrap().duration_since(at(0)).as_secs();
    assert_eq!(turn, 600);
    ledger.look(at(630), &[machine(0, vec![used("1", "a", 1, 0, None)])]);
    let (first, second) = (month(0), month(630));
    assert_eq!(ledger.month(first).unwrap().all.as_secs(), 600);
    assert_eq!(ledger.month(second).unwrap().all.as_secs(), 30);
    assert_eq!(ledger.month_before(second).unwrap().0, first);
    let schedule = ledger.account("s").unwrap();
    assert_eq!((schedule.of_month(first).as_secs(), schedule.of_month(second).as_secs()), (0, 30));
    assert_eq!(secs(&ledger, "a"), 630);
    ledger.look(at(70 * 86_400), &[machine(0, vec![])]);
    assert_eq!(ledger.month(first), None);
}

#[test]
fn what_passes_while_the_pool_is_not_ours_is_nobodys() {
    let mut ledger = ledger(&["a"]);
    ledger.look(at(10), &[machine(0, vec![used("1", "a", 1, 0, None)])]);
    ledger.skip(at(50));
    ledger.look(at(60), &[machine(0, vec![used("1", "a", 1, 0, None)])]);
    assert_eq!((secs(&ledger, "a"), ledger.month(month(0)).unwrap().all.as_secs()), (20, 20));
}

#[test]
fn a_clock_that_goes_back_counts_nothing_twice() {
    let mut ledger = ledger(&[]);
    for second in [30, 20, 10, 40] {
        ledger.look(at(second), &[machine(0, vec![])]);
    }
    assert_eq!(ledger.month(month(0)).unwrap().all.as_secs(), 40);
}

#[test]
fn a_pod_takes_its_dominant_part_of_an_empty_node() {
    let of = |amounts: &[(&str, &str)]| Resources::parse(amounts.iter().copied()).unwrap();
    let empty = of(&[("cpu", "4"), ("memory", "16Gi"), ("pods", "110")]);
    let pod = |cpu: &str, memory: &str| weight(&of(&[("cpu", cpu), ("memory", memory)]), &empty);
    assert_eq!(pod("1", "1Gi"), pod("250m", "4Gi"));
    assert_eq!(pod("2", "1Gi"), 2 * pod("1", "1Gi"));
    assert!(weight(&Resources::default(), &Resources::default()) > 0);
}

const RUNS: [&str; 3] = ["a", "b", "c"];
const NODES: [&str; 3] = ["x", "y", "z"];
const LENGTH: i64 = 1_200;

/// A pod on a node: which of [`NODES`] and [`RUNS`], weight, since and until.
#[derive(Clone, Debug)]
struct Pod {
    uid: String,
    node: usize,
    run: usize,
    weight: u64,
    since: i64,
    until: i64,
}

fn pods() -> impl Strategy<Value = Vec<Pod>> {
    let pod = (0..NODES.len(), 0..RUNS.len(), 1u64..1 << 40, 0..LENGTH, 1..LENGTH);
    proptest::collection::vec(pod, 0..25).prop_map(|pods| {
        let numbered = pods.into_iter().enumerate();
        let pod = |(at, (node, run, weight, since, lasts)): (usize, (usize, usize, u64, i64, i64))| Pod {
            uid: at.to_string(),
            node,
            run,
            weight,
            since,
            until: since + lasts,
        };
        numbered.map(pod).collect()
    })
}

/// What a look at that time sees: of pods that have ended, those that had not by another time.
fn seen<'a>(pods: &'a [Pod], comes: &[i64; 3], second: i64, settled: i64) -> Vec<Machine<'a>> {
    let uses = |node: usize| {
        let is_there =
            move |pod: &&Pod| pod.node == node && pod.since.max(comes[node]) <= second && pod.until > settled;
        let there = pods.iter().filter(is_there);
        let one = |pod: &'a Pod| Use {
            pod: &pod.uid,
            run: RUNS[pod.run],
            schedule: "s",
            weight: pod.weight,
            since: at(pod.since),
            until: (pod.until <= second).then(|| at(pod.until)),
        };
        there.map(one).collect()
    };
    let there = (0..NODES.len()).filter(|node| comes[*node] <= second);
    there.map(|node| Machine { name: NODES[node], since: at(comes[node]), uses: uses(node) }).collect()
}

/// The same, second by second: of each run, of idle nodes, of all.
fn plainly(pods: &[Pod], comes: &[i64; 3], until: i64) -> ([f64; 3], u64, u64) {
    let (mut runs, mut idle, mut all) = ([0.0; 3], 0, 0);
    for (node, comes) in comes.iter().enumerate() {
        for second in *comes..until {
            let on: Vec<&Pod> =
                pods.iter().filter(|p| p.node == node && p.since <= second && second < p.until).collect();
            let weights: f64 = on.iter().map(|pod| pod.weight as f64).sum();
            on.iter().for_each(|pod| runs[pod.run] += pod.weight as f64 / weights);
            all += 1;
            idle += u64::from(on.is_empty());
        }
    }
    (runs, idle, all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whenever it is looked, and whatever was written down when the process died: sums are those that there were.
    #[test]
    fn sums_are_what_second_by_second_they_were_whenever_a_process_dies(
        pods in pods(),
        comes in [0..LENGTH, 0..LENGTH, 0..LENGTH],
        looks in proptest::collection::vec((1i64..200, any::<bool>(), [any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()]), 1..20),
    ) {
        let mut ledger = ledger(&RUNS);
        let mut pool = (at(0), Vec::new());
        let mut saved: [Option<Saved>; 3] = [None; 3];
        let (mut now, mut deaths) = (0, 0);
        // What ended pods took is reckoned up to here, and they are not seen any more; a new process sees all of them.
        let mut settled = i64::MIN;
        for (passes, dies, writes) in looks {
            now += passes;
            ledger.look(at(now), &seen(&pods, &comes, now, settled));
            settled = now;
            for (run, slot) in saved.iter_mut().enumerate().filter(|(run, _)| writes[*run]) {
                let account = ledger.account(RUNS[run]).unwrap();
                *slot = Some(Saved { month: month(now), time: account.total(), as_of: account.as_of });
            }
            if writes[3] {
                let months = ledger.month_before(month(now)).into_iter();
                pool = (at(now), months.chain(ledger.month(month(now)).map(|sums| (month(now), sums))).collect());
            }
            if dies {
                deaths += 1;
                settled = i64::MIN;
                ledger = Ledger::from(pool.0, pool.1.iter().copied());
                RUNS.iter().zip(saved).for_each(|(run, saved)| ledger.open(run, at(0), saved));
            }
        }
        now += 1;
        ledger.look(at(now), &seen(&pods, &comes, now, settled));
        let (runs, idle, all) = plainly(&pods, &comes, now);
        let sums = [0, LENGTH * 20].map(|second| ledger.month(month(second)).unwrap_or_default());
        let sums = if month(0) == month(LENGTH * 20) { &sums[..1] } else { &sums[..] };
        prop_assert_eq!(sums.iter().map(|sums| sums.all.as_secs()).sum::<u64>(), all);
        prop_assert_eq!(sums.iter().map(|sums| sums.idle.as_secs()).sum::<u64>(), idle, "after {} deaths", deaths);
        for (run, expected) in RUNS.iter().zip(runs) {
            let told = ledger.account(run).unwrap().total().0 as f64 / 1e6;
            prop_assert!((told - expected).abs() < 0.01, "{run}: {told} instead of {expected}");
        }
    }

    /// Machines and pods that are gone at a look: all of the pool's time is that of runs or idle.
    #[test]
    fn nothing_is_lost_between_runs_and_idle_whatever_comes_and_goes(
        looks in proptest::collection::vec((1i64..100, proptest::collection::vec((0..NODES.len(), 0..RUNS.len(), 1u64..1 << 40), 0..10)), 1..30),
    ) {
        let mut ledger = ledger(&RUNS);
        let mut now = 0;
        for (passes, pods) in &looks {
            let uid: Vec<String> = pods.iter().map(|(_, run, weight)| format!("{run}-{weight}")).collect();
            now += passes;
            let machines = NODES.iter().enumerate().filter(|(node, _)| pods.iter().any(|pod| pod.0 == *node));
            let machines: Vec<Machine<'_>> = machines.map(|(node, name)| {
                let on = pods.iter().zip(&uid).filter(|((on, _, _), _)| *on == node);
                let uses = on.map(|((_, run, weight), uid)| Use {
                    pod: uid, run: RUNS[*run], schedule: "s", weight: *weight, since: at(now - passes / 2), until: None,
                });
                Machine { name, since: at(now - passes), uses: uses.collect() }
            }).collect();
            ledger.look(at(now), &machines);
        }
        let sums = [ledger.month(month(0)), ledger.month(month(600))];
        let sums = if month(0) == month(now) { &sums[..1] } else { &sums[..] };
        let all = sums.iter().flatten().fold(0, |sum, sums| sum + sums.all.0);
        let idle = sums.iter().flatten().fold(0, |sum, sums| sum + sums.idle.0);
        let runs: u64 = RUNS.iter().map(|run| ledger.account(run).unwrap().total().0).sum();
        prop_assert_eq!(runs + idle, all);
        prop_assert_eq!(ledger.account("s").unwrap().total().0, runs);
    }
}
