//! The columns of a file by their names, found without a look at each.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::Hash;

/// Columns of one name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named {
    /// The place of the first.
    pub(crate) first: usize,
    /// How many there are.
    pub(crate) count: usize,
}

/// Where each name stands.
pub(crate) fn by_name<K: Hash + Eq>(names: impl Iterator<Item = K>) -> HashMap<K, Named> {
    let mut found = HashMap::new();
    for (first, name) in names.enumerate() {
        found.entry(name).or_insert(Named { first, count: 0 }).count += 1;
    }
    found
}

/// The names of a file's columns, in their order.
pub(super) struct Names<'a> {
    pub(super) all: &'a [String],
    exact: OnceCell<HashMap<&'a str, Named>>,
    folded: OnceCell<HashMap<String, Named>>,
}

impl<'a> Names<'a> {
    pub(super) fn new(all: &'a [String]) -> Self {
        Self { all, exact: OnceCell::new(), folded: OnceCell::new() }
    }

    /// The columns of a name: as written, else without regard to case.
    pub(super) fn find(&self, wanted: &str) -> Option<Named> {
        let exact = self.exact.get_or_init(|| by_name(self.all.iter().map(String::as_str)));
        exact.get(wanted).copied().or_else(|| {
            let folded = self.folded.get_or_init(|| by_name(self.all.iter().map(|name| name.to_lowercase())));
            folded.get(&wanted.to_lowercase()).copied()
        })
    }
}
