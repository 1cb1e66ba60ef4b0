//! The one place where a request is let in.
//!
//! Every route stands behind this layer with the access class it was declared with. The order matters:
//! what can be refused without a look-up is refused first; then the caches say whether the credential still
//! holds, or, under the address limit, the store; then the access class; then the tenant's quota.

use std::sync::Arc;

use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRef, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use gateway_core::identity::{Access, Principal};
use gateway_core::orchestrator::Join;
use gateway_core::session::Owner;
use gateway_core::time::{Clock, Uptime};
use http::HeaderMap;
use tracing::Span;

use super::address::{ClientAddress, StrangerLimit};
use super::slow_body::WhileKnown;
use crate::cache::{Caches, KnownLogin, minute};
use crate::config::Http;
use crate::http::parts::ServerParts;
use crate::http::problem::{ApiResult, Kind, Problem};
use crate::http::query::KnownQuery;
use crate::http::quota;
use crate::identity::{
    Caller, Claims, Credential, Joiner, LastUsed, Person, Verifiers, WorkerCaller,
};
use crate::quota::Quotas;
use crate::telemetry::span;

/// The parts that all guards share.
#[derive(Debug)]
pub(crate) struct GateParts {
    options: Arc<Http>,
    strangers: StrangerLimit,
    verifiers: Arc<Verifiers>,
    caches: Caches,
    last_used: Arc<LastUsed>,
    quotas: Quotas,
    clock: Arc<dyn Clock>,
}

impl FromRef<ServerParts> for GateParts {
    fn from_ref(parts: &ServerParts) -> Self {
        Self {
            options: Arc::clone(&parts.http),
            strangers: StrangerLimit::new(Arc::clone(&parts.coord), Arc::clone(&parts.limits)),
            verifiers: Arc::clone(&parts.verifiers),
            caches: parts.caches.clone(),
            last_used: Arc::clone(&parts.last_used),
            quotas: parts.quotas.clone(),
            clock: Arc::clone(&parts.clock),
        }
    }
}

/// The guard of one route: what it shares with the others, and who it lets in.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    /// The parts shared with the other guards.
    pub(crate) parts: Arc<GateParts>,
    /// Who the route is for.
    pub(crate) access: Access,
    /// Whether requests of strangers count against their address.
    pub(crate) counted: bool,
    /// The query parameters that the route knows, if it takes no others.
    pub(crate) query: Option<Arc<KnownQuery>>,
}

/// Lets a request in, or answers why it is refused.
pub(crate) async fn guard(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let admitted = gate.admit(&mut request).await;
    let admitted = admitted.and_then(|caller| gate.understands(&request).map(|()| caller));
    match admitted {
        Ok(None) => next.run(request).await,
        Ok(Some(caller)) => quota::serve(&gate.parts.quotas, &caller, request, next).await,
        Err(problem) => problem.into_response(),
    }
}

impl Gate {
    fn understands(&self, request: &Request) -> ApiResult<()> {
        match &self.query {
            Some(known) => known.check(request.method(), request.uri()),
            None => Ok(()),
        }
    }

    /// Checks the credential and puts the caller into the request. Returns the caller if its quota is to
    /// be used, which is so for API keys.
    async fn admit(&self, request: &mut Request) -> ApiResult<Option<Caller>> {
        let client =
            ClientAddress::of(&self.parts.options, request.headers(), request.extensions());
        if self.access == Access::Public {
            if self.counted {
                self.parts.strangers.count(client).await?;
            }
            return Ok(None);
        }
        let outcome = self.identify(request, client).await;
        match &outcome {
            Err(problem) if problem.kind() == Kind::Unauthorized => {
                self.parts.strangers.count(client).await?;
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
        let parts = &self.parts;
        let now = parts.clock.now();
        let credential = parts.verifiers.read(request.headers(), now)?;
        let extensions = request.extensions_mut();
        match credential {
            Credential::Bootstrap => {
                parts.strangers.check(client).await?;
                self.join(extensions, Join::Bootstrap)
            }
            Credential::JoinToken(hash) => {
                parts.strangers.check(client).await?;
                self.join(extensions, Join::OneTime(hash))
            }
            Credential::Worker(owner) => {
                parts.present(&owner).await?;
                self.access.admits(&Principal::Worker(owner.clone()))?;
                Span::current().record(span::WORKER_ID, owner.worker.as_str());
                extensions.insert(WorkerCaller(owner));
                Ok(None)
            }
            Credential::Login(claims) => {
                let (person, caller) = parts.logged_in(&claims, client).await?;
                self.tenant(&caller)?;
                extensions.insert(person);
                extensions.insert(caller);
                self.while_known(request, move |caches, now| {
                    let login = caches.login(claims.fam, now);
                    login.is_some_and(|login| shows(&claims, &login) && login.tenant().is_active())
                });
                Ok(None)
            }
            Credential::Key(secret) => {
                let hash = secret.hash();
                let caller = parts.with_key(hash, client).await?;
                self.tenant(&caller)?;
                extensions.insert(caller.clone());
                self.while_known(request, move |caches, now| caches.holds_key(&hash, now));
                Ok(Some(caller))
            }
        }
    }

    /// Wraps the body of a request so that it comes to its end only if the credential still holds by
    /// then.
    fn while_known(
        &self,
        request: &mut Request,
        is_known: impl Fn(&Caches, Uptime) -> bool + Send + Unpin + 'static,
    ) {
        if request.body().is_end_stream() {
            return;
        }
        let caches = self.parts.caches.clone();
        let body = std::mem::take(request.body_mut());
        let is_known = move |now| is_known(&caches, now);
        *request.body_mut() = Body::new(WhileKnown::new(body, &self.parts.clock, is_known));
    }

    fn tenant(&self, caller: &Caller) -> ApiResult<()> {
        Span::current().record(span::TENANT_ID, tracing::field::display(caller.tenant));
        Ok(self.access.admits(&caller.principal)?)
    }

    fn join(&self, extensions: &mut http::Extensions, join: Join) -> ApiResult<Option<Caller>> {
        if self.access != Access::Bootstrap {
            return Err(Problem::new(
                Kind::Forbidden,
                "this token is only for registering a worker",
            ));
        }
        extensions.insert(Joiner(join));
        Ok(None)
    }
}

impl GateParts {
    /// Checks that the token's incarnation is the worker's present one. Only the store's word refuses it: the
    /// worker may have registered with another replica a moment ago.
    async fn present(&self, owner: &Owner) -> ApiResult<()> {
        let known = self.caches.is_present(owner, self.clock.uptime());
        if known || self.caches.read_present(owner).await? {
            return Ok(());
        }
        Err(unauthorized(
            "another run of this worker has registered since; take a new incarnation and register",
        ))
    }

    /// Returns whether the request shows the access token of an administrator.
    pub(super) async fn is_administrator(
        &self,
        headers: &HeaderMap,
        client: ClientAddress,
    ) -> bool {
        let credential = self.verifiers.read(headers, self.clock.now());
        let Ok(Credential::Login(claims)) = credential else {
            return false;
        };
        let found = self.logged_in(&claims, client).await;
        found.is_ok_and(|(_, caller)| caller.is_admin())
    }

    /// Finds out who shows an access token. A login that is not remembered costs a look-up, and the address
    /// must not be over its limit.
    async fn logged_in(
        &self,
        claims: &Claims,
        client: ClientAddress,
    ) -> ApiResult<(Person, Caller)> {
        let is_of = |login: &Arc<KnownLogin>| shows(claims, login);
        let known = self.caches.login(claims.fam, self.clock.uptime());
        let login = match known.filter(is_of) {
            Some(login) => login,
            None => {
                self.strangers.check(client).await?;
                let read = self.caches.read_login(claims).await?;
                read.filter(is_of)
                    .ok_or_else(|| unauthorized("this login has ended; log in again"))?
            }
        };
        active(login.tenant().is_active())?;
        Ok((login.person(), login.caller()))
    }

    /// Finds out who shows the API key with this hash. One that is not remembered costs a look-up, and the address must not be
    /// over its limit.
    async fn with_key(&self, hash: [u8; 32], client: ClientAddress) -> ApiResult<Caller> {
        let (known, now) = match self.caches.key(&hash, self.clock.uptime()) {
            Some(known) => known,
            None => {
                self.strangers.check(client).await?;
                let read = self.caches.read_key(hash).await?;
                read.filter(|(known, now)| known.key.is_valid(*now))
                    .ok_or_else(|| unauthorized("unknown, expired or revoked API key"))?
            }
        };
        active(known.tenant().is_active())?;
        if !known.is_noted(minute(now)) {
            self.last_used.note(&known.key, now);
            known.note(minute(now));
        }
        Ok(known.caller().clone())
    }
}

/// Returns whether the token was made for that login, as it is now.
fn shows(claims: &Claims, login: &KnownLogin) -> bool {
    login.is_of(claims.tenant, claims.sub, claims.generation)
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
