//! One table: committed rows, and who holds which row with what change.
//!
//! A row has at most one uncommitted version, because whoever writes it has locked it. So the whole of
//! transaction isolation is one map of held rows beside the committed ones: a transaction sees the
//! committed row unless it holds a changed one itself, and to write a row means to hold it first.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use gateway_core::store::{StoreError, Unique};

/// A transaction as the tables know it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Me {
    pub(super) id: u64,
    pub(super) writes: bool,
}

/// Why a statement stopped before its end.
#[derive(Debug)]
pub(super) enum Halt {
    /// It has to wait for this transaction to end. Then the whole statement is evaluated again.
    Wait(u64),
    Fail(StoreError),
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Fail(error)
    }
}

/// A read-only transaction was asked to write.
#[derive(Debug, thiserror::Error)]
#[error("this transaction is for reading only; begin one that may write")]
struct ReadOnly;

#[derive(Clone, Debug)]
enum Change<R> {
    Locked,
    Put(R),
    Gone,
}

#[derive(Clone, Debug)]
struct Held<R> {
    by: u64,
    change: Change<R>,
}

/// Rows by primary key.
#[derive(Debug)]
pub(super) struct Table<K, R> {
    committed: BTreeMap<K, R>,
    held: BTreeMap<K, Held<R>>,
}

impl<K, R> Default for Table<K, R> {
    fn default() -> Self {
        Self {
            committed: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Clone, R: Clone> Table<K, R> {
    /// Returns the row as `me` sees it.
    pub(super) fn get(&self, me: Me, key: &K) -> Option<&R> {
        match self.held.get(key) {
            Some(held) if held.by == me.id => match &held.change {
                Change::Locked => self.committed.get(key),
                Change::Put(row) => Some(row),
                Change::Gone => None,
            },
            _ => self.committed.get(key),
        }
    }

    /// Returns all rows as `me` sees them, in key order: committed and held rows, merged.
    pub(super) fn rows(&self, me: Me) -> impl Iterator<Item = (&K, &R)> {
        let mut committed = self.committed.iter().peekable();
        let mut held = self.held.iter().peekable();
        std::iter::from_fn(move || {
            loop {
                let order = match (committed.peek(), held.peek()) {
                    (Some((left, _)), Some((right, _))) => left.cmp(right),
                    (Some(_), None) => Ordering::Less,
                    (None, Some(_)) => Ordering::Greater,
                    (None, None) => return None,
                };
                let row = committed.next_if(|_| order.is_le());
                let own = held.next_if(|_| order.is_ge());
                let visible = match own.filter(|(_, held)| held.by == me.id) {
                    Some((key, held)) => match &held.change {
                        Change::Locked => row,
                        Change::Put(row) => Some((key, row)),
                        Change::Gone => None,
                    },
                    None => row,
                };
                if visible.is_some() {
                    return visible;
                }
            }
        })
    }

    /// Returns whether nobody else holds the row.
    pub(super) fn is_free(&self, me: Me, key: &K) -> bool {
        self.held.get(key).is_none_or(|held| held.by == me.id)
    }

    /// Locks the key, whether there is a row or not.
    pub(super) fn lock(&mut self, me: Me, key: &K) -> Result<(), Halt> {
        if !me.writes {
            return Err(StoreError::Refused(Box::new(ReadOnly)).into());
        }
        match self.held.get(key) {
            Some(held) if held.by == me.id => Ok(()),
            Some(held) => Err(Halt::Wait(held.by)),
            None => {
                let (by, change) = (me.id, Change::Locked);
                self.held.insert(key.clone(), Held { by, change });
                Ok(())
            }
        }
    }

    /// Locks the rows that `applies` to and returns their keys, in key order.
    ///
    /// `seen` keeps the candidates of the first evaluation over the repetitions: like a database, a
    /// statement that had to wait looks again at the rows it found, and does not find new ones.
    pub(super) fn lock_where(
        &mut self,
        me: Me,
        seen: &mut Option<Vec<K>>,
        applies: impl Fn(&R) -> bool,
    ) -> Result<Vec<K>, Halt> {
        let candidates = seen.get_or_insert_with(|| {
            let found = self.rows(me).filter(|(_, row)| applies(row));
            found.map(|(key, _)| key.clone()).collect()
        });
        let mut keys = Vec::new();
        for key in candidates.iter() {
            if self.get(me, key).is_some_and(&applies) {
                self.lock(me, key)?;
                keys.push(key.clone());
            }
        }
        Ok(keys)
    }

    /// Stores a new row; `what` is what its key is, for the error.
    pub(super) fn insert(&mut self, me: Me, key: &K, row: R, what: Unique) -> Result<(), Halt> {
        let locked_only = |held: &Held<R>| matches!(held.change, Change::Locked);
        let settled = self.held.get(key).is_none_or(locked_only);
        if self.get(me, key).is_some() && (settled || self.is_free(me, key)) {
            return Err(StoreError::Duplicate(what).into());
        }
        self.put(me, key, row)
    }

    /// Stores the row, whatever was there.
    pub(super) fn put(&mut self, me: Me, key: &K, row: R) -> Result<(), Halt> {
        self.change(me, key, Change::Put(row))
    }

    /// Locks and deletes the row.
    pub(super) fn remove(&mut self, me: Me, key: &K) -> Result<(), Halt> {
        self.change(me, key, Change::Gone)
    }

    fn change(&mut self, me: Me, key: &K, change: Change<R>) -> Result<(), Halt> {
        self.lock(me, key)?;
        self.held.insert(key.clone(), Held { by: me.id, change });
        Ok(())
    }

    /// Changes the row if `applies` says so, and returns whether it did.
    ///
    /// As in a database, a row that does not qualify as committed is not waited for.
    pub(super) fn update(
        &mut self,
        me: Me,
        key: &K,
        applies: impl FnOnce(&R) -> bool,
        change: impl FnOnce(&mut R),
    ) -> Result<bool, Halt> {
        let Some(mut row) = self.get(me, key).filter(|row| applies(row)).cloned() else {
            return Ok(false);
        };
        self.lock(me, key)?;
        change(&mut row);
        self.put(me, key, row)?;
        Ok(true)
    }

    /// Fails if a row of another key is the `same` in something unique, and waits for whoever might be
    /// about to make or to unmake such a row.
    pub(super) fn unique(
        &self,
        me: Me,
        key: &K,
        same: impl Fn(&R) -> bool,
        what: Unique,
    ) -> Result<(), Halt> {
        for (other, held) in &self.held {
            if other == key || held.by == me.id {
                continue;
            }
            let pending = match &held.change {
                Change::Locked => continue,
                Change::Put(row) => same(row),
                Change::Gone => false,
            };
            if pending || self.committed.get(other).is_some_and(&same) {
                return Err(Halt::Wait(held.by));
            }
        }
        let taken = self.rows(me).any(|(other, row)| other != key && same(row));
        if taken {
            return Err(StoreError::Duplicate(what).into());
        }
        Ok(())
    }
}

/// A table as the end of a transaction sees it, whatever its rows are.
pub(super) trait Ends {
    /// Makes the changes of `tx` visible to all, or forgets them; either way its locks are gone.
    fn end(&mut self, tx: u64, commit: bool);
}

impl<K: Ord + Clone, R> Ends for Table<K, R> {
    fn end(&mut self, tx: u64, commit: bool) {
        for (key, held) in self.held.extract_if(.., |_, held| held.by == tx) {
            match held.change {
                Change::Put(row) if commit => {
                    self.committed.insert(key, row);
                }
                Change::Gone if commit => {
                    self.committed.remove(&key);
                }
                Change::Put(_) | Change::Gone | Change::Locked => {}
            }
        }
    }
}
