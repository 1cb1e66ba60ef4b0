//! Reading what is not remembered, on the control runtime: no query is polled on a core.
//!
//! Every fill takes its tickets before it opens a transaction, so that it keeps nothing that was changed
//! meanwhile; what it read answers the request that asked all the same, which began before the change.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use gateway_core::change::UserStanding;
use gateway_core::id::TenantId;
use gateway_core::session::{Owner, Route, Routes, SessionRef, Standing};
use gateway_core::store::{PlatformTx, StoreError};
use gateway_core::tenant::{Tenant, Tier};
use gateway_core::time::Timestamp;
use tokio_util::task::AbortOnDropHandle;

use super::{Caches, KnownKey, KnownLogin, RECONSIDERED};
use crate::http::auth::Claims;

impl Caches {
    /// Runs a read on the control runtime, and ends it if nobody waits for it any more.
    async fn apart<T: Send + 'static>(
        &self,
        read: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let reading = AbortOnDropHandle::new(self.0.control.spawn(read));
        match reading.await {
            Ok(outcome) => outcome,
            Err(ended) => Err(StoreError::Internal(Box::new(ended))),
        }
    }

    /// The API key of that hash as the store has it now, with the store's time; revoked and expired ones
    /// too.
    pub(crate) async fn read_key(
        &self,
        hash: [u8; 32],
    ) -> Result<Option<(Arc<KnownKey>, Timestamp)>, StoreError> {
        let caches = self.clone();
        self.apart(async move {
            let memory = &*caches.0;
            let tickets = memory.principals.tickets();
            let mut tx = memory.store.read().await?;
            let now = tx.now().await?;
            let Some(key) = tx.key_by_hash(&hash).await? else {
                return Ok(None);
            };
            let Some((tenant, tier)) = tenant(&mut *tx, key.tenant).await? else {
                return Ok(None);
            };
            let known = memory.principals.keep_key(&tickets, key, tenant, tier);
            Ok(Some((known, now)))
        })
        .await
    }

    /// The login of a token as the store has it now; none if it has ended.
    pub(crate) async fn read_login(
        &self,
        claims: &Claims,
    ) -> Result<Option<Arc<KnownLogin>>, StoreError> {
        let (caches, claims) = (self.clone(), claims.clone());
        self.apart(async move {
            let memory = &*caches.0;
            let tickets = memory.principals.tickets();
            let mut tx = memory.store.read().await?;
            let Some(user) = tx.user(claims.tenant, claims.sub).await? else {
                return Ok(None);
            };
            if !tx.family_is_live(claims.tenant, claims.fam).await? {
                return Ok(None);
            }
            let Some((tenant, tier)) = tenant(&mut *tx, user.tenant).await? else {
                return Ok(None);
            };
            let standing = UserStanding {
                user: user.id,
                tenant: user.tenant,
                role: user.role,
                token_generation: user.token_generation,
                version: user.version,
            };
            let principals = &memory.principals;
            let known = principals.keep_login(&tickets, claims.fam, standing, tenant, tier);
            Ok(Some(known))
        })
        .await
    }

    /// Whether `owner` is its worker's present run, as the store has it now.
    pub(crate) async fn read_present(&self, owner: &Owner) -> Result<bool, StoreError> {
        let (caches, owner) = (self.clone(), owner.clone());
        self.apart(async move {
            let memory = &*caches.0;
            let ticket = memory.workers.ticket();
            let sent = memory.clock.uptime();
            let row = memory.store.read().await?.worker(&owner.worker).await?;
            let known = row.map(|row| memory.workers.keep(&ticket, &row, sent));
            Ok(known.is_some_and(|known| known.is_present(&owner)))
        })
        .await
    }

    /// The route of a tenant's session as the store has it now.
    pub(crate) async fn read_route(
        &self,
        tenant: TenantId,
        reference: &SessionRef,
    ) -> Result<Option<Route>, StoreError> {
        let (caches, reference) = (self.clone(), reference.clone());
        self.apart(async move {
            let memory = &*caches.0;
            let tickets = memory.routes.tickets();
            let ticket = memory.workers.ticket();
            let sent = memory.clock.uptime();
            let mut tx = memory.store.read().await?;
            let Some(session) = tx.card(tenant, &reference).await? else {
                return Ok(None);
            };
            let worker = match session.owner() {
                Some(owner) => tx.worker(&owner.worker).await?,
                None => None,
            };
            drop(tx);
            let worker = worker.map(|row| memory.workers.keep(&ticket, &row, sent));
            let by_name = matches!(reference, SessionRef::Name(_));
            memory
                .routes
                .keep(&tickets, &session, by_name, &memory.workers, sent);
            let open = worker.zip(session.owner());
            let open = open.and_then(|(worker, owner)| worker.open(owner).map(Arc::clone));
            Ok(Some(Route::of(&session, open.as_ref())))
        })
        .await
    }
}

/// A tenant and its plan.
async fn tenant(
    tx: &mut dyn PlatformTx,
    id: TenantId,
) -> Result<Option<(Tenant, Tier)>, StoreError> {
    let Some(tenant) = tx.tenant(id).await? else {
        return Ok(None);
    };
    match tx.tier(&tenant.tier).await? {
        Some(tier) => Ok(Some((tenant, tier))),
        None => Err(StoreError::Corrupt {
            table: "tenants",
            id: id.to_string(),
            why: format!("no tier {}", tenant.tier),
        }),
    }
}

/// Routes out of the caches, and out of the store where those do not know or should not say.
#[derive(Clone, Debug)]
pub struct CachedRoutes {
    caches: Caches,
}

impl CachedRoutes {
    /// Over these caches.
    #[must_use]
    pub const fn new(caches: Caches) -> Self {
        Self { caches }
    }

    fn known(&self, tenant: TenantId, reference: &SessionRef) -> Option<Route> {
        let memory = &*self.caches.0;
        let now = memory.clock.uptime();
        if !self.caches.are_trusted(now) {
            return None;
        }
        let (route, read_at) = memory.routes.get(tenant, reference, &memory.workers)?;
        let open = matches!(route.standing, Standing::Open(_));
        (open || now.since(read_at) <= RECONSIDERED).then_some(route)
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
        if !fresh && let Some(route) = self.known(tenant, reference) {
            return Ok(Some(route));
        }
        self.caches.read_route(tenant, reference).await
    }
}
