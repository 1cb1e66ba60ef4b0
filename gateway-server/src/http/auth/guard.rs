//! The one place where a request is let in.
//!
//! Every route stands behind this layer with the access class it was declared with. The order matters:
//! what can be refused without a look-up is refused first; then the address limit; then the store says
//! whether the credential still holds; then the access class; then the tenant's quota.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use gateway_core::auth::{Access, ApiKey, ApiKeySecret, Principal};
use gateway_core::session::Owner;
use gateway_core::store::PlatformTx;
use gateway_core::tenant::{Tenant, TenantStatus, Tier};
use gateway_core::worker::WorkerStatus;
use tracing::Span;

use super::address::{self, Peer};
use super::caller::{Caller, Joiner, Person, WorkerCaller};
use super::credential::{Credential, unauthorized};
use super::jwt::Claims;
use crate::app::App;
use crate::http::problem::{ApiResult, Kind, Problem};
use crate::http::quota;
use crate::telemetry::span;

/// What the layer of one route knows.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    /// The server.
    pub(crate) app: App,
    /// Who the route is for.
    pub(crate) access: Access,
    /// Whether requests of strangers count against their address.
    pub(crate) counted: bool,
}

/// Lets a request in, or answers why not.
pub(crate) async fn guard(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    match gate.admit(&mut request).await {
        Ok(None) => next.run(request).await,
        Ok(Some(caller)) => quota::serve(&gate.app, &caller, request, next).await,
        Err(problem) => problem.into_response(),
    }
}

impl Gate {
    /// The caller whose quota is to be used, if the request has an API key.
    async fn admit(&self, request: &mut Request) -> ApiResult<Option<Caller>> {
        let peer = Peer::of(request.extensions());
        if self.access == Access::Public {
            if self.counted {
                address::count(&self.app, peer).await?;
            }
            return Ok(None);
        }
        let outcome = self.identify(request, peer).await;
        match &outcome {
            Err(problem) if problem.kind() == Kind::Unauthorized => {
                address::count(&self.app, peer).await?;
            }
            Ok(_) | Err(_) => {}
        }
        outcome
    }

    async fn identify(&self, request: &mut Request, peer: Peer) -> ApiResult<Option<Caller>> {
        let app = &self.app;
        let credential = app.verifiers.read(request.headers(), app.clock.now())?;
        if !matches!(credential, Credential::Worker(_)) {
            address::check(app, peer).await?;
        }
        let extensions = request.extensions_mut();
        match credential {
            Credential::Bootstrap => self.join(extensions, Joiner::Fleet),
            Credential::Ticket(hash) => self.join(extensions, Joiner::Ticket(hash)),
            Credential::Worker(owner) => {
                present(app, &owner).await?;
                self.access.admits(&Principal::Worker(owner.clone()))?;
                Span::current().record(span::WORKER_ID, owner.worker.as_str());
                extensions.insert(WorkerCaller(owner));
                Ok(None)
            }
            Credential::Login(claims) => {
                let (person, caller) = logged_in(app, &claims).await?;
                self.tenant(&caller)?;
                extensions.insert(person);
                extensions.insert(caller);
                Ok(None)
            }
            Credential::Key(secret) => {
                let caller = with_key(app, &secret).await?;
                self.tenant(&caller)?;
                extensions.insert(caller.clone());
                Ok(Some(caller))
            }
        }
    }

    fn tenant(&self, caller: &Caller) -> ApiResult<()> {
        Span::current().record(span::TENANT_ID, tracing::field::display(caller.tenant));
        Ok(self.access.admits(&caller.principal)?)
    }

    fn join(&self, extensions: &mut http::Extensions, joiner: Joiner) -> ApiResult<Option<Caller>> {
        if self.access != Access::Bootstrap {
            return Err(Problem::new(
                Kind::Forbidden,
                "this token is only for registering a worker",
            ));
        }
        extensions.insert(joiner);
        Ok(None)
    }
}

/// Whether the token's incarnation is the worker's present one.
async fn present(app: &App, owner: &Owner) -> ApiResult<()> {
    let mut tx = app.store.read().await?;
    let worker = tx.worker(&owner.worker).await?;
    let same = worker.is_some_and(|worker| {
        worker.incarnation.as_ref() == Some(&owner.incarnation)
            && worker.status != WorkerStatus::Removed
    });
    match same {
        true => Ok(()),
        false => Err(unauthorized(
            "another run of this worker has registered since; take a new incarnation and register",
        )),
    }
}

async fn logged_in(app: &App, claims: &Claims) -> ApiResult<(Person, Caller)> {
    let ended = || unauthorized("this login has ended; log in again");
    let mut tx = app.store.read().await?;
    let user = tx
        .user(claims.tenant, claims.sub)
        .await?
        .ok_or_else(ended)?;
    let live = tx.family_is_live(claims.tenant, claims.fam).await?;
    if !live || user.token_generation != claims.generation {
        return Err(ended());
    }
    let (tenant, tier) = active_tenant(&mut *tx, user.tenant).await?;
    let person = Person {
        tenant: tenant.id,
        user: user.id,
        role: user.role,
        family: claims.fam,
    };
    let principal = Principal::User {
        tenant: tenant.id,
        user: user.id,
        role: user.role,
    };
    let caller = Caller {
        tenant: tenant.id,
        tier,
        principal,
    };
    Ok((person, caller))
}

async fn with_key(app: &App, secret: &ApiKeySecret) -> ApiResult<Caller> {
    let mut tx = app.store.read().await?;
    let now = tx.now().await?;
    let key = tx.key_by_hash(&secret.hash()).await?;
    let key = key.filter(|key| key.is_valid(now));
    let key = key.ok_or_else(|| unauthorized("unknown, expired or revoked API key"))?;
    let (tenant, tier) = active_tenant(&mut *tx, key.tenant).await?;
    drop(tx);
    app.last_used.note(app, &key, now).await;
    let principal = principal(key);
    Ok(Caller {
        tenant: tenant.id,
        tier,
        principal,
    })
}

fn principal(key: ApiKey) -> Principal {
    Principal::Key {
        tenant: key.tenant,
        key: key.id,
        scopes: key.scopes,
        session: key.session,
    }
}

/// The tenant of a credential and its plan.
///
/// # Errors
/// It is suspended.
pub(crate) async fn active_tenant(
    tx: &mut dyn PlatformTx,
    id: gateway_core::id::TenantId,
) -> ApiResult<(Tenant, Tier)> {
    let tenant = tx.tenant(id).await?;
    let tenant = tenant.ok_or_else(|| unauthorized("this account is gone"))?;
    if tenant.status == TenantStatus::Suspended {
        return Err(Problem::new(
            Kind::TenantSuspended,
            "this account is suspended; ask the operator",
        ));
    }
    let tier = tx.tier(&tenant.tier).await?;
    let tier = tier.ok_or_else(|| Problem::internal(format!("no tier {}", tenant.tier)))?;
    Ok((tenant, tier))
}
