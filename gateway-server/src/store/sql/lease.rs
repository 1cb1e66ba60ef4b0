//! Rows of leases: one per incarnation, whatever the number of its sessions.
//!
//! A renewal is one conditional update that looks at the worker's row in the same statement: an
//! incarnation that is no longer the newest renews nothing, whoever asks.

use std::time::Duration;

use async_trait::async_trait;
use gateway_core::session::Owner;
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use gateway_core::worker::{
    Death, Evidence, Lease, LeaseRepo, WorkerLoad, WorkerReport, WorkerStatus,
};
use sqlx::types::Json;

use super::error::corrupt;
use super::stored::{Stored as _, owner};
use super::table::{Joined, table};
use super::text::sql;
use super::tx::{Sql, Tx};
use super::types::{Count, Time};

table! {
    /// One per run of a worker.
    LEASES = "worker_leases";
    LeaseRow of Lease, named |row| row.incarnation.clone();
    columns {
        worker_id: String => |row| row.owner.worker.as_str(),
        incarnation: String => |row| row.owner.incarnation.as_str(),
        renewals: u64 = renewals,
        renewed_at: Timestamp = renewed_at,
        lasts_micros: Duration = lasts,
        granted_at: Timestamp = granted_at,
        disowned: bool = disowned,
        fenced_at: Option<Timestamp> = fenced_at,
        report: WorkerReport = report,
    }
    read { owner = LeaseRow::owner }
}

const INSERT: Sql = sql!["INSERT INTO worker_leases (" {LEASES.written()} ") VALUES ("
    {LEASES.parameters()} ")"];

const BY_OWNER: Sql = sql!["SELECT " {LEASES.columns()} " FROM worker_leases
    WHERE worker_id = $1 AND incarnation = $2"];

const OPEN: Sql = sql!["SELECT " {LEASES.columns()} " FROM worker_leases
    WHERE fenced_at IS NULL ORDER BY worker_id, incarnation"];

/// Of the leases that are not fenced, those of newest incarnations.
const LOADS: Sql = sql!["SELECT " {LEASES.columns_of("l")} ", w.status, w.assigned
    FROM worker_leases AS l
    JOIN workers AS w ON w.id = l.worker_id AND w.incarnation = l.incarnation
    WHERE l.fenced_at IS NULL ORDER BY l.worker_id"];

/// Renews the lease of worker `$1` and incarnation `$2` with report `$3` for `$4` microseconds, or for what
/// is left of an earlier renewal, if that is longer; does nothing if another incarnation is newer.
macro_rules! renew_lease {
    (postgres, $now:literal) => {
        renew_lease!(
            $now,
            "greatest",
            concat!(
                "(extract(epoch FROM ",
                $now,
                " - renewed_at) * 1000000)::bigint"
            )
        )
    };
    (sqlite, $now:literal) => {
        renew_lease!($now, "max", concat!($now, " - renewed_at"))
    };
    ($now:literal, $greatest:literal, $since:expr) => {
        concat!(
            "UPDATE worker_leases SET renewals = renewals + 1, renewed_at = ",
            $now,
            ", lasts_micros = ",
            $greatest,
            "($4, lasts_micros - ",
            $greatest,
            "(0, ",
            $since,
            ")), report = $3 \
             WHERE worker_id = $1 AND incarnation = $2 AND fenced_at IS NULL AND NOT disowned \
               AND EXISTS (SELECT 1 FROM workers AS w WHERE w.id = $1 AND w.incarnation = $2)"
        )
    };
}
pub(super) use renew_lease;

const RENEW: Sql = Sql {
    postgres: concat!(renew_lease!(postgres, "$5"), " RETURNING renewals"),
    sqlite: concat!(renew_lease!(sqlite, "$5"), " RETURNING renewals"),
};

const DISOWN: &str = "UPDATE worker_leases SET disowned = TRUE \
     WHERE worker_id = $1 AND incarnation = $2";

const FENCE: &str = "UPDATE worker_leases SET fenced_at = $3 \
     WHERE worker_id = $1 AND incarnation = $2 AND fenced_at IS NULL";

const FENCE_SILENT: &str = "UPDATE worker_leases SET fenced_at = $3 \
     WHERE worker_id = $1 AND incarnation = $2 AND fenced_at IS NULL AND renewals = $4";

impl LeaseRow {
    fn owner(&self) -> Result<Owner, String> {
        owner(&self.worker_id, &self.incarnation)
    }
}

fn load(
    Joined((lease, status, assigned)): Joined<(LeaseRow, String, Count)>,
) -> Result<WorkerLoad, StoreError> {
    let bad = |why: String| corrupt("workers", &lease.worker_id, &why);
    Ok(WorkerLoad {
        status: WorkerStatus::read(status).map_err(bad)?,
        assigned: u32::read(assigned).map_err(bad)?,
        lease: lease.try_into()?,
    })
}

impl Tx {
    /// What moves of every living worker without a change of its row.
    pub(super) async fn loads(&mut self) -> Result<Vec<WorkerLoad>, StoreError> {
        let rows = self.query(LOADS).all().await?;
        rows.into_iter().map(load).collect()
    }
}

#[async_trait]
impl LeaseRepo for Tx {
    async fn insert_lease(&mut self, lease: &Lease) -> Result<(), StoreError> {
        let query = self.query(INSERT).row::<LeaseRow>(lease);
        query.execute().await.map(drop)
    }

    async fn lease(&mut self, owner: &Owner) -> Result<Option<Lease>, StoreError> {
        let row: Option<LeaseRow> = self
            .query(BY_OWNER)
            .bind(owner.worker.as_str())
            .bind(owner.incarnation.as_str())
            .optional()
            .await?;
        row.map(Lease::try_from).transpose()
    }

    async fn open_leases(&mut self) -> Result<Vec<Lease>, StoreError> {
        let rows: Vec<LeaseRow> = self.query(OPEN).all().await?;
        rows.into_iter().map(Lease::try_from).collect()
    }

    async fn renew_lease(
        &mut self,
        owner: &Owner,
        lasts: Duration,
        report: &WorkerReport,
    ) -> Result<Option<u64>, StoreError> {
        let now = self.moment().await?;
        let renewed: Option<(Count,)> = self
            .query(RENEW)
            .bind(owner.worker.as_str())
            .bind(owner.incarnation.as_str())
            .bind(Json(report))
            .bind(lasts.write())
            .bind(Time(now))
            .optional()
            .await?;
        Ok(renewed.map(|(Count(renewals),)| renewals))
    }

    async fn disown_lease(&mut self, owner: &Owner) -> Result<(), StoreError> {
        self.query(DISOWN)
            .bind(owner.worker.as_str())
            .bind(owner.incarnation.as_str())
            .execute()
            .await
            .map(drop)
    }

    async fn fence_lease(&mut self, death: &Death) -> Result<bool, StoreError> {
        let now = self.moment().await?;
        let (sql, seen) = match death.evidence() {
            Evidence::Goodbye | Evidence::ProcessGone => (FENCE, None),
            Evidence::Silence { renewals } => (FENCE_SILENT, Some(renewals)),
        };
        let query = self
            .query(sql)
            .bind(death.owner().worker.as_str())
            .bind(death.owner().incarnation.as_str())
            .bind(Time(now));
        let changed = match seen {
            Some(renewals) => query.bind(Count(renewals)).execute().await?,
            None => query.execute().await?,
        };
        Ok(changed == 1)
    }
}
