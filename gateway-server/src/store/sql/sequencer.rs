//! One step of the sequencer, inside the database.
//!
//! Everything is set-valued: a step of thousands of events is one statement on PostgreSQL and a handful on
//! SQLite, and no event leaves the database. The shard's row is locked for the whole step and skipped
//! when another replica has it, so numbers are given by one at a time.

use std::collections::BTreeMap;

use async_trait::async_trait;
use gateway_core::event::{
    ACTIVITY_STEP, NewEvent, OutboxRow, SequencerRepo, ShardHead, UsageDelta,
};
use gateway_core::id::{Epoch, SessionId, TenantId};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use super::columns::Columns;
use super::event::parse;
use super::tx::{Sql, Tx};
use super::types::{Count, Id, Time};

const LOCK_SHARD: Sql = Sql {
    postgres: "SELECT position FROM sequencer_shards WHERE shard = $1 FOR UPDATE SKIP LOCKED",
    sqlite: "SELECT position FROM sequencer_shards WHERE shard = $1",
};

const OUTBOX: &str = "SELECT row_id, created_at, tenant_id, session_id, epoch, name, data \
     FROM outbox ORDER BY row_id LIMIT $1";

const PUBLISH: &str = include_str!("postgres/publish.sql");

/// Nobody knows how long the outbox is when the step is planned, and what is best for a few rows takes
/// seconds for thousands: this transaction joins by hashing and looks rows up in indexes, which costs the
/// same per row whatever their number.
const PLANS: &str = "SELECT set_config('enable_nestloop', 'off', true), \
     set_config('enable_seqscan', 'off', true), \
     set_config('plan_cache_mode', 'force_generic_plan', true)";

/// The last row of a step and how many it has. SQLite has one writer, so no row appears below it.
const STEP: &str = "SELECT max(row_id), count(*) \
     FROM (SELECT row_id FROM outbox ORDER BY row_id LIMIT $1) AS w";

const LOG: &str = "INSERT INTO events (shard, position, seq, tenant_id, session_id, epoch, \
         created_at, name, data) \
     SELECT $1, s.position + row_number() OVER (ORDER BY o.row_id), \
         CASE WHEN o.session_id IS NOT NULL THEN coalesce(h.seq, 0) \
             + row_number() OVER (PARTITION BY o.session_id ORDER BY o.row_id) END, \
         o.tenant_id, o.session_id, o.epoch, o.created_at, o.name, o.data \
     FROM outbox AS o \
     JOIN sequencer_shards AS s ON s.shard = $1 \
     LEFT JOIN session_heads AS h ON h.session_id = o.session_id \
     WHERE o.row_id <= $2";

const MOVE_HEADS: &str = "INSERT INTO session_heads AS h (session_id, seq) \
     SELECT session_id, count(*) FROM outbox \
     WHERE row_id <= $1 AND session_id IS NOT NULL GROUP BY session_id \
     ON CONFLICT (session_id) DO UPDATE SET seq = h.seq + excluded.seq";

const COUNT_USE: &str = "INSERT INTO usage_hours AS u \
         (tenant_id, session_id, hour, sent, failed, received) \
     SELECT tenant_id, session_id, created_at - created_at % 3600000000, \
         sum(counts & 1), sum((counts >> 1) & 1), sum(counts >> 2) \
     FROM outbox WHERE row_id <= $1 AND counts > 0 GROUP BY 1, 2, 3 \
     ON CONFLICT (tenant_id, session_id, hour) DO UPDATE SET sent = u.sent + excluded.sent, \
         failed = u.failed + excluded.failed, received = u.received + excluded.received";

/// Beside `version`: what the sequencer knows is no reason to repeat a decision.
const ACTIVE: &str = "UPDATE sessions AS s SET last_activity_at = n.at \
     FROM (SELECT session_id AS id, max(created_at) AS at FROM outbox \
         WHERE row_id <= $1 AND counts > 0 GROUP BY session_id) AS n \
     WHERE s.id = n.id AND (s.last_activity_at IS NULL OR s.last_activity_at <= n.at - $2)";

const CONSUME: &str = "DELETE FROM outbox WHERE row_id <= $1";

const MOVE_SHARD: &str = "UPDATE sequencer_shards SET position = position + $2 WHERE shard = $1";

/// The same as `ACTIVE` on PostgreSQL, where rows are locked in order first.
const NOTE_ACTIVITY: &str = "UPDATE sessions AS s SET last_activity_at = n.at \
     FROM unnest($1, $2) AS n (id, at) \
     WHERE s.id = n.id AND (s.last_activity_at IS NULL OR s.last_activity_at < n.at)";

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

/// What a message event adds, as the outbox keeps it.
pub(super) const fn counts(delta: UsageDelta) -> u64 {
    delta.sent | delta.failed << 1 | delta.received << 2
}

fn activity_micros() -> i64 {
    i64::try_from(ACTIVITY_STEP.as_micros()).unwrap_or(i64::MAX)
}

impl Tx {
    /// A step on PostgreSQL.
    async fn publish_at_once(&mut self, shard: u16, limit: u32) -> Result<usize, StoreError> {
        self.query(PLANS).execute().await?;
        let rows: Vec<(i64, Option<Id>, Option<Time>)> = self
            .query(PUBLISH)
            .bind(Count(shard.into()))
            .bind(Count::from(limit))
            .bind(activity_micros())
            .all()
            .await?;
        let count = rows.first().map_or(0, |(count, _, _)| *count);
        let behind = rows.into_iter().filter_map(|(_, id, at)| Some((id?, at?)));
        let activity: BTreeMap<SessionId, Timestamp> = behind
            .map(|(id, at)| (SessionId::from_u128(id.0), at.0))
            .collect();
        if !activity.is_empty() {
            self.lock_sessions(activity.keys().copied()).await?;
            let columns = Columns::new()
                .ids(activity.keys().map(|id| id.as_u128()))
                .times(activity.values().copied());
            self.query(NOTE_ACTIVITY).columns(columns).execute().await?;
        }
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// A step on SQLite.
    async fn publish_in_turn(&mut self, shard: u16, limit: u32) -> Result<usize, StoreError> {
        let shard = Count(shard.into());
        let step = self.query(STEP).bind(Count::from(limit));
        let (Some(last), count): (Option<i64>, Count) = step.one().await? else {
            return Ok(0);
        };
        let log = self.query(LOG).bind(shard).bind(last);
        log.execute().await?;
        for statement in [MOVE_HEADS, COUNT_USE] {
            self.query(statement).bind(last).execute().await?;
        }
        let active = self.query(ACTIVE).bind(last).bind(activity_micros());
        active.execute().await?;
        self.query(CONSUME).bind(last).execute().await?;
        let moving = self.query(MOVE_SHARD).bind(shard).bind(count);
        moving.execute().await?;
        Ok(usize::try_from(count.0).unwrap_or_default())
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

    async fn publish(&mut self, shard: u16, limit: u32) -> Result<usize, StoreError> {
        match self.is_postgres() {
            true => self.publish_at_once(shard, limit).await,
            false => self.publish_in_turn(shard, limit).await,
        }
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
