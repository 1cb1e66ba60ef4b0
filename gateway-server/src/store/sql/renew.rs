//! A heartbeat in one statement: the lease is renewed, and what the worker should know comes back.
//!
//! What is held comes as one value: a row for each of a hundred sessions costs more than everything else.

use gateway_core::id::{Epoch, SessionId, WorkerId};
use gateway_core::session::{Owner, Status};
use gateway_core::store::StoreError;
use gateway_core::worker::{HeldPhase, HeldRow, Renewed, WorkerStatus};
use serde::Deserialize;
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::error::corrupt;
use super::lease::renew_lease;
use super::tx::{Sql, Tx};
use super::types::Count;

/// Connections for heartbeats on PostgreSQL. A renewal waits for the disk, so a few at once share its turn; a
/// thousand workers need no more.
pub(super) const CONNECTIONS: u32 = 4;

/// What an owner holds, as one text: an array of id, epoch, status and phase for each.
macro_rules! held {
    (postgres) => {
        "(SELECT coalesce(json_agg(json_build_array(s.id, s.epoch, s.status, s.phase) ORDER BY s.id), '[]') \
         FROM sessions AS s WHERE s.worker_id = $1 AND s.incarnation = $2) AS held"
    };
    (sqlite) => {
        "(SELECT json_group_array(json_array(hex(n.id), n.epoch, n.status, n.phase)) \
         FROM (SELECT id, epoch, status, phase FROM sessions \
             WHERE worker_id = $1 AND incarnation = $2 ORDER BY id) AS n) AS held"
    };
}

/// Renews the lease of `$1` and `$2` with report `$3` for `$4` microseconds.
pub(super) const RENEW: Sql = Sql {
    postgres: concat!(
        "WITH renewed AS (",
        renew_lease!(postgres, "clock_timestamp()"),
        " RETURNING renewals) SELECT w.status, w.max_sessions, w.assigned, ",
        held!(postgres),
        " FROM renewed CROSS JOIN workers AS w WHERE w.id = $1"
    ),
    sqlite: concat!(
        renew_lease!(sqlite, "$5"),
        " RETURNING (SELECT status FROM workers WHERE id = $1) AS status, \
             (SELECT max_sessions FROM workers WHERE id = $1) AS max_sessions, \
             (SELECT assigned FROM workers WHERE id = $1) AS assigned, ",
        held!(sqlite)
    ),
};

const HELD: Sql = Sql {
    postgres: concat!("SELECT ", held!(postgres)),
    sqlite: concat!("SELECT ", held!(sqlite)),
};

/// The one row of [`RENEW`].
#[derive(FromRow)]
pub(super) struct RenewedRow {
    status: String,
    max_sessions: Count,
    assigned: Count,
    held: HeldList,
}

type HeldList = Json<Vec<HeldItem>>;

#[derive(Deserialize)]
struct HeldItem(Uuid, u64, String, Option<String>);

impl HeldItem {
    fn parse(&self) -> Result<HeldRow, StoreError> {
        let Self(id, epoch, status, phase) = self;
        let session = SessionId::from_u128(id.as_u128());
        let held = || {
            Some(HeldRow {
                session,
                epoch: Epoch(*epoch),
                status: Status::parse(status)?,
                phase: phase.as_deref().and_then(HeldPhase::parse)?,
            })
        };
        let why = "a status or phase that nobody knows or that has no owner";
        held().ok_or_else(|| corrupt("sessions", &session, why))
    }
}

fn held(Json(rows): &HeldList) -> Result<Vec<HeldRow>, StoreError> {
    rows.iter().map(HeldItem::parse).collect()
}

impl RenewedRow {
    pub(super) fn parse(self, worker: &WorkerId) -> Result<Renewed, StoreError> {
        let bad = |why: String| corrupt("workers", worker, &why);
        let status = WorkerStatus::parse(&self.status);
        let max_sessions: u32 = self.max_sessions.narrow().map_err(bad)?;
        let assigned: u32 = self.assigned.narrow().map_err(bad)?;
        Ok(Renewed {
            status: status.ok_or_else(|| bad("unknown status".to_owned()))?,
            room: max_sessions.saturating_sub(assigned),
            holds: held(&self.held)?,
        })
    }
}

impl Tx {
    /// What `owner` holds, from few columns.
    pub(super) async fn read_held(&mut self, owner: &Owner) -> Result<Vec<HeldRow>, StoreError> {
        let asking = self
            .query(HELD)
            .bind(owner.worker.as_str())
            .bind(owner.incarnation.as_str());
        let (rows,): (HeldList,) = asking.one().await?;
        held(&rows)
    }
}
