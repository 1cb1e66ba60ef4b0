//! The facts of a group, message by message.
//!
//! Several facts of one message meet in one group: a send's outcome and its first receipt, say. They are
//! folded here, in their order, so that a statement names every row once (a set-valued insert cannot
//! name one twice) and each caller still gets what *its* fact found. Messages are kept in the order of
//! their keys, so two writers lock rows in the same order.

use std::collections::BTreeMap;

use gateway_core::event::NewEvent;
use gateway_core::message::{Fact, Message, Recorded, fold};
use gateway_core::time::Timestamp;

use super::ledger::Key;

/// A group of facts by message.
#[derive(Debug)]
pub struct Grouped<'a> {
    facts: &'a [Fact],
    places: BTreeMap<Key, Vec<usize>>,
}

/// What the facts of one message come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Folded {
    /// The row to store.
    pub row: Message,
    /// Whether it differs from what stood there.
    pub changed: bool,
    /// The events to append with it, in order.
    pub events: Vec<NewEvent>,
    answers: Vec<(usize, Recorded)>,
}

impl<'a> Grouped<'a> {
    /// Groups the facts.
    #[must_use]
    pub fn new(facts: &'a [Fact]) -> Self {
        let mut places: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
        for (place, fact) in facts.iter().enumerate() {
            let key = (fact.tenant(), fact.id());
            places.entry(key).or_default().push(place);
        }
        Self { facts, places }
    }

    /// Every message's facts, folded as if nothing stood there.
    #[must_use]
    pub fn fresh(&self, now: Timestamp) -> BTreeMap<Key, Folded> {
        let folded = |key: &Key| self.folded(key, None, now).map(|folded| (*key, folded));
        self.places.keys().filter_map(folded).collect()
    }

    /// One message's facts, folded into what stands there; none for a key without facts.
    #[must_use]
    pub fn folded(&self, key: &Key, stored: Option<&Message>, now: Timestamp) -> Option<Folded> {
        let places = self.places.get(key)?;
        let (mut row, mut changed) = (stored.cloned(), false);
        let (mut events, mut answers) = (Vec::new(), Vec::with_capacity(places.len()));
        for &place in places {
            let step = fold(row.as_ref(), &self.facts[place], now);
            changed |= step.changed;
            events.extend(step.event);
            row = Some(step.recorded.message.clone());
            answers.push((place, step.recorded));
        }
        Some(Folded {
            row: row?,
            changed,
            events,
            answers,
        })
    }

    /// What to answer, in the order of the facts; none if a message is missing.
    #[must_use]
    pub fn answers(&self, folded: impl Iterator<Item = Folded>) -> Option<Vec<Recorded>> {
        let mut answers = vec![None; self.facts.len()];
        for (place, recorded) in folded.flat_map(|folded| folded.answers) {
            answers[place] = Some(recorded);
        }
        answers.into_iter().collect()
    }
}

impl Folded {
    /// The same, had the clock said `now` instead of what it was folded with; only for a row that the
    /// facts have made, whose times are therefore all the same.
    #[must_use]
    pub fn restamped(mut self, now: Timestamp) -> Self {
        restamp(&mut self.row, now);
        for (_, recorded) in &mut self.answers {
            restamp(&mut recorded.message, now);
        }
        self
    }
}

fn restamp(row: &mut Message, now: Timestamp) {
    row.created_at = now;
    let line = &mut row.timeline;
    for at in [
        &mut line.sending,
        &mut line.sent,
        &mut line.delivered,
        &mut line.read,
        &mut line.played,
        &mut line.failed,
    ] {
        *at = at.map(|_| now);
    }
}
