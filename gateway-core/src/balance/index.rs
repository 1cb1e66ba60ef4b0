//! The ordered index behind a fleet.
//!
//! Holds only workers that pass the standing filters. They stand in lists by (kind, factors without
//! data): inside one list every worker misses the same factors, so what the fleet's medians add is
//! the same for all, the order within the list never depends on a median, and a moving median costs
//! nothing. A pick looks at the head of each list; there are as many as there are combinations in
//! use, usually one to three.
//!
//! A second, unordered list of all open slots serves strategies that draw at random.

use std::collections::BTreeMap;

/// Identifies a list: the kind of worker and the set of factors it has no data for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ListKey {
    pub(super) shape: usize,
    pub(super) missing: u32,
}

/// Orders the workers within a list: by rank, then by turn (unique, so that nothing compares equal).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) rank: u64,
    pub(super) turn: u64,
}

/// Where an open worker stands in the index.
#[derive(Clone, Copy, Debug)]
pub(super) struct IndexPlace {
    pub(super) list: ListKey,
    pub(super) key: Key,
    /// Position among the open slots.
    pub(super) position: usize,
}

/// One list, best first: slot numbers of the fleet.
pub(super) type List = BTreeMap<Key, usize>;

/// The open workers, in ordered lists and in one unordered list.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    lists: BTreeMap<ListKey, List>,
    open: Vec<usize>,
}

impl Index {
    pub(super) fn lists(&self) -> impl Iterator<Item = (ListKey, &List)> {
        self.lists.iter().map(|(key, list)| (*key, list))
    }

    /// Returns the slots of all open workers, in no useful order.
    pub(super) fn open(&self) -> &[usize] {
        &self.open
    }

    pub(super) fn insert(&mut self, slot: usize, list: ListKey, key: Key) -> IndexPlace {
        self.lists.entry(list).or_default().insert(key, slot);
        self.open.push(slot);
        IndexPlace {
            list,
            key,
            position: self.open.len() - 1,
        }
    }

    /// Takes a worker out. Returns the slot that now stands at its position among the open ones.
    pub(super) fn remove(&mut self, place: IndexPlace) -> Option<usize> {
        self.take(place.list, place.key);
        self.open.swap_remove(place.position);
        self.open.get(place.position).copied()
    }

    /// Moves a worker that stays open.
    pub(super) fn shift(
        &mut self,
        slot: usize,
        from: IndexPlace,
        list: ListKey,
        key: Key,
    ) -> IndexPlace {
        if (from.list, from.key) != (list, key) {
            self.lists.entry(list).or_default().insert(key, slot);
            self.take(from.list, from.key);
        }
        IndexPlace {
            list,
            key,
            position: from.position,
        }
    }

    fn take(&mut self, list: ListKey, key: Key) {
        let Some(entries) = self.lists.get_mut(&list) else {
            return;
        };
        entries.remove(&key);
        if entries.is_empty() {
            self.lists.remove(&list);
        }
    }
}
