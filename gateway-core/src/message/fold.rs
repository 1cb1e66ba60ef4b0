//! Folding a fact into what stands in the log: the one rule that every store applies.

use std::cmp::Ordering;

use super::log::{Fact, Inbound, Outgoing, Recorded, StatusFact};
use super::{Direction, Message, MessageError, MessageSource, MessageStatus, PersonIds, Timeline};
use crate::event::{Event, MessageReceived, MessageSent, MessageStatusChanged, NewEvent};
use crate::id::{Epoch, MessageId, SessionId, TenantId};
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
/// mismatch. No time of a row is later than `now`.
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
    let mut row = stored.cloned().unwrap_or_else(|| Message {
        epoch: fact.epoch,
        ..blank((fact.tenant, fact.session, fact.id), fact.status, now)
    });
    row.kind = Some(fact.kind.clone());
    // Meanwhile it may have become known that the person has another id; what stands here is not rewritten.
    row.chat_id.get_or_insert_with(|| fact.chat_id.clone());
    row.alias = row.alias.or_else(|| fact.alias.clone());
    row.content = Some(fact.content.clone());
    row.body_hash = Some(fact.body_hash);
    row.wa_message_id = Some(fact.wa_message_id.clone());
    row.refused_status = row.refused_status.or(fact.refused_status);
    if fact.status >= row.status {
        row.epoch = row.epoch.max(fact.epoch);
    }
    let news = News {
        status: fact.status,
        error: fact.error.as_ref(),
        occurred_at: None,
    };
    advance(stored, row, &news, now)
}

fn status(stored: Option<&Message>, fact: &StatusFact, now: Timestamp) -> Fold {
    // A worker speaks for the session it holds, not for the message of another one, and what becomes of a message
    // is known of those that go out.
    let foreign =
        |row: &&Message| row.session != fact.session || row.direction != Direction::Outbound;
    if let Some(row) = stored.filter(foreign) {
        return unchanged(row, false);
    }
    let mut row = stored.cloned().unwrap_or_else(|| Message {
        epoch: fact.epoch,
        source: Some(match fact.own {
            Some(_) => MessageSource::Phone,
            None => MessageSource::Api,
        }),
        chat_id: fact.own.as_ref().map(|own| own.chat_id.clone()),
        sender: fact.own.as_ref().and_then(|own| own.sender.clone()),
        ..blank((fact.tenant, fact.session, fact.id), fact.status, now)
    });
    row.wa_message_id = Some(fact.wa_message_id.clone());
    let news = News {
        status: fact.status,
        error: fact.error.as_ref(),
        occurred_at: match fact.age {
            Some(age) => Some(now.minus(age)),
            None => fact.occurred_at,
        },
    };
    advance(stored, row, &news, now)
}

fn inbound(stored: Option<&Message>, fact: &Inbound, now: Timestamp) -> Fold {
    if fact.from_me {
        return own(stored, fact, now);
    }
    if let Some(row) = stored {
        return unchanged(row, false);
    }
    let message = Message {
        direction: Direction::Inbound,
        source: None,
        sender: Some(fact.sender.clone()),
        timeline: Timeline {
            delivered: Some(now),
            ..Timeline::default()
        },
        ..filled(stored, fact, MessageStatus::Delivered, now)
    };
    let PersonIds { phone, lid } = message.person_ids();
    let event = Event::MessageReceived(MessageReceived {
        id: fact.id,
        wa_message_id: fact.wa_message_id.clone(),
        chat_id: fact.chat_id.clone(),
        from: Some(fact.sender.clone()),
        phone,
        lid,
        kind: fact.kind.clone(),
        content: fact.content.clone(),
        offline: fact.offline,
        occurred_at: message.occurred_at,
    });
    came(stored, message, &event)
}

/// A message that was written on the phone: WhatsApp has it, so it is at least `sent`.
fn own(stored: Option<&Message>, fact: &Inbound, now: Timestamp) -> Fold {
    let wrong = |row: &&Message| !row.is_stub() || row.direction != Direction::Outbound;
    if let Some(row) = stored.filter(wrong) {
        return unchanged(row, false);
    }
    let mut message = filled(stored, fact, MessageStatus::Sent, now);
    message.status = message.status.join(MessageStatus::Sent);
    message.error = None;
    let at = message.written_at().min(now);
    message.timeline.sent.get_or_insert(at);
    let PersonIds { phone, lid } = message.person_ids();
    let event = Event::MessageSent(MessageSent {
        id: fact.id,
        wa_message_id: fact.wa_message_id.clone(),
        chat_id: fact.chat_id.clone(),
        from: Some(fact.sender.clone()),
        phone,
        lid,
        source: MessageSource::Phone,
        kind: fact.kind.clone(),
        content: fact.content.clone(),
        offline: fact.offline,
        occurred_at: message.occurred_at,
    });
    came(stored, message, &event)
}

/// Returns the row of a message whose content has come, over a stub if there is one.
fn filled(
    stored: Option<&Message>,
    fact: &Inbound,
    status: MessageStatus,
    now: Timestamp,
) -> Message {
    let row = stored.cloned().unwrap_or_else(|| Message {
        epoch: fact.epoch,
        source: Some(MessageSource::Phone),
        sender: Some(fact.sender.clone()),
        ..blank((fact.tenant, fact.session, fact.id), status, now)
    });
    Message {
        kind: Some(fact.kind.clone()),
        chat_id: Some(fact.chat_id.clone()),
        alias: fact.alias.clone(),
        wa_message_id: Some(fact.wa_message_id.clone()),
        content: Some(fact.content.clone()),
        occurred_at: fact.occurred_at.map(|at| at.min(now)),
        ..row
    }
}

fn came(stored: Option<&Message>, message: Message, event: &Event) -> Fold {
    let event = Some(about(&message, event));
    Fold {
        recorded: Recorded {
            before: stored.map(|row| row.status),
            message,
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

/// What a fact says of a message's status.
struct News<'f> {
    status: MessageStatus,
    error: Option<&'f MessageError>,
    occurred_at: Option<Timestamp>,
}

fn advance(stored: Option<&Message>, mut row: Message, news: &News<'_>, now: Timestamp) -> Fold {
    let before = stored.map(|row| row.status);
    // An error belongs to the status that it explains, and goes when that is left. Of two errors of one
    // status the smaller one stays, so that the order does not matter.
    let (status, error) = (news.status, news.error);
    row.error = match (row.error.take(), error, status.cmp(&row.status)) {
        (known, _, Ordering::Less) => known,
        (_, new, Ordering::Greater) => new.cloned(),
        (Some(known), Some(new), Ordering::Equal) => Some(known.min(new.clone())),
        (known, new, Ordering::Equal) => known.or_else(|| new.cloned()),
    };
    row.status = row.status.join(status);
    // Nothing becomes of a message before it is written, whatever the reporter's clock says.
    let happened = news.occurred_at.unwrap_or(now);
    let happened = happened.max(row.written_at()).min(now);
    stamp(&mut row.timeline, status, happened);
    if row.status > MessageStatus::Failed {
        row.error = None;
    }
    let event = (before != Some(row.status)).then(|| {
        let PersonIds { phone, lid } = row.person_ids();
        let change = MessageStatusChanged {
            id: row.id,
            wa_message_id: row.wa_message_id.clone(),
            direction: row.direction,
            source: row.source,
            chat_id: row.chat_id.clone(),
            phone,
            lid,
            previous: before,
            status: row.status,
            error: row.error.clone(),
            occurred_at: (happened < now).then_some(happened),
        };
        about(&row, &Event::MessageStatus(change))
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

fn stamp(timeline: &mut Timeline, status: MessageStatus, at: Timestamp) {
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
    slot.get_or_insert(at);
}

/// Returns an outbound message of which nothing is known but its status.
fn blank(
    (tenant, session, id): (TenantId, SessionId, MessageId),
    status: MessageStatus,
    now: Timestamp,
) -> Message {
    Message {
        id,
        tenant,
        session,
        direction: Direction::Outbound,
        source: Some(MessageSource::Api),
        kind: None,
        chat_id: None,
        sender: None,
        alias: None,
        wa_message_id: None,
        status,
        error: None,
        refused_status: None,
        content: None,
        body_hash: None,
        epoch: Epoch::default(),
        occurred_at: None,
        created_at: now,
        timeline: Timeline::default(),
    }
}

fn about(row: &Message, event: &Event) -> NewEvent {
    NewEvent::of_session(row.tenant, row.session, row.epoch, event)
}
