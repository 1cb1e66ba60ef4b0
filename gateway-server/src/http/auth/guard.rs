//! The one place where a request is let in.
//!
//! Every route stands behind this layer with the access class it was declared with. The order matters:
//! what can be refused without a look-up is refused first; then the caches say whether the credential still
//! holds, or, under the address limit, the store; then the access class; then the tenant's quota.

use std::sync::Arc;

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use gateway_core::identity::{Access, ApiKeySecret, Principal};
use gateway_core::session::Owner;
use gateway_core::store::PlatformTx;
use gateway_core::tenant::{Tenant, TenantStatus, Tier};
use gateway_core::time::Uptime;
use tracing::Span;

use super::address::{self, ClientAddress};
use super::slow_body::WhileKnown;
use crate::app::App;
use crate::cache::{KnownLogin, minute};
use crate::http::problem::{ApiResult, Kind, Problem};
use crate::http::quota;
use crate::identity::{Caller, Claims, Credential, Joiner, Person, WorkerCaller};
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
        Ok(Some(caller)) => quota::serve(&gate.app.quotas, &caller, request, next).await,
        Err(problem) => problem.into_response(),
    }
}

impl Gate {
    /// The caller whose quota is to be used, if the request has an API key.
    async fn admit(&self, request: &mut Request) -> ApiResult<Option<Caller>> {
        let client = ClientAddress::of(&self.app, request.headers(), request.extensions());
        if self.access == Access::Public {
            if self.counted {
                address::count(&self.app, client).await?;
            }
            return Ok(None);
        }
        let outcome = self.identify(request, client).await;
        match &outcome {
            Err(problem) if problem.kind() == Kind::Unauthorized => {
                address::count(&self.app, client).await?;
            }
            Ok(_) | Err(_) => {}
        }
        outcome
    }

    async fn identify(
        &self,
        request: &mut Request,
        client: ClientAddress,
    ) -> ApiResult<Option<Caller>> {
        let app = &self.app;
        let credential = app.verifiers.read(request.headers(), app.clock.now())?;
        let extensions = request.extensions_mut();
        match credential {
            Credential::Bootstrap => {
                address::check(app, client).await?;
                self.join(extensions, Joiner::Fleet)
            }
            Credential::Ticket(hash) => {
                address::check(app, client).await?;
                self.join(extensions, Joiner::Ticket(hash))
            }
            Credential::Worker(owner) => {
                present(app, &owner).await?;
                self.access.admits(&Principal::Worker(owner.clone()))?;
                Span::current().record(span::WORKER_ID, owner.worker.as_str());
                extensions.insert(WorkerCaller(owner));
                Ok(None)
            }
            Credential::Login(claims) => {
                let (person, caller) = logged_in(app, &claims, client).await?;
                self.tenant(&caller)?;
                extensions.insert(person);
                extensions.insert(caller);
                self.while_known(request, move |app, now| {
                    let login = app.caches.login(claims.fam, now);
                    login.is_some_and(|login| shows(&claims, &login) && login.tenant().is_active())
                });
                Ok(None)
            }
            Credential::Key(secret) => {
                let caller = with_key(app, &secret, client).await?;
                self.tenant(&caller)?;
                extensions.insert(caller.clone());
                let hash = secret.hash();
                self.while_known(request, move |app, now| {
                    let known = app.caches.key(&hash, now);
                    known.is_some_and(|(known, _)| known.tenant().is_active())
                });
                Ok(Some(caller))
            }
        }
    }

    /// Lets the body come to its end only if the credential stands by then.
    fn while_known(
        &self,
        request: &mut Request,
        is_known: impl Fn(&App, Uptime) -> bool + Send + Unpin + 'static,
    ) {
        if request.body().is_end_stream() {
            return;
        }
        let app = self.app.clone();
        let body = std::mem::take(request.body_mut());
        let is_known = move |now| is_known(&app, now);
        *request.body_mut() = Body::new(WhileKnown::new(body, &self.app.clock, is_known));
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

/// Whether the token's incarnation is the worker's present one. Only the store's word refuses it: it may
/// have registered with another replica a moment ago.
async fn present(app: &App, owner: &Owner) -> ApiResult<()> {
    let known = app.caches.is_present(owner, app.clock.uptime());
    if known || app.caches.read_present(owner).await? {
        return Ok(());
    }
    Err(unauthorized(
        "another run of this worker has registered since; take a new incarnation and register",
    ))
}

/// Who shows an access token. A login that is not remembered costs a look-up, and the address must not be
/// over its limit.
async fn logged_in(
    app: &App,
    claims: &Claims,
    client: ClientAddress,
) -> ApiResult<(Person, Caller)> {
    let is_of = |login: &Arc<KnownLogin>| shows(claims, login);
    let known = app.caches.login(claims.fam, app.clock.uptime());
    let login = match known.filter(is_of) {
        Some(login) => login,
        None => {
            address::check(app, client).await?;
            let read = app.caches.read_login(claims).await?;
            read.filter(is_of)
                .ok_or_else(|| unauthorized("this login has ended; log in again"))?
        }
    };
    active(login.tenant().is_active())?;
    Ok((login.person(), login.caller()))
}

/// Whether the token was made for that login, as it is now.
fn shows(claims: &Claims, login: &KnownLogin) -> bool {
    login.is_of(claims.tenant, claims.sub, claims.generation)
}

/// Who shows an API key; the same.
async fn with_key(app: &App, secret: &ApiKeySecret, client: ClientAddress) -> ApiResult<Caller> {
    let hash = secret.hash();
    let (known, now) = match app.caches.key(&hash, app.clock.uptime()) {
        Some(known) => known,
        None => {
            address::check(app, client).await?;
            let read = app.caches.read_key(hash).await?;
            read.filter(|(known, now)| known.key.is_valid(*now))
                .ok_or_else(|| unauthorized("unknown, expired or revoked API key"))?
        }
    };
    active(known.tenant().is_active())?;
    if !known.is_noted(minute(now)) {
        app.last_used.note(&known.key, now);
        known.note(minute(now));
    }
    Ok(Caller::clone(known.caller()))
}

fn unauthorized(why: &'static str) -> Problem {
    Problem::new(Kind::Unauthorized, why)
}

fn active(is_active: bool) -> ApiResult<()> {
    if is_active {
        return Ok(());
    }
    Err(Problem::new(
        Kind::TenantSuspended,
        "this account is suspended; ask the operator",
    ))
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
    active(tenant.status == TenantStatus::Active)?;
    let tier = tx.tier(&tenant.tier).await?;
    let tier = tier.ok_or_else(|| Problem::internal(format!("no tier {}", tenant.tier)))?;
    Ok((tenant, tier))
}
