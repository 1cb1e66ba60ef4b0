//! Reading what is not remembered, on the control runtime: no query is polled on a core.
//!
//! Every fill takes its tickets before it asks, so that it keeps nothing that was changed meanwhile; what it
//! read answers those who asked all the same, because they did before the change. Each is one statement, and
//! one for all who ask for the same at once.

use std::sync::Arc;

use async_trait::async_trait;
use gateway_core::fill::{KeyFill, LoginFill, RouteFill};
use gateway_core::id::{TenantId, TokenFamilyId, UserId, WorkerId};
use gateway_core::session::{Owner, Route, Routes, SessionRef};
use gateway_core::store::StoreError;
use gateway_core::time::{Timestamp, Uptime};

use super::flights::Flights;
use super::principals::PrincipalTickets;
use super::shards::Ticket;
use super::workers::KnownWorker;
use super::{Caches, KnownKey, KnownLogin, Memory};
use crate::identity::Claims;

/// An API key as it was read, and the store's time then.
type FoundKey = Option<(Arc<KnownKey>, Timestamp)>;
/// The identity of a login: its tenant, its user and its family of tokens.
type LoginName = (TenantId, UserId, TokenFamilyId);
type RouteTickets = (super::routes::SessionTickets, Ticket);

/// The reads that are on their way, by kind.
#[derive(Debug, Default)]
pub(super) struct Fills {
    keys: Flights<[u8; 32], PrincipalTickets, FoundKey>,
    logins: Flights<LoginName, PrincipalTickets, Option<Arc<KnownLogin>>>,
    workers: Flights<WorkerId, Ticket, Option<Arc<KnownWorker>>>,
    routes: Flights<(TenantId, SessionRef), RouteTickets, Option<Route>>,
}

impl Caches {
    /// Reads the API key with this hash from the store, with the store's time. Revoked and expired keys
    /// are returned, too.
    pub(crate) async fn read_key(&self, hash: [u8; 32]) -> Result<FoundKey, StoreError> {
        let memory = &*self.0;
        let principals = &memory.principals;
        let (now, tickets) = (memory.clock.uptime(), principals.tickets());
        let good = |begun: &PrincipalTickets| principals.is_key_untouched(begun, &hash);
        let caches = self.clone();
        let read = |tickets: Arc<PrincipalTickets>| async move {
            let memory = &*caches.0;
            let found = memory.store.read_platform().await?.fill_key(&hash).await?;
            Ok(found.map(|found| {
                let KeyFill {
                    key, tenant, tier, ..
                } = found;
                let known = memory.principals.keep_key(&tickets, key, tenant, tier);
                (known, found.now)
            }))
        };
        let fills = &memory.fills.keys;
        fills
            .read(&memory.control, hash, now, tickets, good, read)
            .await
    }

    /// Reads the login of a token from the store. Returns `None` if it has ended.
    pub(crate) async fn read_login(
        &self,
        claims: &Claims,
    ) -> Result<Option<Arc<KnownLogin>>, StoreError> {
        let memory = &*self.0;
        let principals = &memory.principals;
        let (now, tickets) = (memory.clock.uptime(), principals.tickets());
        let (tenant, user, family) = (claims.tenant, claims.sub, claims.fam);
        let good = |begun: &PrincipalTickets| principals.is_login_untouched(begun, family);
        let caches = self.clone();
        let read = |tickets: Arc<PrincipalTickets>| async move {
            let memory = &*caches.0;
            let mut store = memory.store.read_platform().await?;
            let found = store.fill_login(tenant, user, family).await?;
            Ok(found.map(|found| {
                let LoginFill { user, tenant, tier } = found;
                let principals = &memory.principals;
                principals.keep_login(&tickets, family, user, tenant, tier)
            }))
        };
        let (fills, name) = (&memory.fills.logins, (tenant, user, family));
        fills
            .read(&memory.control, name, now, tickets, good, read)
            .await
    }

    /// Asks the store whether `owner` is its worker's present run.
    pub(crate) async fn read_present(&self, owner: &Owner) -> Result<bool, StoreError> {
        // A read that was on its way may be from before the run was registered with another replica.
        Ok(self.present(owner, true).await? || self.present(owner, false).await?)
    }

    async fn present(&self, owner: &Owner, join: bool) -> Result<bool, StoreError> {
        let memory = &*self.0;
        let (now, ticket) = (memory.clock.uptime(), memory.workers.ticket());
        let good = |begun: &Ticket| join && memory.workers.are_untouched(begun);
        let (caches, id) = (self.clone(), owner.worker.clone());
        let read = |ticket: Arc<Ticket>| async move {
            let memory = &*caches.0;
            let row = memory.store.read_platform().await?.worker(&id).await?;
            Ok(row.map(|row| memory.workers.keep(&ticket, &row, now)))
        };
        let (fills, id) = (&memory.fills.workers, owner.worker.clone());
        let known = fills.read(&memory.control, id, now, ticket, good, read);
        Ok(known.await?.is_some_and(|known| known.is_present(owner)))
    }

    /// Reads the route of a tenant's session from the store. With `fresh`, no read that began before this
    /// call is joined.
    pub(crate) async fn read_route(
        &self,
        tenant: TenantId,
        reference: &SessionRef,
        fresh: bool,
    ) -> Result<Option<Route>, StoreError> {
        let memory = &*self.0;
        let now = memory.clock.uptime();
        let tickets = (memory.routes.tickets(), memory.workers.ticket());
        let good = |begun: &RouteTickets| {
            !fresh
                && memory.routes.is_untouched(&begun.0, tenant, reference)
                && memory.workers.are_untouched(&begun.1)
        };
        let (caches, wanted) = (self.clone(), reference.clone());
        let read = |tickets: Arc<RouteTickets>| async move {
            let memory = &*caches.0;
            let mut store = memory.store.read_platform().await?;
            let found = store.fill_route(tenant, &wanted).await?;
            let by_name = matches!(wanted, SessionRef::Name(_));
            Ok(found.map(|found| memory.take_in(&tickets, &found, by_name, now)))
        };
        let (fills, name) = (&memory.fills.routes, (tenant, reference.clone()));
        fills
            .read(&memory.control, name, now, tickets, good, read)
            .await
    }
}

impl Memory {
    /// Stores in the caches what was read of a session and of the worker that holds it, if nothing
    /// changed meanwhile.
    fn take_in(
        &self,
        tickets: &RouteTickets,
        found: &RouteFill,
        by_name: bool,
        sent: Uptime,
    ) -> Route {
        let (routes, workers) = tickets;
        let (session, worker) = (&found.session, found.worker.as_ref());
        let worker = worker.map(|row| self.workers.keep(workers, row, sent));
        self.routes
            .keep(routes, session, by_name, &self.workers, sent);
        let open = worker.zip(session.owner());
        let open = open.and_then(|(worker, owner)| worker.open(owner).map(Arc::clone));
        Route::of(session, open.as_ref())
    }
}

/// Finds routes in the caches, and in the store where the caches do not know one or may not be trusted.
#[derive(Clone, Debug)]
pub struct CachedRoutes {
    caches: Caches,
}

impl CachedRoutes {
    /// Makes a route source over these caches.
    #[must_use]
    pub const fn new(caches: Caches) -> Self {
        Self { caches }
    }
}

#[async_trait]
impl Routes for CachedRoutes {
    async fn route(
        &self,
        tenant: TenantId,
        reference: &SessionRef,
        fresh: bool,
    ) -> Result<Option<Route>, StoreError> {
        let now = self.caches.0.clock.uptime();
        let known = || self.caches.known_route(tenant, reference, now);
        if !fresh && let Some(route) = known() {
            return Ok(Some(route));
        }
        self.caches.read_route(tenant, reference, fresh).await
    }
}
