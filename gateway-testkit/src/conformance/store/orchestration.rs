//! The store that an embedder implements, as the cases see it.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::TenantId;
use gateway_core::session::{Inserted, Owner, Session};
use gateway_core::store::{OrchestrationTx, Store, StoreError};
use gateway_core::time::Timestamp;
use gateway_core::worker::Lease;

use crate::conformance::fixture::{LEASE, a_worker, owner, tenant_id};
use crate::conformance::{Advance, Failure};

/// How often a store's clock is read until it must have moved.
const LOOKS: u32 = 1_000_000;

/// Makes the tenants that some store wants to know before it takes their sessions.
///
/// The orchestration itself has no tenants, only their ids. A store that asks for no more needs nothing of this.
#[async_trait]
pub trait MakeTenants: Debug + Send + Sync {
    /// Stores these tenants, which are new.
    async fn make(&self, tenants: &[TenantId]) -> Result<(), StoreError>;
}

/// For a store that takes the sessions of every tenant.
#[derive(Debug)]
struct AnyTenant;

#[async_trait]
impl MakeTenants for AnyTenant {
    async fn make(&self, _: &[TenantId]) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A fresh store of an embedder, and what the cases need beside it.
#[derive(Debug)]
#[non_exhaustive]
pub struct OrchestrationUnderTest {
    /// The store, migrated and empty.
    pub store: Arc<dyn Store>,
    /// Moves its clock, where that can be done.
    pub clock: Option<Arc<dyn Advance>>,
    /// Makes the tenants of the cases.
    pub tenants: Arc<dyn MakeTenants>,
    /// What must live as long as the store: a temporary folder, a database of its own.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl OrchestrationUnderTest {
    /// Puts a fresh and empty store to the test.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            clock: None,
            tenants: Arc::new(AnyTenant),
            keep: Box::new(()),
        }
    }

    /// Lets the cases move the store's clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Advance>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Lets `tenants` make each tenant before it has a session.
    #[must_use]
    pub fn with_tenants(mut self, tenants: Arc<dyn MakeTenants>) -> Self {
        self.tenants = tenants;
        self
    }

    /// Keeps a value for as long as the store is in use.
    #[must_use]
    pub fn keeping(mut self, keep: impl Any + Send + Sync) -> Self {
        self.keep = Box::new(keep);
        self
    }

    pub(super) async fn begin(&self) -> Result<Box<dyn OrchestrationTx>, StoreError> {
        self.store.begin().await
    }

    pub(super) async fn read(&self) -> Result<Box<dyn OrchestrationTx>, StoreError> {
        self.store.read().await
    }

    pub(super) async fn now(&self) -> Result<Timestamp, StoreError> {
        self.read().await?.now().await
    }

    /// Returns a moment after everything that was written so far.
    pub(super) async fn later(&self) -> Result<Timestamp, Failure> {
        let before = self.now().await?;
        if let Some(clock) = &self.clock {
            clock.advance(Duration::from_secs(1));
        }
        for _ in 0..LOOKS {
            let now = self.now().await?;
            if now > before {
                return Ok(now);
            }
        }
        Err(Failure::new("the store's clock stands still"))
    }

    /// Makes tenants 1 to `count`.
    pub(super) async fn tenants(&self, count: u128) -> Result<Timestamp, StoreError> {
        let ids: Vec<_> = (1..=count).map(tenant_id).collect();
        self.tenants.make(&ids).await?;
        self.now().await
    }

    /// Stores an active worker in its first incarnation, with a lease.
    pub(super) async fn worker(&self, name: &str, max_sessions: u32) -> Result<Owner, StoreError> {
        let mut tx = self.begin().await?;
        let now = tx.now().await?;
        tx.insert_worker(&a_worker(name, max_sessions, now)).await?;
        let lease = Lease::new(owner(name, 1), LEASE, now);
        tx.insert_lease(&lease).await?;
        tx.commit().await?;
        Ok(owner(name, 1))
    }

    /// Lets a worker come back in its `run`th incarnation, with a lease beside the old one.
    pub(super) async fn restart_worker(&self, name: &str, run: u32) -> Result<Owner, StoreError> {
        let fresh = owner(name, run);
        let mut tx = self.begin().await?;
        let now = tx.now().await?;
        if let Some(mut worker) = tx.lock_worker(&fresh.worker).await? {
            worker.incarnation = Some(fresh.incarnation.clone());
            worker.row_version += 1;
            tx.save_worker(&worker).await?;
        }
        let lease = Lease::new(fresh.clone(), LEASE, now);
        tx.insert_lease(&lease).await?;
        tx.commit().await?;
        Ok(fresh)
    }

    /// Stores sessions as they are.
    pub(super) async fn sessions(&self, rows: &[Session]) -> Result<(), Failure> {
        let mut tx = self.begin().await?;
        for row in rows {
            let inserted = tx.insert_session(row, None).await?;
            if inserted != Inserted::Done {
                return Err(Failure::new(format!(
                    "cannot arrange {}: {inserted:?}",
                    row.name
                )));
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// Returns the session, which must be there.
    pub(super) async fn session(&self, row: &Session) -> Result<Session, Failure> {
        let found = self.read().await?.session(row.id).await?;
        found.ok_or_else(|| Failure::new(format!("{} is gone", row.name)))
    }
}

/// Lists the cases of a part for the suites of both kinds of store: `orchestration_cases!("lease": a_fact)`.
macro_rules! orchestration_cases {
    ($part:literal: $($case:ident $([$need:ident])?),* $(,)?) => {
        $crate::conformance::cases!(
            $crate::conformance::OrchestrationUnderTest, $part: $($case $([$need])?),*
        );

        pub(super) const ON_PLATFORM: &[$crate::conformance::Case<super::StoreUnderTest>] = &[$(
            $crate::conformance::Case {
                name: concat!($part, "::", stringify!($case)),
                needs: $crate::conformance::cases!(@need $($need)?),
                run: |platform| Box::pin(async { $case(&platform.orchestration()).await }),
            }
        ),*];
    };
}
pub(super) use orchestration_cases;
