//! Taking in what workers report about messages: facts.
//!
//! A fact is true whoever owns the session by now. So it is not checked against the present owner but
//! against the history of assignments: it counts if that run of that worker held the session at the epoch
//! it names. What is known of nobody's message is dropped without an error, because the worker would
//! only send it again.

use std::sync::Arc;

use serde_json::Value;

use super::log::{Fact, Inbound, LogError, LogFull, MessageLog, StatusFact};
use super::{ChatId, MessageError, MessageIds, MessageStatus, WaMessageId};
use crate::id::{Epoch, Incarnation, MessageId, SessionId};
use crate::protocol::bounds::words;
use crate::protocol::{InboundMessage, MessageReport};
use crate::session::{Owner, Placement};
use crate::store::{Store, StoreError};

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
        let named = report.incarnation.as_deref();
        let placement = self
            .held(reporter, named, report.session_id, report.epoch)
            .await?;
        let Some(id) = self.own_message(report) else {
            return Ok(Taken::Dropped);
        };
        let fact = StatusFact {
            id,
            tenant: placement.tenant,
            session: report.session_id,
            epoch: report.epoch,
            wa_message_id: self.ids.wa(id),
            status,
            error: report.error.as_ref().and_then(error),
        };
        let place = self.log.reserve()?;
        self.log.record(place, Fact::Status(fact)).await?;
        Ok(Taken::Recorded)
    }

    /// Takes in a message that came in. Repeating it changes nothing.
    ///
    /// # Errors
    /// The reporter did not hold the session, a field cannot be read, or the log or the store failed and
    /// the report must be sent again.
    pub async fn inbound(
        &self,
        reporter: &Owner,
        report: InboundMessage,
    ) -> Result<Taken, IntakeError> {
        let named = report.incarnation.as_deref();
        let placement = self
            .held(reporter, named, report.session_id, report.epoch)
            .await?;
        let chat = chat(&report.chat, "chat")?;
        let sender = match &report.sender {
            Some(sender) => self::chat(sender, "sender")?,
            None => chat.clone(),
        };
        let wa_message_id =
            WaMessageId::parse(&report.wa_message_id).ok_or(IntakeError::Invalid {
                field: "waMessageId",
                message: "must be 1 to 128 printable ASCII characters",
            })?;
        let id = self.ids.inbound(
            report.session_id,
            chat.as_str(),
            sender.as_str(),
            &wa_message_id,
        );
        let mut content = report.content;
        for (key, alternative) in [
            ("chatAlt", report.chat_alt),
            ("senderAlt", report.sender_alt),
        ] {
            if let Some(alternative) = alternative.filter(|id| id.len() <= MAX_CHAT) {
                content.insert(key.to_owned(), Value::from(alternative));
            }
        }
        let mut content = Value::Object(content);
        strip_nul(&mut content);
        let fact = Inbound {
            id,
            tenant: placement.tenant,
            session: report.session_id,
            epoch: report.epoch,
            wa_message_id,
            chat_id: chat.to_string(),
            sender: sender.to_string(),
            kind: report
                .kind
                .map_or_else(|| "unknown".to_owned(), |kind| name(&kind)),
            content,
            offline: report.offline,
        };
        let place = self.log.reserve()?;
        self.log.record(place, Fact::Inbound(fact)).await?;
        Ok(Taken::Recorded)
    }

    async fn held(
        &self,
        reporter: &Owner,
        incarnation: Option<&str>,
        session: SessionId,
        epoch: Epoch,
    ) -> Result<Placement, IntakeError> {
        let incarnation = match incarnation {
            None => reporter.incarnation.clone(),
            Some(text) => Incarnation::parse(text).map_err(|_| IntakeError::Invalid {
                field: "incarnation",
                message: "must be 8 to 64 characters of A-Z, a-z, 0-9, - and _",
            })?,
        };
        let placement = self.store.read().await?.placement(session, epoch).await?;
        let named = Owner {
            worker: reporter.worker.clone(),
            incarnation,
        };
        placement
            .filter(|placement| placement.owner == named)
            .ok_or(IntakeError::NotHeld { named: epoch })
    }

    /// Returns the message that a report names, if it is one of this gateway: then the id at WhatsApp
    /// derives from it.
    fn own_message(&self, report: &MessageReport) -> Option<MessageId> {
        let id: MessageId = report.message_id.as_deref()?.parse().ok()?;
        let derived = self.ids.wa(id);
        let fits = report
            .wa_message_id
            .as_deref()
            .is_none_or(|wa| wa == derived.as_str());
        fits.then_some(id)
    }
}

/// Shortens the name of a message type to what can be stored, whatever the worker calls it.
fn name(kind: &str) -> String {
    kind.chars().filter(|c| *c != '\0').take(64).collect()
}

fn chat(text: &str, field: &'static str) -> Result<ChatId, IntakeError> {
    let message = "must be a phone number or an id that ends in @s.whatsapp.net, @g.us, @lid …";
    text.parse()
        .map_err(|_| IntakeError::Invalid { field, message })
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
