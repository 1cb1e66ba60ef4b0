//! What changed and what is gone, and who serves.
//!
//! A database keeps the time of a row's last change in the row; the rows here are values of the domain,
//! so the times stand in a table beside them, written by the same statement under the same locks.

use async_trait::async_trait;
use gateway_core::change::{ChangeRepo, Changes, Deleted, REPLICA_LIFE, ReplicaRepo, UserStanding};
use gateway_core::fill::FillRepo;
use gateway_core::id::{ApiKeyId, ReplicaId, SessionId, TenantId, UserId, WorkerId};
use gateway_core::identity::ApiKey;
use gateway_core::session::Session;
use gateway_core::store::StoreError;
use gateway_core::tenant::TierName;
use gateway_core::time::Timestamp;
use gateway_core::user::User;

use super::table::{Halt, Me, Table};
use super::tx::MemoryTx;
use super::world::World;

/// The row that a time of change belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Changed {
    Tier(TierName),
    Tenant(TenantId),
    User(UserId),
    Key(ApiKeyId),
    Worker(WorkerId),
    Session(SessionId),
    Gone(Deleted),
}

/// Notes that a row, which `me` has locked, changes now.
pub(super) fn note(world: &mut World, me: Me, row: &Changed) -> Result<(), Halt> {
    let now = world.now();
    world.changed.put(me, row, now)
}

/// Notes that a row, which `me` has locked, is gone from now on.
pub(super) fn note_gone(world: &mut World, me: Me, row: Deleted) -> Result<(), Halt> {
    note(world, me, &Changed::Gone(row))
}

fn newest<K: Ord + Clone, R: Clone>(table: &Table<K, R>, me: Me, key: &K) -> Option<R> {
    table.get(me, key).cloned()
}

fn standing(user: &User) -> UserStanding {
    UserStanding {
        user: user.id,
        tenant: user.tenant,
        role: user.role,
        token_generation: user.token_generation,
        version: user.version,
    }
}

fn add(changes: &mut Changes, world: &World, me: Me, row: &Changed) {
    match row {
        Changed::Tier(name) => changes.tiers.extend(newest(&world.tiers, me, name)),
        Changed::Tenant(id) => changes.tenants.extend(newest(&world.tenants, me, id)),
        Changed::User(id) => changes.users.extend(world.users.get(me, id).map(standing)),
        Changed::Key(id) => changes
            .keys
            .extend(newest::<_, ApiKey>(&world.keys, me, id)),
        Changed::Worker(id) => changes.workers.extend(newest(&world.workers, me, id)),
        Changed::Session(id) => {
            let row = world.sessions.get(me, id);
            changes.sessions.extend(row.map(|row| (*id, row.version)));
        }
        Changed::Gone(deleted) => changes.deleted.push(deleted.clone()),
    }
}

#[async_trait]
impl ChangeRepo for MemoryTx {
    async fn changes_since(&mut self, since: Timestamp) -> Result<Changes, StoreError> {
        self.run(|world, me| {
            let mut changes = Changes::default();
            for (row, _) in world.changed.rows(me).filter(|(_, at)| **at >= since) {
                add(&mut changes, world, me, row);
            }
            let logins = world.logins.rows(me).map(|(_, row)| row);
            let ended = logins.filter(|row| row.ended_at.is_some_and(|at| at >= since));
            changes
                .families
                .extend(ended.map(|row| (row.tenant, row.id)));
            changes.families.sort_unstable();
            Ok(changes)
        })
        .await
    }

    async fn sessions_by_id(&mut self, ids: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        self.run(|world, me| {
            let rows = ids.iter().filter_map(|id| world.sessions.get(me, id));
            Ok(rows.cloned().collect())
        })
        .await
    }
}

/// The default methods read step by step: here no exchange costs anything.
impl FillRepo for MemoryTx {}

#[async_trait]
impl ReplicaRepo for MemoryTx {
    async fn renew_replica(&mut self, id: ReplicaId) -> Result<(), StoreError> {
        self.run(|world, me| {
            let now = world.now();
            world.replicas.put(me, &id, now)
        })
        .await
    }

    async fn replicas(&mut self) -> Result<u32, StoreError> {
        self.run(|world, me| {
            let since = world.now().minus(REPLICA_LIFE);
            let rows = world.replicas.rows(me);
            let there = rows.filter(|(_, renewed)| **renewed > since).count();
            Ok(u32::try_from(there).unwrap_or(u32::MAX))
        })
        .await
    }

    async fn remove_replica(&mut self, id: ReplicaId) -> Result<(), StoreError> {
        self.run(|world, me| world.replicas.remove(me, &id)).await
    }
}
