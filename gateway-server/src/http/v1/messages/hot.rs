//! Sending on a core, before the router.
//!
//! The hot path. A request that needs nothing but what is in memory, one worker and the log is answered
//! here by the same functions that the router, its layers and the guard call, without their dispatch. One
//! that needs anything else (a credential, route or quota that is not in memory, a browser's headers, a
//! compressed answer) is left to the router as it came: a doubt costs time and is never a second rule.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use gateway_core::session::{Route, SessionRef};
use gateway_core::time::Uptime;
use http::{HeaderMap, Method, Request, header};
use hyper::body::Body as _;
use tracing::info_span;

use super::SEND;
use super::body::SendMessage;
use super::send::key;
use crate::http::auth::WhileKnown;
use crate::http::body::BodyLimit;
use crate::http::core::Core;
use crate::http::extract::api_json;
use crate::http::layers;
use crate::http::parts::ServerParts;
use crate::http::problem::ApiResult;
use crate::http::quota;
use crate::http::serve::Timed;
use crate::http::{ALIAS, BASE, COMPRESSED_FROM};
use crate::identity::{Caller, Verifiers};
use crate::quota::CountedRequest;
use crate::telemetry::span;

/// Answers a send, or returns the request for the router.
pub(crate) async fn serve(
    core: &Core,
    request: Request<Timed>,
) -> Result<Response, Request<Timed>> {
    let Some(known) = Known::of(&core.parts, &request) else {
        return Err(request);
    };
    let parts = &core.parts;
    let started = parts.clock.uptime();
    let (head, body) = request.into_parts();
    let id = layers::request_id(&*parts.entropy, &head.headers);
    let Known {
        caller,
        route,
        counted,
    } = known;
    let session = route.session;
    let mut response = match answer(core, &caller, route, &head.headers, body).await {
        Ok(response) => layers::finished(response, &id),
        Err(problem) => {
            let span = info_span!(
                "http.request",
                { span::REQUEST_ID } = &*id,
                { span::TENANT_ID } = %caller.tenant,
                { span::SESSION_ID } = %session,
            );
            span.in_scope(|| layers::finished(problem.into_response(), &id))
        }
    };
    quota::settle(counted, &mut response);
    layers::secure(response.headers_mut());
    let took = parts.clock.uptime().since(started);
    parts.metrics.http.sent(response.status(), took);
    Ok(response)
}

async fn answer(
    core: &Core,
    caller: &Arc<Caller>,
    route: Route,
    headers: &HeaderMap,
    body: Timed,
) -> ApiResult<Response> {
    let parts = &core.parts;
    let body = WhileKnown::new(body, &parts.clock, |now| {
        is_still(parts, caller, headers, now)
    });
    let body = BodyLimit(parts.http.body_limit).read(body).await?;
    let message: SendMessage = api_json(headers, &body)?;
    let request = message.letter()?.request(caller, &route, key(headers)?);
    let answer = core.sending.deliver(request, route).await?;
    Ok(answer.into_response())
}

/// Returns whether the credential still stands for the same caller.
fn is_still(parts: &ServerParts, caller: &Arc<Caller>, headers: &HeaderMap, now: Uptime) -> bool {
    let hash = Verifiers::api_key(headers).map(|secret| secret.hash());
    let known = hash.and_then(|hash| parts.caches.key(&hash, now));
    known
        .is_some_and(|(known, _)| known.tenant().is_active() && Arc::ptr_eq(known.caller(), caller))
}

/// What a send needs to know, read from memory.
struct Known {
    caller: Arc<Caller>,
    route: Route,
    counted: CountedRequest,
}

impl Known {
    /// Collects it for a request, or returns `None` if the router has to look closer.
    fn of(parts: &ServerParts, request: &Request<Timed>) -> Option<Self> {
        let reference = SessionRef::parse(session(request)?).ok()?;
        let now = parts.clock.uptime();
        let hash = Verifiers::api_key(request.headers())?.hash();
        let caller = parts.caches.caller(&hash, now)?;
        SEND.admits(&caller.principal).ok()?;
        let route = parts.caches.open_route(caller.tenant, &reference, now)?;
        caller.may_touch(route.session).ok()?;
        let limit = caller.tier.requests_per_hour;
        let counted = parts.quotas.count_now(caller.tenant, limit)?;
        Some(Self {
            caller,
            route,
            counted,
        })
    }
}

/// Returns the session in the path of a send that no layer has more to do about.
fn session(request: &Request<Timed>) -> Option<&str> {
    if request.method() != Method::POST || request.headers().contains_key(header::ORIGIN) {
        return None;
    }
    // The answer repeats the content.
    let long = request.body().size_hint().lower() * 2 > COMPRESSED_FROM.into();
    if long && request.headers().contains_key(header::ACCEPT_ENCODING) {
        return None;
    }
    let path = request.uri().path();
    let below = path
        .strip_prefix(BASE)
        .or_else(|| path.strip_prefix(ALIAS))?;
    let session = below
        .strip_prefix("/sessions/")?
        .strip_suffix("/messages")?;
    let whole = !session.contains(['/', '%']);
    whole.then_some(session)
}
