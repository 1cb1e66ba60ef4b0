//! Rows of leases: one per incarnation, whatever the number of its sessions.
//!
//! A renewal is one conditional update that looks at the worker's row in the same statement: an
//! incarnation that is no longer the newest renews nothing, whoever asks.

use async_trait::async_trait;
use gateway_core::id::{Incarnation, WorkerId};
use gateway_core::session::Owner;
use gateway_core::store::StoreError;
use gateway_core::worker::{
    Death, Evidence, Lease, LeaseRepo, WorkerLoad, WorkerReport, WorkerStatus,
};
use sqlx::FromRow;
use sqlx::types::Json;

use super::error::corrupt;
use super::tx::Tx;
use super::types::{Count, Time};

macro_rules! columns {
    () => {
        "worker_id, incarnation, renewals, renewed_at, granted_at, disowned, fenced_at, report"
    };
}

const INSERT: &str = concat!(
    "INSERT INTO worker_leases (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
);

const BY_OWNER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM worker_leases WHERE worker_id = $1 AND incarnation = $2"
);

const OPEN: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM worker_leases WHERE fenced_at IS NULL ORDER BY worker_id, incarnation"
);

/// Of the leases that are not fenced, those of newest incarnations.
const LOADS: &str = "SELECT l.worker_id, l.incarnation, l.renewals, l.renewed_at, l.granted_at, l.disowned, \
     l.fenced_at, l.report, w.status, w.assigned \
     FROM worker_leases AS l \
     JOIN workers AS w ON w.id = l.worker_id AND w.incarnation = l.incarnation \
     WHERE l.fenced_at IS NULL ORDER BY l.worker_id";

/// Renews the lease of worker `$1` and incarnation `$2` with report `$3`, unless another is newer.
macro_rules! renew_lease {
    ($now:literal) => {
        concat!(
            "UPDATE worker_leases SET renewals = renewals + 1, renewed_at = ",
            $now,
            ", report = $3 \
             WHERE worker_id = $1 AND incarnation = $2 AND fenced_at IS NULL AND NOT disowned \
               AND EXISTS (SELECT 1 FROM workers AS w WHERE w.id = $1 AND w.incarnation = $2)"
        )
    };
}
pub(super) use renew_lease;

const RENEW: &str = concat!(renew_lease!("$4"), " RETURNING renewals");

const DISOWN: &str = "UPDATE worker_leases SET disowned = TRUE \
     WHERE worker_id = $1 AND incarnation = $2";

const FENCE: &str = "UPDATE worker_leases SET fenced_at = $3 \
     WHERE worker_id = $1 AND incarnation = $2 AND fenced_at IS NULL";

const FENCE_SILENT: &str = "UPDATE worker_leases SET fenced_at = $3 \
     WHERE worker_id = $1 AND incarnation = $2 AND fenced_at IS NULL AND renewals = $4";

#[derive(FromRow)]
struct LeaseRow {
    worker_id: String,
    incarnation: String,
    renewals: Count,
    renewed_at: Time,
    granted_at: Time,
    disowned: bool,
    fenced_at: Option<Time>,
    report: Json<WorkerReport>,
}

impl TryFrom<LeaseRow> for Lease {
    type Error = StoreError;

    fn try_from(row: LeaseRow) -> Result<Self, StoreError> {
        let bad = |why: String| corrupt("worker_leases", &row.incarnation, &why);
        let owner = Owner {
            worker: WorkerId::parse(&row.worker_id).map_err(|why| bad(why.to_string()))?,
            incarnation: Incarnation::parse(&row.incarnation)
                .map_err(|why| bad(why.to_string()))?,
        };
        Ok(Self {
            owner,
            renewals: row.renewals.0,
            renewed_at: row.renewed_at.0,
            granted_at: row.granted_at.0,
            disowned: row.disowned,
            fenced_at: row.fenced_at.map(|at| at.0),
            report: row.report.0,
        })
    }
}

#[derive(FromRow)]
struct LoadRow {
    #[sqlx(flatten)]
    lease: LeaseRow,
    status: String,
    assigned: Count,
}

impl TryFrom<LoadRow> for WorkerLoad {
    type Error = StoreError;

    fn try_from(row: LoadRow) -> Result<Self, StoreError> {
        let bad = |why: &str| corrupt("workers", &row.lease.worker_id, why);
        Ok(Self {
            status: WorkerStatus::parse(&row.status).ok_or_else(|| bad("unknown status"))?,
            assigned: row.assigned.narrow().map_err(|why| bad(&why))?,
            lease: Lease::try_from(row.lease)?,
        })
    }
}

impl Tx {
    /// What moves of every living worker without a change of its row.
    pub(super) async fn loads(&mut self) -> Result<Vec<WorkerLoad>, StoreError> {
        let rows: Vec<LoadRow> = self.query(LOADS).all().await?;
        rows.into_iter().map(WorkerLoad::try_from).collect()
    }
}

/// The lease that an outer join of its worker found, or nothing.
#[derive(FromRow)]
pub(super) struct JoinedLease {
    lease_renewals: Option<Count>,
    lease_renewed_at: Option<Time>,
    lease_granted_at: Option<Time>,
    lease_disowned: Option<bool>,
    lease_fenced_at: Option<Time>,
    lease_report: Option<Json<WorkerReport>>,
}

impl JoinedLease {
    /// The lease of `owner`, if there is one.
    pub(super) fn of(self, owner: Owner) -> Option<Lease> {
        Some(Lease {
            owner,
            renewals: self.lease_renewals?.0,
            renewed_at: self.lease_renewed_at?.0,
            granted_at: self.lease_granted_at?.0,
            disowned: self.lease_disowned?,
            fenced_at: self.lease_fenced_at.map(|at| at.0),
            report: self.lease_report?.0,
        })
    }
}

#[async_trait]
impl LeaseRepo for Tx {
    async fn insert_lease(&mut self, lease: &Lease) -> Result<(), StoreError> {
        self.query(INSERT)
            .bind(lease.owner.worker.as_str())
            .bind(lease.owner.incarnation.as_str())
            .bind(Count(lease.renewals))
            .bind(Time(lease.renewed_at))
            .bind(Time(lease.granted_at))
            .bind(lease.disowned)
            .bind(lease.fenced_at.map(Time))
            .bind(Json(&lease.report))
            .execute()
            .await
            .map(drop)
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
        report: &WorkerReport,
    ) -> Result<Option<u64>, StoreError> {
        let now = self.moment().await?;
        let renewed: Option<(Count,)> = self
            .query(RENEW)
            .bind(owner.worker.as_str())
            .bind(owner.incarnation.as_str())
            .bind(Json(report))
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
