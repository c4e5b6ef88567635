//! First fit as it is written in books: what [`super::Bins`] and all that is built upon it are compared with.

use crate::capacity::Resources;

#[derive(Clone, Debug)]
pub(crate) struct PlainBins {
    empty: Resources,
    free: Vec<Resources>,
    most: usize,
}

impl PlainBins {
    pub(crate) fn new(empty: Resources, free: Vec<Resources>, most: usize) -> Self {
        Self { empty, free, most }
    }

    /// Puts one pod onto the first node with room for it, and tells which that is.
    pub(crate) fn place_one(&mut self, request: &Resources) -> Option<usize> {
        let fits = |node: &Resources| node.fits(request) > 0;
        let node = match self.free.iter().position(fits) {
            Some(node) => node,
            None if fits(&self.empty) && self.free.len() < self.most => {
                self.free.push(self.empty.clone());
                self.free.len() - 1
            }
            None => return None,
        };
        let one = Resources::parse([("pods", "1")]).unwrap();
        self.free[node] = self.free[node].clone().less(&request.clone().overlaid(&one));
        Some(node)
    }

    /// Whether a pod would find room.
    pub(crate) fn has_room(&self, request: &Resources) -> bool {
        self.clone().place_one(request).is_some()
    }

    /// Puts nothing more onto the node with the least by this measure, the first of several.
    pub(crate) fn close_first_by(&mut self, measure: impl Fn(&Resources) -> u128) {
        if let Some(node) = self.free.iter_mut().min_by_key(|free| measure(free)) {
            *node = Resources::parse(["cpu", "memory", "pods"].map(|name| (name, "0"))).unwrap();
        }
    }

    /// What is left on each node.
    pub(crate) fn into_free(self) -> Vec<Resources> {
        self.free
    }

    pub(crate) fn len(&self) -> usize {
        self.free.len()
    }
}
