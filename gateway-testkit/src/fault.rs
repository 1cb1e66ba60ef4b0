//! Faults inside transactions: a store that fails where a test says.
//!
//! [`FaultyStore`] stands in front of any store and shows every statement to a function, before it goes to the
//! store and after it has been executed. What the function returns as an error, the caller gets instead.
//!
//! ```
//! use std::sync::Arc;
//!
//! use futures_executor::block_on;
//! use gateway_core::session::Session;
//! use gateway_core::store::{Store, StoreError};
//! use gateway_testkit::clock::ManualClock;
//! use gateway_testkit::fault::{FaultyStore, When};
//! use gateway_testkit::fixture::a_session;
//! use gateway_testkit::memory::MemoryStore;
//!
//! // The commit is done, and its answer lost.
//! let memory = Arc::new(MemoryStore::new(Arc::new(ManualClock::default())));
//! let store = FaultyStore::over(memory.clone(), |statement| {
//!     match (statement.name, statement.when) {
//!         ("commit", When::After) => Err(StoreError::Unavailable("the cable was pulled".into())),
//!         _ => Ok(()),
//!     }
//! });
//! let row: Session = a_session().build();
//! block_on(async {
//!     let mut tx = store.begin().await?;
//!     tx.insert_session(&row, None).await?;
//!     assert!(tx.commit().await.is_err());
//!     assert!(memory.read().await?.session(row.id).await?.is_some());
//!     Ok::<(), StoreError>(())
//! })?;
//! # Ok::<(), StoreError>(())
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::audit::{AuditEntry, AuditRepo};
use gateway_core::event::{NewEvent, OutboxRepo};
use gateway_core::id::{Epoch, SessionId, TenantId, WorkerId};
use gateway_core::session::{Inserted, Owner, Placement, PlacementRepo, Session, SessionRepo};
use gateway_core::store::{OrchestrationTx, Store, StoreError};
use gateway_core::time::Timestamp;
use gateway_core::worker::{
    Death, HeldRow, Lease, LeaseRepo, Renewed, Worker, WorkerLoad, WorkerRepo, WorkerReport,
    WorkerStatus, WorkerView,
};

/// A call of a store or of one of its transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statement {
    /// The name of the method, such as `begin`, `save_sessions` or `commit`.
    pub name: &'static str,
    pub when: When,
}

/// When a statement is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The store has not seen it yet. If it fails now, it is not executed.
    Before,
    /// The store has executed it. If it fails now, its answer is lost.
    After,
}

type Fault = Arc<dyn Fn(Statement) -> Result<(), StoreError> + Send + Sync>;

/// A store in front of another one, whose statements fail where a test says.
pub struct FaultyStore {
    store: Arc<dyn Store>,
    fault: Fault,
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FaultyStore").field(&self.store).finish()
    }
}

impl FaultyStore {
    /// Shows each statement for `store` to `fault`, which returns the error that its caller gets.
    #[must_use]
    pub fn over(
        store: Arc<dyn Store>,
        fault: impl Fn(Statement) -> Result<(), StoreError> + Send + Sync + 'static,
    ) -> Self {
        let fault: Fault = Arc::new(fault);
        Self { store, fault }
    }

    fn wrap(&self, tx: Box<dyn OrchestrationTx>) -> Box<dyn OrchestrationTx> {
        let fault = Arc::clone(&self.fault);
        Box::new(FaultyTx { tx, fault })
    }
}

/// Makes a call with a fault before it and one after it.
async fn with_faults<T>(
    fault: &Fault,
    name: &'static str,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let when = When::Before;
    fault(Statement { name, when })?;
    let answer = call.await?;
    let when = When::After;
    fault(Statement { name, when })?;
    Ok(answer)
}

#[async_trait]
impl Store for FaultyStore {
    async fn begin(&self) -> Result<Box<dyn OrchestrationTx>, StoreError> {
        let tx = with_faults(&self.fault, "begin", self.store.begin()).await?;
        Ok(self.wrap(tx))
    }

    async fn read(&self) -> Result<Box<dyn OrchestrationTx>, StoreError> {
        let tx = with_faults(&self.fault, "read", self.store.read()).await?;
        Ok(self.wrap(tx))
    }

    async fn renew(
        &self,
        owner: &Owner,
        lasts: Duration,
        report: &WorkerReport,
    ) -> Result<Option<Renewed>, StoreError> {
        let call = self.store.renew(owner, lasts, report);
        with_faults(&self.fault, "renew", call).await
    }
}

/// A transaction in front of another one.
struct FaultyTx {
    tx: Box<dyn OrchestrationTx>,
    fault: Fault,
}

impl fmt::Debug for FaultyTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FaultyTx").field(&self.tx).finish()
    }
}

#[async_trait]
impl OrchestrationTx for FaultyTx {
    async fn now(&mut self) -> Result<Timestamp, StoreError> {
        with_faults(&self.fault, "now", self.tx.now()).await
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { tx, fault } = *self;
        with_faults(&fault, "commit", tx.commit()).await
    }
}

/// Hands the methods of a repository on: `forward!(Repo: method(argument: Type) -> Value, …)`.
macro_rules! forward {
    ($repo:ident: $($name:ident($($argument:ident: $kind:ty),*) -> $value:ty),* $(,)?) => {
        #[async_trait]
        impl $repo for FaultyTx {$(
            async fn $name(&mut self, $($argument: $kind),*) -> Result<$value, StoreError> {
                let call = self.tx.$name($($argument),*);
                with_faults(&self.fault, stringify!($name), call).await
            }
        )*}
    };
}

forward!(WorkerRepo:
    worker(id: &WorkerId) -> Option<Worker>,
    lock_worker(id: &WorkerId) -> Option<Worker>,
    workers() -> Vec<WorkerView>,
    workers_changed_since(since: Timestamp) -> Vec<WorkerView>,
    worker_loads() -> Vec<WorkerLoad>,
    worker_at(endpoint: &str) -> Option<Worker>,
    insert_worker(worker: &Worker) -> (),
    save_worker(worker: &Worker) -> (),
    shift_worker(id: &WorkerId, from: WorkerStatus, to: WorkerStatus) -> bool,
    reserve_slot(owner: &Owner) -> bool,
    release_slots(id: &WorkerId, count: u32) -> (),
);

forward!(LeaseRepo:
    insert_lease(lease: &Lease) -> (),
    lease(owner: &Owner) -> Option<Lease>,
    open_leases() -> Vec<Lease>,
    renew_lease(owner: &Owner, lasts: Duration, report: &WorkerReport) -> Option<u64>,
    disown_lease(owner: &Owner) -> (),
    fence_lease(death: &Death) -> bool,
);

forward!(SessionRepo:
    session(id: SessionId) -> Option<Session>,
    insert_session(session: &Session, limit: Option<u32>) -> Inserted,
    save_sessions(rows: &[Session]) -> (),
    delete_session(id: SessionId, version: u64) -> (),
    sessions_to_erase(before: Timestamp, limit: u32) -> Vec<SessionId>,
    postpone_erasure(id: SessionId) -> (),
    note_erased(id: SessionId) -> (),
    claim_due_sessions(until: Timestamp, limit: u32) -> Vec<Session>,
    next_due() -> Option<Timestamp>,
    wake_waiting(count: u32) -> u32,
    lock_sessions_of(owner: &Owner) -> Vec<Session>,
    sessions_of(owner: &Owner) -> Vec<Session>,
    held_by(owner: &Owner) -> Vec<HeldRow>,
    tenant_spread(tenant: TenantId) -> BTreeMap<WorkerId, u32>,
);

forward!(PlacementRepo:
    insert_placement(placement: &Placement) -> (),
    end_placements(ended: &[(SessionId, Epoch)], at: Timestamp, why: &str) -> (),
    placement(session: SessionId, epoch: Epoch) -> Option<Placement>,
);

forward!(OutboxRepo: append_events(events: &[NewEvent]) -> ());

forward!(AuditRepo: append_audit(entry: &AuditEntry) -> ());
