//! One step of the sequencer, inside the database.
//!
//! Everything is set-valued: a step of thousands of events is one statement on PostgreSQL and a handful on
//! SQLite, and no event leaves the database. The shard's row is locked for the whole step and skipped
//! when another replica has it, so numbers are given by one at a time.

use async_trait::async_trait;
use gateway_core::event::{
    ACTIVITY_STEP, EventData, NewEvent, OutboxRow, SequencerRepo, ShardHead, UsageDelta,
};
use gateway_core::id::{Epoch, SessionId, TenantId};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use sqlx::FromRow;
use sqlx::types::Json;

use super::error::corrupt;
use super::tx::{Sql, Tx};
use super::types::{Count, Id, Time};

const LOCK_SHARD: Sql = Sql {
    postgres: "SELECT position FROM sequencer_shards WHERE shard = $1 FOR UPDATE SKIP LOCKED",
    sqlite: "SELECT position FROM sequencer_shards WHERE shard = $1",
};

const OUTBOX: &str = "SELECT row_id, created_at, tenant_id, session_id, epoch, name, version, \
         data, counts FROM outbox ORDER BY row_id LIMIT $1";

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
    version: Count,
    data: Json<EventData>,
    counts: Count,
}

impl TryFrom<Waiting> for OutboxRow {
    type Error = StoreError;

    fn try_from(row: Waiting) -> Result<Self, StoreError> {
        let version = row.version.narrow();
        let version = version.map_err(|why: String| corrupt("outbox", &row.row_id, &why))?;
        Ok(Self {
            row: row.row_id,
            created_at: row.created_at.0,
            event: NewEvent {
                tenant: row.tenant_id.map(|id| TenantId::from_u128(id.0)),
                session: row.session_id.map(|id| SessionId::from_u128(id.0)),
                epoch: row.epoch.map(|epoch| Epoch(epoch.0)),
                name: row.name.into(),
                version,
                data: row.data.0,
                usage: delta(row.counts.0),
            },
        })
    }
}

/// What a message event adds, as the outbox keeps it.
pub(super) const fn counts(delta: UsageDelta) -> u64 {
    delta.sent | delta.failed << 1 | delta.received << 2
}

const fn delta(counts: u64) -> UsageDelta {
    UsageDelta {
        sent: counts & 1,
        failed: counts >> 1 & 1,
        received: counts >> 2,
    }
}

/// Returns [`ACTIVITY_STEP`] in microseconds, the unit of stored durations.
pub(super) fn activity_micros() -> i64 {
    i64::try_from(ACTIVITY_STEP.as_micros()).unwrap_or(i64::MAX)
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
        self.publish_step(shard, limit).await
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
