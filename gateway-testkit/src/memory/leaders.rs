//! Who leads which job.

use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::ReplicaId;
use gateway_core::leader::{LeaderRepo, LeaderTerm};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;

use super::tx::MemoryTx;

/// The row of a job: who leads it, in which term, and until when.
#[derive(Clone, Debug)]
pub(super) struct Leader {
    holder: ReplicaId,
    term: u64,
    expires_at: Timestamp,
}

impl Leader {
    fn is_in(&self, term: &LeaderTerm) -> bool {
        self.holder == term.holder && self.term == term.number
    }
}

#[async_trait]
impl LeaderRepo for MemoryTx {
    async fn lead(
        &mut self,
        job: &str,
        holder: ReplicaId,
        lease: Duration,
    ) -> Result<Option<LeaderTerm>, StoreError> {
        let key = job.to_owned();
        self.run(|world, me| {
            let now = world.now();
            world.leaders.lock(me, &key)?;
            let found = world.leaders.get(me, &key);
            let term = match found {
                None => 1,
                Some(found) if found.holder == holder => found.term,
                Some(found) if found.expires_at <= now => found.term + 1,
                Some(_) => return Ok(None),
            };
            let row = Leader {
                holder,
                term,
                expires_at: now.plus(lease),
            };
            world.leaders.put(me, &key, row)?;
            Ok(Some(LeaderTerm {
                job: key.clone(),
                holder,
                number: term,
            }))
        })
        .await
    }

    async fn hold_term(&mut self, term: &LeaderTerm) -> Result<bool, StoreError> {
        self.run(|world, me| {
            let is_current = |row: &Leader| row.is_in(term);
            world.leaders.update(me, &term.job, is_current, |_| ())
        })
        .await
    }

    async fn resign(&mut self, term: &LeaderTerm) -> Result<(), StoreError> {
        self.run(|world, me| {
            let now = world.now();
            let is_current = |row: &Leader| row.is_in(term);
            let end = |row: &mut Leader| row.expires_at = now;
            world.leaders.update(me, &term.job, is_current, end)?;
            Ok(())
        })
        .await
    }
}
