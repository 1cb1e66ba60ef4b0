//! `POST /sessions/{id}/messages`
//!
//! From the first byte to the worker until the outcome is stored, a send goes on whoever waits for it: a
//! client that hangs up must not erase a message that has gone out from the history.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts, State};
use gateway_core::message::{SendRequest, Sender};
use gateway_core::session::{Route, SessionRef};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::body::SendMessage;
use super::view::MessageView;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::OwnSession;
use crate::http::extract::ApiJson;
use crate::http::note_session;
use crate::http::parts::ServerParts;
use crate::http::problem::{ApiResult, Kind, Problem};
use crate::identity::Caller;
use crate::shutdown::Shutdown;
use crate::telemetry::metrics::Metrics;

const KEY: &str = "Idempotency-Key";
/// The header which says that the answer is that of an earlier request with the same key.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// How long a request waits, on top of the worker's time, for its outcome to be stored.
const TO_STORE: Duration = Duration::from_secs(5);

/// Send a message
///
/// Answers when the session's worker has accepted the message and that is stored: its status is then
/// `sending`; `sent`, `delivered` and `read` follow as events. With an `Idempotency-Key`, repeating the
/// request sends nothing twice and has the first answer. 504 `outcome_unknown` names a message that may
/// have gone out: repeat it with the same key, or wait for its status.
#[utoipa::path(post, path = "/sessions/{id}/messages", tag = "messages",
    extensions(("x-problems" = json!(["not_connected", "idempotency_mismatch", "message_refused", "not_supported", "worker_error", "session_unavailable", "overloaded", "outcome_unknown"]))),
    request_body = SendMessage,
    params(
        ("id" = SessionRef, Path, description = "Id or name"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters"),
    ),
    responses((status = 200, body = Envelope<MessageView>)))]
pub(super) async fn send(
    State(sending): State<Sending>,
    caller: Caller,
    OwnSession(reference): OwnSession,
    IdempotencyKey(key): IdempotencyKey,
    ApiJson(body): ApiJson<SendMessage>,
) -> ApiResult<Answer<MessageView>> {
    let letter = body.letter()?;
    let route = sending
        .sender
        .routes
        .route(caller.tenant, &reference, false);
    let route = route.await?.ok_or_else(|| Problem::not_found("session"))?;
    caller.may_touch(route.session)?;
    note_session(route.session);
    let request = letter.request(&caller, &route, key);
    sending.deliver(request, route).await
}

/// The parts that a send needs: the sender, and what sees it through.
#[derive(Clone, Debug)]
pub(super) struct Sending {
    sender: Arc<Sender>,
    shutdown: Shutdown,
    metrics: Arc<Metrics>,
}

impl FromRef<ServerParts> for Sending {
    fn from_ref(parts: &ServerParts) -> Self {
        Self {
            sender: Arc::clone(&parts.sender),
            shutdown: parts.shutdown.clone(),
            metrics: Arc::clone(&parts.metrics),
        }
    }
}

impl Sending {
    /// Sends a message and waits for the outcome. The send goes on to its end even if the caller goes
    /// away.
    async fn deliver(&self, request: SendRequest, route: Route) -> ApiResult<Answer<MessageView>> {
        let key = request.idempotency_key.as_deref();
        let id = self.sender.message_id(request.tenant, route.session, key);
        let limit = self.sender.limits.worker * 2 + TO_STORE;
        let (sender, metrics) = (Arc::clone(&self.sender), Arc::clone(&self.metrics));
        let sending = self.shutdown.see_through(async move {
            let in_flight = metrics.sends.begun();
            let outcome = sender.send_along(id, &request, route).await;
            in_flight.ended(&outcome);
            outcome
        });
        let unknown = |text| Problem::new(Kind::OutcomeUnknown, text).with("id", id.to_string());
        let Ok(ended) = tokio::time::timeout(limit, sending).await else {
            let text = "the outcome is not stored yet; the message may have been sent";
            return Err(unknown(text));
        };
        let outcome = ended.map_err(|panicked| {
            let text = "something went wrong here; the message may have been sent";
            unknown(text).because(panicked)
        })??;
        let answer = Answer::ok(MessageView::from(outcome.message));
        Ok(match outcome.repeated {
            true => answer.header(REPLAYED, HeaderValue::from_static("true")),
            false => answer,
        })
    }
}

/// The `Idempotency-Key` of a request, if it has one.
#[derive(Clone, Debug)]
pub(super) struct IdempotencyKey(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        key(&parts.headers).map(Self)
    }
}

fn key(headers: &HeaderMap) -> ApiResult<Option<String>> {
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if values.next().is_some() || !printable || !(1..=255).contains(&text.len()) {
        let text = "must be sent once and have 1 to 255 printable ASCII characters";
        return Err(Problem::field(KEY, text));
    }
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let name = HeaderName::from_static("idempotency-key");
        let value = |bytes: &&[u8]| HeaderValue::from_bytes(bytes).expect("a value");
        values
            .iter()
            .map(|bytes| (name.clone(), value(bytes)))
            .collect()
    }

    #[test]
    fn a_key_is_one_short_printable_text() {
        assert_eq!(key(&HeaderMap::new()).expect("none"), None);
        let order = key(&headers(&[b"order 17"])).expect("a key");
        assert_eq!(order.as_deref(), Some("order 17"));
        let long = [b'x'; 256];
        for bad in [
            &[&b""[..]][..],
            &[&long],
            &[b"\xc3\xbc"],
            &[b"a\tb"],
            &[b"a", b"b"],
        ] {
            assert!(key(&headers(bad)).is_err(), "{bad:?}");
        }
    }
}
