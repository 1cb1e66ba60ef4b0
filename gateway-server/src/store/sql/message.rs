//! Rows of messages, read back. The message log writes them, with the same columns.
//!
//! A page is found by its place in the order (time, id) and never by counting, on the index of the session
//! or of all of the tenant. Chats have none: one more index is one more page changed by every message.

use async_trait::async_trait;
use gateway_core::id::{Epoch, MessageId, SessionId, TenantId};
use gateway_core::message::{
    Direction, Message, MessageCursor, MessageError, MessageFilter, MessageRepo, MessageStatus,
    Timeline, WaMessageId,
};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use super::error::corrupt;
use super::tx::Tx;
use super::types::{Count, Id, Time};

/// Every column of `messages`, in the order of [`MessageRow`].
macro_rules! columns {
    () => {
        "tenant_id, id, session_id, direction, kind, chat_id, sender, wa_message_id, status, \
         error_code, error_message, content, body_hash, epoch, created_at, sending_at, sent_at, \
         delivered_at, read_at, played_at, failed_at"
    };
}

macro_rules! page {
    ($place:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM messages WHERE tenant_id = $1 AND ",
            $place,
            " AND ($4 IS NULL OR direction = $4) AND ($5 IS NULL OR status = $5) \
             AND ($6 IS NULL OR kind = $6) AND created_at >= $7 AND created_at < $8 \
             AND (created_at, id) < ($9, $10) ORDER BY created_at DESC, id DESC LIMIT $11"
        )
    };
}

const BY_ID: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM messages WHERE tenant_id = $1 AND id = $2"
);

const OF_TENANT: &str = page!("($2 IS NULL OR session_id = $2) AND ($3 IS NULL OR chat_id = $3)");

const OF_SESSION: &str = page!("session_id = $2 AND ($3 IS NULL OR chat_id = $3)");

/// A row of `messages`.
#[derive(FromRow)]
pub(crate) struct MessageRow {
    tenant_id: Id,
    id: Id,
    session_id: Id,
    direction: String,
    kind: Option<String>,
    chat_id: Option<String>,
    sender: Option<String>,
    wa_message_id: Option<String>,
    status: String,
    error_code: Option<String>,
    error_message: Option<String>,
    content: Option<Json<Value>>,
    body_hash: Option<Vec<u8>>,
    epoch: Count,
    created_at: Time,
    sending_at: Option<Time>,
    sent_at: Option<Time>,
    delivered_at: Option<Time>,
    read_at: Option<Time>,
    played_at: Option<Time>,
    failed_at: Option<Time>,
}

impl TryFrom<MessageRow> for Message {
    type Error = StoreError;

    fn try_from(row: MessageRow) -> Result<Self, StoreError> {
        let id = MessageId::from_u128(row.id.0);
        row.parse().map_err(|why| corrupt("messages", &id, &why))
    }
}

impl MessageRow {
    fn parse(self) -> Result<Message, &'static str> {
        let wa = self.wa_message_id.as_deref().map(WaMessageId::parse);
        let hash = self.body_hash.map(<[u8; 32]>::try_from);
        let message = self.error_message;
        Ok(Message {
            id: MessageId::from_u128(self.id.0),
            tenant: TenantId::from_u128(self.tenant_id.0),
            session: SessionId::from_u128(self.session_id.0),
            direction: Direction::parse(&self.direction).ok_or("unknown direction")?,
            kind: self.kind,
            chat_id: self.chat_id,
            sender: self.sender,
            wa_message_id: match wa {
                Some(parsed) => Some(parsed.ok_or("a malformed WhatsApp id")?),
                None => None,
            },
            status: MessageStatus::parse(&self.status).ok_or("unknown status")?,
            error: self.error_code.map(|code| MessageError { code, message }),
            content: self.content.map(|json| json.0),
            body_hash: hash.transpose().map_err(|_| "a hash of another length")?,
            epoch: Epoch(self.epoch.0),
            created_at: self.created_at.0,
            timeline: Timeline {
                sending: self.sending_at.map(|at| at.0),
                sent: self.sent_at.map(|at| at.0),
                delivered: self.delivered_at.map(|at| at.0),
                read: self.read_at.map(|at| at.0),
                played: self.played_at.map(|at| at.0),
                failed: self.failed_at.map(|at| at.0),
            },
        })
    }
}

/// Before everything that is stored.
const EARLIEST: Timestamp = Timestamp::from_micros(0);

#[async_trait]
impl MessageRepo for Tx {
    async fn message(
        &mut self,
        tenant: TenantId,
        id: MessageId,
    ) -> Result<Option<Message>, StoreError> {
        let row: Option<MessageRow> = self
            .query(BY_ID)
            .bind(Id(tenant.as_u128()))
            .bind(Id(id.as_u128()))
            .optional()
            .await?;
        row.map(Message::try_from).transpose()
    }

    async fn messages(
        &mut self,
        tenant: TenantId,
        filter: &MessageFilter,
        after: Option<MessageCursor>,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError> {
        let statement = match filter.session {
            Some(_) => OF_SESSION,
            None => OF_TENANT,
        };
        let cursor = after.unwrap_or(MessageCursor {
            created_at: Timestamp::MAX,
            id: MessageId::from_u128(u128::MAX),
        });
        let rows: Vec<MessageRow> = self
            .query(statement)
            .bind(Id(tenant.as_u128()))
            .bind(filter.session.map(|id| Id(id.as_u128())))
            .bind(filter.chat_id.as_deref())
            .bind(filter.direction.map(Direction::name))
            .bind(filter.status.map(MessageStatus::name))
            .bind(filter.kind.as_deref())
            .bind(Time(filter.since.unwrap_or(EARLIEST)))
            .bind(Time(filter.until.unwrap_or(Timestamp::MAX)))
            .bind(Time(cursor.created_at))
            .bind(Id(cursor.id.as_u128()))
            .bind(Count::from(limit))
            .all()
            .await?;
        rows.into_iter().map(Message::try_from).collect()
    }
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqliteConnection;
    use sqlx::{AssertSqlSafe, Connection as _};

    use super::*;

    #[tokio::test]
    async fn a_page_of_a_session_is_read_from_its_own_index() {
        let mut file = SqliteConnection::connect("sqlite::memory:")
            .await
            .expect("a database");
        let schema = include_str!("../../../../migrations/sqlite/0001_init.sql");
        let made = sqlx::raw_sql(schema).execute(&mut file).await;
        made.expect("the schema");
        // The index of the tenant would do, too, and look at every message of the tenant.
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {OF_SESSION}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain)
            .fetch_all(&mut file)
            .await
            .expect("a plan");
        let used = plan.iter().any(|step| step.3.contains("messages_session"));
        assert!(used, "{plan:?}");
    }
}
