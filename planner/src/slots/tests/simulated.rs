//! Runs that come one after another into a full pool, and pods that end at random.

use super::*;

const RUNS: usize = 20;
const ITEMS: u32 = 500;
const NODES: u32 = 200;
/// Seconds that an item takes at most.
const LONGEST: u64 = 60;

/// A run whose pods take a node each.
struct Running {
    demand: Demand,
    /// When each of its pods ends.
    pods: Vec<u64>,
}

/// Numbers by a seed (xorshift).
pub(super) fn below(seed: &mut u64, bound: u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    (*seed >> 16) % bound
}

impl Running {
    fn new(number: usize, now: u64) -> Self {
        let demand = demand(&format!("r{number:02}"), ITEMS);
        Self { demand: Demand { created: at(now.cast_signed()), request: cpu("4"), ..demand }, pods: Vec::new() }
    }

    fn waits(&self) -> bool {
        self.demand.started < self.demand.remaining
    }

    fn end_pods(&mut self, now: u64) {
        let before = self.pods.len();
        self.pods.retain(|end| *end > now);
        let ended = u32::try_from(before - self.pods.len()).unwrap();
        self.demand.started -= ended;
        self.demand.remaining -= ended;
    }

    /// Starts the pods that have a slot and tells how many.
    fn start_pods(&mut self, slots: u32, now: u64, seed: &mut u64) -> u32 {
        let starting = self.demand.unplaced(slots);
        self.pods.extend((0..starting).map(|_| now + 1 + below(seed, LONGEST)));
        self.demand.started += starting;
        self.demand.given = slots;
        starting
    }
}

/// One second: pods end, slots are given, pods start.
fn pass(runs: &mut [Running], now: u64, seed: &mut u64) -> Result<(), TestCaseError> {
    runs.iter_mut().for_each(|run| run.end_pods(now));
    let demands: Vec<Demand> = runs.iter().map(|run| run.demand.clone()).collect();
    let grants = grant(&demands, &room(NODES));
    let mut grown = 0;
    for run in &mut *runs {
        if run.start_pods(grants.slots[&run.demand.run], now, seed) > 0 {
            grown = grown.max(run.demand.started);
        }
    }
    let used: u32 = runs.iter().map(|run| run.demand.started).sum();
    let remaining: u32 = runs.iter().map(|run| run.demand.remaining).sum();
    prop_assert_eq!(used, remaining.min(NODES), "somebody waits while there is room");
    let least = runs.iter().filter(|run| run.waits()).map(|run| run.demand.started).min();
    prop_assert!(least.is_none_or(|least| grown <= least + 1), "{grown} pods beside {least:?} of one who wants more");
    Ok(())
}

/// Lives until all is scored. A run comes after each of the gaps.
fn live(gaps: &[u64], seed: u64) -> Result<(), TestCaseError> {
    let mut seed = seed | 1;
    let comes: Vec<u64> = gaps.iter().scan(0, |now, gap| Some(std::mem::replace(now, *now + gap))).collect();
    let (mut runs, mut now, mut came, mut shared_by_all) = (Vec::new(), 0, 0, 0);
    while runs.len() < comes.len() || runs.iter().any(|run: &Running| run.demand.remaining > 0) {
        while comes.get(runs.len()).is_some_and(|at| *at <= now) {
            runs.push(Running::new(runs.len(), now));
            came = now;
        }
        pass(&mut runs, now, &mut seed)?;

        // By now all pods have ended that were there when the last run came.
        if now >= came + LONGEST {
            let (wanting, others): (Vec<_>, Vec<_>) = runs.iter().partition(|run| run.waits());
            let left = NODES - others.iter().map(|run| run.demand.started).sum::<u32>();
            let share = left / u32::try_from(wanting.len()).unwrap().max(1);
            for run in &wanting {
                let pods = run.demand.started;
                prop_assert!((share..=share + 1).contains(&pods), "{pods} pods, and {share} are a share");
            }
            shared_by_all += u64::from(wanting.len() == comes.len());
        }
        now += 1;
        prop_assert!(now < 10_000, "it never ends");
    }
    prop_assert!(shared_by_all > LONGEST, "all wanted more for {shared_by_all} s only");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn each_run_has_its_share_within_the_time_of_an_item_and_keeps_it(
        gaps in proptest::collection::vec(0..LONGEST / 4, RUNS), seed: u64
    ) {
        live(&gaps, seed)?;
    }
}
