//! Reading messages back. They are written by the message log alone.

use async_trait::async_trait;

use super::{Direction, Message, MessageStatus};
use crate::id::{MessageId, SessionId, TenantId};
use crate::store::StoreError;
use crate::time::Timestamp;

/// Which of a tenant's messages to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Only of this session.
    pub session: Option<SessionId>,
    /// Only of this chat, canonical.
    pub chat_id: Option<String>,
    /// Only this way.
    pub direction: Option<Direction>,
    /// Only with this status.
    pub status: Option<MessageStatus>,
    /// Only of this type.
    pub kind: Option<String>,
    /// Only written at or after.
    pub since: Option<Timestamp>,
    /// Only written before.
    pub until: Option<Timestamp>,
}

/// Where a page of messages ends: the list goes from the newest to the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageCursor {
    /// The last row's time.
    pub created_at: Timestamp,
    /// The last row's id.
    pub id: MessageId,
}

/// A tenant's messages.
#[async_trait]
pub trait MessageRepo: Send {
    /// The tenant's message of that id.
    async fn message(
        &mut self,
        tenant: TenantId,
        id: MessageId,
    ) -> Result<Option<Message>, StoreError>;

    /// The tenant's messages that match, newest first, after the cursor, at most `limit`.
    async fn messages(
        &mut self,
        tenant: TenantId,
        filter: &MessageFilter,
        after: Option<MessageCursor>,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError>;
}
