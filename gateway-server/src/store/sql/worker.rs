//! Rows of workers.
//!
//! `assigned` is counted by conditional updates alone and never written from a value that was read: two
//! replicas that place at the same moment both count.

use std::collections::BTreeMap;

use async_trait::async_trait;
use gateway_core::id::{Incarnation, WorkerId};
use gateway_core::session::Owner;
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use gateway_core::worker::{Engine, Worker, WorkerLoad, WorkerRepo, WorkerStatus, WorkerView};
use sqlx::FromRow;
use sqlx::types::Json;

use super::error::{corrupt, expect_rows};
use super::lease::JoinedLease;
use super::tx::{Sql, Tx};
use super::types::{Count, Time};

macro_rules! columns {
    () => {
        "w.id, w.status, w.cordoned, w.endpoint, w.incarnation, w.max_sessions, w.assigned, \
         w.version, w.environment, w.labels, w.protocol_version, w.engine, w.join_token_hash, \
         w.row_version, w.created_at, w.registered_at, w.updated_at"
    };
}

const BY_ID: &str = concat!("SELECT ", columns!(), " FROM workers AS w WHERE w.id = $1");

const LOCK: Sql = Sql {
    postgres: concat!(
        "SELECT ",
        columns!(),
        " FROM workers AS w WHERE w.id = $1 FOR UPDATE"
    ),
    sqlite: BY_ID,
};

macro_rules! views {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            ", l.renewals AS lease_renewals, l.renewed_at AS lease_renewed_at, \
               l.granted_at AS lease_granted_at, l.disowned AS lease_disowned, \
               l.fenced_at AS lease_fenced_at, l.report AS lease_report \
             FROM workers AS w \
             LEFT JOIN worker_leases AS l \
               ON l.worker_id = w.id AND l.incarnation = w.incarnation \
             WHERE ",
            $condition,
            " ORDER BY w.id"
        )
    };
}

const ALL: &str = views!("w.status <> 'REMOVED'");

const VIEWS_CHANGED: &str = views!("w.changed_at >= $1");

const BY_ENDPOINT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM workers AS w \
     WHERE w.endpoint = $1 AND w.status IN ('ACTIVE', 'SUSPECT', 'DRAINING')"
);

const CHANGED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM workers AS w WHERE w.changed_at >= $1"
);

macro_rules! insert {
    ($now:literal) => {
        concat!(
            "INSERT INTO workers (id, status, cordoned, endpoint, incarnation, max_sessions, \
             version, environment, labels, protocol_version, engine, join_token_hash, \
             row_version, created_at, registered_at, updated_at, assigned, changed_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
             $17, ",
            $now,
            ")"
        )
    };
}

const INSERT: Sql = Sql {
    postgres: insert!("clock_timestamp()"),
    sqlite: insert!("$18"),
};

macro_rules! save {
    ($now:literal) => {
        concat!(
            "UPDATE workers SET status = $2, cordoned = $3, endpoint = $4, incarnation = $5, \
             max_sessions = $6, version = $7, environment = $8, labels = $9, \
             protocol_version = $10, engine = $11, join_token_hash = $12, row_version = $13, \
             created_at = $14, registered_at = $15, updated_at = $16, changed_at = ",
            $now,
            " WHERE id = $1 AND row_version = $13 - 1"
        )
    };
}

const SAVE: Sql = Sql {
    postgres: save!("clock_timestamp()"),
    sqlite: save!("$17"),
};

macro_rules! shift {
    ($now:literal) => {
        concat!(
            "UPDATE workers SET status = $3, row_version = row_version + 1, updated_at = $4, \
             changed_at = ",
            $now,
            " WHERE id = $1 AND status = $2"
        )
    };
}

const SHIFT: Sql = Sql {
    postgres: shift!("clock_timestamp()"),
    sqlite: shift!("$5"),
};

const RESERVE: &str = "UPDATE workers SET assigned = assigned + 1 \
     WHERE id = $1 AND incarnation = $2 AND status = 'ACTIVE' AND NOT cordoned \
       AND assigned < max_sessions";

const RELEASE: &str = "UPDATE workers \
     SET assigned = CASE WHEN assigned > $2 THEN assigned - $2 ELSE 0 END WHERE id = $1";

#[derive(FromRow)]
pub(super) struct WorkerRow {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) cordoned: bool,
    pub(super) endpoint: Option<String>,
    pub(super) incarnation: Option<String>,
    pub(super) max_sessions: Count,
    pub(super) assigned: Count,
    pub(super) version: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) labels: Json<BTreeMap<String, String>>,
    pub(super) protocol_version: Count,
    pub(super) engine: Json<Engine>,
    pub(super) join_token_hash: Option<Vec<u8>>,
    pub(super) row_version: Count,
    pub(super) created_at: Time,
    pub(super) registered_at: Option<Time>,
    pub(super) updated_at: Time,
}

impl TryFrom<WorkerRow> for Worker {
    type Error = StoreError;

    fn try_from(row: WorkerRow) -> Result<Self, StoreError> {
        let id = row.id.clone();
        row.parse().map_err(|why| corrupt("workers", &id, &why))
    }
}

impl WorkerRow {
    fn parse(self) -> Result<Worker, String> {
        let incarnation = self.incarnation.as_deref().map(Incarnation::parse);
        let hash = self.join_token_hash.map(<[u8; 32]>::try_from);
        Ok(Worker {
            id: WorkerId::parse(&self.id).map_err(|why| why.to_string())?,
            status: WorkerStatus::parse(&self.status).ok_or("unknown status")?,
            cordoned: self.cordoned,
            endpoint: self.endpoint,
            incarnation: incarnation.transpose().map_err(|why| why.to_string())?,
            max_sessions: self.max_sessions.narrow()?,
            assigned: self.assigned.narrow()?,
            version: self.version,
            environment: self.environment,
            labels: self.labels.0,
            protocol_version: self.protocol_version.narrow()?,
            engine: self.engine.0,
            join_token_hash: hash.transpose().map_err(|_| "a hash of another length")?,
            row_version: self.row_version.0,
            created_at: self.created_at.0,
            registered_at: self.registered_at.map(|at| at.0),
            updated_at: self.updated_at.0,
        })
    }
}

#[derive(FromRow)]
struct ViewRow {
    #[sqlx(flatten)]
    worker: WorkerRow,
    #[sqlx(flatten)]
    lease: JoinedLease,
}

impl TryFrom<ViewRow> for WorkerView {
    type Error = StoreError;

    fn try_from(row: ViewRow) -> Result<Self, StoreError> {
        let worker = Worker::try_from(row.worker)?;
        let lease = worker.owner().and_then(|owner| row.lease.of(owner));
        Ok(Self { worker, lease })
    }
}

impl Tx {
    pub(super) async fn changed_workers(
        &mut self,
        since: Timestamp,
    ) -> Result<Vec<Worker>, StoreError> {
        let rows: Vec<WorkerRow> = self.query(CHANGED).bind(Time(since)).all().await?;
        rows.into_iter().map(Worker::try_from).collect()
    }

    /// Runs a statement whose first 16 parameters are the columns that both writes share.
    async fn write_worker(
        &mut self,
        sql: Sql,
        worker: &Worker,
        assigned: Option<u32>,
    ) -> Result<u64, StoreError> {
        let query = self
            .query(sql)
            .bind(worker.id.as_str())
            .bind(worker.status.name())
            .bind(worker.cordoned)
            .bind(worker.endpoint.as_deref())
            .bind(worker.incarnation.as_ref().map(Incarnation::as_str))
            .bind(Count::from(worker.max_sessions))
            .bind(worker.version.as_deref())
            .bind(worker.environment.as_deref())
            .bind(Json(&worker.labels))
            .bind(Count::from(worker.protocol_version))
            .bind(Json(&worker.engine))
            .bind(worker.join_token_hash.as_ref().map(<[u8; 32]>::as_slice))
            .bind(Count(worker.row_version))
            .bind(Time(worker.created_at))
            .bind(worker.registered_at.map(Time))
            .bind(Time(worker.updated_at));
        match assigned {
            Some(assigned) => {
                let query = query.bind(Count::from(assigned)).stamp();
                query.execute().await
            }
            None => query.stamp().execute().await,
        }
    }
}

#[async_trait]
impl WorkerRepo for Tx {
    async fn worker(&mut self, id: &WorkerId) -> Result<Option<Worker>, StoreError> {
        let row: Option<WorkerRow> = self.query(BY_ID).bind(id.as_str()).optional().await?;
        row.map(Worker::try_from).transpose()
    }

    async fn lock_worker(&mut self, id: &WorkerId) -> Result<Option<Worker>, StoreError> {
        let row: Option<WorkerRow> = self.query(LOCK).bind(id.as_str()).optional().await?;
        row.map(Worker::try_from).transpose()
    }

    async fn workers(&mut self) -> Result<Vec<WorkerView>, StoreError> {
        let rows: Vec<ViewRow> = self.query(ALL).all().await?;
        rows.into_iter().map(WorkerView::try_from).collect()
    }

    async fn workers_changed_since(
        &mut self,
        since: Timestamp,
    ) -> Result<Vec<WorkerView>, StoreError> {
        let query = self.query(VIEWS_CHANGED).bind(Time(since));
        let rows: Vec<ViewRow> = query.all().await?;
        rows.into_iter().map(WorkerView::try_from).collect()
    }

    async fn worker_loads(&mut self) -> Result<Vec<WorkerLoad>, StoreError> {
        self.loads().await
    }

    async fn worker_at(&mut self, endpoint: &str) -> Result<Option<Worker>, StoreError> {
        let row: Option<WorkerRow> = self.query(BY_ENDPOINT).bind(endpoint).optional().await?;
        row.map(Worker::try_from).transpose()
    }

    async fn insert_worker(&mut self, worker: &Worker) -> Result<(), StoreError> {
        self.write_worker(INSERT, worker, Some(worker.assigned))
            .await
            .map(drop)
    }

    async fn save_worker(&mut self, worker: &Worker) -> Result<(), StoreError> {
        let changed = self.write_worker(SAVE, worker, None).await?;
        expect_rows(changed, 1)
    }

    async fn shift_worker(
        &mut self,
        id: &WorkerId,
        from: WorkerStatus,
        to: WorkerStatus,
    ) -> Result<bool, StoreError> {
        let now = self.moment().await?;
        let changed = self
            .query(SHIFT)
            .bind(id.as_str())
            .bind(from.name())
            .bind(to.name())
            .bind(Time(now))
            .stamp()
            .execute()
            .await?;
        Ok(changed == 1)
    }

    async fn reserve_slot(&mut self, owner: &Owner) -> Result<bool, StoreError> {
        let changed = self
            .query(RESERVE)
            .bind(owner.worker.as_str())
            .bind(owner.incarnation.as_str())
            .execute()
            .await?;
        Ok(changed == 1)
    }

    async fn release_slots(&mut self, id: &WorkerId, count: u32) -> Result<(), StoreError> {
        self.query(RELEASE)
            .bind(id.as_str())
            .bind(Count::from(count))
            .execute()
            .await
            .map(drop)
    }
}
