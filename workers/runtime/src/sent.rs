//! First results of sends, so that a repetition by message id sends nothing twice.

use std::collections::{BTreeMap, VecDeque};

use gateway_core::id::{MessageId, SessionId};
use gateway_core::protocol::{SendMessage, Sent};

use crate::refusal::Refusal;
use crate::ticket::Ticket;

type Key = (SessionId, MessageId);

#[derive(Debug)]
enum Entry {
    /// The engine is sending it. The ticket is settled with the result, or with `None` if nothing went
    /// out.
    Underway(Ticket<Option<Sent>>),
    Done(Sent),
}

/// What is known of a message id when a send begins.
#[derive(Debug)]
pub(crate) enum Before {
    /// Nothing: it is the first send of this id.
    Nothing,
    /// The same send is being made.
    Underway(Ticket<Option<Sent>>),
    /// The same send was made.
    Done(Sent),
}

/// The results by message id; the oldest are forgotten.
#[derive(Debug)]
pub(crate) struct SentLog {
    entries: BTreeMap<Key, (String, Entry)>,
    order: VecDeque<Key>,
    most: usize,
}

impl SentLog {
    pub(crate) fn remembering(most: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            order: VecDeque::new(),
            most,
        }
    }

    pub(crate) fn find(&self, session: SessionId, body: &SendMessage) -> Result<Before, Refusal> {
        let Some((hash, entry)) = self.entries.get(&(session, body.message_id)) else {
            return Ok(Before::Nothing);
        };
        if *hash != body.body_hash {
            return Err(Refusal::BodyMismatch);
        }
        Ok(match entry {
            Entry::Underway(ticket) => Before::Underway(ticket.clone()),
            Entry::Done(sent) => Before::Done(sent.clone()),
        })
    }

    pub(crate) fn begin(&mut self, session: SessionId, body: &SendMessage) {
        let entry = Entry::Underway(Ticket::open());
        let key = (session, body.message_id);
        self.entries.insert(key, (body.body_hash.clone(), entry));
    }

    /// Remembers the result, or, if nothing went out, forgets that the send was begun.
    pub(crate) fn finish(&mut self, session: SessionId, message: MessageId, sent: Option<Sent>) {
        let key = (session, message);
        let Some((hash, entry)) = self.entries.remove(&key) else {
            return;
        };
        if let Entry::Underway(ticket) = entry {
            ticket.settle(sent.clone());
        }
        let Some(sent) = sent else { return };
        self.entries.insert(key, (hash, Entry::Done(sent)));
        self.order.push_back(key);
        while self.order.len() > self.most {
            if let Some(oldest) = self.order.pop_front() {
                self.entries.remove(&oldest);
            }
        }
    }
}
