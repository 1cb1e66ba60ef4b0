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
use gateway_core::worker::{
    Engine, Lease, Worker, WorkerLoad, WorkerRepo, WorkerStatus, WorkerView,
};

use super::error::expect_rows;
use super::lease::{LEASES, LeaseRow};
use super::table::{Joined, Outer, table};
use super::text::{FOR_UPDATE, sql};
use super::tx::{Sql, Tx};
use super::types::{Count, Time};

table! {
    /// Slots for worker processes.
    WORKERS = "workers";
    WorkerRow of Worker, named |row| row.id.clone();
    columns {
        id: WorkerId = id,
        status: WorkerStatus = status,
        cordoned: bool = cordoned,
        stuck: Option<Incarnation> = stuck,
        endpoint: Option<String> = endpoint,
        incarnation: Option<Incarnation> = incarnation,
        max_sessions: u32 = max_sessions,
        assigned: u32 = assigned,
        version: Option<String> = version,
        environment: Option<String> = environment,
        labels: BTreeMap<String, String> = labels,
        reported_labels: BTreeMap<String, String> = reported_labels,
        protocol_version: u32 = protocol_version,
        engine: Engine = engine,
        join_token_hash: Option<[u8; 32]> = join_token_hash,
        row_version: u64 = row_version,
        created_at: Timestamp = created_at,
        registered_at: Option<Timestamp> = registered_at,
        updated_at: Timestamp = updated_at,
    }
}

const BY_ID: Sql = sql!["SELECT " {WORKERS.columns()} " FROM workers WHERE id = $1"];

const LOCK: Sql = sql!["SELECT " {WORKERS.columns()} " FROM workers WHERE id = $1" {FOR_UPDATE}];

const ALL: Sql = sql!["SELECT " {WORKERS.columns_of("w")} ", " {LEASES.columns_of("l")}
    " FROM workers AS w
    LEFT JOIN worker_leases AS l ON l.worker_id = w.id AND l.incarnation = w.incarnation
    WHERE w.status <> 'REMOVED' ORDER BY w.id"];

const VIEWS_CHANGED: Sql = sql!["SELECT " {WORKERS.columns_of("w")} ", " {LEASES.columns_of("l")}
    " FROM workers AS w
    LEFT JOIN worker_leases AS l ON l.worker_id = w.id AND l.incarnation = w.incarnation
    WHERE w.changed_at >= $1 ORDER BY w.id"];

const BY_ENDPOINT: Sql = sql!["SELECT " {WORKERS.columns()} " FROM workers
    WHERE endpoint = $1 AND status IN ('ACTIVE', 'SUSPECT', 'DRAINING')"];

const CHANGED: Sql = sql!["SELECT " {WORKERS.columns()} " FROM workers WHERE changed_at >= $1"];

const INSERT: Sql = sql!["INSERT INTO workers (" {WORKERS.written()} ", changed_at) VALUES ("
    {WORKERS.parameters()} ", " {WORKERS.now()} ")"];

const SAVE: Sql = sql!["UPDATE workers SET " {WORKERS.set_but(&["id", "assigned"])}
    ", changed_at = " {WORKERS.now()} " WHERE id = " {WORKERS.parameter("id")}
    " AND row_version = " {WORKERS.parameter("row_version")} " - 1"];

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
       AND (stuck IS NULL OR stuck <> $2) AND assigned < max_sessions";

const RELEASE: &str = "UPDATE workers \
     SET assigned = CASE WHEN assigned > $2 THEN assigned - $2 ELSE 0 END WHERE id = $1";

fn view(
    Joined((worker, lease)): Joined<(WorkerRow, Outer<LeaseRow>)>,
) -> Result<WorkerView, StoreError> {
    Ok(WorkerView {
        worker: worker.try_into()?,
        lease: lease.0.map(Lease::try_from).transpose()?,
    })
}

impl Tx {
    pub(super) async fn changed_workers(
        &mut self,
        since: Timestamp,
    ) -> Result<Vec<Worker>, StoreError> {
        let rows: Vec<WorkerRow> = self.query(CHANGED).bind(Time(since)).all().await?;
        rows.into_iter().map(Worker::try_from).collect()
    }

    async fn write_worker(&mut self, sql: Sql, worker: &Worker) -> Result<u64, StoreError> {
        let query = self.query(sql).row::<WorkerRow>(worker);
        query.stamp().execute().await
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
        let rows = self.query(ALL).all().await?;
        rows.into_iter().map(view).collect()
    }

    async fn workers_changed_since(
        &mut self,
        since: Timestamp,
    ) -> Result<Vec<WorkerView>, StoreError> {
        let query = self.query(VIEWS_CHANGED).bind(Time(since));
        let rows = query.all().await?;
        rows.into_iter().map(view).collect()
    }

    async fn worker_loads(&mut self) -> Result<Vec<WorkerLoad>, StoreError> {
        self.loads().await
    }

    async fn worker_at(&mut self, endpoint: &str) -> Result<Option<Worker>, StoreError> {
        let row: Option<WorkerRow> = self.query(BY_ENDPOINT).bind(endpoint).optional().await?;
        row.map(Worker::try_from).transpose()
    }

    async fn insert_worker(&mut self, worker: &Worker) -> Result<(), StoreError> {
        self.write_worker(INSERT, worker).await.map(drop)
    }

    async fn save_worker(&mut self, worker: &Worker) -> Result<(), StoreError> {
        let changed = self.write_worker(SAVE, worker).await?;
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
