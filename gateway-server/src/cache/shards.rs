//! A map that many threads read at once and that never takes in what is older than a removal.
//!
//! Filling a cache races with emptying it: an entry is read from the store, the row changes, the change
//! is announced, and only then the entry arrives. So every removal counts up a generation of its shard,
//! also when there is nothing to remove, and whoever fills takes a [`Ticket`] *before* it asks the store:
//! an entry whose ticket is older than the shard is not kept. Shards keep that rare under churn, and
//! readers of different entries apart.
//!
//! Entries are shared and carry a [`LiveMark`] mark that their removal takes away, so that an entry can hold
//! another one and notice when that is gone.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

const SHARDS: usize = 64;

/// The mark of an entry that says whether it still holds.
#[derive(Debug)]
pub(super) struct LiveMark(AtomicBool);

impl Default for LiveMark {
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}

impl LiveMark {
    /// Returns whether the entry still holds.
    pub(super) fn holds(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn end(&self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A value that [`Shards`] can hold.
pub(super) trait Entry {
    /// Returns the mark that is taken away when the entry is removed.
    fn live(&self) -> &LiveMark;
}

/// The generation of every shard before a fill. An entry is kept only if its shard still has that
/// generation.
#[derive(Debug)]
pub(super) struct Ticket(Box<[u64; SHARDS]>);

/// A map in shards that refuses entries which are older than a removal.
pub(super) struct Shards<K, V> {
    shards: Box<[Shard<K, V>]>,
    hasher: RandomState,
    room: usize,
}

struct Shard<K, V> {
    generation: AtomicU64,
    entries: RwLock<HashMap<K, Arc<V>>>,
}

impl<K, V> Shard<K, V> {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<K, Arc<V>>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<K, Arc<V>>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> fmt::Debug for Shards<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shards").finish_non_exhaustive()
    }
}

impl<K: Hash + Eq + Clone, V: Entry> Shards<K, V> {
    /// Makes a map for about `capacity` entries. When it is full, an arbitrary entry makes room.
    pub(super) fn new(capacity: usize) -> Self {
        let shard = || Shard {
            generation: AtomicU64::new(0),
            entries: RwLock::default(),
        };
        Self {
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            hasher: RandomState::new(),
            room: capacity.div_ceil(SHARDS),
        }
    }

    fn index(&self, key: &K) -> usize {
        let hash = self.hasher.hash_one(key);
        usize::try_from(hash % SHARDS as u64).unwrap_or(0)
    }

    /// Returns the entry of `key`, if there is one.
    pub(super) fn get(&self, key: &K) -> Option<Arc<V>> {
        let entries = self.shards[self.index(key)].read();
        entries.get(key).map(Arc::clone)
    }

    /// Takes a ticket. Call it before the store is asked for what [`Shards::keep`] gets.
    pub(super) fn ticket(&self) -> Ticket {
        let generation = |index: usize| self.shards[index].generation.load(Ordering::Acquire);
        Ticket(Box::new(std::array::from_fn(generation)))
    }

    /// Returns whether nothing was removed from the key's shard since the ticket was taken.
    pub(super) fn is_untouched(&self, ticket: &Ticket, key: &K) -> bool {
        let index = self.index(key);
        self.shards[index].generation.load(Ordering::Acquire) == ticket.0[index]
    }

    /// Returns whether nothing was removed from any shard since the ticket was taken.
    pub(super) fn are_untouched(&self, ticket: &Ticket) -> bool {
        self.ticket().0 == ticket.0
    }

    /// Stores an entry in place of the one that is there, if nothing was removed from its shard since the
    /// ticket was taken and it is `newer` than that one. Returns whether it was stored.
    pub(super) fn keep(
        &self,
        ticket: &Ticket,
        key: &K,
        entry: &Arc<V>,
        newer: impl FnOnce(&V) -> bool,
    ) -> bool {
        let index = self.index(key);
        let shard = &self.shards[index];
        let mut entries = shard.write();
        if shard.generation.load(Ordering::Acquire) != ticket.0[index] {
            return false;
        }
        if entries.get(key).is_some_and(|there| !newer(there)) {
            return false;
        }
        self.put(&mut entries, key, entry);
        true
    }

    /// Replaces the entry of `key` if it is `older`. If there is none, counts a removal, so that a fill
    /// on its way asks again.
    pub(super) fn replace(&self, key: &K, entry: &Arc<V>, older: impl FnOnce(&V) -> bool) {
        let shard = &self.shards[self.index(key)];
        let mut entries = shard.write();
        match entries.get(key) {
            Some(there) if older(there) => self.put(&mut entries, key, entry),
            Some(_) => {}
            None => {
                shard.generation.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    fn put(&self, entries: &mut HashMap<K, Arc<V>>, key: &K, entry: &Arc<V>) {
        if entries.len() >= self.room
            && !entries.contains_key(key)
            && let Some(other) = entries.keys().next().cloned()
            && let Some(gone) = entries.remove(&other)
        {
            gone.live().end();
        }
        if let Some(before) = entries.insert(key.clone(), Arc::clone(entry)) {
            before.live().end();
        }
    }

    /// Removes the entry, and makes fills of it that are on their way fail.
    pub(super) fn forget(&self, key: &K) {
        self.forget_unless(key, |_| false);
    }

    /// Removes the entry and makes fills of it fail, unless the entry is there and still `good`.
    pub(super) fn forget_unless(&self, key: &K, good: impl FnOnce(&V) -> bool) {
        let shard = &self.shards[self.index(key)];
        let mut entries = shard.write();
        if entries.get(key).is_some_and(|there| good(there)) {
            return;
        }
        shard.generation.fetch_add(1, Ordering::AcqRel);
        if let Some(gone) = entries.remove(key) {
            gone.live().end();
        }
    }

    /// Removes every entry of every shard.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let mut entries = shard.write();
            shard.generation.fetch_add(1, Ordering::AcqRel);
            for (_, gone) in entries.drain() {
                gone.live().end();
            }
        }
    }

    /// Returns how many entries there are.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Number(u32, LiveMark);

    impl Entry for Number {
        fn live(&self) -> &LiveMark {
            &self.1
        }
    }

    fn number(n: u32) -> Arc<Number> {
        Arc::new(Number(n, LiveMark::default()))
    }

    fn seen(map: &Shards<u8, Number>, key: u8) -> Option<u32> {
        map.get(&key).map(|entry| entry.0)
    }

    #[test]
    fn what_was_read_before_a_removal_is_not_kept_after_it() {
        let map = Shards::new(100);
        let ticket = map.ticket();
        map.forget(&1);
        assert!(!map.keep(&ticket, &1, &number(1), |_| true));
        assert_eq!(seen(&map, 1), None);
        assert!(map.keep(&map.ticket(), &1, &number(2), |_| true));
        assert_eq!(seen(&map, 1), Some(2));
        let ticket = map.ticket();
        map.clear();
        assert!(!map.keep(&ticket, &1, &number(3), |_| true));
    }

    #[test]
    fn a_change_of_what_is_not_there_stops_a_fill_too() {
        let map = Shards::new(100);
        let ticket = map.ticket();
        map.replace(&1, &number(5), |_| true);
        assert_eq!(seen(&map, 1), None);
        assert!(!map.keep(&ticket, &1, &number(4), |_| true));
    }

    #[test]
    fn an_older_entry_replaces_no_newer_one() {
        let map = Shards::new(100);
        let ticket = map.ticket();
        assert!(map.keep(&ticket, &1, &number(5), |there| there.0 <= 5));
        assert!(!map.keep(&ticket, &1, &number(4), |there| there.0 <= 4));
        map.replace(&1, &number(4), |there| there.0 < 4);
        assert_eq!(seen(&map, 1), Some(5));
        map.forget_unless(&1, |there| there.0 >= 5);
        assert_eq!(seen(&map, 1), Some(5));
    }

    #[test]
    fn whoever_holds_an_entry_sees_that_it_is_gone() {
        let map = Shards::new(100);
        let (first, second) = (number(1), number(2));
        map.keep(&map.ticket(), &1, &first, |_| true);
        assert!(first.1.holds());
        map.keep(&map.ticket(), &1, &second, |_| true);
        assert!(!first.1.holds() && second.1.holds());
        map.forget(&1);
        assert!(!second.1.holds());
    }

    #[test]
    fn the_room_is_bounded() {
        let map = Shards::new(SHARDS);
        let all: Vec<_> = (0..200).map(number).collect();
        for (key, entry) in (0..200).zip(&all) {
            map.keep(&map.ticket(), &key, entry, |_| true);
        }
        assert!(map.len() <= SHARDS);
        let there = all.iter().filter(|entry| entry.1.holds()).count();
        assert_eq!(there, map.len(), "the others know that they are gone");
    }
}
