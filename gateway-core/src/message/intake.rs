//! Taking in what workers report about messages: facts.
//!
//! A fact is true whoever owns the session by now. So it is not checked against the present owner but
//! against the history of assignments: it counts if that run of that worker held the session at the epoch
//! it names. What is known of nobody's message is dropped without an error, because the worker would
//! only send it again.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::log::{Fact, Inbound, LogError, LogFull, MessageLog, OwnMessage, StatusFact};
use super::person::{Party, PersonPair};
use super::{ChatId, MessageError, MessageIds, MessageStatus, WaMessageId};
use crate::id::{Epoch, Incarnation, MessageId, SessionId, TenantId};
use crate::protocol::bounds::words;
use crate::protocol::{InboundMessage, MessageReport};
use crate::session::{Owner, Placement};
use crate::store::{OrchestrationTx, Store, StoreError};
use crate::time::Timestamp;

/// Before WhatsApp there was (2009): a time that is earlier was never set.
const FIRST_MESSAGE: Timestamp = Timestamp::from_micros(1_230_768_000_000_000);

/// The most bytes of one text of a message that came in. It is cut there, and its content says `truncated`.
const MAX_REPORTED_TEXT: usize = 1024 * 1024;

/// The most bytes of a chat's id in its other form; a longer text is none.
const MAX_CHAT: usize = 128;

/// What became of a reported fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is in the log, whether by this call or an earlier one.
    Recorded,
    /// It is about no message of this gateway, and was dropped.
    Dropped,
}

/// Why a fact was not taken.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// That run of that worker never held the session at that epoch.
    #[error("that incarnation did not hold the session at epoch {named}")]
    NotHeld {
        /// The epoch that the report names.
        named: Epoch,
    },
    /// A field cannot be read.
    #[error("{field}: {message}")]
    Invalid {
        /// The field that cannot be read.
        field: &'static str,
        /// What the field must contain.
        message: &'static str,
    },
    /// The log is full: the worker must send the report again.
    #[error(transparent)]
    LogFull(#[from] LogFull),
    /// The fact may not be recorded: the worker must send the report again.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The store failed: the worker must send the report again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes in what workers report about messages. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Intake {
    /// Has the history of assignments.
    pub store: Arc<dyn Store>,
    pub log: Arc<dyn MessageLog>,
    /// Checks and derives message ids.
    pub ids: MessageIds,
}

impl Intake {
    /// Takes in a report on an outbound message. Repeating it changes nothing.
    ///
    /// # Errors
    /// The reporter did not hold the session, a field cannot be read, or the log or the store failed and
    /// the report must be sent again.
    pub async fn status(
        &self,
        reporter: &Owner,
        report: &MessageReport,
    ) -> Result<Taken, IntakeError> {
        let Some(status) = MessageStatus::parse(&report.status) else {
            return Ok(Taken::Dropped);
        };
        let mut tx = self.store.read().await?;
        let named = report.incarnation.as_deref();
        let placement = held(&mut *tx, reporter, named, (report.session_id, report.epoch)).await?;
        drop(tx);
        let about = match report.from_me && report.message_id.is_none() {
            true => self.typed(&placement, report).await?,
            false => self.sent(&placement, report).await?,
        };
        let Some(about) = about else {
            return Ok(Taken::Dropped);
        };
        let fact = StatusFact {
            id: about.id,
            tenant: placement.tenant,
            session: report.session_id,
            epoch: report.epoch,
            wa_message_id: about.wa_message_id,
            own: about.own,
            status,
            error: report.error.as_ref().and_then(error),
            occurred_at: report.occurred_at,
            age: report
                .sent_at
                .zip(report.occurred_at)
                .map(|(sent, occurred)| sent.since(occurred)),
        };
        let place = self.log.reserve()?;
        self.log.record(place, Fact::Status(fact)).await?;
        Ok(Taken::Recorded)
    }

    /// Takes in a message that came in, or that was written on the phone. Repeating it changes nothing.
    ///
    /// # Errors
    /// The reporter did not hold the session, a field cannot be read, or the log or the store failed and
    /// the report must be sent again.
    pub async fn inbound(
        &self,
        reporter: &Owner,
        report: InboundMessage,
    ) -> Result<Taken, IntakeError> {
        let mut tx = self.store.read().await?;
        let named = report.incarnation.as_deref();
        let placement = held(&mut *tx, reporter, named, (report.session_id, report.epoch)).await?;
        let (chat, sender) = sides(&report)?;
        let wa_message_id =
            WaMessageId::parse(&report.wa_message_id).ok_or(IntakeError::Invalid {
                field: "waMessageId",
                message: "must be 1 to 128 printable ASCII characters",
            })?;
        let occurred_at = match report.occurred_at.filter(|at| *at >= FIRST_MESSAGE) {
            Some(at) => Some(at.min(tx.now().await?)),
            None => None,
        };
        drop(tx);
        let [chat, sender] = self.known(&placement, [chat, sender]).await?;
        let session = report.session_id;
        let id = match report.from_me {
            true => self.typed_id(&placement, &chat, &wa_message_id).await?,
            false => {
                let ids = self.ids_of(session, &chat, &sender, &wa_message_id);
                self.first_known(placement.tenant, &ids).await?
            }
        };
        let alias = match report.from_me {
            true => chat.alias(),
            false => sender.alias(),
        };
        let fact = Inbound {
            id,
            tenant: placement.tenant,
            session,
            epoch: report.epoch,
            wa_message_id,
            chat_id: chat.id().to_owned(),
            sender: sender.id().to_owned(),
            alias: alias.map(str::to_owned),
            from_me: report.from_me,
            occurred_at,
            kind: report
                .kind
                .as_deref()
                .map_or_else(|| "unknown".to_owned(), name),
            offline: report.offline,
            content: content(report),
        };
        let place = self.log.reserve()?;
        self.log.record(place, Fact::Inbound(fact)).await?;
        Ok(Taken::Recorded)
    }

    /// Completes what a report says of persons with what is remembered of them, and remembers what is new.
    async fn known<const N: usize>(
        &self,
        placement: &Placement,
        mut parties: [Party; N],
    ) -> Result<[Party; N], IntakeError> {
        let persons = || parties.iter().filter(|party| party.is_person());
        let ids: BTreeSet<&str> = persons().flat_map(Party::ids).collect();
        if ids.is_empty() {
            return Ok(parties);
        }
        let ids: Vec<&str> = ids.into_iter().collect();
        let (tenant, session) = (placement.tenant, placement.session);
        let remembered = self.log.persons(tenant, session, &ids).await?;
        let told: BTreeSet<PersonPair> = persons().filter_map(Party::pair).collect();
        for pair in told.iter().filter(|pair| !remembered.contains(pair)) {
            self.log.remember_person(tenant, session, pair).await?;
        }
        for party in &mut parties {
            party.learn(&remembered);
        }
        Ok(parties)
    }

    /// Returns every id that an inbound message may have in the log, the present one first: it may have been
    /// reported in another form before, when it was not known who that is.
    fn ids_of(
        &self,
        session: SessionId,
        chat: &Party,
        sender: &Party,
        wa: &WaMessageId,
    ) -> Vec<MessageId> {
        let id = |chat: &str, sender: &str| self.ids.inbound(session, chat, sender, wa);
        if chat.id() == sender.id() {
            return chat.ids().map(|form| id(form, form)).collect();
        }
        let chats = chat.ids();
        let both = chats.flat_map(|chat| sender.ids().map(move |sender| (chat, sender)));
        both.map(|(chat, sender)| id(chat, sender)).collect()
    }

    /// Returns the id of a message that was written on the phone.
    async fn typed_id(
        &self,
        placement: &Placement,
        chat: &Party,
        wa: &WaMessageId,
    ) -> Result<MessageId, IntakeError> {
        let id = |chat: &str| self.ids.own(placement.session, chat, wa);
        let ids: Vec<_> = chat.ids().map(id).collect();
        self.first_known(placement.tenant, &ids).await
    }

    /// Returns the first of the ids under which there is a message; the first of all if there is none.
    async fn first_known(
        &self,
        tenant: TenantId,
        ids: &[MessageId],
    ) -> Result<MessageId, IntakeError> {
        let (first, others) = ids.split_first().ok_or(LogError::Unavailable)?;
        for id in others {
            if self.log.find(tenant, *id).await?.is_some() {
                return Ok(*id);
            }
        }
        Ok(*first)
    }

    /// Returns the message that a report is about, if it is one that was written on the phone: it is known by its
    /// chat and its id at WhatsApp, and whoever reports it can say who wrote it.
    async fn typed(
        &self,
        placement: &Placement,
        report: &MessageReport,
    ) -> Result<Option<About>, IntakeError> {
        let read = |id: &Option<String>| id.as_deref().and_then(ChatId::reported);
        let wa = report.wa_message_id.as_deref().and_then(WaMessageId::parse);
        let (Some(chat), Some(sender), Some(wa_message_id)) =
            (read(&report.chat), read(&report.sender), wa)
        else {
            return Ok(None);
        };
        let chat = Party::new(chat, report.chat_alt.as_deref());
        let [chat] = self.known(placement, [chat]).await?;
        let id = self.typed_id(placement, &chat, &wa_message_id).await?;
        Ok(Some(About {
            id,
            wa_message_id,
            own: Some(OwnMessage {
                chat_id: chat.id().to_owned(),
                sender: Some(sender.to_string()),
            }),
        }))
    }

    /// Returns the message that a report is about, if it is one of this gateway: then the id at WhatsApp derives
    /// from it. One that is not in the log must prove that by naming both, and be so young that retention cannot
    /// have deleted it.
    async fn sent(
        &self,
        placement: &Placement,
        report: &MessageReport,
    ) -> Result<Option<About>, IntakeError> {
        let id = report.message_id.as_deref().and_then(|id| id.parse().ok());
        let Some(id) = id else { return Ok(None) };
        let wa_message_id = self.ids.wa(id);
        let named = report.wa_message_id.as_deref();
        if named.is_some_and(|named| named != wa_message_id.as_str()) {
            return Ok(None);
        }
        let seen = report.occurred_at.unwrap_or(placement.placed_at);
        let may_be_new = named.is_some() && !MessageIds::is_of_the_past(id, seen);
        if !may_be_new && self.log.find(placement.tenant, id).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(About {
            id,
            wa_message_id,
            own: None,
        }))
    }
}

/// The message that a report is about.
struct About {
    id: MessageId,
    wa_message_id: WaMessageId,
    own: Option<OwnMessage>,
}

/// Returns the assignment under which the reporter held the session.
async fn held(
    tx: &mut dyn OrchestrationTx,
    reporter: &Owner,
    incarnation: Option<&str>,
    (session, epoch): (SessionId, Epoch),
) -> Result<Placement, IntakeError> {
    let incarnation = match incarnation {
        None => reporter.incarnation.clone(),
        Some(text) => Incarnation::parse(text).map_err(|_| IntakeError::Invalid {
            field: "incarnation",
            message: "must be 8 to 64 characters of A-Z, a-z, 0-9, - and _",
        })?,
    };
    let placement = tx.placement(session, epoch).await?;
    let named = Owner {
        worker: reporter.worker.clone(),
        incarnation,
    };
    placement
        .filter(|placement| placement.owner == named)
        .ok_or(IntakeError::NotHeld { named: epoch })
}

/// Returns the chat of a message and who wrote it. In a chat of two, whoever wrote what came in is the chat.
fn sides(report: &InboundMessage) -> Result<(Party, Party), IntakeError> {
    let named = chat(&report.chat, "chat")?;
    let mut chat = Party::new(named, report.chat_alt.as_deref());
    let Some(sender) = &report.sender else {
        let sender = chat.clone();
        return Ok((chat, sender));
    };
    let named = self::chat(sender, "sender")?;
    let mut sender = Party::new(named, report.sender_alt.as_deref());
    if !report.from_me && chat.is_person() && sender.is_person() {
        chat.unite(&sender);
        sender.unite(&chat);
    }
    Ok((chat, sender))
}

/// Returns what is kept of a message's content.
fn content(report: InboundMessage) -> Value {
    let mut content = report.content;
    for (key, alternative) in [
        ("chatAlt", report.chat_alt),
        ("senderAlt", report.sender_alt),
    ] {
        if let Some(alternative) = alternative.filter(|id| id.len() <= MAX_CHAT) {
            content.insert(key.to_owned(), Value::from(alternative));
        }
    }
    if cut_texts(content.values_mut()) {
        content.insert("truncated".to_owned(), Value::Bool(true));
    }
    let mut content = Value::Object(content);
    strip_nul(&mut content);
    content
}

/// Shortens the name of a message type to what can be stored, whatever the worker calls it.
fn name(kind: &str) -> String {
    kind.chars().filter(|c| *c != '\0').take(64).collect()
}

fn chat(text: &str, field: &'static str) -> Result<ChatId, IntakeError> {
    let message = "must be a phone number or an id of the form …@…, as WhatsApp names it";
    ChatId::reported(text).ok_or(IntakeError::Invalid { field, message })
}

fn error(value: &Value) -> Option<MessageError> {
    let text = |value: &Value| value.as_str().map(|text| words(&text.replace('\0', "")));
    match value {
        Value::String(_) => Some(MessageError {
            code: text(value)?,
            message: None,
        }),
        Value::Object(fields) => Some(MessageError {
            code: fields.get("code").and_then(text)?,
            message: fields.get("message").and_then(text),
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// Shortens every text that is longer than any of WhatsApp's to [`MAX_REPORTED_TEXT`]. Returns whether there was one.
fn cut_texts<'v>(values: impl Iterator<Item = &'v mut Value>) -> bool {
    let mut cut = false;
    for value in values {
        cut |= match value {
            Value::String(text) if text.len() > MAX_REPORTED_TEXT => {
                text.truncate(text.floor_char_boundary(MAX_REPORTED_TEXT));
                true
            }
            Value::Array(items) => cut_texts(items.iter_mut()),
            Value::Object(fields) => cut_texts(fields.values_mut()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        };
    }
    cut
}

/// Removes U+0000 from all texts and keys, because no store keeps it and a message must not be lost for it.
fn strip_nul(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => *text = text.replace('\0', ""),
        Value::Array(items) => items.iter_mut().for_each(strip_nul),
        Value::Object(fields) => {
            let old = std::mem::take(fields);
            for (key, mut value) in old {
                strip_nul(&mut value);
                fields.insert(key.replace('\0', ""), value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
