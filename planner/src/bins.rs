//! Nodes that pods are put onto, each pod onto the first that has room for it.
//!
//! A tree over the nodes tells of each of its branches the most that is free of every resource below it, so that the first
//! node with room is found without asking all. As these amounts may be free on different nodes, a branch that seems to have
//! room may have none. But room only ever shrinks: each size of pod remembers the node before which there is none for it,
//! and so enters no branch twice. With `n` nodes and `k` sizes, each node that takes pods costs `log n` steps, however many
//! pods it takes at once; and all that is searched in vain costs at most `k × n` and some, which takes nodes that have much
//! left of one resource and nothing of another, side by side, and pods that ask for both.

use std::collections::BTreeMap;

use crate::capacity::Resources;

pub(crate) mod tree;

#[cfg(test)]
pub(crate) mod plain;
#[cfg(test)]
mod tests;

use tree::{Tree, UNLIMITED};

/// Nodes, each with what is still free on it.
#[derive(Clone, Debug)]
pub struct Bins {
    tree: Tree,
    /// What a node has that is opened.
    empty: Vec<u64>,
    most: usize,
    sizes: Vec<Size>,
    /// The size of each request.
    size_of: Vec<usize>,
}

/// Requests that are equal.
#[derive(Clone, Debug)]
struct Size {
    /// How much of each resource one pod takes.
    takes: Vec<u64>,
    /// Whether a node that is opened has room for one.
    fits_empty: bool,
    /// No node before this one has room for it.
    from: usize,
}

impl Bins {
    /// Starts with nodes that have `free`; up to `most` nodes in all may be opened, each with `empty`. Pods are put onto
    /// them that ask for one of the `requests`.
    #[must_use]
    pub fn new<'a>(
        empty: &Resources,
        free: &[&Resources],
        most: usize,
        requests: impl IntoIterator<Item = &'a Resources>,
    ) -> Self {
        let mut seen = BTreeMap::new();
        let mut different = Vec::new();
        let number = |request: &'a Resources| {
            *seen.entry(request).or_insert_with(|| {
                different.push(request);
                different.len() - 1
            })
        };
        let size_of = requests.into_iter().map(number).collect();
        // In the largest units in which all requests are whole, so that 64 bits are enough. What is free of less than a unit
        // is of no use to anybody.
        let mut units = BTreeMap::new();
        for (name, amount) in different.iter().flat_map(|request| request.of_a_pod()) {
            units.entry(name).and_modify(|unit| *unit = greatest_divisor(*unit, amount)).or_insert(amount);
        }
        let row = |node: &Resources| -> Vec<u64> {
            let free = |(name, unit): (&&str, &u128)| match node.free(name) {
                Some(free) => u64::try_from(free / unit).unwrap_or(UNLIMITED).min(UNLIMITED - 1),
                None => UNLIMITED,
            };
            units.iter().map(free).collect()
        };
        let opened = row(empty);
        let size = |request: &&Resources| {
            let takes: BTreeMap<&str, u128> = request.of_a_pod().collect();
            let takes = |(name, unit): (&&str, &u128)| {
                let amount = takes.get(name).copied().unwrap_or_default();
                u64::try_from(amount / unit).unwrap_or(UNLIMITED)
            };
            let takes: Vec<u64> = units.iter().map(takes).collect();
            Size { fits_empty: opened.iter().zip(&takes).all(|(free, amount)| free >= amount), takes, from: 0 }
        };
        let sizes = different.iter().map(size).collect();
        let tree = Tree::new(units.len(), free.iter().map(|node| row(node)));
        Self { tree, empty: opened, most, sizes, size_of }
    }

    /// Puts up to `pods` pods of the request with this index onto the nodes, and tells how many found room. `took` is
    /// told each node that takes some, by index.
    pub fn place(&mut self, request: usize, pods: u32, mut took: impl FnMut(usize)) -> u32 {
        let Some(size) = self.size_of.get(request).and_then(|at| self.sizes.get_mut(*at)) else { return 0 };
        let mut left = pods;
        while left > 0 {
            let node = match self.tree.first(size.from, &size.takes) {
                Some(node) => node,
                None if size.fits_empty && self.tree.len() < self.most => self.tree.push(&self.empty),
                None => {
                    size.from = self.tree.len();
                    break;
                }
            };
            left -= self.tree.take(node, &size.takes, left);
            size.from = node;
            took(node);
        }
        pods - left
    }

    /// Whether a node, one that may be opened included, has room for a pod of the request with this index. What is searched for
    /// that is not searched again.
    #[must_use]
    pub fn has_room(&mut self, request: usize) -> bool {
        let Some(size) = self.size_of.get(request).and_then(|at| self.sizes.get_mut(*at)) else { return false };
        if size.fits_empty && self.tree.len() < self.most {
            return true;
        }
        let node = self.tree.first(size.from, &size.takes);
        size.from = node.unwrap_or(self.tree.len());
        node.is_some()
    }

    /// Whether an empty node has room for a pod of the request with this index.
    #[must_use]
    pub fn fits_empty(&self, request: usize) -> bool {
        self.size_of.get(request).and_then(|at| self.sizes.get(*at)).is_some_and(|size| size.fits_empty)
    }

    /// Of these nodes the one that lacks least for a pod of the request with this index, the first of several.
    pub fn nearest(&self, request: usize, among: impl Iterator<Item = usize>) -> Option<usize> {
        let size = self.size_of.get(request).and_then(|at| self.sizes.get(*at))?;
        let lacks = |node: &usize| {
            let part = |((free, takes), empty): ((&u64, &u64), &u64)| {
                (u128::from(takes.saturating_sub(*free)) << 32) / u128::from((*empty).max(1))
            };
            self.tree.row(*node).iter().zip(&size.takes).zip(&self.empty).map(part).max()
        };
        among.filter(|node| *node < self.tree.len()).min_by_key(lacks)
    }

    /// Puts nothing more onto this node.
    pub fn close(&mut self, node: usize) {
        let none = vec![0; self.empty.len()];
        self.tree.set(node, &none);
    }

    /// How many nodes there are, opened ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    /// True when there are no nodes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Of two numbers, of which the second is not 0.
fn greatest_divisor(a: u128, b: u128) -> u128 {
    match a % b {
        0 => b,
        rest => greatest_divisor(b, rest),
    }
}
