//! What is free on nodes, and the most of it in each branch of a tree over them.

use std::ops::Range;

/// Free where a node does not limit a resource.
pub(crate) const UNLIMITED: u64 = u64::MAX;

/// Leaves of a branch that is looked through leaf by leaf.
const TWIG: usize = 8;

/// A full binary tree in one array of rows: the children of row `i` are `2i` and `2i + 1`, the root is row 1, and the last
/// half are the leaves, one for each node. A row has an amount for each resource.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    width: usize,
    /// A power of two.
    leaves: usize,
    /// Leaves that are nodes; nothing is free on the others.
    nodes: usize,
    rows: Vec<u64>,
}

impl Tree {
    /// Nodes with these amounts of `width` resources each.
    pub(crate) fn new(width: usize, nodes: impl ExactSizeIterator<Item = impl AsRef<[u64]>>) -> Self {
        let leaves = nodes.len().next_power_of_two();
        let mut tree = Self { width, leaves, nodes: nodes.len(), rows: vec![0; 2 * leaves * width] };
        for (leaf, free) in (leaves..).zip(nodes) {
            tree.row_mut(leaf).copy_from_slice(free.as_ref());
        }
        tree.grow_branches();
        tree
    }

    /// How many nodes there are.
    pub(crate) fn len(&self) -> usize {
        self.nodes
    }

    /// Adds a node and tells its index.
    pub(crate) fn push(&mut self, free: &[u64]) -> usize {
        if self.nodes == self.leaves {
            let half = self.leaves * self.width;
            let mut rows = vec![0; 4 * half];
            rows[2 * half..3 * half].copy_from_slice(&self.rows[half..]);
            (self.rows, self.leaves) = (rows, 2 * self.leaves);
            self.grow_branches();
        }
        self.nodes += 1;
        self.set(self.nodes - 1, free);
        self.nodes - 1
    }

    /// The first node from this one on that has all of `takes` free.
    pub(crate) fn first(&self, from: usize, takes: &[u64]) -> Option<usize> {
        if from >= self.nodes {
            return None;
        }
        let seems_to_fit = |at: usize| {
            let row = &self.rows[at * self.width..][..self.width];
            row.iter().zip(takes).all(|(free, amount)| free >= amount)
        };
        let mut at = self.leaves + from;
        loop {
            match seems_to_fit(at) {
                true if at >= self.leaves => return Some(at - self.leaves),
                true if at * TWIG < self.leaves => at *= 2,
                // Few leaves are looked at one by one: where it only seems to fit, that is half as many steps.
                true => match self.leaves_below(at).find(|leaf| seems_to_fit(*leaf)) {
                    Some(leaf) => return Some(leaf - self.leaves),
                    None => at = next(at)?,
                },
                false => at = next(at)?,
            }
        }
    }

    /// Takes as many times `takes` as there is room for on a node, `most` at most, and tells how many.
    pub(crate) fn take(&mut self, node: usize, takes: &[u64], most: u32) -> u32 {
        let leaf = self.leaves + node;
        let row = self.row_mut(leaf);
        let limited = |free: u64, amount: u64| amount > 0 && free != UNLIMITED;
        let mut times = u64::from(most);
        for (free, amount) in row.iter().zip(takes).filter(|(free, amount)| limited(**free, **amount)) {
            // Most often there is room for all, and multiplying is quicker than dividing.
            if amount.checked_mul(times).is_none_or(|all| all > *free) {
                times = free / amount;
            }
        }
        for (free, amount) in row.iter_mut().zip(takes).filter(|(free, amount)| limited(**free, **amount)) {
            *free -= times * amount;
        }
        self.renew(leaf);
        u32::try_from(times).unwrap_or(most)
    }

    /// What is free on a node.
    pub(crate) fn row(&self, node: usize) -> &[u64] {
        &self.rows[(self.leaves + node) * self.width..][..self.width]
    }

    /// Says anew what is free on a node.
    pub(crate) fn set(&mut self, node: usize, free: &[u64]) {
        let leaf = self.leaves + node;
        self.row_mut(leaf).copy_from_slice(free);
        self.renew(leaf);
    }

    fn leaves_below(&self, at: usize) -> Range<usize> {
        let levels = self.leaves.ilog2() - at.ilog2();
        at << levels..(at + 1) << levels
    }

    fn row_mut(&mut self, at: usize) -> &mut [u64] {
        &mut self.rows[at * self.width..][..self.width]
    }

    fn grow_branches(&mut self) {
        for at in (1..self.leaves).rev() {
            self.sum_up(at);
        }
    }

    /// Brings the branches above a leaf up to date, as far as they change.
    fn renew(&mut self, leaf: usize) {
        let mut at = leaf / 2;
        while at > 0 && self.sum_up(at) {
            at /= 2;
        }
    }

    /// The most of the two children's amounts; tells whether that is another than before.
    fn sum_up(&mut self, at: usize) -> bool {
        let (above, below) = self.rows.split_at_mut(2 * at * self.width);
        let (left, right) = below[..2 * self.width].split_at(self.width);
        let mut changed = false;
        for (row, (left, right)) in above[at * self.width..][..self.width].iter_mut().zip(left.iter().zip(right)) {
            let most = *left.max(right);
            changed |= *row != most;
            *row = most;
        }
        changed
    }
}

/// The branch after this one: the right sibling of the nearest ancestor that is a left one.
fn next(at: usize) -> Option<usize> {
    let left = at >> at.trailing_ones();
    (left > 0).then_some(left + 1)
}
