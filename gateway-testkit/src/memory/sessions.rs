//! Sessions as the orchestrator sees them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use gateway_core::change::Deleted;
use gateway_core::id::{SessionId, TenantId, WorkerId};
use gateway_core::session::{Inserted, Owner, Phase, Session, SessionRepo};
use gateway_core::store::{StoreError, Unique};
use gateway_core::time::Timestamp;

use super::changes::{Changed, note, note_gone};
use super::table::{Halt, Me};
use super::tx::MemoryTx;
use super::world::World;

fn same_name<'a>(row: &'a Session) -> impl Fn(&Session) -> bool + 'a {
    |other| other.tenant == row.tenant && other.name == row.name && !other.is_leaving()
}

/// Returns the rank of a row in the order of service: linked sessions first, then higher priority, then
/// older.
fn rank(row: &Session) -> impl Ord + use<> {
    (!row.paired, Reverse(row.priority), row.created_at, row.id)
}

/// Sets `due_at` of one row that is locked or free.
fn set_due(world: &mut World, me: Me, id: SessionId, at: Timestamp) -> Result<bool, Halt> {
    let set = |row: &mut Session| row.due_at = Some(at);
    world.sessions.update(me, &id, |_| true, set)
}

/// The first such rows in `WAITING` with a due time: linked ones first, then by priority and age.
fn first_waiting(
    world: &World,
    me: Me,
    count: u32,
    is_meant: impl Fn(&Session, Timestamp) -> bool,
) -> Vec<SessionId> {
    let waits = |row: &&Session| {
        matches!(row.phase, Phase::Waiting) && row.due_at.is_some_and(|due| is_meant(row, due))
    };
    let rows = world.sessions.rows(me).map(|(_, row)| row);
    let mut waiting: Vec<&Session> = rows.filter(waits).collect();
    waiting.sort_by_key(|row| rank(row));
    let chosen = waiting.into_iter().take(count as usize);
    chosen.map(|row| row.id).collect()
}

fn held_by<'a>(owner: &'a Owner) -> impl Fn(&Session) -> bool + 'a {
    |row| row.owner() == Some(owner)
}

/// The row has no due time although its phase needs one, which the schema of a database refuses: nobody
/// would ever look at it again.
#[derive(Debug, thiserror::Error)]
#[error("{0} has a deadline, a retry or somebody to wait for and must therefore have a due time")]
struct NeverDue(SessionId);

fn check_due(row: &Session) -> Result<(), Halt> {
    let waits = match &row.phase {
        Phase::Waiting | Phase::Starting { .. } | Phase::Stopping { .. } => true,
        Phase::Idle | Phase::Active { .. } | Phase::Parked { .. } => {
            row.deadline.is_some() || row.retry_at.is_some()
        }
    };
    if waits && row.due_at.is_none() {
        return Err(StoreError::Refused(Box::new(NeverDue(row.id))).into());
    }
    Ok(())
}

/// Checks that a changed name is not taken. A name that stays cannot collide: whoever else took it has
/// failed already.
fn check_rename(world: &World, me: Me, row: &Session, batch: &[Session]) -> Result<(), Halt> {
    let stored = world.sessions.get(me, &row.id);
    if row.is_leaving() || stored.is_some_and(|stored| stored.name == row.name) {
        return Ok(());
    }
    let same = same_name(row);
    world
        .sessions
        .unique(me, &row.id, &same, Unique::SessionName)?;
    if batch.iter().any(|other| other.id != row.id && same(other)) {
        return Err(StoreError::Duplicate(Unique::SessionName).into());
    }
    Ok(())
}

#[async_trait]
impl SessionRepo for MemoryTx {
    async fn session(&mut self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.run(|world, me| Ok(world.sessions.get(me, &id).cloned()))
            .await
    }

    async fn insert_session(
        &mut self,
        session: &Session,
        limit: Option<u32>,
    ) -> Result<Inserted, StoreError> {
        self.run(|world, me| {
            world.session_counts.lock(me, &session.tenant)?;
            let same = same_name(session);
            match world
                .sessions
                .unique(me, &session.id, same, Unique::SessionName)
            {
                Err(Halt::Fail(StoreError::Duplicate(_))) => return Ok(Inserted::NameTaken),
                other => other?,
            }
            let rows = world.sessions.rows(me);
            let counted = |row: &Session| row.tenant == session.tenant && !row.is_leaving();
            let used = rows.filter(|(_, row)| counted(row)).count();
            let used = u32::try_from(used).unwrap_or(u32::MAX);
            if limit.is_some_and(|limit| used >= limit) {
                return Ok(Inserted::LimitReached { used });
            }
            check_due(session)?;
            let row = session.clone();
            world
                .sessions
                .insert(me, &session.id, row, Unique::SessionId)?;
            note(world, me, &Changed::Session(session.id))?;
            Ok(Inserted::Done)
        })
        .await
    }

    async fn save_sessions(&mut self, rows: &[Session]) -> Result<(), StoreError> {
        self.run(|world, me| {
            let current = |new: &Session, row: &Session| row.version + 1 == new.version;
            for row in rows {
                let stored = world.sessions.get(me, &row.id);
                if !stored.is_some_and(|stored| current(row, stored)) {
                    return Err(StoreError::Conflict.into());
                }
            }
            let ids: BTreeSet<SessionId> = rows.iter().map(|row| row.id).collect();
            for id in &ids {
                world.sessions.lock(me, id)?;
            }
            for row in rows {
                check_due(row)?;
                check_rename(world, me, row, rows)?;
            }
            for row in rows {
                // The sequencer writes this one beside the version, so an older copy may know less.
                let activity = world
                    .sessions
                    .get(me, &row.id)
                    .and_then(|stored| stored.last_activity_at);
                let mut row = row.clone();
                row.last_activity_at = row.last_activity_at.max(activity);
                let id = row.id;
                world.sessions.put(me, &id, row)?;
                note(world, me, &Changed::Session(id))?;
            }
            Ok(())
        })
        .await
    }

    async fn delete_session(&mut self, id: SessionId, version: u64) -> Result<(), StoreError> {
        self.run(|world, me| {
            let stored = world.sessions.get(me, &id);
            if stored.is_none_or(|row| row.version != version) {
                return Err(StoreError::Conflict.into());
            }
            world.sessions.remove(me, &id)?;
            let persons = world.persons.rows(me).map(|(key, _)| key);
            let persons: Vec<_> = persons.filter(|(of, _)| *of == id).cloned().collect();
            for key in persons {
                world.persons.remove(me, &key)?;
            }
            let now = world.now();
            world.erasures.put(me, &id, now)?;
            note_gone(world, me, Deleted::Session(id))
        })
        .await
    }

    async fn sessions_to_erase(
        &mut self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.run(|world, me| {
            let rows = world.erasures.rows(me).filter(|(_, at)| **at < before);
            let mut found: Vec<_> = rows.map(|(id, at)| (*at, *id)).collect();
            found.sort_unstable();
            Ok(found
                .into_iter()
                .take(limit as usize)
                .map(|(_, id)| id)
                .collect())
        })
        .await
    }

    async fn postpone_erasure(&mut self, id: SessionId) -> Result<(), StoreError> {
        self.run(|world, me| {
            let now = world.now();
            let erasures = &mut world.erasures;
            erasures.update(me, &id, |_| true, |deleted_at| *deleted_at = now)
        })
        .await
        .map(drop)
    }

    async fn note_erased(&mut self, id: SessionId) -> Result<(), StoreError> {
        self.run(|world, me| world.erasures.remove(me, &id)).await
    }

    async fn claim_due_sessions(
        &mut self,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        self.run(|world, me| {
            let now = world.now();
            let mut due: Vec<&Session> = world
                .sessions
                .rows(me)
                .filter(|(id, row)| {
                    row.due_at.is_some_and(|due| due <= now) && world.sessions.is_free(me, id)
                })
                .map(|(_, row)| row)
                .collect();
            due.sort_by_key(|row| (row.due_at, rank(row)));
            let claims: Vec<(SessionId, Timestamp)> = due
                .into_iter()
                .take(limit as usize)
                .map(|row| {
                    let sooner = row.deadline.filter(|at| (now < *at) && (*at < until));
                    (row.id, sooner.unwrap_or(until))
                })
                .collect();
            let mut claimed = Vec::with_capacity(claims.len());
            for (id, at) in claims {
                set_due(world, me, id, at)?;
                claimed.extend(world.sessions.get(me, &id).cloned());
            }
            Ok(claimed)
        })
        .await
    }

    async fn next_due(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.run(|world, me| {
            let rows = world.sessions.rows(me);
            Ok(rows.filter_map(|(_, row)| row.due_at).min())
        })
        .await
    }

    async fn wake_waiting(&mut self, count: u32) -> Result<u32, StoreError> {
        self.run(|world, me| {
            let now = world.now();
            for id in first_waiting(world, me, count, |_, due| due <= now) {
                world.sessions.lock(me, &id)?;
            }
            let sleeping = first_waiting(world, me, count, |row, due| {
                due > now && row.not_before.is_none_or(|at| at <= now)
            });
            // All are locked before the first is changed: whoever has to wait begins the statement again.
            for id in &sleeping {
                world.sessions.lock(me, id)?;
            }
            let wake = |row: &mut Session| {
                row.due_at = Some(now);
                row.version += 1;
            };
            let mut woken = 0;
            for id in &sleeping {
                woken += u32::from(world.sessions.update(me, id, |_| true, wake)?);
            }
            Ok(woken)
        })
        .await
    }

    async fn lock_sessions_of(&mut self, owner: &Owner) -> Result<Vec<Session>, StoreError> {
        let mut seen = None;
        self.run(|world, me| {
            let locked = world.sessions.lock_where(me, &mut seen, held_by(owner))?;
            let rows = locked.iter().filter_map(|id| world.sessions.get(me, id));
            Ok(rows.cloned().collect())
        })
        .await
    }

    async fn sessions_of(&mut self, owner: &Owner) -> Result<Vec<Session>, StoreError> {
        self.run(|world, me| {
            let held = held_by(owner);
            let rows = world.sessions.rows(me).map(|(_, row)| row);
            Ok(rows.filter(|row| held(row)).cloned().collect())
        })
        .await
    }

    async fn tenant_spread(
        &mut self,
        tenant: TenantId,
    ) -> Result<BTreeMap<WorkerId, u32>, StoreError> {
        self.run(|world, me| {
            let mut spread = BTreeMap::new();
            let rows = world.sessions.rows(me).map(|(_, row)| row);
            for owner in rows
                .filter(|row| row.tenant == tenant)
                .filter_map(Session::owner)
            {
                *spread.entry(owner.worker.clone()).or_insert(0) += 1;
            }
            Ok(spread)
        })
        .await
    }
}
