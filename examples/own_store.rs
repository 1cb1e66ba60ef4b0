//! A store of one's own: everything that an orchestrator asks of a database, over maps behind a mutex.
//!
//! It is as simple as a right one can be. Transactions that write take turns: each works on a copy of all rows, and
//! its commit puts the copy in their place. Readers look at what is committed. A database does the same with less
//! copying; what each method must do is said at the traits, and tested by the suite that `main` runs.
//!
//! Run with `cargo run -p gateway-examples --example own_store`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::audit::{AuditEntry, AuditRepo};
use gateway_core::event::{NewEvent, OutboxRepo};
use gateway_core::id::{Epoch, SessionId, TenantId, WorkerId};
use gateway_core::session::{
    Inserted, Owner, Phase, Placement, PlacementRepo, Session, SessionRepo,
};
use gateway_core::store::{OrchestrationTx, Store, StoreError, Unique};
use gateway_core::time::{Clock, Timestamp};
use gateway_core::worker::{
    Death, Evidence, Lease, LeaseRepo, Worker, WorkerLoad, WorkerRepo, WorkerReport, WorkerStatus,
    WorkerView,
};
use gateway_testkit::clock::ManualClock;
use gateway_testkit::conformance::{
    Absent, Backend, Failure, Need, ORCHESTRATION_STORE, OrchestrationUnderTest, trials,
};
use tokio::sync::OwnedMutexGuard;

/// What a statement returns.
type Outcome<T> = Result<T, StoreError>;

/// All rows.
#[derive(Clone, Debug, Default)]
struct Rows {
    workers: BTreeMap<WorkerId, Worker>,
    /// When each worker's row last changed.
    changed: BTreeMap<WorkerId, Timestamp>,
    leases: BTreeMap<Owner, Lease>,
    sessions: BTreeMap<SessionId, Session>,
    /// Deleted sessions that are still to be erased, with the time of their deletion.
    to_erase: BTreeMap<SessionId, Timestamp>,
    placements: BTreeMap<(SessionId, Epoch), Placement>,
    /// What happened, for whoever publishes it.
    outbox: Vec<NewEvent>,
    audit: Vec<AuditEntry>,
}

/// The store. Clones share their rows.
#[derive(Clone, Debug)]
struct OwnStore {
    clock: Arc<dyn Clock>,
    committed: Arc<Mutex<Rows>>,
    /// Held by the transaction that may write.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl OwnStore {
    fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            committed: Arc::default(),
            turn: Arc::default(),
        }
    }

    fn committed(&self) -> MutexGuard<'_, Rows> {
        self.committed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for OwnStore {
    async fn begin(&self) -> Outcome<Box<dyn OrchestrationTx>> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let rows = self.committed().clone();
        let store = self.clone();
        let draft = Some(Draft { rows, _turn: turn });
        Ok(Box::new(OwnTx { store, draft }))
    }

    async fn read(&self) -> Outcome<Box<dyn OrchestrationTx>> {
        let store = self.clone();
        Ok(Box::new(OwnTx { store, draft: None }))
    }
}

/// A transaction, or a reader. Dropping it leaves nothing behind.
#[derive(Debug)]
struct OwnTx {
    store: OwnStore,
    /// What a transaction has changed; a reader has none.
    draft: Option<Draft>,
}

#[derive(Debug)]
struct Draft {
    rows: Rows,
    _turn: OwnedMutexGuard<()>,
}

impl OwnTx {
    fn look<T>(&self, look: impl FnOnce(&Rows) -> T) -> T {
        match &self.draft {
            Some(draft) => look(&draft.rows),
            None => look(&self.store.committed()),
        }
    }

    fn edit<T>(&mut self, edit: impl FnOnce(&mut Rows, Timestamp) -> T) -> Outcome<T> {
        let now = self.store.clock.now();
        let refused = || StoreError::Refused("a reader was asked to write".into());
        let draft = self.draft.as_mut().ok_or_else(refused)?;
        Ok(edit(&mut draft.rows, now))
    }
}

#[async_trait]
impl OrchestrationTx for OwnTx {
    async fn now(&mut self) -> Outcome<Timestamp> {
        Ok(self.store.clock.now())
    }

    async fn commit(mut self: Box<Self>) -> Outcome<()> {
        if let Some(draft) = self.draft.take() {
            *self.store.committed() = draft.rows;
        }
        Ok(())
    }
}

fn insert<K: Ord, V>(rows: &mut BTreeMap<K, V>, key: K, row: V, taken: Unique) -> Outcome<()> {
    if rows.contains_key(&key) {
        return Err(StoreError::Duplicate(taken));
    }
    rows.insert(key, row);
    Ok(())
}

fn is_up(worker: &Worker) -> bool {
    use WorkerStatus::{Active, Draining, Suspect};
    matches!(worker.status, Active | Suspect | Draining)
}

impl Rows {
    fn view(&self, worker: &Worker) -> WorkerView {
        let lease = worker.owner().and_then(|owner| self.leases.get(&owner));
        WorkerView {
            worker: worker.clone(),
            lease: lease.cloned(),
        }
    }

    /// Two workers that are up cannot have one address.
    fn check_endpoint(&self, new: &Worker) -> Outcome<()> {
        let clashes =
            |other: &Worker| other.id != new.id && is_up(other) && other.endpoint == new.endpoint;
        if new.endpoint.is_some() && is_up(new) && self.workers.values().any(clashes) {
            return Err(StoreError::Duplicate(Unique::WorkerEndpoint));
        }
        Ok(())
    }

    fn put_worker(&mut self, worker: Worker, now: Timestamp) -> Outcome<()> {
        self.check_endpoint(&worker)?;
        self.changed.insert(worker.id.clone(), now);
        self.workers.insert(worker.id.clone(), worker);
        Ok(())
    }
}

#[async_trait]
impl WorkerRepo for OwnTx {
    async fn worker(&mut self, id: &WorkerId) -> Outcome<Option<Worker>> {
        Ok(self.look(|rows| rows.workers.get(id).cloned()))
    }

    /// The whole store is locked already.
    async fn lock_worker(&mut self, id: &WorkerId) -> Outcome<Option<Worker>> {
        self.worker(id).await
    }

    async fn workers(&mut self) -> Outcome<Vec<WorkerView>> {
        Ok(self.look(|rows| {
            let known = rows.workers.values();
            let known = known.filter(|worker| worker.status != WorkerStatus::Removed);
            known.map(|worker| rows.view(worker)).collect()
        }))
    }

    async fn workers_changed_since(&mut self, since: Timestamp) -> Outcome<Vec<WorkerView>> {
        Ok(self.look(|rows| {
            let changed = rows.workers.values();
            let changed = changed.filter(|worker| rows.changed[&worker.id] >= since);
            changed.map(|worker| rows.view(worker)).collect()
        }))
    }

    async fn worker_loads(&mut self) -> Outcome<Vec<WorkerLoad>> {
        let load = |rows: &Rows, worker: &Worker| {
            let lease = rows.leases.get(&worker.owner()?)?;
            lease.fenced_at.is_none().then(|| WorkerLoad {
                status: worker.status,
                assigned: worker.assigned,
                lease: lease.clone(),
            })
        };
        Ok(self.look(|rows| {
            let workers = rows.workers.values();
            workers.filter_map(|worker| load(rows, worker)).collect()
        }))
    }

    async fn worker_at(&mut self, endpoint: &str) -> Outcome<Option<Worker>> {
        let is_there = |row: &&Worker| is_up(row) && row.endpoint.as_deref() == Some(endpoint);
        Ok(self.look(|rows| rows.workers.values().find(is_there).cloned()))
    }

    async fn insert_worker(&mut self, worker: &Worker) -> Outcome<()> {
        self.edit(|rows, now| {
            if rows.workers.contains_key(&worker.id) {
                return Err(StoreError::Duplicate(Unique::WorkerId));
            }
            rows.put_worker(worker.clone(), now)
        })?
    }

    async fn save_worker(&mut self, worker: &Worker) -> Outcome<()> {
        self.edit(|rows, now| {
            let stored = rows.workers.get(&worker.id);
            let stored = stored.filter(|stored| stored.row_version + 1 == worker.row_version);
            // Places are counted by `reserve_slot` and `release_slots` alone.
            let assigned = stored.ok_or(StoreError::Conflict)?.assigned;
            let worker = Worker {
                assigned,
                ..worker.clone()
            };
            rows.put_worker(worker, now)
        })?
    }

    async fn shift_worker(
        &mut self,
        id: &WorkerId,
        from: WorkerStatus,
        to: WorkerStatus,
    ) -> Outcome<bool> {
        self.edit(|rows, now| {
            let stored = rows.workers.get(id).filter(|row| row.status == from);
            let Some(mut worker) = stored.cloned() else {
                return Ok(false);
            };
            worker.status = to;
            worker.row_version += 1;
            worker.updated_at = now;
            rows.put_worker(worker, now)?;
            Ok(true)
        })?
    }

    async fn reserve_slot(&mut self, owner: &Owner) -> Outcome<bool> {
        self.edit(|rows, _| {
            let Some(worker) = rows.workers.get_mut(&owner.worker) else {
                return false;
            };
            let has_room = worker.incarnation.as_ref() == Some(&owner.incarnation)
                && worker.status == WorkerStatus::Active
                && !worker.is_cordoned()
                && worker.assigned < worker.max_sessions;
            worker.assigned += u32::from(has_room);
            has_room
        })
    }

    async fn release_slots(&mut self, id: &WorkerId, count: u32) -> Outcome<()> {
        self.edit(|rows, _| {
            if let Some(worker) = rows.workers.get_mut(id) {
                worker.assigned = worker.assigned.saturating_sub(count);
            }
        })
    }
}

#[async_trait]
impl LeaseRepo for OwnTx {
    async fn insert_lease(&mut self, lease: &Lease) -> Outcome<()> {
        let (owner, lease) = (lease.owner.clone(), lease.clone());
        self.edit(|rows, _| insert(&mut rows.leases, owner, lease, Unique::Incarnation))?
    }

    async fn lease(&mut self, owner: &Owner) -> Outcome<Option<Lease>> {
        Ok(self.look(|rows| rows.leases.get(owner).cloned()))
    }

    async fn open_leases(&mut self) -> Outcome<Vec<Lease>> {
        let is_open = |lease: &&Lease| lease.fenced_at.is_none();
        Ok(self.look(|rows| rows.leases.values().filter(is_open).cloned().collect()))
    }

    async fn renew_lease(
        &mut self,
        owner: &Owner,
        lasts: Duration,
        report: &WorkerReport,
    ) -> Outcome<Option<u64>> {
        self.edit(|rows, now| {
            let worker = rows.workers.get(&owner.worker);
            let newest = worker.and_then(Worker::owner);
            let lease = rows.leases.get_mut(owner);
            let lease = lease.filter(|lease| lease.fenced_at.is_none() && !lease.disowned);
            let lease = lease.filter(|_| newest.as_ref() == Some(owner))?;
            lease.renew(lasts, report, now);
            Some(lease.renewals)
        })
    }

    async fn disown_lease(&mut self, owner: &Owner) -> Outcome<()> {
        self.edit(|rows, _| {
            if let Some(lease) = rows.leases.get_mut(owner) {
                lease.disowned = true;
            }
        })
    }

    async fn fence_lease(&mut self, death: &Death) -> Outcome<bool> {
        self.edit(|rows, now| {
            let lease = rows.leases.get_mut(death.owner());
            let Some(lease) = lease.filter(|lease| lease.fenced_at.is_none()) else {
                return false;
            };
            // Who has renewed after all is not dead.
            if let Evidence::Silence { renewals } = death.evidence()
                && lease.renewals != renewals
            {
                return false;
            }
            lease.fenced_at = Some(now);
            true
        })
    }
}

impl Rows {
    /// Who waits, or is waited for, must be looked at again.
    fn check_due(row: &Session) -> Outcome<()> {
        let waits = match &row.phase {
            Phase::Waiting | Phase::Starting { .. } | Phase::Stopping { .. } => true,
            Phase::Idle | Phase::Active { .. } | Phase::Parked { .. } => {
                row.deadline.is_some() || row.retry_at.is_some()
            }
        };
        if waits && row.due_at.is_none() {
            return Err(StoreError::Refused("nobody would look at it again".into()));
        }
        Ok(())
    }

    /// A session that is being deleted has given up its name.
    fn is_name_taken(&self, new: &Session) -> bool {
        let has_it = |row: &Session| row.tenant == new.tenant && row.name == new.name;
        let mut others = self.sessions.values().filter(|row| row.id != new.id);
        others.any(|row| has_it(row) && !row.is_leaving())
    }

    /// Sessions in the order in which they are served: linked ones first, then by priority and age.
    fn ranked(&self, which: impl Fn(&Session) -> bool) -> Vec<SessionId> {
        let mut rows: Vec<_> = self.sessions.values().filter(|row| which(row)).collect();
        rows.sort_by_key(|row| (!row.paired, Reverse(row.priority), row.created_at, row.id));
        rows.into_iter().map(|row| row.id).collect()
    }
}

#[async_trait]
impl SessionRepo for OwnTx {
    async fn session(&mut self, id: SessionId) -> Outcome<Option<Session>> {
        Ok(self.look(|rows| rows.sessions.get(&id).cloned()))
    }

    async fn insert_session(&mut self, session: &Session, limit: Option<u32>) -> Outcome<Inserted> {
        self.edit(|rows, _| {
            if rows.is_name_taken(session) {
                return Ok(Inserted::NameTaken);
            }
            let counts = |row: &&Session| row.tenant == session.tenant && !row.is_leaving();
            let used = rows.sessions.values().filter(counts).count();
            let used = u32::try_from(used).unwrap_or(u32::MAX);
            if limit.is_some_and(|limit| used >= limit) {
                return Ok(Inserted::LimitReached { used });
            }
            Rows::check_due(session)?;
            let (id, row) = (session.id, session.clone());
            insert(&mut rows.sessions, id, row, Unique::SessionId)?;
            Ok(Inserted::Done)
        })?
    }

    async fn save_sessions(&mut self, new: &[Session]) -> Outcome<()> {
        self.edit(|rows, _| {
            for row in new {
                let stored = rows.sessions.get(&row.id);
                if stored.is_none_or(|stored| stored.version + 1 != row.version) {
                    return Err(StoreError::Conflict);
                }
                Rows::check_due(row)?;
                if !row.is_leaving() && rows.is_name_taken(row) {
                    return Err(StoreError::Duplicate(Unique::SessionName));
                }
                rows.sessions.insert(row.id, row.clone());
            }
            Ok(())
        })?
    }

    async fn delete_session(&mut self, id: SessionId, version: u64) -> Outcome<()> {
        self.edit(|rows, now| {
            let stored = rows.sessions.get(&id);
            if stored.is_none_or(|stored| stored.version != version) {
                return Err(StoreError::Conflict);
            }
            rows.sessions.remove(&id);
            rows.to_erase.insert(id, now);
            Ok(())
        })?
    }

    async fn sessions_to_erase(
        &mut self,
        before: Timestamp,
        limit: u32,
    ) -> Outcome<Vec<SessionId>> {
        Ok(self.look(|rows| {
            let deleted = rows.to_erase.iter().filter(|(_, at)| **at < before);
            let mut found: Vec<_> = deleted.map(|(id, at)| (*at, *id)).collect();
            found.sort_unstable();
            found.truncate(limit as usize);
            found.into_iter().map(|(_, id)| id).collect()
        }))
    }

    async fn postpone_erasure(&mut self, id: SessionId) -> Outcome<()> {
        self.edit(|rows, now| {
            if let Some(deleted_at) = rows.to_erase.get_mut(&id) {
                *deleted_at = now;
            }
        })
    }

    async fn note_erased(&mut self, id: SessionId) -> Outcome<()> {
        self.edit(|rows, _| {
            rows.to_erase.remove(&id);
        })
    }

    async fn claim_due_sessions(&mut self, until: Timestamp, limit: u32) -> Outcome<Vec<Session>> {
        self.edit(|rows, now| {
            let mut due = rows.ranked(|row| row.due_at.is_some_and(|at| at <= now));
            // A stable sort: what is due together stays in the order of service.
            due.sort_by_key(|id| rows.sessions[id].due_at);
            due.truncate(limit as usize);
            let mut claimed = Vec::new();
            for id in due {
                if let Some(row) = rows.sessions.get_mut(&id) {
                    let sooner = row.deadline.filter(|at| now < *at && *at < until);
                    row.due_at = Some(sooner.unwrap_or(until));
                    claimed.push(row.clone());
                }
            }
            claimed
        })
    }

    async fn next_due(&mut self) -> Outcome<Option<Timestamp>> {
        Ok(self.look(|rows| rows.sessions.values().filter_map(|row| row.due_at).min()))
    }

    async fn wake_waiting(&mut self, count: u32) -> Outcome<u32> {
        self.edit(|rows, now| {
            let mut sleeping = rows.ranked(|row| {
                matches!(row.phase, Phase::Waiting)
                    && row.due_at.is_some_and(|at| at > now)
                    && row.not_before.is_none_or(|at| at <= now)
            });
            sleeping.truncate(count as usize);
            for id in &sleeping {
                if let Some(row) = rows.sessions.get_mut(id) {
                    row.due_at = Some(now);
                    // Whoever read the row before must not put it back to sleep.
                    row.version += 1;
                }
            }
            u32::try_from(sleeping.len()).unwrap_or(u32::MAX)
        })
    }

    /// The whole store is locked already.
    async fn lock_sessions_of(&mut self, owner: &Owner) -> Outcome<Vec<Session>> {
        self.sessions_of(owner).await
    }

    async fn sessions_of(&mut self, owner: &Owner) -> Outcome<Vec<Session>> {
        let is_held = |row: &&Session| row.owner() == Some(owner);
        Ok(self.look(|rows| rows.sessions.values().filter(is_held).cloned().collect()))
    }

    async fn tenant_spread(&mut self, tenant: TenantId) -> Outcome<BTreeMap<WorkerId, u32>> {
        Ok(self.look(|rows| {
            let mut spread = BTreeMap::new();
            let sessions = rows.sessions.values();
            let sessions = sessions.filter(|row| row.tenant == tenant);
            for owner in sessions.filter_map(Session::owner) {
                *spread.entry(owner.worker.clone()).or_default() += 1;
            }
            spread
        }))
    }
}

#[async_trait]
impl PlacementRepo for OwnTx {
    async fn insert_placement(&mut self, placement: &Placement) -> Outcome<()> {
        let (key, row) = ((placement.session, placement.epoch), placement.clone());
        self.edit(|rows, _| insert(&mut rows.placements, key, row, Unique::Placement))?
    }

    async fn end_placements(
        &mut self,
        ended: &[(SessionId, Epoch)],
        at: Timestamp,
        why: &str,
    ) -> Outcome<()> {
        self.edit(|rows, _| {
            for key in ended {
                if let Some(row) = rows.placements.get_mut(key) {
                    row.ended.get_or_insert_with(|| (at, why.to_owned()));
                }
            }
        })
    }

    async fn placement(&mut self, session: SessionId, epoch: Epoch) -> Outcome<Option<Placement>> {
        Ok(self.look(|rows| rows.placements.get(&(session, epoch)).cloned()))
    }
}

#[async_trait]
impl OutboxRepo for OwnTx {
    async fn append_events(&mut self, events: &[NewEvent]) -> Outcome<()> {
        self.edit(|rows, _| rows.outbox.extend_from_slice(events))
    }
}

#[async_trait]
impl AuditRepo for OwnTx {
    async fn append_audit(&mut self, entry: &AuditEntry) -> Outcome<()> {
        self.edit(|rows, _| rows.audit.push(entry.clone()))
    }
}

/// Makes fresh stores for the suite.
struct OwnStores;

impl Backend for OwnStores {
    type UnderTest = OrchestrationUnderTest;

    fn name(&self) -> &'static str {
        "own"
    }

    fn offers(&self, need: Need) -> bool {
        // Transactions that write take turns here.
        need != Need::SecondWriter
    }

    async fn open(&self) -> Result<OrchestrationUnderTest, Failure> {
        let clock = Arc::new(ManualClock::default());
        let store = OwnStore::new(clock.clone());
        Ok(OrchestrationUnderTest::new(Arc::new(store)).with_clock(clock))
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_time()
        .build()?;
    let on = runtime.handle();
    let suite = trials(OwnStores, ORCHESTRATION_STORE, on, Absent::Failed);
    let conclusion = libtest_mimic::run(&libtest_mimic::Arguments::from_args(), suite);
    Ok(conclusion.exit_code())
}
