//! The count of requests: one row per tenant and hour.
//!
//! A draw first takes the row, which also makes it, and then adds a chunk to it on the condition that the
//! limit holds. The size of a chunk is the core's rule and is not written a second time in SQL.

use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::TenantId;
use gateway_core::store::StoreError;
use gateway_core::tenant::quota::chunk;
use gateway_core::tenant::{Drawn, QuotaRepo};
use gateway_core::time::Timestamp;

use super::error::expect_rows;
use super::tx::Tx;
use super::types::{Count, Id, Time};

const HOUR: Duration = Duration::from_secs(3600);

/// Makes the row or locks it, and says what is granted so far.
const TAKE: &str = "INSERT INTO quota_hours (tenant_id, hour, granted) VALUES ($1, $2, 0) \
     ON CONFLICT (tenant_id, hour) DO UPDATE SET granted = quota_hours.granted \
     RETURNING granted";

const GRANT: &str = "UPDATE quota_hours SET granted = granted + $3 \
     WHERE tenant_id = $1 AND hour = $2 AND granted + $3 <= $4";

const RETURN: &str = "UPDATE quota_hours \
     SET granted = CASE WHEN granted > $3 THEN granted - $3 ELSE 0 END \
     WHERE tenant_id = $1 AND hour = $2";

#[async_trait]
impl QuotaRepo for Tx {
    async fn draw_quota(
        &mut self,
        tenant: TenantId,
        limit: u64,
        replicas: u32,
        next: bool,
    ) -> Result<Drawn, StoreError> {
        let now = self.clock().await?;
        let ahead = if next { HOUR } else { Duration::ZERO };
        let hour = now.start_of_hour().plus(ahead);
        let (Count(before),) = self
            .query(TAKE)
            .bind(Id(tenant.as_u128()))
            .bind(Time(hour))
            .one()
            .await?;
        let granted = chunk(limit.saturating_sub(before), replicas);
        if granted > 0 {
            let changed = self
                .query(GRANT)
                .bind(Id(tenant.as_u128()))
                .bind(Time(hour))
                .bind(Count(granted))
                .bind(Count(limit))
                .execute()
                .await?;
            expect_rows(changed, 1)?;
        }
        Ok(Drawn {
            hour,
            now,
            granted,
            total: before + granted,
        })
    }

    async fn return_quota(
        &mut self,
        tenant: TenantId,
        hour: Timestamp,
        unused: u64,
    ) -> Result<(), StoreError> {
        self.query(RETURN)
            .bind(Id(tenant.as_u128()))
            .bind(Time(hour))
            .bind(Count(unused))
            .execute()
            .await
            .map(drop)
    }
}
