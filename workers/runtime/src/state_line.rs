//! Where a session stands with the state store: writes in order, one call at a time.
//!
//! A write whose answer was lost is repeated with the same pieces after the same sequence, so that the
//! conflict it then meets can be recognised as its own success: nobody else writes at this epoch.

use std::collections::VecDeque;

use gateway_core::time::Uptime;

use crate::line::{Backoff, Doubts, Setback};
use crate::session::StateLost;
use crate::ticket::Ticket;

/// The most entries in one call.
const BATCH_ENTRIES: usize = 64;
const BATCH_BYTES: usize = 512 * 1024;

/// A piece of a session's state that an engine stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Snapshot(Vec<u8>),
    Entries(Vec<Vec<u8>>),
}

/// A call whose turn it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StateCall {
    Read,
    Snapshot { after: u64, bytes: Vec<u8> },
    Entries { after: u64, entries: Vec<Vec<u8>> },
}

#[derive(Debug)]
struct Write {
    piece: Piece,
    ticket: Ticket<Result<(), StateLost>>,
}

/// A session's queue of state writes. See the module's page.
#[derive(Debug)]
pub(crate) struct StateLine {
    /// The newest sequence known to be stored.
    pub(crate) seq: u64,
    unread: bool,
    waiting: VecDeque<Write>,
    /// How many writes the present call carries; kept until it succeeds.
    batch: usize,
    flying: bool,
    backoff: Backoff,
    doubts: Doubts,
}

impl StateLine {
    /// Makes a line whose first call reads the state.
    pub(crate) fn unread() -> Self {
        Self {
            seq: 0,
            unread: true,
            waiting: VecDeque::new(),
            batch: 0,
            flying: false,
            backoff: Backoff::default(),
            doubts: Doubts::default(),
        }
    }

    pub(crate) fn push(&mut self, piece: Piece) -> Ticket<Result<(), StateLost>> {
        let ticket = Ticket::open();
        let kept = ticket.clone();
        self.waiting.push_back(Write {
            piece,
            ticket: kept,
        });
        ticket
    }

    pub(crate) fn is_idle(&self) -> bool {
        !self.unread && self.waiting.is_empty()
    }

    pub(crate) fn next_due(&self) -> Option<Uptime> {
        (!self.is_idle() && !self.flying).then(|| self.backoff.until())
    }

    /// Returns the next call, if none is on its way.
    pub(crate) fn take(&mut self, now: Uptime) -> Option<StateCall> {
        if self.is_idle() || self.flying || !self.backoff.is_over(now) {
            return None;
        }
        self.flying = true;
        if self.unread {
            return Some(StateCall::Read);
        }
        if self.batch == 0 {
            self.batch = self.next_batch();
        }
        let after = self.seq;
        if let Some(Piece::Snapshot(bytes)) = self.waiting.front().map(|write| &write.piece) {
            let bytes = bytes.clone();
            return Some(StateCall::Snapshot { after, bytes });
        }
        let entries = self.entries().cloned().collect();
        Some(StateCall::Entries { after, entries })
    }

    /// Returns how many of the waiting writes fit into one call: a snapshot alone, or entries together.
    fn next_batch(&self) -> usize {
        let (mut writes, mut count, mut bytes) = (0, 0, 0);
        for write in &self.waiting {
            let Piece::Entries(entries) = &write.piece else {
                break;
            };
            count += entries.len();
            bytes += entries.iter().map(Vec::len).sum::<usize>();
            if writes > 0 && (count > BATCH_ENTRIES || bytes > BATCH_BYTES) {
                break;
            }
            writes += 1;
        }
        writes.max(1)
    }

    fn entries(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.waiting
            .iter()
            .take(self.batch)
            .filter_map(|write| match &write.piece {
                Piece::Entries(entries) => Some(entries),
                Piece::Snapshot(_) => None,
            })
            .flatten()
    }

    pub(crate) fn read(&mut self, seq: u64) {
        self.unread = false;
        self.succeeded(seq);
    }

    pub(crate) fn written(&mut self, seq: u64) {
        self.succeeded(seq);
        let batch = std::mem::take(&mut self.batch);
        for write in self.waiting.drain(..batch.min(self.waiting.len())) {
            write.ticket.settle(Ok(()));
        }
    }

    /// Returns whether a conflict at `current` says that the present call has arrived before.
    pub(crate) fn has_arrived(&self, current: u64) -> bool {
        let steps = match self.waiting.front().map(|write| &write.piece) {
            Some(Piece::Snapshot(_)) => 1,
            Some(Piece::Entries(_)) => self.entries().count() as u64,
            None => return false,
        };
        current == self.seq + steps
    }

    fn succeeded(&mut self, seq: u64) {
        self.flying = false;
        self.seq = seq;
        self.backoff.succeeded();
        self.doubts = Doubts::default();
    }

    /// Notes that the call on its way has to be repeated. Returns whether that is hopeless: it was answered
    /// without a verdict too often while the gateway was there.
    pub(crate) fn failed(&mut self, setback: Setback, now: Uptime) -> bool {
        self.flying = false;
        let wait = match setback {
            Setback::Later(wait) => wait,
            Setback::Doubt { .. } | Setback::Refusal => None,
        };
        self.backoff.failed(now, wait);
        if let Setback::Doubt { renewals } = setback {
            self.doubts.add(renewals);
        }
        self.doubts.are_too_many()
    }

    /// Settles all waiting writes as lost: nothing will be stored any more.
    pub(crate) fn give_up(self) {
        for write in self.waiting {
            write.ticket.settle(Err(StateLost));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Uptime = Uptime(std::time::Duration::ZERO);

    fn entries(bytes: &[u8]) -> Piece {
        Piece::Entries(bytes.iter().map(|byte| vec![*byte]).collect())
    }

    fn line() -> StateLine {
        let mut line = StateLine::unread();
        assert_eq!(line.take(NOW), Some(StateCall::Read));
        line.read(7);
        line
    }

    #[test]
    fn writes_that_wait_travel_together_in_order() {
        let mut line = line();
        let first = line.push(entries(&[1]));
        let second = line.push(entries(&[2, 3]));
        let snapshot = line.push(Piece::Snapshot(vec![9]));
        let sent = StateCall::Entries {
            after: 7,
            entries: vec![vec![1], vec![2], vec![3]],
        };
        assert_eq!(line.take(NOW), Some(sent));
        assert_eq!(line.take(NOW), None, "one call at a time");
        line.written(10);
        assert_eq!(first.outcome(), Some(Ok(())));
        assert_eq!(second.outcome(), Some(Ok(())));
        assert_eq!(snapshot.outcome(), None);
        let sent = StateCall::Snapshot {
            after: 10,
            bytes: vec![9],
        };
        assert_eq!(line.take(NOW), Some(sent));
    }

    #[test]
    fn a_repeated_call_carries_what_it_carried_before() {
        let mut line = line();
        let first = line.push(entries(&[1]));
        let call = line.take(NOW);
        line.failed(Setback::Later(None), NOW);
        let second = line.push(entries(&[2]));
        let later = line.next_due().expect("it tries again");
        assert_eq!(line.take(later), call);
        assert!(!line.has_arrived(9) && line.has_arrived(8));
        line.written(8);
        assert_eq!(first.outcome(), Some(Ok(())));
        assert_eq!(second.outcome(), None);
    }

    #[test]
    fn what_is_given_up_is_said_to_be_lost() {
        let mut line = line();
        let write = line.push(entries(&[1]));
        line.give_up();
        assert_eq!(write.outcome(), Some(Err(StateLost)));
    }

    #[test]
    fn a_call_is_not_longer_than_a_body_may_be() {
        let mut line = line();
        line.push(Piece::Entries(vec![vec![0; BATCH_BYTES]]));
        line.push(entries(&[1]));
        let Some(StateCall::Entries { entries, .. }) = line.take(NOW) else {
            panic!("entries");
        };
        assert_eq!(entries.len(), 1);
    }
}
