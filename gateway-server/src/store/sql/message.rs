//! Rows of messages, read back. The message log writes them, with the same columns.
//!
//! A page is found by its place in the order (time, id) and never by counting, on the index of the session
//! or of all of the tenant. Chats have none: one more index is one more page changed by every message.

use async_trait::async_trait;
use gateway_core::id::{Epoch, MessageId, SessionId, TenantId};
use gateway_core::message::{
    Direction, Message, MessageCursor, MessageError, MessageFilter, MessageRepo, MessageSource,
    MessageStatus, Timeline, WaMessageId,
};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use super::error::corrupt;
use super::tx::Tx;
use super::types::{Count, Id, Time};

/// What a message is read with: every column of `messages`, named `m`, and the other id of the person on the other
/// side.
macro_rules! columns {
    () => {
        concat!(
            "m.tenant_id, m.id, m.session_id, m.direction, m.kind, m.chat_id, m.sender, \
             m.wa_message_id, m.status, m.error_code, m.error_message, m.content, m.body_hash, \
             m.epoch, m.created_at, m.sending_at, m.sent_at, m.delivered_at, m.read_at, \
             m.played_at, m.failed_at, m.source, m.refused_status, m.occurred_at, ",
            alias!()
        )
    };
}

/// The LID of the person whose number stands in the message, or the other way round. There may have been several
/// LIDs of one number; the one that was learnt last counts.
macro_rules! alias {
    () => {
        concat!(
            "coalesce((SELECT p.lid FROM persons AS p WHERE p.tenant_id = m.tenant_id \
             AND p.session_id = m.session_id AND p.phone = ",
            person!(),
            " ORDER BY p.learnt_at DESC, p.lid DESC LIMIT 1), (SELECT p.phone FROM persons AS p \
             WHERE p.tenant_id = m.tenant_id AND p.session_id = m.session_id AND p.lid = ",
            person!(),
            ")) AS alias"
        )
    };
}

macro_rules! person {
    () => {
        "CASE m.direction WHEN 'inbound' THEN m.sender ELSE m.chat_id END"
    };
}

pub(super) use {alias, columns, person};

/// A page of the messages in one place. `$session` is whose persons a chat is looked for with: one session's are
/// looked for once, and not for each message.
macro_rules! page {
    ($place:literal, $session:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM messages AS m WHERE m.tenant_id = $1 AND ",
            $place,
            " AND ($3 IS NULL OR m.chat_id = $3 OR m.chat_id IN (SELECT p.lid FROM persons AS p \
             WHERE p.tenant_id = $1 AND p.session_id = ",
            $session,
            " AND p.phone = $3) OR m.chat_id IN (SELECT p.phone FROM persons AS p \
             WHERE p.tenant_id = $1 AND p.session_id = ",
            $session,
            " AND p.lid = $3)) \
             AND ($4 IS NULL OR m.direction = $4) AND ($5 IS NULL OR m.status = $5) \
             AND ($6 IS NULL OR m.kind = $6) AND coalesce(m.occurred_at, m.created_at) >= $7 \
             AND coalesce(m.occurred_at, m.created_at) < $8 \
             AND (coalesce(m.occurred_at, m.created_at), m.id) < ($9, $10) \
             ORDER BY coalesce(m.occurred_at, m.created_at) DESC, m.id DESC LIMIT $11"
        )
    };
}

const BY_ID: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM messages AS m WHERE m.tenant_id = $1 AND m.id = $2"
);

const OF_TENANT: &str = page!("($2 IS NULL OR m.session_id = $2)", "m.session_id");

const OF_SESSION: &str = page!("m.session_id = $2", "$2");

/// What stands in `source` of what was written on the phone; nothing stands there for all others.
pub(super) const PHONE: &str = MessageSource::Phone.name();

/// A message as it is read.
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
    source: Option<String>,
    refused_status: Option<Count>,
    occurred_at: Option<Time>,
    alias: Option<String>,
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
        let direction = Direction::parse(&self.direction).ok_or("unknown direction")?;
        let source = match (direction, self.source.as_deref()) {
            (Direction::Inbound, _) => None,
            (Direction::Outbound, None) => Some(MessageSource::Api),
            (Direction::Outbound, Some(PHONE)) => Some(MessageSource::Phone),
            (Direction::Outbound, Some(_)) => return Err("unknown source"),
        };
        let refused = self.refused_status.map(|status| u16::try_from(status.0));
        Ok(Message {
            id: MessageId::from_u128(self.id.0),
            tenant: TenantId::from_u128(self.tenant_id.0),
            session: SessionId::from_u128(self.session_id.0),
            direction,
            source,
            kind: self.kind,
            chat_id: self.chat_id,
            sender: self.sender,
            alias: self.alias,
            wa_message_id: match wa {
                Some(parsed) => Some(parsed.ok_or("a malformed WhatsApp id")?),
                None => None,
            },
            status: MessageStatus::parse(&self.status).ok_or("unknown status")?,
            error: self.error_code.map(|code| MessageError { code, message }),
            refused_status: refused.transpose().map_err(|_| "a malformed status")?,
            content: self.content.map(|json| json.0),
            body_hash: hash.transpose().map_err(|_| "a hash of another length")?,
            epoch: Epoch(self.epoch.0),
            occurred_at: self.occurred_at.map(|at| at.0),
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
            written_at: Timestamp::MAX,
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
            .bind(Time(cursor.written_at))
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
        for schema in [
            include_str!("../../../../migrations/sqlite/0001_init.sql"),
            include_str!("../../../../migrations/sqlite/0013_messages.sql"),
            include_str!("../../../../migrations/sqlite/0014_persons.sql"),
        ] {
            let made = sqlx::raw_sql(schema).execute(&mut file).await;
            made.expect("the schema");
        }
        // The index of the tenant would do, too, and look at every message of the tenant.
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {OF_SESSION}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain)
            .fetch_all(&mut file)
            .await
            .expect("a plan");
        let used = plan.iter().any(|step| step.3.contains("messages_session"));
        assert!(used, "{plan:?}");
        let sorted = plan.iter().any(|step| step.3.contains("TEMP B-TREE"));
        assert!(!sorted, "in the order of the index: {plan:?}");
    }
}
