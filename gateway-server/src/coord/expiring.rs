//! A bounded map whose entries run out.
//!
//! Not a cache library, because those read the machine's clock by themselves: here the caller says what
//! time it is, so a test can let ten minutes pass. When it is full, the entry that would run out first
//! makes room.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway_core::time::Uptime;

#[derive(Debug)]
pub(super) struct Expiring<K, V> {
    capacity: usize,
    entries: BTreeMap<K, (Uptime, V)>,
    ends: BTreeSet<(Uptime, K)>,
}

impl<K: Ord + Clone, V> Expiring<K, V> {
    pub(super) const fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: BTreeMap::new(),
            ends: BTreeSet::new(),
        }
    }

    /// Returns the entry of `key` and the time that it has left, unless it has run out at `now`.
    pub(super) fn get_mut(&mut self, key: &K, now: Uptime) -> Option<(&mut V, Duration)> {
        let (end, value) = self.entries.get_mut(key)?;
        (now < *end).then(|| (value, end.since(now)))
    }

    /// Returns the values that have not run out at `now`, in the order of their keys.
    pub(super) fn values(&self, now: Uptime) -> impl Iterator<Item = &V> {
        let lasting = self.entries.values().filter(move |(end, _)| now < *end);
        lasting.map(|(_, value)| value)
    }

    /// Stores an entry that runs out `lives` after `now`, in place of an earlier one of the same key.
    pub(super) fn insert(&mut self, key: K, value: V, lives: Duration, now: Uptime) {
        self.remove(&key);
        self.make_room(now);
        let end = now.plus(lives);
        self.ends.insert((end, key.clone()));
        self.entries.insert(key, (end, value));
    }

    pub(super) fn remove(&mut self, key: &K) {
        if let Some((end, _)) = self.entries.remove(key) {
            self.ends.remove(&(end, key.clone()));
        }
    }

    fn make_room(&mut self, now: Uptime) {
        while let Some((end, key)) = self.ends.first().cloned() {
            if now < end && self.entries.len() < self.capacity {
                return;
            }
            self.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn second(n: u64) -> Uptime {
        Uptime(Duration::from_secs(n))
    }

    #[test]
    fn what_ends_first_makes_room() {
        let mut map = Expiring::new(2);
        for (key, lives) in [("long", 30), ("short", 10), ("new", 20)] {
            map.insert(key, (), Duration::from_secs(lives), second(0));
        }
        assert!(map.get_mut(&"short", second(1)).is_none());
        assert!(map.get_mut(&"long", second(1)).is_some());
        assert!(map.get_mut(&"new", second(1)).is_some());
    }

    #[test]
    fn what_has_run_out_is_gone_and_takes_no_room() {
        let mut map = Expiring::new(8);
        for key in 0..8 {
            map.insert(key, (), Duration::from_secs(key), second(0));
        }
        assert!(map.get_mut(&5, second(5)).is_none());
        map.insert(9, (), Duration::from_secs(1), second(6));
        assert_eq!((map.entries.len(), map.ends.len()), (2, 2));
    }
}
