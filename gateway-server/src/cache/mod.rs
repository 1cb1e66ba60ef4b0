//! What this replica remembers of the store, so that a request costs no look-up.
//!
//! Plain memory, filled on a miss and shared by every thread; no lock is held over an await. It is obeyed
//! only while the store itself has lately said what changed ([`Caches::look`]); hints make that sooner and
//! are never needed. While it is not to be trusted, everything is read through to the store.
//!
//! What is committed *here* holds for the next request here at once: every notice of this replica passes
//! through [`Caches::announcing`], and whoever ends a credential calls [`Caches::forget`] after the commit.
//!
//! In reading order: `freshness` (whether to obey), `shards` (the map), `principals`, `workers`, `routes`
//! (what is remembered), `fill` (reading on a miss), `flights` (once for many), `look` (reading what changed), `announce` (hints),
//! `invalidate` (ending what has ended).

mod announce;
mod fill;
mod flights;
mod freshness;
mod invalidate;
mod look;
mod principals;
mod routes;
mod shards;
#[cfg(test)]
mod tests;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use gateway_core::account::Ended;
use gateway_core::coord::Notice;
use gateway_core::id::{TenantId, TokenFamilyId};
use gateway_core::session::{Owner, Route, SessionRef, Standing};
use gateway_core::store::PlatformStore;
use gateway_core::time::{Clock, Timestamp, Uptime};
use tokio::runtime::Handle;

pub use fill::CachedRoutes;
pub use freshness::TRUSTED;
pub use invalidate::CacheInvalidator;
pub(crate) use principals::{KnownKey, KnownLogin};

use fill::Fills;
use freshness::Freshness;
use principals::Principals;
use routes::RouteTable;
use workers::WorkerTable;

/// The age beyond which a route that would make a send wait or fail is read again.
const RECONSIDERED: Duration = Duration::from_secs(1);
const MINUTE_MICROS: i64 = 60_000_000;

/// The caches of this replica. Clones are the same.
#[derive(Clone, Debug)]
pub struct Caches(Arc<Memory>);

#[derive(Debug)]
struct Memory {
    store: Arc<dyn PlatformStore>,
    looking: Arc<dyn PlatformStore>,
    clock: Arc<dyn Clock>,
    control: Handle,
    freshness: Freshness,
    principals: Principals,
    workers: WorkerTable,
    routes: RouteTable,
    fills: Fills,
}

impl Caches {
    /// Makes empty caches. They read what is missing from `store`, in tasks on `control`, and what
    /// changed from `looking`. That may be the same store; better is one over connections that reads
    /// cannot exhaust, because the looks are what makes reads rare.
    #[must_use]
    pub fn new(
        store: Arc<dyn PlatformStore>,
        looking: Arc<dyn PlatformStore>,
        clock: Arc<dyn Clock>,
        control: Handle,
    ) -> Self {
        Self(Arc::new(Memory {
            store,
            looking,
            clock,
            control,
            freshness: Freshness::default(),
            principals: Principals::default(),
            workers: WorkerTable::default(),
            routes: RouteTable::default(),
            fills: Fills::default(),
        }))
    }

    /// Returns whether the caches may be trusted at `now`.
    #[must_use]
    pub fn are_trusted(&self, now: Uptime) -> bool {
        self.0.freshness.is_trusted(now)
    }

    /// Returns the store's time at `now`, or `None` while the caches may not be trusted.
    #[must_use]
    pub fn store_time(&self, now: Uptime) -> Option<Timestamp> {
        self.0.freshness.store_time(now)
    }

    /// Returns whether it is known, without any look-up, that the API key with this hash holds and its
    /// tenant may act.
    #[must_use]
    pub fn holds_key(&self, hash: &[u8; 32], now: Uptime) -> bool {
        let known = self.key(hash, now);
        known.is_some_and(|(known, _)| known.tenant().is_active())
    }

    /// Returns the route of a tenant's session, without any look-up: `None` if the session is not known, or
    /// if messages could not go out when it was read a second ago or earlier.
    #[must_use]
    pub fn known_route(
        &self,
        tenant: TenantId,
        reference: &SessionRef,
        now: Uptime,
    ) -> Option<Route> {
        if !self.are_trusted(now) {
            return None;
        }
        let (route, read_at) = self.0.routes.get(tenant, reference, &self.0.workers)?;
        let open = matches!(route.standing, Standing::Open(_));
        (open || now.since(read_at) <= RECONSIDERED).then_some(route)
    }

    /// Returns the API key with this hash and the store's time, if the key is known and valid.
    pub(crate) fn key(&self, hash: &[u8; 32], now: Uptime) -> Option<(Arc<KnownKey>, Timestamp)> {
        let time = self.store_time(now)?;
        let known = self.0.principals.key(hash, time)?;
        Some((known, time))
    }

    /// Returns the login, if it is known and has not ended.
    pub(crate) fn login(&self, family: TokenFamilyId, now: Uptime) -> Option<Arc<KnownLogin>> {
        if !self.are_trusted(now) {
            return None;
        }
        self.0.principals.login(family)
    }

    /// Returns whether it is known that `owner` is its worker's present run.
    pub(crate) fn is_present(&self, owner: &Owner, now: Uptime) -> bool {
        let known = self.0.workers.get(&owner.worker);
        self.are_trusted(now) && known.is_some_and(|known| known.is_present(owner))
    }

    /// Forgets the entries that a change has ended. Call it when the change is committed: the next
    /// request here sees it.
    pub fn forget(&self, ended: &Ended) {
        let principals = &self.0.principals;
        match ended {
            Ended::Key { hash, .. } => principals.forget_key(hash),
            Ended::Login { login, .. } => principals.forget_login(*login),
            Ended::User { user, .. } => principals.forget_user(*user),
            Ended::Tenant { tenant } => principals.forget_tenant(*tenant),
        }
    }

    /// Applies a notice as far as it says enough by itself. Returns whether the store should be asked
    /// what changed.
    pub(crate) fn hear(&self, notice: &Notice) -> bool {
        match notice {
            Notice::Session { session } => {
                self.0.routes.forget(*session);
                false
            }
            Notice::Worker { worker } => {
                self.0.workers.forget(worker);
                false
            }
            Notice::Tenant { tenant } => {
                self.0.principals.forget_tenant(*tenant);
                true
            }
            Notice::Due | Notice::Outbox | Notice::Published => false,
        }
    }

    /// Returns how many sessions' routes are remembered.
    #[must_use]
    pub fn routes_known(&self) -> usize {
        self.0.routes.len()
    }

    fn clear(&self) {
        self.0.principals.clear();
        self.0.workers.clear();
        self.0.routes.clear();
    }
}

/// Returns the minute of a time, by which uses of API keys are noted.
pub(crate) const fn minute(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(MINUTE_MICROS)
}
