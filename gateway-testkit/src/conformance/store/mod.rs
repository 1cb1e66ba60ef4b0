//! What every store promises: the two transaction traits, repository by repository.

mod account;
mod audit;
mod authority;
mod card;
mod change;
mod claim;
mod event;
mod fill;
mod grant;
mod key;
mod leader;
mod lease;
mod login;
mod placement;
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

use gateway_core::session::{Inserted, Owner, Session};
use gateway_core::store::{PlatformStore, PlatformTx, StoreError};
use gateway_core::tenant::Tier;
use gateway_core::time::Timestamp;
use gateway_core::worker::Lease;

use super::fixture::{LEASE, a_tenant, a_worker, owner};
use super::{Advance, Failure, Suite};

/// Every case for a store.
pub const STORE: Suite<StoreUnderTest> = &[
    tx::CASES,
    worker::CASES,
    slot::CASES,
    lease::CASES,
    authority::CASES,
    session::CASES,
    claim::CASES,
    placement::CASES,
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

/// A fresh store and what moves its clock.
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
        let mut tx = self.begin().await?;
        let now = tx.now().await?;
        for tier in Tier::defaults() {
            tx.put_tier(&tier).await?;
        }
        for n in 1..=count {
            tx.insert_tenant(&a_tenant(n, now)).await?;
        }
        tx.commit().await?;
        Ok(now)
    }

    /// Stores an active worker in its first incarnation, with a lease.
    async fn worker(&self, name: &str, max_sessions: u32) -> Result<Owner, StoreError> {
        let mut tx = self.begin().await?;
        let now = tx.now().await?;
        tx.insert_worker(&a_worker(name, max_sessions, now)).await?;
        let lease = Lease::new(owner(name, 1), LEASE, now);
        tx.insert_lease(&lease).await?;
        tx.commit().await?;
        Ok(owner(name, 1))
    }

    /// Lets a worker come back in its `run`th incarnation, with a lease beside the old one.
    async fn restart_worker(&self, name: &str, run: u32) -> Result<Owner, StoreError> {
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
    async fn session(&self, row: &Session) -> Result<Session, Failure> {
        let found = self.read().await?.session(row.id).await?;
        found.ok_or_else(|| Failure::new(format!("{} is gone", row.name)))
    }
}
