//! What the sequencer reads and writes in one step.
//!
//! Everything is set-valued: a step of a thousand events is seven statements. The shard's row is locked
//! for the whole step and skipped when another replica has it, so numbers are given by one at a time.

use std::collections::BTreeMap;

use async_trait::async_trait;
use gateway_core::event::{
    LoggedEvent, NewEvent, OutboxRow, Publication, SequencerRepo, ShardHead, UsageDelta,
};
use gateway_core::id::{Epoch, SessionId, TenantId};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use super::columns::Columns;
use super::error::expect_rows;
use super::event::parse;
use super::tx::{Sql, Tx};
use super::types::{Count, Id, Time};

const LOCK_SHARD: Sql = Sql {
    postgres: "SELECT position FROM sequencer_shards WHERE shard = $1 FOR UPDATE SKIP LOCKED",
    sqlite: "SELECT position FROM sequencer_shards WHERE shard = $1",
};

const MOVE_SHARD: &str = "UPDATE sequencer_shards SET position = $2 WHERE shard = $1";

const OUTBOX: &str = "SELECT row_id, created_at, tenant_id, session_id, epoch, name, data \
     FROM outbox ORDER BY row_id LIMIT $1";

const CONSUME: Sql = Sql {
    postgres: "DELETE FROM outbox WHERE row_id = ANY($1)",
    sqlite: "DELETE FROM outbox WHERE row_id IN (SELECT value->>0 FROM json_each($1))",
};

const HEADS: Sql = Sql {
    postgres: "SELECT session_id, seq FROM session_heads WHERE session_id = ANY($1)",
    sqlite: "SELECT session_id, seq FROM session_heads \
         WHERE session_id IN (SELECT unhex(value->>0) FROM json_each($1))",
};

const MOVE_HEADS: Sql = Sql {
    postgres: "INSERT INTO session_heads (session_id, seq) SELECT * FROM unnest($1, $2) \
         ON CONFLICT (session_id) DO UPDATE SET seq = excluded.seq",
    sqlite: "INSERT INTO session_heads (session_id, seq) \
         SELECT unhex(value->>0), value->>1 FROM json_each($1) WHERE TRUE \
         ON CONFLICT (session_id) DO UPDATE SET seq = excluded.seq",
};

const LOG: Sql = Sql {
    postgres: "INSERT INTO events (shard, position, id, seq, tenant_id, session_id, epoch, \
             created_at, name, data) \
         SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10) AS n",
    sqlite: "INSERT INTO events (shard, position, id, seq, tenant_id, session_id, epoch, \
             created_at, name, data) \
         SELECT $1, value->>0, unhex(value->>1), value->>2, unhex(value->>3), unhex(value->>4), \
             value->>5, value->>6, value->>7, value->>8 \
         FROM json_each($2)",
};

const COUNT_USE: Sql = Sql {
    postgres: "INSERT INTO usage_hours AS u (tenant_id, session_id, hour, sent, failed, received) \
         SELECT * FROM unnest($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (tenant_id, session_id, hour) DO UPDATE SET sent = u.sent + excluded.sent, \
             failed = u.failed + excluded.failed, received = u.received + excluded.received",
    sqlite: "INSERT INTO usage_hours AS u (tenant_id, session_id, hour, sent, failed, received) \
         SELECT unhex(value->>0), unhex(value->>1), value->>2, value->>3, value->>4, value->>5 \
         FROM json_each($1) WHERE TRUE \
         ON CONFLICT (tenant_id, session_id, hour) DO UPDATE SET sent = u.sent + excluded.sent, \
             failed = u.failed + excluded.failed, received = u.received + excluded.received",
};

/// Beside `version`: what the sequencer knows is no reason to repeat a decision.
const NOTE_ACTIVITY: Sql = Sql {
    postgres: "UPDATE sessions AS s SET last_activity_at = n.at \
         FROM unnest($1, $2) AS n (id, at) \
         WHERE s.id = n.id AND (s.last_activity_at IS NULL OR s.last_activity_at < n.at)",
    sqlite: "UPDATE sessions AS s SET last_activity_at = n.at \
         FROM (SELECT unhex(value->>0) AS id, value->>1 AS at FROM json_each($1)) AS n \
         WHERE s.id = n.id AND (s.last_activity_at IS NULL OR s.last_activity_at < n.at)",
};

const USAGE: &str = "SELECT sent, failed, received FROM usage_hours \
     WHERE tenant_id = $1 AND session_id = $2 AND hour = $3";

#[derive(FromRow)]
struct Waiting {
    row_id: i64,
    created_at: Time,
    tenant_id: Option<Id>,
    session_id: Option<Id>,
    epoch: Option<Count>,
    name: String,
    data: Json<Value>,
}

impl TryFrom<Waiting> for OutboxRow {
    type Error = StoreError;

    fn try_from(row: Waiting) -> Result<Self, StoreError> {
        Ok(Self {
            row: row.row_id,
            created_at: row.created_at.0,
            event: NewEvent {
                tenant: row.tenant_id.map(|id| TenantId::from_u128(id.0)),
                session: row.session_id.map(|id| SessionId::from_u128(id.0)),
                epoch: row.epoch.map(|epoch| Epoch(epoch.0)),
                event: parse("outbox", &row.row_id, &row.name, row.data.0)?,
            },
        })
    }
}

fn events(events: &[LoggedEvent]) -> Columns {
    let all = || events.iter();
    Columns::new()
        .counts(all().map(|event| event.position))
        .ids(all().map(|event| event.id.as_u128()))
        .counts(all().map(|event| event.seq))
        .ids(all().map(|event| event.tenant.map(TenantId::as_u128)))
        .ids(all().map(|event| event.session.map(SessionId::as_u128)))
        .counts(all().map(|event| event.epoch.map(|epoch| epoch.0)))
        .times(all().map(|event| event.created_at))
        .texts(all().map(|event| event.event.name()))
        .jsons(all().map(|event| event.event.data()))
}

fn usage(usage: &BTreeMap<(TenantId, SessionId, Timestamp), UsageDelta>) -> Columns {
    let keys = || usage.keys();
    let values = || usage.values();
    Columns::new()
        .ids(keys().map(|(tenant, _, _)| tenant.as_u128()))
        .ids(keys().map(|(_, session, _)| session.as_u128()))
        .times(keys().map(|(_, _, hour)| *hour))
        .counts(values().map(|delta| delta.sent))
        .counts(values().map(|delta| delta.failed))
        .counts(values().map(|delta| delta.received))
}

impl Tx {
    async fn set(&mut self, statement: Sql, columns: Columns) -> Result<u64, StoreError> {
        self.query(statement).columns(columns).execute().await
    }

    async fn note_activity(
        &mut self,
        activity: &BTreeMap<SessionId, Timestamp>,
    ) -> Result<(), StoreError> {
        if activity.is_empty() {
            return Ok(());
        }
        self.lock_sessions(activity.keys().copied()).await?;
        let columns = Columns::new()
            .ids(activity.keys().map(|id| id.as_u128()))
            .times(activity.values().copied());
        self.set(NOTE_ACTIVITY, columns).await.map(drop)
    }
}

#[async_trait]
impl SequencerRepo for Tx {
    async fn lock_shard(&mut self, shard: u16) -> Result<Option<ShardHead>, StoreError> {
        let row: Option<(Count,)> = self
            .query(LOCK_SHARD)
            .bind(Count(shard.into()))
            .optional()
            .await?;
        Ok(row.map(|(Count(position),)| ShardHead { position }))
    }

    async fn outbox(&mut self, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        let rows: Vec<Waiting> = self.query(OUTBOX).bind(Count::from(limit)).all().await?;
        rows.into_iter().map(OutboxRow::try_from).collect()
    }

    async fn session_heads(
        &mut self,
        sessions: &[SessionId],
    ) -> Result<BTreeMap<SessionId, u64>, StoreError> {
        let ids = Columns::new().ids(sessions.iter().map(|id| id.as_u128()));
        let rows: Vec<(Id, Count)> = self.query(HEADS).columns(ids).all().await?;
        let head = |(id, seq): (Id, Count)| (SessionId::from_u128(id.0), seq.0);
        Ok(rows.into_iter().map(head).collect())
    }

    async fn publish(&mut self, shard: u16, publication: &Publication) -> Result<(), StoreError> {
        let rows = Columns::new().numbers(publication.consumed.iter().copied());
        let consumed = self.set(CONSUME, rows).await?;
        expect_rows(consumed, publication.consumed.len())?;
        self.query(LOG)
            .bind(Count(shard.into()))
            .columns(events(&publication.events))
            .execute()
            .await?;
        let heads = Columns::new()
            .ids(publication.session_heads.keys().map(|id| id.as_u128()))
            .counts(publication.session_heads.values().copied());
        self.set(MOVE_HEADS, heads).await?;
        if !publication.usage.is_empty() {
            self.set(COUNT_USE, usage(&publication.usage)).await?;
        }
        self.note_activity(&publication.activity).await?;
        let moved = self
            .query(MOVE_SHARD)
            .bind(Count(shard.into()))
            .bind(Count(publication.head.position))
            .execute()
            .await?;
        expect_rows(moved, 1)
    }

    async fn usage(
        &mut self,
        tenant: TenantId,
        session: SessionId,
        hour: Timestamp,
    ) -> Result<UsageDelta, StoreError> {
        let row: Option<(Count, Count, Count)> = self
            .query(USAGE)
            .bind(Id(tenant.as_u128()))
            .bind(Id(session.as_u128()))
            .bind(Time(hour))
            .optional()
            .await?;
        let delta = |(sent, failed, received): (Count, Count, Count)| UsageDelta {
            sent: sent.0,
            failed: failed.0,
            received: received.0,
        };
        Ok(row.map(delta).unwrap_or_default())
    }
}
