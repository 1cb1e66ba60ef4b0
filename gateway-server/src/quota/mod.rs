//! Requests against the plans of tenants, without any HTTP.
//!
//! The rules are `gateway_core::tenant::quota`. Here is this replica's account of each tenant in memory, and
//! what fills it: chunks drawn from the store ahead of need, so that a request touches memory alone. A draw
//! runs on the control runtime whoever asks, because a pooled connection works only there.
//!
//! In reading order: [`Quotas`] (all tenants), `tenant` (one tenant's account and its draws).

mod tenant;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gateway_core::entropy::Entropy;
use gateway_core::id::TenantId;
use gateway_core::store::{PlatformStore, StoreError};
use gateway_core::time::{Clock, Timestamp};
use tokio::runtime::Handle;

use crate::shutdown::Shutdown;
use tenant::TenantQuota;

/// The ports and the runtime that quotas need.
#[derive(Clone, Debug)]
pub struct QuotaPorts {
    /// Where the requests that are left of an hour are kept.
    pub store: Arc<dyn PlatformStore>,
    pub clock: Arc<dyn Clock>,
    /// Spreads the draws of tenants and replicas over time.
    pub entropy: Arc<dyn Entropy>,
    /// Waits for draws at the end, so that what they drew is given back.
    pub shutdown: Shutdown,
    /// The runtime that draws run on.
    pub control: Handle,
}

/// This replica's accounts of all tenants. Clones share them.
#[derive(Clone, Debug)]
pub struct Quotas(Arc<QuotaBook>);

#[derive(Debug)]
struct QuotaBook {
    ports: QuotaPorts,
    tenants: Mutex<BTreeMap<TenantId, Arc<TenantQuota>>>,
    /// How many replicas share the limits; 0: not counted yet.
    replicas: AtomicU32,
}

/// The answer to a request that asks to be counted.
#[derive(Debug)]
pub enum Admission {
    /// It may be served.
    Counted(CountedRequest),
    /// The limit of this hour is reached.
    UsedUp {
        /// The time until the hour ends.
        resets_in: Duration,
        /// Whether this is the first request of the hour that is refused here.
        is_first: bool,
    },
}

/// A request that is counted, until its answer is known.
#[derive(Debug)]
pub struct CountedRequest {
    account: Arc<TenantQuota>,
    hour: Timestamp,
    /// The plan's limit per hour.
    pub limit: u64,
    /// How many requests are left in this hour; at least so many.
    pub remaining: u64,
    /// The time until the hour ends.
    pub resets_in: Duration,
}

impl Quotas {
    /// Makes empty accounts. The first request of each tenant draws.
    #[must_use]
    pub fn new(ports: QuotaPorts) -> Self {
        Self(Arc::new(QuotaBook {
            ports,
            tenants: Mutex::default(),
            replicas: AtomicU32::new(0),
        }))
    }

    /// Notes how many replicas share the limits, this one included.
    pub fn share(&self, replicas: u32) {
        self.0.replicas.store(replicas, Ordering::Relaxed);
    }

    /// Counts a request of `tenant` against `limit` requests per hour. Waits for the store only when the
    /// account is empty.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn count(&self, tenant: TenantId, limit: u64) -> Result<Admission, StoreError> {
        let account = self.account(tenant);
        account.count(&self.0, limit).await
    }

    /// Gives back what this replica has drawn and not used; for the end of the process.
    ///
    /// # Errors
    /// The store cannot be asked. What was drawn is forfeited then.
    pub async fn give_back(&self) -> Result<(), StoreError> {
        let unused = self.unused();
        let mut tx = self.0.ports.store.begin_platform().await?;
        for (tenant, hour, count) in unused {
            tx.return_quota(tenant, hour, count).await?;
        }
        tx.commit().await
    }

    fn unused(&self) -> Vec<(TenantId, Timestamp, u64)> {
        let tenants = self.0.tenants.lock();
        let tenants = tenants.unwrap_or_else(PoisonError::into_inner);
        let of_one = |(tenant, account): (&TenantId, &Arc<TenantQuota>)| {
            let (tenant, unused) = (*tenant, account.unused());
            unused
                .into_iter()
                .map(move |(hour, left)| (tenant, hour, left))
        };
        tenants.iter().flat_map(of_one).collect()
    }

    fn account(&self, tenant: TenantId) -> Arc<TenantQuota> {
        let tenants = self.0.tenants.lock();
        let mut tenants = tenants.unwrap_or_else(PoisonError::into_inner);
        let opened = || Arc::new(TenantQuota::new(tenant, &*self.0.ports.entropy));
        Arc::clone(tenants.entry(tenant).or_insert_with(opened))
    }
}

impl QuotaBook {
    fn replicas(&self) -> u32 {
        self.replicas.load(Ordering::Relaxed).max(1)
    }
}

impl CountedRequest {
    /// Takes the count of this request back.
    pub fn refund(&mut self) {
        self.account.refund(self.hour);
        self.remaining += 1;
    }
}
