//! The gateway over HTTP.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::state::{
    EPOCH_HEADER, JournalAnswer, JournalGroup, JournalResult, STATE_MEDIA_TYPE, STATE_SEQ_HEADER,
    decode_state, encode_entries, encode_groups,
};
use gateway_core::protocol::{
    AssignedSession, Beat, BeatAnswer, InboundMessage, MessageReport, RecoveryReport, Register,
    Registered, SessionReport,
};
use gateway_core::state::StoredState;
use http_body_util::{BodyExt, Full};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::StartError;
use crate::gateway::{Caller, GatewayApi, GatewayError};

/// How long a call may take; shorter than what the worker takes for lost.
const LIMIT: Duration = Duration::from_secs(5);

/// A client of one gateway over HTTP.
pub struct HttpGateway {
    base_url: String,
    bootstrap_token: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl std::fmt::Debug for HttpGateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpGateway")
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

/// What every answer is wrapped in.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Failure {
    #[serde(rename = "type")]
    kind: String,
    error: String,
    current: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Sequence {
    seq: u64,
}

/// A request that is not sent yet.
struct Draft<'a> {
    method: Method,
    path: String,
    token: &'a str,
    media_type: &'static str,
    headers: Vec<(&'static str, u64)>,
    body: Vec<u8>,
}

impl<'a> Draft<'a> {
    fn bare(caller: &'a Caller, method: Method, path: String) -> Self {
        Self {
            method,
            path,
            token: &caller.token,
            media_type: "application/json",
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    fn json(
        caller: &'a Caller,
        method: Method,
        path: String,
        body: &(impl Serialize + ?Sized),
    ) -> Result<Self, GatewayError> {
        Ok(Self {
            body: to_json(body)?,
            ..Self::bare(caller, method, path)
        })
    }

    fn state(caller: &'a Caller, method: Method, path: &str, of: (SessionId, Epoch)) -> Self {
        let (session, epoch) = of;
        let worker = &caller.owner.worker;
        Self {
            media_type: STATE_MEDIA_TYPE,
            headers: vec![(EPOCH_HEADER, epoch.0)],
            ..Self::bare(
                caller,
                method,
                format!("/workers/{worker}/sessions/{session}/{path}"),
            )
        }
    }
}

impl HttpGateway {
    /// Makes a client of the gateway at `base_url` (`http://host:port`, without `/api`). The token is the
    /// fleet's bootstrap token, or the one-time token of a reserved worker id.
    ///
    /// # Errors
    /// The URL is not `http://…`.
    pub fn new(base_url: &str, bootstrap_token: &str) -> Result<Self, StartError> {
        let base = base_url.trim_end_matches('/');
        let url: Option<Uri> = base.parse().ok();
        let usable = url.filter(|url| url.host().is_some() && url.scheme_str() == Some("http"));
        if usable.is_none() {
            let url = base_url.to_owned();
            return Err(StartError::Gateway { url });
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(LIMIT));
        Ok(Self {
            base_url: base.to_owned(),
            bootstrap_token: bootstrap_token.to_owned(),
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    /// Returns the base URL of the gateway.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    async fn call<T: DeserializeOwned>(&self, draft: Draft<'_>) -> Result<T, GatewayError> {
        let (_, body) = self.exchange(draft).await?;
        let envelope: Result<Envelope<T>, _> = serde_json::from_slice(&body);
        // An answer that cannot be read is as good as none: the call is repeated.
        envelope
            .map(|envelope| envelope.data)
            .map_err(|_| GatewayError::Unreachable)
    }

    async fn exchange(&self, draft: Draft<'_>) -> Result<(HeaderMap, Bytes), GatewayError> {
        let mut request = Request::builder()
            .method(draft.method)
            .uri(format!("{}/api/v1{}", self.base_url, draft.path))
            .header(AUTHORIZATION, format!("Bearer {}", draft.token))
            .header(CONTENT_TYPE, draft.media_type);
        for (name, value) in draft.headers {
            request = request.header(name, value);
        }
        let body = Full::new(Bytes::from(draft.body));
        let request = request.body(body).map_err(|_| GatewayError::Unreachable)?;
        let exchange = tokio::time::timeout(LIMIT, self.send(request));
        let (status, headers, body) = exchange.await.unwrap_or(Err(GatewayError::Unreachable))?;
        if status.is_success() {
            return Ok((headers, body));
        }
        Err(refusal(status, &headers, &body))
    }

    async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, HeaderMap, Bytes), GatewayError> {
        let response = self.client.request(request).await;
        let (head, body) = response
            .map_err(|_| GatewayError::Unreachable)?
            .into_parts();
        let body = body
            .collect()
            .await
            .map_err(|_| GatewayError::Unreachable)?;
        Ok((head.status, head.headers, body.to_bytes()))
    }
}

fn to_json(body: &(impl Serialize + ?Sized)) -> Result<Vec<u8>, GatewayError> {
    serde_json::to_vec(body).map_err(|error| GatewayError::Refused {
        status: 400,
        kind: "unwritable".to_owned(),
        message: error.to_string(),
    })
}

fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> GatewayError {
    let failure: Failure = serde_json::from_slice(body).unwrap_or_default();
    let current = failure.current.as_ref().and_then(serde_json::Value::as_u64);
    match (status, failure.kind.as_str()) {
        (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, _) => {
            unavailable(headers)
        }
        (_, "") | (StatusCode::REQUEST_TIMEOUT, _) => failed(status),
        _ if status.is_server_error() => failed(status),
        _ => refused(status, failure.kind, failure.error, current),
    }
}

/// Returns a refusal that has the protocol's form.
fn refused(
    status: StatusCode,
    kind: String,
    message: String,
    current: Option<u64>,
) -> GatewayError {
    match (status, kind.as_str()) {
        (StatusCode::UNAUTHORIZED, _) => GatewayError::Unauthorized,
        (StatusCode::CONFLICT, "wrong_incarnation") => GatewayError::IncarnationEnded,
        (StatusCode::CONFLICT, "stale_epoch") => GatewayError::StaleEpoch {
            current: current.map(Epoch),
        },
        (StatusCode::CONFLICT, "seq_conflict") => GatewayError::SeqConflict {
            current: current.unwrap_or_default(),
        },
        _ => GatewayError::Refused {
            status: status.as_u16(),
            kind,
            message,
        },
    }
}

const fn failed(status: StatusCode) -> GatewayError {
    GatewayError::Failed {
        status: status.as_u16(),
    }
}

fn unavailable(headers: &HeaderMap) -> GatewayError {
    let seconds = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let seconds: Option<u64> = seconds.and_then(|text| text.trim().parse().ok());
    GatewayError::Unavailable {
        retry_after: seconds.map(|seconds| Duration::from_secs(seconds.min(60))),
    }
}

#[async_trait]
impl GatewayApi for HttpGateway {
    async fn register(&self, body: &Register) -> Result<Registered, GatewayError> {
        self.call(Draft {
            method: Method::POST,
            path: "/workers/register".to_owned(),
            token: &self.bootstrap_token,
            media_type: "application/json",
            headers: Vec::new(),
            body: to_json(body)?,
        })
        .await
    }

    async fn heartbeat(&self, caller: &Caller, body: &Beat) -> Result<BeatAnswer, GatewayError> {
        let path = format!("/workers/{}/heartbeat", caller.owner.worker);
        self.call(Draft::json(caller, Method::PUT, path, body)?)
            .await
    }

    async fn goodbye(&self, caller: &Caller) -> Result<(), GatewayError> {
        let path = format!("/workers/{}", caller.owner.worker);
        self.exchange(Draft::bare(caller, Method::DELETE, path))
            .await
            .map(|_| ())
    }

    async fn assigned(&self, caller: &Caller) -> Result<Vec<AssignedSession>, GatewayError> {
        let path = format!("/workers/{}/sessions/assigned", caller.owner.worker);
        self.call(Draft::bare(caller, Method::GET, path)).await
    }

    async fn recovery_status(
        &self,
        caller: &Caller,
        body: &RecoveryReport,
    ) -> Result<(), GatewayError> {
        let path = format!("/workers/{}/sessions/recovery-status", caller.owner.worker);
        let draft = Draft::json(caller, Method::POST, path, body)?;
        self.call::<IgnoredAny>(draft).await.map(|_| ())
    }

    async fn session_report(
        &self,
        caller: &Caller,
        body: &SessionReport,
    ) -> Result<(), GatewayError> {
        let path = "/webhooks/session-status".to_owned();
        let draft = Draft::json(caller, Method::POST, path, body)?;
        self.exchange(draft).await.map(|_| ())
    }

    async fn message_reports(
        &self,
        caller: &Caller,
        body: &[MessageReport],
    ) -> Result<(), GatewayError> {
        let path = "/webhooks/message-status".to_owned();
        let draft = Draft::json(caller, Method::POST, path, body)?;
        self.exchange(draft).await.map(|_| ())
    }

    async fn inbound(&self, caller: &Caller, body: &[InboundMessage]) -> Result<(), GatewayError> {
        let path = "/webhooks/messages".to_owned();
        let draft = Draft::json(caller, Method::POST, path, body)?;
        self.exchange(draft).await.map(|_| ())
    }

    async fn state(
        &self,
        caller: &Caller,
        session: SessionId,
        epoch: Epoch,
    ) -> Result<StoredState, GatewayError> {
        let draft = Draft::state(caller, Method::GET, "state", (session, epoch));
        let (_, body) = self.exchange(draft).await?;
        decode_state(epoch, &body).map_err(|_| GatewayError::Unreachable)
    }

    async fn put_state(
        &self,
        caller: &Caller,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        snapshot: &[u8],
    ) -> Result<u64, GatewayError> {
        let mut draft = Draft::state(caller, Method::PUT, "state", (session, epoch));
        draft.headers.push((STATE_SEQ_HEADER, after));
        draft.body = snapshot.to_vec();
        self.call::<Sequence>(draft)
            .await
            .map(|sequence| sequence.seq)
    }

    async fn append_state(
        &self,
        caller: &Caller,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        entries: &[Vec<u8>],
    ) -> Result<u64, GatewayError> {
        let mut draft = Draft::state(caller, Method::POST, "state/journal", (session, epoch));
        draft.headers.push((STATE_SEQ_HEADER, after));
        draft.body = encode_entries(entries);
        self.call::<Sequence>(draft)
            .await
            .map(|sequence| sequence.seq)
    }

    async fn append_states(
        &self,
        caller: &Caller,
        groups: &[JournalGroup],
    ) -> Result<Vec<Result<u64, GatewayError>>, GatewayError> {
        let path = format!("/workers/{}/state/journal", caller.owner.worker);
        let answer: JournalAnswer = self
            .call(Draft {
                media_type: STATE_MEDIA_TYPE,
                body: encode_groups(groups),
                ..Draft::bare(caller, Method::POST, path)
            })
            .await?;
        Ok(answer.results.into_iter().map(written).collect())
    }
}

/// Returns what became of one session's entries, as if they had been sent alone.
fn written(result: JournalResult) -> Result<u64, GatewayError> {
    if let Some(seq) = result.seq {
        return Ok(seq);
    }
    let kind = result.kind.unwrap_or_default();
    let status = match kind.as_str() {
        "" | "internal_error" => return Err(GatewayError::Failed { status: 500 }),
        "stale_epoch" | "seq_conflict" => StatusCode::CONFLICT,
        "unknown_session" => StatusCode::NOT_FOUND,
        _ => StatusCode::BAD_REQUEST,
    };
    Err(refused(
        status,
        kind,
        result.error.unwrap_or_default(),
        result.current,
    ))
}
