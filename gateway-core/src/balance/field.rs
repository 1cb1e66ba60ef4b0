//! What a strategy sees of a fleet for one request: the candidates, in order or at random.
//!
//! Filters are applied here, so a strategy cannot choose a worker that may not take the session.

use super::filter::{self, FilterReason, Request};
use super::fleet::{Entry, Fleet};
use super::index::{Key, List, ListKey};
use super::points::Points;
use super::shape::MIXED;
use super::snapshot::WorkerSnapshot;
use super::strategy::IndexOrder;
use crate::entropy::Entropy;

/// How often [`Field::draw`] draws before it gives up.
const DRAWS: usize = 8;

/// The workers of a fleet that suit one request.
#[derive(Debug)]
pub struct Field<'a> {
    fleet: &'a Fleet,
    request: &'a Request,
    tenant_sessions: u64,
}

/// A worker that may take the session.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    pub(super) slot: usize,
    pub(super) spread: Points,
    key: Key,
    worker: &'a WorkerSnapshot,
}

impl<'a> Candidate<'a> {
    /// Returns what is known of the worker.
    #[must_use]
    pub fn worker(&self) -> &'a WorkerSnapshot {
        self.worker
    }

    /// Returns whether this candidate comes before `other` in the strategy's order. Of equals, the one that
    /// was picked longer ago comes first.
    #[must_use]
    pub fn is_better_than(&self, other: &Self) -> bool {
        self.key < other.key
    }
}

impl<'a> Field<'a> {
    pub(super) fn new(fleet: &'a Fleet, request: &'a Request) -> Self {
        let spread = request.spread.iter().flat_map(|holders| holders.values());
        Self {
            fleet,
            request,
            tenant_sessions: spread.map(|&count| u64::from(count)).sum(),
        }
    }

    /// Returns the first candidate in the strategy's order; of equals, the one that was picked longest ago.
    ///
    /// Reads the head of each list; goes further only over excluded workers and over those that hold
    /// sessions of the request's tenant.
    #[must_use]
    pub fn first(&self) -> Option<Candidate<'a>> {
        let mut best: Option<Candidate<'a>> = None;
        for (list, members) in self.fleet.index().lists() {
            if self.unfit(list, members).is_some() {
                continue;
            }
            let assumed = self.assumed(list);
            for (key, &slot) in members {
                let floor = Key {
                    rank: key.rank.saturating_add(assumed.0),
                    turn: key.turn,
                };
                if best.is_some_and(|best| best.key < floor) {
                    break;
                }
                let candidate = self.candidate(slot, floor);
                let better = best.is_none_or(|best| candidate.is_better_than(&best));
                if better && self.allows(list, candidate.worker) {
                    best = Some(candidate);
                }
            }
        }
        best
    }

    /// Returns a candidate drawn at random, all equally likely; `None` if a few draws met only workers that
    /// do not suit.
    #[must_use]
    pub fn draw(&self, entropy: &dyn Entropy) -> Option<Candidate<'a>> {
        let open = self.fleet.index().open();
        for _ in 0..DRAWS {
            let drawn = usize::try_from(entropy.below(open.len() as u64)).unwrap_or(0);
            let slot = *open.get(drawn)?;
            let entry = self.fleet.entry(slot);
            let suits = filter::unfit(self.request, &entry.snapshot).is_none()
                && !filter::excluded(self.request, &entry.snapshot);
            if suits {
                return Some(self.candidate(slot, self.floor(entry)?));
            }
        }
        None
    }

    /// Returns how many workers suit, including those on the request's exclusion list.
    #[must_use]
    pub fn len(&self) -> usize {
        let suits = |&(list, members): &(ListKey, &List)| self.unfit(list, members).is_none();
        self.fleet
            .index()
            .lists()
            .filter(suits)
            .map(|(_, members)| members.len())
            .sum()
    }

    /// Returns whether no worker suits, the exclusion list not counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns why no worker of a list suits the request. Members of the mixed list differ, so they are
    /// checked one by one elsewhere.
    fn unfit(&self, list: ListKey, members: &List) -> Option<FilterReason> {
        if list.shape == MIXED {
            return None;
        }
        let (_, &slot) = members.first_key_value()?;
        filter::unfit(self.request, &self.fleet.entry(slot).snapshot)
    }

    fn allows(&self, list: ListKey, worker: &WorkerSnapshot) -> bool {
        let kind = list.shape != MIXED || filter::unfit(self.request, worker).is_none();
        kind && !filter::excluded(self.request, worker)
    }

    fn assumed(&self, list: ListKey) -> Points {
        self.fleet.assumed(list.missing)
    }

    fn floor(&self, entry: &Entry) -> Option<Key> {
        let place = entry.place?;
        let rank = place.key.rank.saturating_add(self.assumed(place.list).0);
        Some(Key {
            rank,
            turn: place.key.turn,
        })
    }

    fn candidate(&self, slot: usize, floor: Key) -> Candidate<'a> {
        let worker = &self.fleet.entry(slot).snapshot;
        let spread = self.spread(worker);
        let key = Key {
            rank: floor.rank.saturating_add(spread.0),
            turn: floor.turn,
        };
        Candidate {
            slot,
            spread,
            key,
            worker,
        }
    }

    fn spread(&self, worker: &WorkerSnapshot) -> Points {
        let policy = self.fleet.policy();
        let (Some(holders), IndexOrder::Score) = (&self.request.spread, policy.strategy.order())
        else {
            return Points::ZERO;
        };
        let held = holders.get(&worker.worker).copied().unwrap_or(0);
        policy.spread.share(u64::from(held), self.tenant_sessions)
    }
}
