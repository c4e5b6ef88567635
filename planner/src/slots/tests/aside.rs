//! Large pods beside small ones in a full pool, where each small one that ends leaves too little room for a large one.

use super::simulated::below;
use super::*;

const NODES: u32 = 5;
/// Seconds that a pod takes at most.
const LONGEST: u64 = 60;
const SMALL: usize = 0;
const LARGE: usize = 1;

/// A pod on a node, and when it ends.
#[derive(Clone, Copy)]
struct Pod {
    run: usize,
    node: usize,
    ends: u64,
}

struct World {
    /// The small run, then the large one; neither ever lacks items.
    runs: [Demand; 2],
    /// Pods on nodes.
    pods: Vec<Pod>,
    /// Pods that were let go and are on no node, each with the nodes that it keeps off.
    waiting: Vec<(usize, Vec<usize>)>,
    seed: u64,
}

impl World {
    fn free(&self) -> Vec<Resources> {
        let mut free = vec![cpu("4"); NODES as usize];
        for pod in &self.pods {
            free[pod.node] = free[pod.node].clone().less(&self.runs[pod.run].request);
        }
        free
    }

    /// One second: pods end, slots are given, pods are let go, and Kubernetes places what it can.
    fn pass(&mut self, now: u64) {
        self.pods.retain(|pod| pod.ends > now);
        for (at, run) in self.runs.iter_mut().enumerate() {
            run.started = u32::try_from(self.pods.iter().filter(|pod| pod.run == at).count()).unwrap();
            run.starting = u32::try_from(self.waiting.iter().filter(|(run, _)| *run == at).count()).unwrap();
            run.held = run.remaining.saturating_sub(run.started + run.starting);
        }
        let on = |node| self.pods.iter().filter(move |pod| pod.node == node);
        let runs_on = (0..NODES as usize).map(|node| on(node).map(|pod| self.runs[pod.run].run.clone()).collect());
        let room = Room { nodes: self.free(), runs_on: runs_on.collect(), ..room(NODES) };
        let grants = super::super::grant(&self.runs, &room);
        for (at, run) in self.runs.iter().enumerate() {
            let starts = grants.starts.get(&run.run).copied().unwrap_or_default();
            let off = grants.off.get(&run.run).cloned().unwrap_or_default();
            self.waiting.extend((0..starts).map(|_| (at, off.clone())));
        }
        for (run, off) in std::mem::take(&mut self.waiting) {
            let free = self.free();
            let fits = |node: &usize| !off.contains(node) && free[*node].fits(&self.runs[run].request) > 0;
            // As Kubernetes does: onto the node with the most room.
            match (0..free.len()).filter(fits).max_by_key(|node| free[*node].milli("cpu")) {
                Some(node) => self.pods.push(Pod { run, node, ends: now + 1 + below(&mut self.seed, LONGEST) }),
                None => self.waiting.push((run, off)),
            }
        }
    }

    fn pods_of(&self, run: usize) -> usize {
        self.pods.iter().filter(|pod| pod.run == run).count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_run_of_large_pods_gets_its_share_beside_one_of_small_ones(seed: u64, urgent: bool) {
        let small = Demand { request: cpu("1"), ..demand("small", 1_000) };
        let large = Demand { request: cpu("3"), priority: i32::from(urgent), ..demand("large", 0) };
        let mut world = World { runs: [small, large], pods: Vec::new(), waiting: Vec::new(), seed: seed | 1 };
        for now in 0..LONGEST {
            world.pass(now);
        }
        prop_assert_eq!(world.pods_of(SMALL), 4 * NODES as usize);
        world.runs[LARGE].remaining = 1_000;
        // One node after the other is set aside, each until the last of its small pods has ended.
        let (comes, share) = (LONGEST, if urgent { NODES } else { NODES.div_ceil(2) - 1 });
        for now in comes..comes + u64::from(NODES) * LONGEST {
            world.pass(now);
        }
        let (mut least, mut idle) = (usize::MAX, 0);
        for now in 0..3 * LONGEST {
            world.pass(comes + u64::from(NODES) * LONGEST + now);
            least = least.min(world.pods_of(LARGE));
            idle += world.free().iter().filter_map(|free| free.milli("cpu")).sum::<u128>() / 1_000;
        }
        prop_assert!(least + 1 >= share as usize, "{least} large pods, and {share} are its share");
        let idle = idle / u128::from(3 * LONGEST);
        prop_assert!(idle < 4, "{idle} of {} cores are idle", 4 * NODES);
        prop_assert!(urgent || world.pods_of(SMALL) >= 4, "{} small pods", world.pods_of(SMALL));
    }
}
