//! The workers of a gateway replica, ready to be picked from.
//!
//! Changes do the work: [`Fleet::upsert`], [`Fleet::reserve`], [`Fleet::release`] and
//! [`Fleet::confirm`] measure the factors of one worker and move it in the index (O(log n)). A pick
//! reads the head of the index and moves the winner to the end of its equals.
//!
//! A fleet is a cache of one replica. It spreads load and it is never asked who owns a session; the
//! conditional write in the store is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::explain::{Choice, Explanation, FactorScore, NoWorker};
use super::field::Field;
use super::filter::{self, FilterReason, Request};
use super::index::{Index, IndexPlace, Key, ListKey};
use super::median::Median;
use super::points::Points;
use super::policy::BalancePolicy;
use super::shape::{self, Shapes};
use super::snapshot::WorkerSnapshot;
use super::strategy::IndexOrder;
use crate::entropy::Entropy;
use crate::id::WorkerId;

/// Turns from here on belong to workers that were picked; below are those that never were.
const PICKED: u64 = 1 << 63;

/// One worker and what was worked out for it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) snapshot: WorkerSnapshot,
    /// The value of each factor of the policy; `None` where the worker has no data.
    raw: Vec<Option<Points>>,
    shape: usize,
    turn: u64,
    /// Where it stands in the index; `None` while a standing filter keeps it out.
    pub(super) place: Option<IndexPlace>,
    closed: Option<FilterReason>,
}

/// The workers to choose from, and the index over them.
#[derive(Clone, Debug)]
pub struct Fleet {
    policy: BalancePolicy,
    slots: BTreeMap<WorkerId, usize>,
    /// By slot; the slots in `free` hold what is left of removed workers.
    entries: Vec<Entry>,
    free: Vec<usize>,
    medians: Vec<Median>,
    shapes: Shapes,
    index: Index,
    closed: BTreeMap<FilterReason, u32>,
    arrivals: u64,
    picks: u64,
}

impl Fleet {
    /// Creates a fleet without workers.
    #[must_use]
    pub fn new(policy: BalancePolicy) -> Self {
        Self {
            medians: policy.factors.iter().map(|_| Median::new()).collect(),
            policy,
            slots: BTreeMap::new(),
            entries: Vec::new(),
            free: Vec::new(),
            shapes: Shapes::default(),
            index: Index::default(),
            closed: BTreeMap::new(),
            arrivals: 0,
            picks: 0,
        }
    }

    /// Adds a worker or replaces what is known of it.
    ///
    /// Reservations of a worker that is already here stay as they are, whatever `worker.reserved`
    /// says (also over a new incarnation: each ends with its own release or confirmation); for a
    /// new worker that field counts.
    pub fn upsert(&mut self, mut worker: WorkerSnapshot) {
        let Some(&slot) = self.slots.get(&worker.worker) else {
            return self.insert(worker);
        };
        let entry = &mut self.entries[slot];
        worker.reserved = entry.snapshot.reserved;
        if !shape::same(&entry.snapshot, &worker) {
            self.shapes.release(entry.shape);
            entry.shape = self.shapes.acquire(&worker);
        }
        entry.snapshot = worker;
        self.refresh(slot);
    }

    /// Forgets a worker and its reservations, and returns what was known of it.
    pub fn remove(&mut self, worker: &WorkerId) -> Option<WorkerSnapshot> {
        let slot = self.slots.remove(worker)?;
        self.leave_index(slot);
        self.count_closed(slot, None);
        let entry = &mut self.entries[slot];
        self.shapes.release(entry.shape);
        for (median, raw) in self.medians.iter_mut().zip(&mut entry.raw) {
            median.replace(raw.take(), None);
        }
        self.free.push(slot);
        Some(entry.snapshot.clone())
    }

    /// Returns what is known of a worker, with this fleet's reservations.
    #[must_use]
    pub fn get(&self, worker: &WorkerId) -> Option<&WorkerSnapshot> {
        self.slots
            .get(worker)
            .map(|&slot| &self.entries[slot].snapshot)
    }

    /// Returns how many workers there are, including those that take no sessions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns whether there are no workers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Iterates over all workers in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &WorkerSnapshot> {
        self.slots
            .values()
            .map(|&slot| &self.entries[slot].snapshot)
    }

    /// Promises one session slot of a worker. The promise counts at once, so a burst spreads before the
    /// store or a report shows it.
    ///
    /// Returns whether there was room; nothing changes if not, or if the worker is unknown.
    pub fn reserve(&mut self, worker: &WorkerId) -> bool {
        self.change(worker, |snapshot| {
            let room = snapshot.has_room();
            snapshot.reserved += u32::from(room);
            room
        })
    }

    /// Takes back a promise that came to nothing. Returns whether there was one.
    pub fn release(&mut self, worker: &WorkerId) -> bool {
        self.change(worker, |snapshot| {
            let promised = snapshot.reserved > 0;
            snapshot.reserved -= u32::from(promised);
            promised
        })
    }

    /// Turns a promise into an assigned slot, once the assignment is written to the store. Until the next
    /// upsert brings the store's count, this keeps the slot from looking free. Returns whether there was a
    /// promise.
    pub fn confirm(&mut self, worker: &WorkerId) -> bool {
        self.change(worker, |snapshot| {
            let promised = snapshot.reserved > 0;
            snapshot.reserved -= u32::from(promised);
            snapshot.assigned = snapshot.assigned.saturating_add(u32::from(promised));
            promised
        })
    }

    /// Chooses a worker for `request`; the contract is on the [module page](super). Reserves nothing.
    ///
    /// # Errors
    /// No worker passes the filters; the error counts the reasons.
    pub fn pick(&mut self, request: &Request, entropy: &dyn Entropy) -> Result<Choice, NoWorker> {
        let field = Field::new(self, request);
        let Some(winner) = self.policy.strategy.choose(&field, entropy) else {
            return Err(self.refusal(request));
        };
        let (slot, spread) = (winner.slot, winner.spread);
        let snapshot = &self.entries[slot].snapshot;
        let choice = Choice {
            worker: snapshot.worker.clone(),
            incarnation: snapshot.incarnation.clone(),
            explanation: self.explain(slot, spread, field.len().saturating_sub(1)),
        };
        self.end_turn(slot);
        Ok(choice)
    }

    pub(super) fn policy(&self) -> &BalancePolicy {
        &self.policy
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    pub(super) fn entry(&self, slot: usize) -> &Entry {
        &self.entries[slot]
    }

    /// Returns what the medians of the factors in `missing` (a set of bits) add to a score.
    pub(super) fn assumed(&self, missing: u32) -> Points {
        if missing == 0 {
            return Points::ZERO;
        }
        let parts = self.policy.factors.iter().zip(&self.medians).enumerate();
        parts
            .filter(|(position, _)| missing >> position & 1 == 1)
            .map(|(_, (part, median))| median.value().times(part.weight))
            .sum()
    }

    fn insert(&mut self, worker: WorkerSnapshot) {
        self.arrivals += 1;
        let entry = Entry {
            raw: vec![None; self.policy.factors.len()],
            shape: self.shapes.acquire(&worker),
            turn: self.arrivals,
            place: None,
            closed: None,
            snapshot: worker,
        };
        let id = entry.snapshot.worker.clone();
        let slot = if let Some(slot) = self.free.pop() {
            self.entries[slot] = entry;
            slot
        } else {
            self.entries.push(entry);
            self.entries.len() - 1
        };
        self.slots.insert(id, slot);
        self.refresh(slot);
    }

    fn change(
        &mut self,
        worker: &WorkerId,
        change: impl FnOnce(&mut WorkerSnapshot) -> bool,
    ) -> bool {
        let Some(&slot) = self.slots.get(worker) else {
            return false;
        };
        let changed = change(&mut self.entries[slot].snapshot);
        if changed {
            self.refresh(slot);
        }
        changed
    }

    /// Measures the worker again and puts it where it now belongs.
    fn refresh(&mut self, slot: usize) {
        let (known, missing) = self.measure(slot);
        let entry = &self.entries[slot];
        let closed = filter::closed(&entry.snapshot);
        self.count_closed(slot, closed);
        if closed.is_some() {
            return self.leave_index(slot);
        }
        let entry = &self.entries[slot];
        let (rank, missing) = match self.policy.strategy.order() {
            IndexOrder::Score => (known.0, missing),
            IndexOrder::Rank => (self.policy.strategy.rank(&entry.snapshot), 0),
        };
        let list = ListKey {
            shape: entry.shape,
            missing,
        };
        let key = Key {
            rank,
            turn: entry.turn,
        };
        self.entries[slot].place = Some(match entry.place {
            Some(place) => self.index.shift(slot, place, list, key),
            None => self.index.insert(slot, list, key),
        });
    }

    /// Measures all factors. Returns the sum of the weighted values that are known, and the set of factors
    /// without data.
    fn measure(&mut self, slot: usize) -> (Points, u32) {
        let entry = &mut self.entries[slot];
        let mut known = Points::ZERO;
        let mut missing = 0;
        for (position, part) in self.policy.factors.iter().enumerate() {
            let value = part.factor.measure(&entry.snapshot).and_then(Points::of);
            self.medians[position].replace(entry.raw[position], value);
            entry.raw[position] = value;
            match value {
                Some(value) => known = known + value.times(part.weight),
                None => missing |= 1 << position,
            }
        }
        (known, missing)
    }

    fn leave_index(&mut self, slot: usize) {
        let Some(place) = self.entries[slot].place.take() else {
            return;
        };
        let Some(moved) = self.index.remove(place) else {
            return;
        };
        if let Some(other) = &mut self.entries[moved].place {
            other.position = place.position;
        }
    }

    fn count_closed(&mut self, slot: usize, now: Option<FilterReason>) {
        let before = std::mem::replace(&mut self.entries[slot].closed, now);
        if before == now {
            return;
        }
        if let Some(count) = before.and_then(|reason| self.closed.get_mut(&reason)) {
            *count -= 1;
        }
        if let Some(reason) = now {
            *self.closed.entry(reason).or_default() += 1;
        }
    }

    /// Moves the winner behind its equals.
    fn end_turn(&mut self, slot: usize) {
        self.picks += 1;
        let turn = PICKED | self.picks;
        let entry = &mut self.entries[slot];
        entry.turn = turn;
        if let Some(place) = entry.place {
            let key = Key { turn, ..place.key };
            entry.place = Some(self.index.shift(slot, place, place.list, key));
        }
    }

    fn explain(&self, slot: usize, spread: Points, runners_up: usize) -> Explanation {
        let parts = self
            .policy
            .factors
            .iter()
            .zip(&self.medians)
            .zip(&self.entries[slot].raw);
        let mut score = Points::ZERO;
        let mut factors = Vec::with_capacity(self.policy.factors.len());
        for ((part, median), raw) in parts {
            let value = raw.unwrap_or_else(|| median.value());
            let weighted = value.times(part.weight);
            score = score + weighted;
            factors.push(FactorScore {
                name: Cow::Borrowed(part.factor.name),
                raw: value.as_f64(),
                weight: part.weight.as_f64(),
                weighted: weighted.as_f64(),
                assumed: raw.is_none(),
                why: Cow::Borrowed(part.factor.why),
            });
        }
        Explanation {
            strategy: Cow::Borrowed(self.policy.strategy.name()),
            score: score.as_f64(),
            factors,
            spread: spread.as_f64(),
            runners_up,
        }
    }

    /// Counts why nobody was chosen. Closed workers are counted already, so a full fleet refuses as
    /// fast as an empty one.
    fn refusal(&self, request: &Request) -> NoWorker {
        let mut rejected = self.closed.clone();
        rejected.retain(|_, count| *count > 0);
        for &slot in self.index.open() {
            let worker = &self.entries[slot].snapshot;
            let excluded = || filter::excluded(request, worker).then_some(FilterReason::Excluded);
            if let Some(reason) = filter::unfit(request, worker).or_else(excluded) {
                *rejected.entry(reason).or_default() += 1;
            }
        }
        NoWorker {
            considered: self.len(),
            rejected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Incarnation;

    fn labelled(number: u32) -> Option<WorkerSnapshot> {
        let id = WorkerId::parse(&format!("worker-{}", number % 7)).ok()?;
        let mut worker = WorkerSnapshot::new(id, Incarnation::parse("0123456789").ok()?, 10);
        worker.labels.insert("host".into(), number.to_string());
        Some(worker)
    }

    #[test]
    fn kinds_that_nobody_has_any_more_are_forgotten() {
        let mut fleet = Fleet::new(BalancePolicy::default());
        for number in 0..1_000 {
            let worker = labelled(number).expect("valid");
            if number % 3 == 0 {
                fleet.remove(&worker.worker);
            }
            fleet.upsert(worker);
        }
        let lists: Vec<_> = fleet.index.lists().map(|(list, _)| list.shape).collect();
        assert_eq!((lists.len(), fleet.len()), (7, 7));
        assert!(lists.iter().all(|&shape| shape < 8), "{lists:?}");
    }
}
