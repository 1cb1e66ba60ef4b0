//! A heartbeat in one exchange: the lease is renewed, and what the worker should know comes back.
//!
//! One statement is a transaction of its own, and it runs on a connection that no request can hold. It
//! reads what is held as of its beginning, which is after the worker spoke. Repeating it because a
//! connection has ended counts twice, and a count that grew is all that anybody looks for.

use gateway_core::id::{Epoch, SessionId};
use gateway_core::session::{Owner, Status};
use gateway_core::store::StoreError;
use gateway_core::worker::{Held, HeldPhase, Renewed, WorkerReport, WorkerStatus};
use sqlx::Arguments as _;
use sqlx::FromRow;
use sqlx::postgres::PgArguments;
use sqlx::types::Json;

use super::error::{classify, corrupt};
use super::lanes::Lanes;
use super::tx::Tx;
use super::types::{Count, Id};

/// A renewal waits for the disk, so a few at once share its turn; a thousand workers need no more.
pub(super) const AT_ONCE: usize = 4;

/// Beside [`super::lease`], which renews in the same words.
const RENEW: &str = "WITH renewed AS (UPDATE worker_leases \
     SET renewals = renewals + 1, renewed_at = clock_timestamp(), report = $3 \
     WHERE worker_id = $1 AND incarnation = $2 AND fenced_at IS NULL AND NOT disowned \
       AND EXISTS (SELECT 1 FROM workers AS w WHERE w.id = $1 AND w.incarnation = $2) \
     RETURNING renewals) \
     SELECT w.status AS worker_status, w.max_sessions, w.assigned, s.id, s.epoch, s.status, s.phase \
     FROM renewed CROSS JOIN workers AS w \
     LEFT JOIN sessions AS s ON s.worker_id = $1 AND s.incarnation = $2 \
     WHERE w.id = $1 ORDER BY s.id";

const HELD: &str = "SELECT id, epoch, status, phase FROM sessions \
     WHERE worker_id = $1 AND incarnation = $2 ORDER BY id";

/// A row of [`RENEW`]: the worker in each, and what it holds.
#[derive(FromRow)]
struct RenewedRow {
    worker_status: String,
    max_sessions: Count,
    assigned: Count,
    #[sqlx(flatten)]
    held: HeldRow,
}

#[derive(FromRow)]
struct HeldRow {
    id: Option<Id>,
    epoch: Option<Count>,
    status: Option<String>,
    phase: Option<String>,
}

impl HeldRow {
    /// What is held; nothing in the one row of a worker that holds nothing.
    fn parse(&self) -> Option<Result<Held, StoreError>> {
        let session = SessionId::from_u128(self.id?.0);
        let known = |name: &Option<String>| name.as_deref().and_then(Status::parse);
        let held = || {
            Some(Held {
                session,
                epoch: Epoch(self.epoch?.0),
                status: known(&self.status)?,
                phase: self.phase.as_deref().and_then(HeldPhase::parse)?,
            })
        };
        let why = "a status or phase that nobody knows or that has no owner";
        Some(held().ok_or_else(|| corrupt("sessions", &session, why)))
    }
}

fn held<'a>(rows: impl Iterator<Item = &'a HeldRow>) -> Result<Vec<Held>, StoreError> {
    rows.filter_map(HeldRow::parse).collect()
}

fn arguments(owner: &Owner, report: &WorkerReport) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    let added = arguments
        .add(owner.worker.as_str())
        .and_then(|()| arguments.add(owner.incarnation.as_str()))
        .and_then(|()| arguments.add(Json(report)));
    added.map_err(sqlx::Error::Encode)?;
    Ok(arguments)
}

/// Renews on PostgreSQL; none if the lease is not to be renewed.
pub(super) async fn renew(
    lanes: &Lanes,
    owner: &Owner,
    report: &WorkerReport,
) -> Result<Option<Renewed>, StoreError> {
    let renewing = lanes.all(RENEW, || arguments(owner, report));
    let rows: Vec<RenewedRow> = renewing.await.map_err(classify)?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let bad = |why: String| corrupt("workers", &owner.worker, &why);
    let status = WorkerStatus::parse(&first.worker_status);
    let max_sessions: u32 = first.max_sessions.narrow().map_err(bad)?;
    let assigned: u32 = first.assigned.narrow().map_err(bad)?;
    Ok(Some(Renewed {
        status: status.ok_or_else(|| bad("unknown status".to_owned()))?,
        room: max_sessions.saturating_sub(assigned),
        holds: held(rows.iter().map(|row| &row.held))?,
    }))
}

impl Tx {
    /// What `owner` holds, from few columns.
    pub(super) async fn read_held(&mut self, owner: &Owner) -> Result<Vec<Held>, StoreError> {
        let rows: Vec<HeldRow> = self
            .query(HELD)
            .bind(owner.worker.as_str())
            .bind(owner.incarnation.as_str())
            .all()
            .await?;
        held(rows.iter())
    }
}
