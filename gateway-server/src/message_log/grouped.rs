//! The facts of a group, message by message.
//!
//! Several facts of one message meet in one group: a send's outcome and its first receipt, say. They are
//! folded here, in their order, so that a statement names every row once (a set-valued insert cannot
//! name one twice) and each caller still gets what *its* fact found. Messages are kept in the order of
//! their keys, so two writers lock rows in the same order.

use gateway_core::event::NewEvent;
use gateway_core::id::{MessageId, TenantId};
use gateway_core::message::{Fact, Message, Recorded, fold};
use gateway_core::time::Timestamp;

use super::ledger::MessageKey;

/// A group of facts by message.
#[derive(Debug)]
pub struct Grouped<'a> {
    facts: &'a [Fact],
    /// The index of every fact with its message's key, by key and then in the order of the facts.
    places: Vec<(MessageKey, usize)>,
}

/// The result of folding the facts of one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Folded {
    /// Whether the row differs from what stood there.
    pub changed: bool,
    /// The events to append with it, in order.
    pub events: Vec<NewEvent>,
    /// What the facts found, except the last one: the index of each, and its answer.
    earlier: Vec<(usize, Recorded)>,
    last: (usize, Recorded),
}

impl<'a> Grouped<'a> {
    /// Groups the facts by message.
    #[must_use]
    pub fn new(facts: &'a [Fact]) -> Self {
        let key = |fact: &Fact| (fact.tenant(), fact.id());
        let places = facts.iter().enumerate();
        let mut places: Vec<_> = places.map(|(place, fact)| (key(fact), place)).collect();
        places.sort_unstable_by_key(|(key, place)| (in_order(key), *place));
        Self { facts, places }
    }

    /// Returns each message's facts, folded as if the database had no row of it, in the order of their
    /// keys.
    #[must_use]
    pub fn fresh(&self, now: Timestamp) -> Vec<Folded> {
        let messages = self.places.chunk_by(|(one, _), (other, _)| one == other);
        messages
            .filter_map(|places| self.fold(places, None, now))
            .collect()
    }

    /// Returns the facts of one message, folded into the `stored` row. Returns `None` for a key without
    /// facts.
    #[must_use]
    pub fn folded(
        &self,
        key: &MessageKey,
        stored: Option<&Message>,
        now: Timestamp,
    ) -> Option<Folded> {
        let first = self
            .places
            .partition_point(|(other, _)| in_order(other) < in_order(key));
        let count = self.places[first..].partition_point(|(other, _)| other == key);
        self.fold(&self.places[first..first + count], stored, now)
    }

    fn fold(
        &self,
        places: &[(MessageKey, usize)],
        stored: Option<&Message>,
        now: Timestamp,
    ) -> Option<Folded> {
        let (mut changed, mut events, mut earlier) = (false, Vec::new(), Vec::new());
        let mut last: Option<(usize, Recorded)> = None;
        for &(_, place) in places {
            let row = last.as_ref().map(|(_, found)| &found.message).or(stored);
            let step = fold(row, &self.facts[place], now);
            changed |= step.changed;
            events.extend(step.event);
            earlier.extend(last.replace((place, step.recorded)));
        }
        Some(Folded {
            changed,
            events,
            earlier,
            last: last?,
        })
    }

    /// Returns the answer to every fact, in their order, or `None` if a message is missing in `folded`.
    #[must_use]
    pub fn answers(&self, folded: impl Iterator<Item = Folded>) -> Option<Vec<Recorded>> {
        let mut answers = vec![None; self.facts.len()];
        for folded in folded {
            for (place, recorded) in folded.earlier.into_iter().chain([folded.last]) {
                answers[place] = Some(recorded);
            }
        }
        answers.into_iter().collect()
    }
}

impl Folded {
    /// Returns the row to store.
    #[must_use]
    pub const fn row(&self) -> &Message {
        &self.last.1.message
    }

    /// Returns the message's key.
    #[must_use]
    pub const fn key(&self) -> MessageKey {
        (self.row().tenant, self.row().id)
    }

    /// Changes the row and events to what they would be, had the facts been folded at `now`. Only for a
    /// row that the facts have made, whose times are therefore all the same, but for when it was written: that
    /// is when what was typed on the phone was sent.
    pub fn restamp(&mut self, now: Timestamp) {
        restamp(&mut self.last.1.message, now);
        for (_, recorded) in &mut self.earlier {
            restamp(&mut recorded.message, now);
        }
    }
}

/// Orders keys as the table does: ids grow with time, so new rows go to the end of its index.
const fn in_order((tenant, id): &MessageKey) -> (MessageId, TenantId) {
    (*id, *tenant)
}

fn restamp(row: &mut Message, now: Timestamp) {
    row.created_at = now;
    row.occurred_at = row.occurred_at.map(|at| at.min(now));
    let line = &mut row.timeline;
    line.sent = line.sent.map(|_| row.occurred_at.unwrap_or(now));
    for at in [
        &mut line.sending,
        &mut line.delivered,
        &mut line.read,
        &mut line.played,
        &mut line.failed,
    ] {
        *at = at.map(|_| now);
    }
}
