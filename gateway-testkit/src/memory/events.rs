//! Outbox, event log, and what the sequencer writes with them.

use async_trait::async_trait;
use gateway_core::event::{
    ACTIVITY_STEP, EventFilter, EventRepo, LoggedEvent, NewEvent, OutboxRepo, OutboxRow,
    Publication, SequencerRepo, ShardHead, UsageDelta, number,
};
use gateway_core::id::{SessionId, TenantId};
use gateway_core::session::Session;
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;

use super::table::{Halt, Me};
use super::tx::MemoryTx;
use super::world::World;

/// Appends events to the outbox of `me`.
pub(super) fn append(world: &mut World, me: Me, events: &[NewEvent]) -> Result<(), Halt> {
    let created_at = world.now();
    for event in events {
        let row = world.next_outbox_row();
        let event = event.clone();
        let stored = OutboxRow {
            row,
            created_at,
            event,
        };
        world.outbox.put(me, &row, stored)?;
    }
    Ok(())
}

/// Takes every lock that a publication needs, in key order.
fn lock(world: &mut World, me: Me, shard: u16, publication: &Publication) -> Result<(), Halt> {
    world.shards.lock(me, &shard)?;
    for row in &publication.consumed {
        if world.outbox.get(me, row).is_none() {
            return Err(StoreError::Conflict.into());
        }
        world.outbox.lock(me, row)?;
    }
    for session in publication.session_heads.keys() {
        world.session_heads.lock(me, session)?;
    }
    for key in publication.usage.keys() {
        world.usage.lock(me, key)?;
    }
    for session in publication.activity.keys() {
        if world.sessions.get(me, session).is_some() {
            world.sessions.lock(me, session)?;
        }
    }
    Ok(())
}

fn write(world: &mut World, me: Me, shard: u16, publication: &Publication) -> Result<(), Halt> {
    for event in &publication.events {
        let key = (shard, event.position);
        let row = event.clone();
        world.events.put(me, &key, row)?;
    }
    for row in &publication.consumed {
        world.outbox.remove(me, row)?;
    }
    world.shards.put(me, &shard, publication.head)?;
    for (session, seq) in &publication.session_heads {
        world.session_heads.put(me, session, *seq)?;
    }
    for (key, delta) in &publication.usage {
        let stored = world.usage.get(me, key).copied().unwrap_or_default();
        let sum = UsageDelta {
            sent: stored.sent + delta.sent,
            failed: stored.failed + delta.failed,
            received: stored.received + delta.received,
        };
        world.usage.put(me, key, sum)?;
    }
    for (session, at) in &publication.activity {
        let newer = |known: Timestamp| known.plus(ACTIVITY_STEP) <= *at;
        let note = |row: &mut Session| {
            if row.last_activity_at.is_none_or(newer) {
                row.last_activity_at = Some(*at);
            }
        };
        world.sessions.update(me, session, |_| true, note)?;
    }
    Ok(())
}

#[async_trait]
impl OutboxRepo for MemoryTx {
    async fn append_events(&mut self, events: &[NewEvent]) -> Result<(), StoreError> {
        self.run(|world, me| append(world, me, events)).await
    }
}

#[async_trait]
impl EventRepo for MemoryTx {
    async fn events(
        &mut self,
        tenant: TenantId,
        filter: &EventFilter,
        after: u64,
        limit: u32,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        self.run(|world, me| {
            let listed = |row: &LoggedEvent| {
                row.tenant == Some(tenant) && row.position > after && filter.passes(row)
            };
            let rows = world.events.rows(me).map(|(_, row)| row);
            let mut rows: Vec<&LoggedEvent> = rows.filter(|row| listed(row)).collect();
            rows.sort_by_key(|row| row.position);
            Ok(rows.into_iter().take(limit as usize).cloned().collect())
        })
        .await
    }

    async fn newest_position(&mut self, shard: u16) -> Result<u64, StoreError> {
        self.run(|world, me| {
            let head = world.shards.get(me, &shard).copied();
            Ok(head.unwrap_or_default().position)
        })
        .await
    }
}

#[async_trait]
impl SequencerRepo for MemoryTx {
    async fn lock_shard(&mut self, shard: u16) -> Result<Option<ShardHead>, StoreError> {
        self.run(|world, me| {
            if !world.shards.is_free(me, &shard) {
                return Ok(None);
            }
            world.shards.lock(me, &shard)?;
            let head = world.shards.get(me, &shard).copied();
            Ok(Some(head.unwrap_or_default()))
        })
        .await
    }

    async fn outbox(&mut self, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        self.run(|world, me| {
            let rows = world.outbox.rows(me).map(|(_, row)| row.clone());
            Ok(rows.take(limit as usize).collect())
        })
        .await
    }

    async fn publish(&mut self, shard: u16, limit: u32) -> Result<usize, StoreError> {
        let publication = self
            .run(|world, me| {
                let head = world.shards.get(me, &shard).copied().unwrap_or_default();
                let rows = world.outbox.rows(me).map(|(_, row)| row.clone());
                let rows: Vec<OutboxRow> = rows.take(limit as usize).collect();
                let sessions = rows.iter().filter_map(|row| row.event.session);
                let known = |id| Some((id, *world.session_heads.get(me, &id)?));
                let heads = sessions.filter_map(known).collect();
                Ok(number(shard, head, heads, rows))
            })
            .await?;
        self.run(|world, me| {
            lock(world, me, shard, &publication)?;
            write(world, me, shard, &publication)
        })
        .await?;
        Ok(publication.events.len())
    }

    async fn usage(
        &mut self,
        tenant: TenantId,
        session: SessionId,
        hour: Timestamp,
    ) -> Result<UsageDelta, StoreError> {
        self.run(|world, me| {
            let stored = world.usage.get(me, &(tenant, session, hour));
            Ok(stored.copied().unwrap_or_default())
        })
        .await
    }
}
