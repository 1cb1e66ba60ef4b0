//! The message that another one is about: a quotation's, or a reaction's.
//!
//! A tenant names it by the gateway's id, which no worker can translate. So it is looked up in the log and named to
//! the worker as WhatsApp does: by its id there, its chat, and who wrote it.

use serde_json::{Map, Value};

use super::log::MessageLog;
use super::person::Party;
use super::send::{SendError, SendRequest};
use super::{Content, Direction, Message, MessageIds, WaMessageId};
use crate::id::{MessageId, SessionId};
use crate::message::LogFull;
use crate::protocol::MessageTarget;

/// The most characters of a quoted text that a worker is told.
const MAX_SHORT_CHARS: usize = 1_024;

/// The field of a send that names the message it answers.
pub(super) const QUOTED: &str = "quotedMessageId";

/// Looks up messages on behalf of one send.
pub(super) struct Targets<'s> {
    pub(super) log: &'s dyn MessageLog,
    pub(super) ids: &'s MessageIds,
    pub(super) request: &'s SendRequest,
    pub(super) session: SessionId,
}

impl Targets<'_> {
    /// Returns the fields of the command that name other messages: `quoted`, `target`. Nothing is read if the send
    /// is about no other message.
    ///
    /// # Errors
    /// There is no such message in the chat, or the log cannot be read.
    pub(super) async fn fields(&self) -> Result<Map<String, Value>, SendError> {
        let mut fields = Map::new();
        if let Some(quoted) = self.request.context.get(QUOTED).and_then(Value::as_str) {
            let found = match quoted.parse() {
                Ok(id) => self.by_id(id).await?,
                Err(_) => self.by_wa(quoted).await?,
            };
            let unknown = SendError::UnknownTarget { field: QUOTED };
            fields.insert("quoted".to_owned(), to_json(&found.ok_or(unknown)?));
        }
        if let Content::Reaction {
            message_id,
            wa_message_id,
            ..
        } = &self.request.content
        {
            let target = self
                .reacted(message_id.as_deref(), wa_message_id.as_deref())
                .await?;
            fields.insert("target".to_owned(), to_json(&target));
        }
        Ok(fields)
    }

    async fn reacted(
        &self,
        id: Option<&str>,
        wa: Option<&str>,
    ) -> Result<MessageTarget, SendError> {
        if let Some(wa) = wa {
            // Not every message that WhatsApp knows is in the log.
            let known = self.by_wa(wa).await?;
            return Ok(known.unwrap_or_else(|| MessageTarget {
                wa_message_id: wa.to_owned(),
                chat: self.request.to.to_string(),
                ..MessageTarget::default()
            }));
        }
        let field = "messageId";
        let id = id.and_then(|id| id.parse().ok());
        let found = match id {
            Some(id) => self.by_id(id).await?,
            None => None,
        };
        found.ok_or(SendError::UnknownTarget { field })
    }

    async fn by_id(&self, id: MessageId) -> Result<Option<MessageTarget>, SendError> {
        let found = self.log.find(self.request.tenant, id).await;
        let found = found.map_err(|_| LogFull)?;
        Ok(found.and_then(|message| self.of(&message)))
    }

    /// Looks for a message by its id at WhatsApp: one that came in at this chat of two, or was written on the phone.
    async fn by_wa(&self, wa: &str) -> Result<Option<MessageTarget>, SendError> {
        let Some(wa) = WaMessageId::parse(wa) else {
            return Ok(None);
        };
        let mut chat = Party::new(self.request.to.clone(), None);
        let of = (self.request.tenant, self.session);
        chat.recall(self.log, of).await.map_err(|_| LogFull)?;
        for form in chat.ids() {
            let came = self.ids.inbound(self.session, form, form, &wa);
            let typed = self.ids.own(self.session, form, &wa);
            for id in [came, typed] {
                if let Some(found) = self.by_id(id).await? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// Names the message as WhatsApp does, if it is one of the chat to which the send goes.
    fn of(&self, message: &Message) -> Option<MessageTarget> {
        let to = self.request.to.as_str();
        let chat = message.chat_id.as_deref()?;
        let wa = message.wa_message_id.as_ref()?;
        let direct = message.person() == Some(chat);
        let alias = message.alias.as_deref();
        let chat_alt = alias.filter(|_| direct);
        if message.session != self.session || (chat != to && chat_alt != Some(to)) {
            return None;
        }
        let from_me = message.direction == Direction::Outbound;
        Some(MessageTarget {
            message_id: Some(message.id),
            wa_message_id: wa.to_string(),
            chat: chat.to_owned(),
            chat_alt: chat_alt.map(str::to_owned),
            sender: message.sender.clone(),
            sender_alt: alias.filter(|_| !from_me).map(str::to_owned),
            from_me: Some(from_me),
            kind: message.kind.clone(),
            text: message.content.as_ref().and_then(short),
        })
    }
}

/// Returns what stands in the frame of a quotation: the text of the message, or what stands for it.
fn short(content: &Value) -> Option<String> {
    let texts = ["text", "caption", "question", "name", "fileName"];
    let text = texts.iter().find_map(|name| content.get(name)?.as_str())?;
    Some(text.chars().take(MAX_SHORT_CHARS).collect())
}

fn to_json(target: &MessageTarget) -> Value {
    // Texts and ids are always JSON.
    serde_json::to_value(target).unwrap_or_default()
}
