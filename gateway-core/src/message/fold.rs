//! Folding a fact into what stands in the log: the one rule that every store applies.

use std::cmp::Ordering;

use super::log::{Fact, Inbound, Outgoing, Recorded, StatusFact};
use super::{Direction, Message, MessageStatus, Timeline};
use crate::event::{Event, MessageReceived, MessageStatusChanged, NewEvent};
use crate::time::Timestamp;

/// The result of folding a fact into a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    /// What the caller is told; its `message` is the row to store.
    pub recorded: Recorded,
    /// Whether the row differs from the stored one.
    pub changed: bool,
    /// The event to append to the outbox together with the row.
    pub event: Option<NewEvent>,
}

/// Folds `fact` into `stored`, at the store's time `now`.
///
/// Commutative and idempotent but for times: any order and any repetition of the same facts ends in the
/// same status, content and error. A row's body is never changed: a stub is filled, another body is a
/// mismatch.
#[must_use]
pub fn fold(stored: Option<&Message>, fact: &Fact, now: Timestamp) -> Fold {
    match fact {
        Fact::Outgoing(fact) => outgoing(stored, fact, now),
        Fact::Status(fact) => status(stored, fact, now),
        Fact::Inbound(fact) => inbound(stored, fact, now),
    }
}

fn outgoing(stored: Option<&Message>, fact: &Outgoing, now: Timestamp) -> Fold {
    let other_body = stored
        .and_then(|row| row.body_hash)
        .is_some_and(|hash| hash != fact.body_hash);
    if let Some(row) = stored.filter(|_| other_body) {
        return unchanged(row, true);
    }
    let mut row = stored.cloned().unwrap_or_else(|| {
        blank(fact.status, now, |row| Message {
            id: fact.id,
            tenant: fact.tenant,
            session: fact.session,
            epoch: fact.epoch,
            ..row
        })
    });
    row.kind = Some(fact.kind.clone());
    row.chat_id = Some(fact.chat_id.clone());
    row.content = Some(fact.content.clone());
    row.body_hash = Some(fact.body_hash);
    row.wa_message_id = Some(fact.wa_message_id.clone());
    if fact.status >= row.status {
        row.epoch = row.epoch.max(fact.epoch);
    }
    advance(stored, row, fact.status, fact.error.as_ref(), now)
}

fn status(stored: Option<&Message>, fact: &StatusFact, now: Timestamp) -> Fold {
    // A worker speaks for the session it holds, not for the message of another one.
    if let Some(row) = stored.filter(|row| row.session != fact.session) {
        return unchanged(row, false);
    }
    let mut row = stored.cloned().unwrap_or_else(|| {
        blank(fact.status, now, |row| Message {
            id: fact.id,
            tenant: fact.tenant,
            session: fact.session,
            epoch: fact.epoch,
            ..row
        })
    });
    row.wa_message_id = Some(fact.wa_message_id.clone());
    advance(stored, row, fact.status, fact.error.as_ref(), now)
}

fn inbound(stored: Option<&Message>, fact: &Inbound, now: Timestamp) -> Fold {
    if let Some(row) = stored {
        return unchanged(row, false);
    }
    let message = blank(MessageStatus::Delivered, now, |row| Message {
        id: fact.id,
        tenant: fact.tenant,
        session: fact.session,
        epoch: fact.epoch,
        direction: Direction::Inbound,
        kind: Some(fact.kind.clone()),
        chat_id: Some(fact.chat_id.clone()),
        sender: Some(fact.sender.clone()),
        wa_message_id: Some(fact.wa_message_id.clone()),
        content: Some(fact.content.clone()),
        timeline: Timeline {
            delivered: Some(now),
            ..Timeline::default()
        },
        ..row
    });
    let event = Event::MessageReceived(MessageReceived {
        id: fact.id,
        wa_message_id: fact.wa_message_id.clone(),
        chat_id: fact.chat_id.clone(),
        from: Some(fact.sender.clone()),
        kind: fact.kind.clone(),
        content: fact.content.clone(),
        offline: fact.offline,
    });
    let event = Some(about(&message, &event));
    Fold {
        recorded: Recorded {
            message,
            before: None,
            mismatch: false,
        },
        changed: true,
        event,
    }
}

fn unchanged(row: &Message, mismatch: bool) -> Fold {
    let recorded = Recorded {
        message: row.clone(),
        before: Some(row.status),
        mismatch,
    };
    Fold {
        recorded,
        changed: false,
        event: None,
    }
}

fn advance(
    stored: Option<&Message>,
    mut row: Message,
    status: MessageStatus,
    error: Option<&super::MessageError>,
    now: Timestamp,
) -> Fold {
    let before = stored.map(|row| row.status);
    // An error belongs to the status that it explains, and goes when that is left. Of two errors of one
    // status the smaller one stays, so that the order does not matter.
    row.error = match (row.error.take(), error, status.cmp(&row.status)) {
        (known, _, Ordering::Less) => known,
        (_, new, Ordering::Greater) => new.cloned(),
        (Some(known), Some(new), Ordering::Equal) => Some(known.min(new.clone())),
        (known, new, Ordering::Equal) => known.or_else(|| new.cloned()),
    };
    row.status = row.status.join(status);
    stamp(&mut row.timeline, status, now);
    if row.status > MessageStatus::Failed {
        row.error = None;
    }
    let event = (before != Some(row.status)).then(|| {
        about(
            &row,
            &Event::MessageStatus(MessageStatusChanged {
                id: row.id,
                wa_message_id: row.wa_message_id.clone(),
                direction: row.direction,
                previous: before,
                status: row.status,
                error: row.error.clone(),
            }),
        )
    });
    let changed = stored != Some(&row);
    Fold {
        recorded: Recorded {
            message: row,
            before,
            mismatch: false,
        },
        changed,
        event,
    }
}

fn stamp(timeline: &mut Timeline, status: MessageStatus, now: Timestamp) {
    let slot = match status {
        MessageStatus::Sending => &mut timeline.sending,
        MessageStatus::Sent => &mut timeline.sent,
        MessageStatus::Delivered => &mut timeline.delivered,
        MessageStatus::Read => &mut timeline.read,
        MessageStatus::Played => &mut timeline.played,
        MessageStatus::Failed => &mut timeline.failed,
        MessageStatus::Scheduled
        | MessageStatus::Queued
        | MessageStatus::Unknown
        | MessageStatus::Canceled
        | MessageStatus::Expired => return,
    };
    slot.get_or_insert(now);
}

fn blank(status: MessageStatus, now: Timestamp, fill: impl FnOnce(Message) -> Message) -> Message {
    use crate::id::{Epoch, MessageId, SessionId, TenantId};
    fill(Message {
        id: MessageId::from_u128(0),
        tenant: TenantId::from_u128(0),
        session: SessionId::from_u128(0),
        direction: Direction::Outbound,
        kind: None,
        chat_id: None,
        sender: None,
        wa_message_id: None,
        status,
        error: None,
        content: None,
        body_hash: None,
        epoch: Epoch::default(),
        created_at: now,
        timeline: Timeline::default(),
    })
}

fn about(row: &Message, event: &Event) -> NewEvent {
    NewEvent::of_session(row.tenant, row.session, row.epoch, event)
}
