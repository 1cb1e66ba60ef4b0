//! Reading messages back. They are written by the message log alone.

use async_trait::async_trait;

use super::{Direction, Message, MessageStatus};
use crate::id::{MessageId, SessionId, TenantId};
use crate::store::StoreError;
use crate::time::Timestamp;

/// Which of a tenant's messages to list. A field that is none does not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Only messages of this session.
    pub session: Option<SessionId>,
    /// Only messages of this chat, in canonical form.
    pub chat_id: Option<String>,
    pub direction: Option<Direction>,
    pub status: Option<MessageStatus>,
    /// Only messages of this type.
    pub kind: Option<String>,
    /// Only messages written at or after this time.
    pub since: Option<Timestamp>,
    /// Only messages written before this time.
    pub until: Option<Timestamp>,
}

/// Where a page of messages ends. Lists go from the message that was written last to the
/// one that was written first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageCursor {
    /// When the last message of the page was written, as [`Message::written_at`] says.
    pub written_at: Timestamp,
    /// The id of the last message of the page.
    pub id: MessageId,
}

/// Reads messages. They are written by the message log alone.
#[async_trait]
pub trait MessageRepo: Send {
    /// Returns the tenant's message of that id.
    async fn message(
        &mut self,
        tenant: TenantId,
        id: MessageId,
    ) -> Result<Option<Message>, StoreError>;

    /// Returns the tenant's messages that match, the one written last first, after the cursor, at most `limit`.
    async fn messages(
        &mut self,
        tenant: TenantId,
        filter: &MessageFilter,
        after: Option<MessageCursor>,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError>;
}
