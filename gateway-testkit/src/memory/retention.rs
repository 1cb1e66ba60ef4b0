//! Forgetting rows that have grown old.

use async_trait::async_trait;
use gateway_core::id::TenantId;
use gateway_core::retention::{AgedRows, RetentionRepo};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;

use super::changes::Changed;
use super::table::{Halt, Me, Table};
use super::tx::MemoryTx;

/// Removes up to `limit` rows whose time is before `before`, older ones first. Returns how many were
/// removed.
fn remove_aged<K: Ord + Clone, R: Clone>(
    table: &mut Table<K, R>,
    me: Me,
    (before, limit): (Timestamp, u32),
    time: impl Fn(&K, &R) -> Option<Timestamp>,
) -> Result<u64, Halt> {
    let rows = table.rows(me);
    let aged = rows.filter_map(|(key, row)| Some((time(key, row)?, key.clone())));
    let mut aged: Vec<_> = aged.filter(|(time, _)| *time < before).collect();
    aged.sort_unstable();
    aged.truncate(limit as usize);
    for (_, key) in &aged {
        table.lock(me, key)?;
    }
    for (_, key) in &aged {
        table.remove(me, key)?;
    }
    Ok(aged.len() as u64)
}

#[async_trait]
impl RetentionRepo for MemoryTx {
    async fn delete_aged(
        &mut self,
        rows: AgedRows,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let bound = (before, limit);
        self.run(|world, me| match rows {
            AgedRows::Events => {
                remove_aged(&mut world.events, me, bound, |_, row| Some(row.created_at))
            }
            AgedRows::RefreshTokens => {
                remove_aged(&mut world.refresh, me, bound, |_, row| Some(row.expires_at))
            }
            AgedRows::Logins => {
                remove_aged(&mut world.logins, me, bound, |_, row| Some(row.expires_at))
            }
            AgedRows::Audit => remove_aged(&mut world.audit, me, bound, |_, row| Some(row.at)),
            AgedRows::QuotaHours => {
                remove_aged(&mut world.quotas, me, bound, |(_, hour), _| Some(*hour))
            }
            AgedRows::Leases => {
                let workers = &world.workers;
                remove_aged(&mut world.leases, me, bound, |owner, row| {
                    let worker = workers.get(me, &owner.worker);
                    let present = worker.and_then(|worker| worker.incarnation.as_ref());
                    row.fenced_at
                        .filter(|_| present != Some(&owner.incarnation))
                })
            }
            AgedRows::Placements => remove_aged(&mut world.placements, me, bound, |_, row| {
                row.ended.as_ref().map(|(at, _)| *at)
            }),
            AgedRows::Deletions => remove_aged(&mut world.changed, me, bound, |row, at| {
                matches!(row, Changed::Gone(_)).then_some(*at)
            }),
        })
        .await
    }

    async fn tenants_after(
        &mut self,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<TenantId>, StoreError> {
        self.run(|world, me| {
            let ids = world.tenants.rows(me).map(|(id, _)| *id);
            let later = ids.filter(|id| after.is_none_or(|after| *id > after));
            Ok(later.take(limit as usize).collect())
        })
        .await
    }

    async fn delete_messages(
        &mut self,
        tenant: TenantId,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.run(|world, me| {
            remove_aged(
                &mut world.messages,
                me,
                (before, limit),
                |(owner, _), row| (*owner == tenant).then_some(row.created_at),
            )
        })
        .await
    }
}
