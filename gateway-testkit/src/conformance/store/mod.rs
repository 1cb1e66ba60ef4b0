//! What every store promises: the two transaction traits, repository by repository.
//!
//! An embedder who only orchestrates runs [`ORCHESTRATION_STORE`]. Its cases are part of [`STORE`], the suite of
//! whoever implements the platform's transactions too, so no promise is tested in one and forgotten in the other.

mod account;
mod audit;
mod authority;
mod card;
mod change;
mod claim;
mod erase;
mod event;
mod fill;
mod grant;
mod key;
mod leader;
mod lease;
mod login;
mod orchestration;
mod placement;
mod platform_tx;
mod quota;
mod replica;
mod retention;
mod sequencer;
mod session;
mod slot;
mod tenant;
mod tx;
mod unique;
mod user;
mod worker;

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use gateway_core::id::TenantId;
use gateway_core::session::{Owner, Session};
use gateway_core::store::{PlatformStore, PlatformTx, StoreError};
use gateway_core::tenant::{Tenant, Tier};
use gateway_core::time::Timestamp;

use super::fixture::{a_tenant, tenant_id};
use super::{Advance, Failure, Suite};

use orchestration::orchestration_cases;
pub use orchestration::{MakeTenants, OrchestrationUnderTest};

/// Every case for the store that an embedder implements, [`gateway_core::store::Store`].
pub const ORCHESTRATION_STORE: Suite<OrchestrationUnderTest> = &[
    tx::CASES,
    worker::CASES,
    slot::CASES,
    lease::CASES,
    authority::CASES,
    session::CASES,
    claim::CASES,
    placement::CASES,
    erase::CASES,
];

/// Every case for the store that the server needs, [`PlatformStore`]; those of [`ORCHESTRATION_STORE`] first.
pub const STORE: Suite<StoreUnderTest> = &[
    tx::ON_PLATFORM,
    worker::ON_PLATFORM,
    slot::ON_PLATFORM,
    lease::ON_PLATFORM,
    authority::ON_PLATFORM,
    session::ON_PLATFORM,
    claim::ON_PLATFORM,
    placement::ON_PLATFORM,
    erase::ON_PLATFORM,
    platform_tx::CASES,
    card::CASES,
    tenant::CASES,
    user::CASES,
    key::CASES,
    login::CASES,
    grant::CASES,
    audit::CASES,
    account::CASES,
    quota::CASES,
    event::CASES,
    sequencer::CASES,
    change::CASES,
    fill::CASES,
    replica::CASES,
    leader::CASES,
    retention::CASES,
    unique::CASES,
];

/// How often an open transaction lets the others have a turn before it commits.
const TURNS: usize = 20;

/// Runs `second` while a transaction is open, and `commit`s that meanwhile.
async fn while_open<T>(
    commit: impl Future<Output = Result<(), StoreError>>,
    second: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let commit = async {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
        commit.await
    };
    let (second, committed) = tokio::join!(second, commit);
    committed?;
    second
}

/// A fresh store of the platform and what moves its clock.
#[derive(Debug)]
pub struct StoreUnderTest {
    /// The store, migrated and empty.
    pub store: Arc<dyn PlatformStore>,
    /// Moves its clock, where that can be done.
    pub clock: Option<Arc<dyn Advance>>,
    /// What must live as long as the store: a temporary folder, a database of its own.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl StoreUnderTest {
    /// Returns the same store as an embedder sees it.
    fn orchestration(&self) -> OrchestrationUnderTest {
        let tenants = PlatformTenants(Arc::clone(&self.store));
        OrchestrationUnderTest {
            store: self.store.clone(),
            clock: self.clock.clone(),
            tenants: Arc::new(tenants),
            keep: Box::new(()),
        }
    }

    async fn begin(&self) -> Result<Box<dyn PlatformTx>, StoreError> {
        self.store.begin_platform().await
    }

    async fn read(&self) -> Result<Box<dyn PlatformTx>, StoreError> {
        self.store.read_platform().await
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.read().await?.now().await
    }

    /// Stores tenants 1 to `count` with the specified tiers.
    pub(super) async fn tenants(&self, count: u128) -> Result<Timestamp, StoreError> {
        let ids: Vec<_> = (1..=count).map(tenant_id).collect();
        make_tenants(&*self.store, &ids).await
    }

    /// Stores an active worker in its first incarnation, with a lease.
    async fn worker(&self, name: &str, max_sessions: u32) -> Result<Owner, StoreError> {
        self.orchestration().worker(name, max_sessions).await
    }

    /// Lets a worker come back in its `run`th incarnation, with a lease beside the old one.
    async fn restart_worker(&self, name: &str, run: u32) -> Result<Owner, StoreError> {
        self.orchestration().restart_worker(name, run).await
    }

    /// Stores sessions as they are.
    pub(super) async fn sessions(&self, rows: &[Session]) -> Result<(), Failure> {
        self.orchestration().sessions(rows).await
    }

    /// Returns the session, which must be there.
    async fn session(&self, row: &Session) -> Result<Session, Failure> {
        self.orchestration().session(row).await
    }
}

/// Makes tenants through the platform's transactions.
#[derive(Debug)]
struct PlatformTenants(Arc<dyn PlatformStore>);

#[async_trait]
impl MakeTenants for PlatformTenants {
    async fn make(&self, tenants: &[TenantId]) -> Result<(), StoreError> {
        make_tenants(&*self.0, tenants).await.map(drop)
    }
}

/// Stores the specified tiers and these tenants. Returns the time of the store at which it did.
async fn make_tenants(
    store: &dyn PlatformStore,
    ids: &[TenantId],
) -> Result<Timestamp, StoreError> {
    let mut tx = store.begin_platform().await?;
    let now = tx.now().await?;
    for tier in Tier::defaults() {
        tx.put_tier(&tier).await?;
    }
    for (number, id) in (1..).zip(ids) {
        let tenant = Tenant {
            id: *id,
            ..a_tenant(number, now)
        };
        tx.insert_tenant(&tenant).await?;
    }
    tx.commit().await?;
    Ok(now)
}
