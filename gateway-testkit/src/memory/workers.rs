//! Workers. `assigned` is counted by its own writes and survives the saving of the row.

use async_trait::async_trait;
use gateway_core::id::WorkerId;
use gateway_core::session::Owner;
use gateway_core::store::{StoreError, Unique};
use gateway_core::time::Timestamp;
use gateway_core::worker::{Worker, WorkerLoad, WorkerRepo, WorkerStatus, WorkerView};

use super::changes::{Changed, note};
use super::table::{Halt, Me};
use super::tx::MemoryTx;
use super::world::World;

const fn is_up(status: WorkerStatus) -> bool {
    matches!(
        status,
        WorkerStatus::Active | WorkerStatus::Suspect | WorkerStatus::Draining
    )
}

fn check_endpoint(world: &World, me: Me, row: &Worker) -> Result<(), Halt> {
    if row.endpoint.is_none() || !is_up(row.status) {
        return Ok(());
    }
    let same = |other: &Worker| is_up(other.status) && other.endpoint == row.endpoint;
    world
        .workers
        .unique(me, &row.id, same, Unique::WorkerEndpoint)
}

fn view(world: &World, me: Me, row: &Worker) -> WorkerView {
    let lease = row.owner().and_then(|owner| world.leases.get(me, &owner));
    WorkerView {
        worker: row.clone(),
        lease: lease.cloned(),
    }
}

#[async_trait]
impl WorkerRepo for MemoryTx {
    async fn worker(&mut self, id: &WorkerId) -> Result<Option<Worker>, StoreError> {
        self.run(|world, me| {
            world.worker_rows_read += 1;
            Ok(world.workers.get(me, id).cloned())
        })
        .await
    }

    async fn lock_worker(&mut self, id: &WorkerId) -> Result<Option<Worker>, StoreError> {
        self.run(|world, me| {
            if world.workers.get(me, id).is_some() {
                world.workers.lock(me, id)?;
            }
            Ok(world.workers.get(me, id).cloned())
        })
        .await
    }

    async fn workers(&mut self) -> Result<Vec<WorkerView>, StoreError> {
        self.run(|world, me| {
            let known = world
                .workers
                .rows(me)
                .filter(|(_, row)| row.status != WorkerStatus::Removed);
            let views: Vec<_> = known.map(|(_, row)| view(world, me, row)).collect();
            world.worker_rows_read += views.len();
            Ok(views)
        })
        .await
    }

    async fn workers_changed_since(
        &mut self,
        since: Timestamp,
    ) -> Result<Vec<WorkerView>, StoreError> {
        self.run(|world, me| {
            let changed = world.changed.rows(me).filter(|(_, at)| **at >= since);
            let rows = changed.filter_map(|(row, _)| match row {
                Changed::Worker(id) => world.workers.get(me, id),
                _ => None,
            });
            let views: Vec<_> = rows.map(|row| view(world, me, row)).collect();
            world.worker_rows_read += views.len();
            Ok(views)
        })
        .await
    }

    async fn worker_loads(&mut self) -> Result<Vec<WorkerLoad>, StoreError> {
        self.run(|world, me| {
            let load = |row: &Worker| {
                let lease = world.leases.get(me, &row.owner()?)?;
                lease.fenced_at.is_none().then(|| WorkerLoad {
                    status: row.status,
                    assigned: row.assigned,
                    lease: lease.clone(),
                })
            };
            let rows = world.workers.rows(me);
            Ok(rows.filter_map(|(_, row)| load(row)).collect())
        })
        .await
    }

    async fn worker_at(&mut self, endpoint: &str) -> Result<Option<Worker>, StoreError> {
        self.run(|world, me| {
            let there =
                |row: &Worker| is_up(row.status) && row.endpoint.as_deref() == Some(endpoint);
            let mut rows = world.workers.rows(me);
            Ok(rows.find(|(_, row)| there(row)).map(|(_, row)| row.clone()))
        })
        .await
    }

    async fn insert_worker(&mut self, worker: &Worker) -> Result<(), StoreError> {
        self.run(|world, me| {
            check_endpoint(world, me, worker)?;
            let row = worker.clone();
            world
                .workers
                .insert(me, &worker.id, row, Unique::WorkerId)?;
            note(world, me, &Changed::Worker(worker.id.clone()))
        })
        .await
    }

    async fn save_worker(&mut self, worker: &Worker) -> Result<(), StoreError> {
        self.run(|world, me| {
            let current = |row: &Worker| row.row_version + 1 == worker.row_version;
            if !world.workers.get(me, &worker.id).is_some_and(current) {
                return Err(StoreError::Conflict.into());
            }
            world.workers.lock(me, &worker.id)?;
            check_endpoint(world, me, worker)?;
            let replace = |row: &mut Worker| {
                let assigned = row.assigned;
                *row = worker.clone();
                row.assigned = assigned;
            };
            if world.workers.update(me, &worker.id, current, replace)? {
                note(world, me, &Changed::Worker(worker.id.clone()))?;
            }
            Ok(())
        })
        .await
    }

    async fn shift_worker(
        &mut self,
        id: &WorkerId,
        from: WorkerStatus,
        to: WorkerStatus,
    ) -> Result<bool, StoreError> {
        self.run(|world, me| {
            let Some(row) = world.workers.get(me, id).filter(|row| row.status == from) else {
                return Ok(false);
            };
            let row = Worker {
                status: to,
                row_version: row.row_version + 1,
                updated_at: world.now(),
                ..row.clone()
            };
            world.workers.lock(me, id)?;
            check_endpoint(world, me, &row)?;
            world.workers.put(me, id, row)?;
            note(world, me, &Changed::Worker(id.clone()))?;
            Ok(true)
        })
        .await
    }

    async fn reserve_slot(&mut self, owner: &Owner) -> Result<bool, StoreError> {
        self.run(|world, me| {
            let has_room = |row: &Worker| {
                row.incarnation.as_ref() == Some(&owner.incarnation)
                    && row.status == WorkerStatus::Active
                    && !row.is_cordoned()
                    && row.assigned < row.max_sessions
            };
            let take = |row: &mut Worker| row.assigned += 1;
            world.workers.update(me, &owner.worker, has_room, take)
        })
        .await
    }

    async fn release_slots(&mut self, id: &WorkerId, count: u32) -> Result<(), StoreError> {
        self.run(|world, me| {
            let give_back = |row: &mut Worker| row.assigned = row.assigned.saturating_sub(count);
            world.workers.update(me, id, |_| true, give_back)?;
            Ok(())
        })
        .await
    }
}
