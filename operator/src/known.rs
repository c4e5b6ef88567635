//! What a process remembers of objects: bounded by how many there are, though nobody tells of each that goes.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::Hash;

/// How many are remembered at least before those are forgotten that are gone.
const FEW: usize = 64;

/// Something of each object, by a key such as its UID. What is known of objects that are gone is forgotten each time that
/// there is twice as much, which costs nothing to speak of.
pub struct Known<K, V> {
    all: HashMap<K, V>,
    most: usize,
    there: Box<dyn Fn() -> HashSet<K> + Send + Sync>,
}

impl<K, V: fmt::Debug> fmt::Debug for Known<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all.values()).finish()
    }
}

impl<K: Eq + Hash, V> Known<K, V> {
    /// Nothing yet. `there` gives the keys of all objects that there are.
    pub fn new(there: impl Fn() -> HashSet<K> + Send + Sync + 'static) -> Self {
        Self { all: HashMap::new(), most: FEW, there: Box::new(there) }
    }

    /// What is known of an object.
    #[must_use]
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.all.get(key)
    }

    /// The same, to be changed, and nothing in particular if it was not known.
    pub fn entry(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.make_room(&key);
        self.all.entry(key).or_default()
    }

    /// Knows this of an object from now on.
    pub fn insert(&mut self, key: K, value: V) {
        self.make_room(&key);
        self.all.insert(key, value);
    }

    /// Forgets an object.
    pub fn forget<Q: Eq + Hash + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.all.remove(key);
    }

    fn make_room(&mut self, key: &K) {
        if self.all.len() >= self.most && !self.all.contains_key(key) {
            let there = (self.there)();
            self.all.retain(|known, _| there.contains(known));
            self.most = FEW.max(self.all.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn what_is_known_of_objects_that_are_gone_is_forgotten() {
        let mut known = Known::new(|| HashSet::from([0]));
        for key in 0..10_000 {
            known.insert(key, key);
        }
        assert!(known.all.len() <= FEW && known.get(&0) == Some(&0) && known.get(&9_999) == Some(&9_999));
    }

    #[test]
    fn objects_that_are_there_stay_known_and_are_rarely_counted() {
        let counted = Arc::new(AtomicU32::new(0));
        let count = counted.clone();
        let mut known = Known::<u32, u32>::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            (0..10_000).collect()
        });
        for key in (0..10_000).chain(0..10_000) {
            *known.entry(key) += 1;
        }
        assert!(known.all.len() == 10_000 && known.all.values().all(|times| *times == 2));
        assert!(counted.load(Ordering::Relaxed) < 10);
    }
}
