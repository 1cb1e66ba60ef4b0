//! First results of sends, so that a repetition by message id sends nothing twice, and which of them
//! WhatsApp has acknowledged.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use gateway_core::id::{MessageId, SessionId};
use gateway_core::message::WaMessageId;
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
    /// What the engine is sending, and what it has sent without an acknowledgement so far.
    open: BTreeSet<Key>,
}

impl SentLog {
    pub(crate) fn remembering(most: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            order: VecDeque::new(),
            most,
            open: BTreeSet::new(),
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
        self.open.insert(key);
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
        let Some(sent) = sent else {
            self.open.remove(&key);
            return;
        };
        self.entries.insert(key, (hash, Entry::Done(sent)));
        self.order.push_back(key);
        while self.order.len() > self.most {
            if let Some(oldest) = self.order.pop_front() {
                self.entries.remove(&oldest);
                self.open.remove(&oldest);
            }
        }
    }

    /// Notes that WhatsApp has said something of a message, by either of its ids.
    pub(crate) fn acknowledged(
        &mut self,
        session: SessionId,
        message: Option<MessageId>,
        wa_message_id: Option<&str>,
    ) {
        match (message, wa_message_id) {
            (Some(message), _) => {
                self.open.remove(&(session, message));
            }
            (None, Some(id)) => {
                let known = |key: &Key| self.wa_id(*key).is_some_and(|wa| wa.as_str() == id);
                let found = self.open_of(session).find(known);
                if let Some(key) = found {
                    self.open.remove(&key);
                }
            }
            (None, None) => {}
        }
    }

    /// Returns, once each, the messages that went out for a session and were not acknowledged.
    pub(crate) fn take_unacknowledged(
        &mut self,
        session: SessionId,
    ) -> Vec<(MessageId, WaMessageId)> {
        let gone_out = |key: Key| Some((key.1, self.wa_id(key)?.clone()));
        let found: Vec<_> = self.open_of(session).filter_map(gone_out).collect();
        for (message, _) in &found {
            self.open.remove(&(session, *message));
        }
        found
    }

    /// Returns the id at WhatsApp of a message, once, if it went out and was not acknowledged.
    pub(crate) fn take_open(
        &mut self,
        session: SessionId,
        message: MessageId,
    ) -> Option<WaMessageId> {
        let key = (session, message);
        let id = self.wa_id(key).cloned()?;
        self.open.remove(&key).then_some(id)
    }

    /// Returns whether no send is being made or waits for an acknowledgement.
    pub(crate) fn is_settled(&self) -> bool {
        self.open.is_empty()
    }

    fn open_of(&self, session: SessionId) -> impl Iterator<Item = Key> {
        let first = (session, MessageId::from_u128(0));
        let last = (session, MessageId::from_u128(u128::MAX));
        self.open.range(first..=last).copied()
    }

    /// Returns the id at WhatsApp of a message that went out.
    fn wa_id(&self, key: Key) -> Option<&WaMessageId> {
        match &self.entries.get(&key)?.1 {
            Entry::Done(sent) => Some(&sent.wa_message_id),
            Entry::Underway(_) => None,
        }
    }
}
