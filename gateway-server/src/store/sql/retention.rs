//! Forgetting rows that have grown old.
//!
//! Each statement finds its rows by an index in the order of their age and stops at a number of them. The
//! event log has no index by time, because every send would pay for it: its positions are given in the order
//! of time but for a few seconds, so the oldest are at its beginning.

use async_trait::async_trait;
use gateway_core::id::TenantId;
use gateway_core::retention::{AgedRows, RetentionRepo};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;

use super::tx::Tx;
use super::types::{Count, Id, Time};

/// Removes the aged events of the only shard there is.
const EVENTS: &str = "DELETE FROM events WHERE shard = 0 AND created_at < $1 AND position IN \
     (SELECT position FROM events WHERE shard = 0 ORDER BY position LIMIT $2)";

const REFRESH_TOKENS: &str = "DELETE FROM refresh_tokens WHERE hash IN \
     (SELECT hash FROM refresh_tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";

const LOGINS: &str = "DELETE FROM logins WHERE id IN \
     (SELECT id FROM logins WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";

const AUDIT: &str = "DELETE FROM audit WHERE id IN \
     (SELECT id FROM audit WHERE at < $1 ORDER BY at LIMIT $2)";

const QUOTA_HOURS: &str = "DELETE FROM quota_hours WHERE (tenant_id, hour) IN \
     (SELECT tenant_id, hour FROM quota_hours WHERE hour < $1 ORDER BY hour LIMIT $2)";

/// The lease of a worker's present incarnation stays: it says that the incarnation has ended.
const LEASES: &str = "DELETE FROM worker_leases WHERE (worker_id, incarnation) IN \
     (SELECT l.worker_id, l.incarnation FROM worker_leases AS l WHERE l.fenced_at < $1 \
      AND NOT EXISTS (SELECT 1 FROM workers AS w \
          WHERE w.id = l.worker_id AND w.incarnation = l.incarnation) \
      ORDER BY l.fenced_at LIMIT $2)";

const PLACEMENTS: &str = "DELETE FROM placements WHERE (session_id, epoch) IN \
     (SELECT session_id, epoch FROM placements WHERE ended_at < $1 ORDER BY ended_at LIMIT $2)";

const DELETIONS: &str = "DELETE FROM deletions WHERE (kind, id) IN \
     (SELECT kind, id FROM deletions WHERE deleted_at < $1 ORDER BY deleted_at LIMIT $2)";

const TENANTS: &str = "SELECT id FROM tenants WHERE id > $1 ORDER BY id LIMIT $2";

/// The history goes by when a message was recorded, and the index by when it was written, which is never later.
const MESSAGES: &str = "DELETE FROM messages WHERE tenant_id = $1 AND id IN \
     (SELECT id FROM messages WHERE tenant_id = $1 AND created_at < $2 \
      AND coalesce(occurred_at, created_at) < $2 \
      ORDER BY coalesce(occurred_at, created_at), id LIMIT $3)";

const fn statement(rows: AgedRows) -> &'static str {
    match rows {
        AgedRows::Events => EVENTS,
        AgedRows::RefreshTokens => REFRESH_TOKENS,
        AgedRows::Logins => LOGINS,
        AgedRows::Audit => AUDIT,
        AgedRows::QuotaHours => QUOTA_HOURS,
        AgedRows::Leases => LEASES,
        AgedRows::Placements => PLACEMENTS,
        AgedRows::Deletions => DELETIONS,
    }
}

#[async_trait]
impl RetentionRepo for Tx {
    async fn delete_aged(
        &mut self,
        rows: AgedRows,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.query(statement(rows))
            .bind(Time(before))
            .bind(Count::from(limit))
            .execute()
            .await
    }

    async fn tenants_after(
        &mut self,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<TenantId>, StoreError> {
        let after = after.map_or(0, TenantId::as_u128);
        let query = self.query(TENANTS).bind(Id(after));
        let rows: Vec<(Id,)> = query.bind(Count::from(limit)).all().await?;
        Ok(rows.iter().map(|(id,)| TenantId::from_u128(id.0)).collect())
    }

    async fn delete_messages(
        &mut self,
        tenant: TenantId,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.query(MESSAGES)
            .bind(Id(tenant.as_u128()))
            .bind(Time(before))
            .bind(Count::from(limit))
            .execute()
            .await
    }
}
