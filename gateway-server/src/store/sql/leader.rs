//! Who leads which job: one row per job.

use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::ReplicaId;
use gateway_core::leader::{LeaderRepo, LeaderTerm};
use gateway_core::store::StoreError;

use super::tx::Tx;
use super::types::{Count, Id, Time};

/// Times are read before the row is locked, so a wait makes them older: the lease is rather too short, and
/// somebody else's rather too long.
const LEAD: &str = "INSERT INTO leaders (job, holder, term, expires_at) VALUES ($1, $2, 1, $4) \
     ON CONFLICT (job) DO UPDATE SET \
         term = CASE WHEN leaders.holder = excluded.holder THEN leaders.term \
             ELSE leaders.term + 1 END, \
         holder = excluded.holder, expires_at = excluded.expires_at \
     WHERE leaders.holder = excluded.holder OR leaders.expires_at <= $3 \
     RETURNING term";

/// Changes nothing, and locks the row.
const HOLD: &str = "UPDATE leaders SET term = term WHERE job = $1 AND holder = $2 AND term = $3";

const RESIGN: &str =
    "UPDATE leaders SET expires_at = $4 WHERE job = $1 AND holder = $2 AND term = $3";

#[async_trait]
impl LeaderRepo for Tx {
    async fn lead(
        &mut self,
        job: &str,
        holder: ReplicaId,
        lease: Duration,
    ) -> Result<Option<LeaderTerm>, StoreError> {
        let now = self.moment().await?;
        let row: Option<(Count,)> = self
            .query(LEAD)
            .bind(job)
            .bind(Id(holder.as_u128()))
            .bind(Time(now))
            .bind(Time(now.plus(lease)))
            .optional()
            .await?;
        Ok(row.map(|(number,)| LeaderTerm {
            job: job.to_owned(),
            holder,
            number: number.0,
        }))
    }

    async fn hold_term(&mut self, term: &LeaderTerm) -> Result<bool, StoreError> {
        let changed = self
            .query(HOLD)
            .bind(term.job.as_str())
            .bind(Id(term.holder.as_u128()))
            .bind(Count(term.number))
            .execute()
            .await?;
        Ok(changed == 1)
    }

    async fn resign(&mut self, term: &LeaderTerm) -> Result<(), StoreError> {
        let now = self.moment().await?;
        self.query(RESIGN)
            .bind(term.job.as_str())
            .bind(Id(term.holder.as_u128()))
            .bind(Count(term.number))
            .bind(Time(now))
            .execute()
            .await
            .map(drop)
    }
}
