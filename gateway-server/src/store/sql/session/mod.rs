//! Rows of sessions, as the orchestrator uses them.
//!
//! Every write of whole rows is set-valued and conditional on `version`: moving a thousand
//! sessions is one statement, and one row that changed meanwhile refuses them all. Claims move `due_at`
//! alone and leave `version` as it is, so a claimer that dies has changed nothing.

mod row;
mod statements;

use std::collections::BTreeMap;

use async_trait::async_trait;
use gateway_core::change::Deleted;
use gateway_core::id::{SessionId, TenantId, WorkerId};
use gateway_core::session::{Inserted, Owner, Session, SessionRepo};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use gateway_core::worker::HeldRow;

use super::columns::Columns;
use super::dialect::Dialect;
use super::error::{corrupt, expect_rows};
use super::person::FORGET;
use super::tx::{Sql, Tx};
use super::types::{Count, Id, Time};
use crate::telemetry::ErrorChain;
use statements as sql;

pub(super) use row::{SESSIONS, SessionRow};

pub(super) fn sessions(rows: Vec<SessionRow>) -> Result<Vec<Session>, StoreError> {
    rows.into_iter().map(Session::try_from).collect()
}

/// Until when a claimed row is left alone: `until`, or its deadline if that comes first.
fn claimed_until(row: &Session, now: Timestamp, until: Timestamp) -> Timestamp {
    row.deadline
        .filter(|deadline| *deadline > now && *deadline < until)
        .unwrap_or(until)
}

/// A number for the lock of a tenant; two tenants that share one only wait for each other.
fn lock_number(tenant: TenantId) -> i64 {
    let [.., high, low] = [
        tenant.as_u128() >> 64,
        tenant.as_u128() & u128::from(u64::MAX),
    ];
    let folded = u64::try_from(high ^ low).unwrap_or(0);
    i64::from_be_bytes(folded.to_be_bytes())
}

impl Tx {
    async fn held(&mut self, statement: Sql, owner: &Owner) -> Result<Vec<Session>, StoreError> {
        let rows = self
            .query(statement)
            .bind(owner.worker.as_str())
            .bind(owner.incarnation.as_str())
            .all()
            .await?;
        sessions(rows)
    }

    pub(super) async fn changed_sessions(
        &mut self,
        since: Timestamp,
    ) -> Result<Vec<(SessionId, u64)>, StoreError> {
        let rows: Vec<(Id, Count)> = self.query(sql::CHANGED).bind(Time(since)).all().await?;
        let named = |(id, version): (Id, Count)| (SessionId::from_u128(id.0), version.0);
        Ok(rows.into_iter().map(named).collect())
    }

    /// Rows by id; one that makes no sense is passed over.
    pub(super) async fn readable_sessions(
        &mut self,
        ids: &[SessionId],
    ) -> Result<Vec<Session>, StoreError> {
        let ids = Columns::new().ids(ids.iter().map(|id| id.as_u128()));
        let rows: Vec<SessionRow> = self.query(sql::BY_IDS).columns(ids).all().await?;
        let readable = rows.into_iter().filter_map(|row| {
            let read = Session::try_from(row);
            if let Err(error) = &read {
                tracing::error!(error = %ErrorChain(error), "a session that changed cannot be read");
            }
            read.ok()
        });
        Ok(readable.collect())
    }

    /// Locks rows in id order; nothing to do where one transaction writes at a time.
    pub(super) async fn lock_sessions(
        &mut self,
        ids: impl Iterator<Item = SessionId>,
    ) -> Result<(), StoreError> {
        let ids = Columns::new().ids(ids.map(SessionId::as_u128));
        let _: Vec<(Id,)> = self.query(sql::LOCK_IN_ORDER).columns(ids).all().await?;
        Ok(())
    }
}

#[async_trait]
impl SessionRepo for Tx {
    async fn session(&mut self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let row: Option<SessionRow> = self
            .query(sql::BY_ID)
            .bind(Id(id.as_u128()))
            .optional()
            .await?;
        row.map(Session::try_from).transpose()
    }

    async fn insert_session(
        &mut self,
        session: &Session,
        limit: Option<u32>,
    ) -> Result<Inserted, StoreError> {
        self.query(sql::LOCK_TENANT)
            .bind(lock_number(session.tenant))
            .execute()
            .await?;
        let (Count(used), Count(named)) = self
            .query(sql::COUNT_OF_TENANT)
            .bind(Id(session.tenant.as_u128()))
            .bind(session.name.as_str())
            .one()
            .await?;
        if named > 0 {
            return Ok(Inserted::NameTaken);
        }
        let used = u32::try_from(used).unwrap_or(u32::MAX);
        if limit.is_some_and(|limit| used >= limit) {
            return Ok(Inserted::LimitReached { used });
        }
        let rows = std::iter::once(session);
        let insert = self.query(sql::INSERT).rows::<SessionRow>(rows).stamp();
        match insert.execute().await? {
            0 => Ok(Inserted::NameTaken),
            _ => Ok(Inserted::Done),
        }
    }

    async fn save_sessions(&mut self, rows: &[Session]) -> Result<(), StoreError> {
        if rows.len() > 1 {
            self.lock_sessions(rows.iter().map(|row| row.id)).await?;
        }
        let save = self.query(sql::SAVE).rows::<SessionRow>(rows.iter());
        let save = save.stamp();
        let changed = save.execute().await?;
        expect_rows(changed, rows.len())
    }

    async fn delete_session(&mut self, id: SessionId, version: u64) -> Result<(), StoreError> {
        let deleted = self
            .query(sql::DELETE)
            .bind(Id(id.as_u128()))
            .bind(Count(version))
            .execute()
            .await?;
        expect_rows(deleted, 1)?;
        let note = self.query(sql::NOTE_ERASURE).bind(Id(id.as_u128()));
        note.stamp().execute().await?;
        let forget = self.query(FORGET).bind(Id(id.as_u128()));
        forget.execute().await?;
        self.remember(&Deleted::Session(id)).await
    }

    async fn sessions_to_erase(
        &mut self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<SessionId>, StoreError> {
        let query = self.query(sql::TO_ERASE).bind(Time(before));
        let rows: Vec<(Id,)> = query.bind(Count::from(limit)).all().await?;
        Ok(rows
            .iter()
            .map(|(id,)| SessionId::from_u128(id.0))
            .collect())
    }

    async fn postpone_erasure(&mut self, id: SessionId) -> Result<(), StoreError> {
        let postponed = self.query(sql::POSTPONE_ERASURE).bind(Id(id.as_u128()));
        postponed.stamp().execute().await.map(drop)
    }

    async fn note_erased(&mut self, id: SessionId) -> Result<(), StoreError> {
        let erased = self.query(sql::ERASED).bind(Id(id.as_u128()));
        erased.execute().await.map(drop)
    }

    async fn claim_due_sessions(
        &mut self,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        let now = self.moment().await?;
        let rows = self
            .query(sql::DUE)
            .bind(Time(now))
            .bind(Count::from(limit))
            .all()
            .await?;
        let (mut claimed, mut moved) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in rows {
            let id = SessionRow::id(&row);
            let until = match Session::try_from(row) {
                Ok(mut row) => {
                    let until = claimed_until(&row, now, until);
                    row.due_at = Some(until);
                    claimed.push(row);
                    until
                }
                // One row that nobody understands must not keep all others from their turn.
                Err(error) => {
                    tracing::error!(error = %ErrorChain(&error), "a session that is due cannot be read");
                    until
                }
            };
            moved.push((id, until));
        }
        let lists = Columns::new()
            .ids(moved.iter().map(|(id, _)| id.as_u128()))
            .times(moved.iter().map(|(_, until)| *until));
        self.query(sql::MOVE_DUE).columns(lists).execute().await?;
        Ok(claimed)
    }

    async fn next_due(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let (due,): (Option<Time>,) = self.query(sql::NEXT_DUE).one().await?;
        Ok(due.map(|at| at.0))
    }

    async fn wake_waiting(&mut self, count: u32) -> Result<u32, StoreError> {
        let now = self.moment().await?;
        if matches!(self.dialect(), Dialect::Postgres) {
            let held = self.query(sql::HOLD_DUE).bind(Time(now));
            let _: Vec<(Id,)> = held.bind(Count::from(count)).all().await?;
        }
        let woken = self
            .query(sql::WAKE)
            .bind(Time(now))
            .bind(Count::from(count))
            .execute()
            .await?;
        Ok(u32::try_from(woken).unwrap_or(u32::MAX))
    }

    async fn lock_sessions_of(&mut self, owner: &Owner) -> Result<Vec<Session>, StoreError> {
        self.held(sql::LOCK_HELD, owner).await
    }

    async fn sessions_of(&mut self, owner: &Owner) -> Result<Vec<Session>, StoreError> {
        self.held(sql::HELD, owner).await
    }

    async fn held_by(&mut self, owner: &Owner) -> Result<Vec<HeldRow>, StoreError> {
        self.read_held(owner).await
    }

    async fn tenant_spread(
        &mut self,
        tenant: TenantId,
    ) -> Result<BTreeMap<WorkerId, u32>, StoreError> {
        let rows: Vec<(String, Count)> = self
            .query(sql::SPREAD)
            .bind(Id(tenant.as_u128()))
            .all()
            .await?;
        rows.into_iter()
            .map(|(worker, count)| {
                let bad = |why: String| corrupt("sessions", &tenant, &why);
                let id = WorkerId::parse(&worker).map_err(|why| bad(why.to_string()))?;
                Ok((id, count.narrow().map_err(bad)?))
            })
            .collect()
    }
}
