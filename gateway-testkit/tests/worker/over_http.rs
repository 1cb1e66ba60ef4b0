//! The same worker as a server and client of real HTTP, on real time made fast by its script.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use bytes::Bytes;
use gateway_core::id::{Epoch, Incarnation, SessionId};
use gateway_core::protocol::state::{
    EPOCH_HEADER, INCARNATION_HEADER, STATE_SEQ_HEADER, decode_entries, encode_state,
};
use gateway_core::protocol::{Reports, SendMessage, SessionState, StartSession, StartSessionMode};
use gateway_core::session::Owner;
use gateway_core::time::{Clock, Timestamp, Uptime};
use gateway_testkit::entropy::SeededEntropy;
use gateway_testkit::worker::http::{Options, SimHttpWorker};
use gateway_testkit::worker::{
    Caller, CrashPoint, GatewayApi, GatewayError, Moment, Refusal, Script, SimWorker, StubGateway,
    WorkerCard, WorkerRoute,
};
use gateway_worker::http::{EndError, HttpGateway, Listener, run};
use gateway_worker::{Ending, Engine, EngineInfo, Load, Start, Worker};
use http_body_util::{BodyExt, Full};
use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::stage::{SESSION, message, worker};
use gateway_core::worker::Target;

#[derive(Debug)]
struct MachineClock(tokio::time::Instant);

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000).plus(self.0.elapsed())
    }

    fn uptime(&self) -> Uptime {
        Uptime(self.0.elapsed())
    }
}

/// The gateway of a few lines, behind HTTP.
#[derive(Debug, Default)]
struct Server {
    gateway: StubGateway,
    changed: Notify,
}

type Gate = State<Arc<Server>>;

impl Server {
    /// A server on a free port, and its URL.
    async fn start() -> (Arc<Self>, String) {
        let server = Arc::new(Self::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let app = routes(Arc::clone(&server));
        tokio::spawn(async move { axum::serve(listener, app).await });
        (server, format!("http://{address}"))
    }

    async fn until(&self, seen: impl Fn(&StubGateway) -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(30), async {
            loop {
                let changed = self.changed.notified();
                if seen(&self.gateway) {
                    return;
                }
                changed.await;
            }
        });
        waited.await.expect("what is waited for happens");
    }

    fn answer<T: Serialize>(&self, result: Result<T, GatewayError>) -> Response {
        self.changed.notify_waiters();
        let failure = |status: StatusCode, kind: &str, current: Option<u64>| {
            let body = json!({"success": false, "error": "no", "type": kind, "current": current});
            (status, Json(body)).into_response()
        };
        match result {
            Ok(data) => Json(json!({"success": true, "data": data})).into_response(),
            Err(GatewayError::Unauthorized) => {
                failure(StatusCode::UNAUTHORIZED, "unauthorized", None)
            }
            Err(GatewayError::StaleEpoch { current }) => {
                failure(StatusCode::CONFLICT, "stale_epoch", current.map(|e| e.0))
            }
            Err(GatewayError::SeqConflict { current }) => {
                failure(StatusCode::CONFLICT, "seq_conflict", Some(current))
            }
            Err(_) => failure(StatusCode::SERVICE_UNAVAILABLE, "unavailable", None),
        }
    }

    fn caller(headers: &HeaderMap) -> Caller {
        let token = headers[AUTHORIZATION].to_str().expect("text");
        let token = token.strip_prefix("Bearer ").expect("a bearer");
        let incarnation = token.strip_prefix("token-").unwrap_or("bootstrap");
        Caller {
            owner: Owner {
                worker: worker("a"),
                incarnation: Incarnation::parse(incarnation).expect("one"),
            },
            token: token.to_owned(),
        }
    }
}

fn number(headers: &HeaderMap, name: &str) -> u64 {
    let text = headers[name].to_str().expect("text");
    text.parse().expect("a number")
}

async fn put_state(
    State(server): Gate,
    Path((_, session)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let session: SessionId = session.parse().expect("an id");
    let epoch = Epoch(number(&headers, EPOCH_HEADER));
    let after = number(&headers, STATE_SEQ_HEADER);
    let caller = Server::caller(&headers);
    let put = server
        .gateway
        .put_state(&caller, session, epoch, after, &body);
    let result = put.await.map(|seq| json!({"seq": seq}));
    server.answer(result)
}

async fn append_state(
    State(server): Gate,
    Path((_, session)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let session: SessionId = session.parse().expect("an id");
    let epoch = Epoch(number(&headers, EPOCH_HEADER));
    let after = number(&headers, STATE_SEQ_HEADER);
    let caller = Server::caller(&headers);
    let entries = decode_entries(&body).expect("frames");
    let appended = server
        .gateway
        .append_state(&caller, session, epoch, after, &entries);
    let result = appended.await.map(|seq| json!({"seq": seq}));
    server.answer(result)
}

async fn read_state(
    State(server): Gate,
    Path((_, session)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let session: SessionId = session.parse().expect("an id");
    let epoch = Epoch(number(&headers, EPOCH_HEADER));
    let caller = Server::caller(&headers);
    match server.gateway.state(&caller, session, epoch).await {
        Ok(state) => Body::from(encode_state(&state)).into_response(),
        Err(error) => server.answer::<()>(Err(error)),
    }
}

fn routes(server: Arc<Server>) -> Router {
    let webhooks = Router::new()
        .route(
            "/webhooks/session-status",
            post(async |State(s): Gate, h: HeaderMap, Json(body)| {
                s.answer(s.gateway.session_report(&Server::caller(&h), &body).await)
            }),
        )
        .route(
            "/webhooks/message-status",
            post(
                async |State(s): Gate, h: HeaderMap, Json(body): Json<Reports<_>>| {
                    let reports = body.into_vec();
                    s.answer(
                        s.gateway
                            .message_reports(&Server::caller(&h), &reports)
                            .await,
                    )
                },
            ),
        )
        .route(
            "/webhooks/messages",
            post(
                async |State(s): Gate, h: HeaderMap, Json(body): Json<Reports<_>>| {
                    s.answer(
                        s.gateway
                            .inbound(&Server::caller(&h), &body.into_vec())
                            .await,
                    )
                },
            ),
        );
    let workers = Router::new()
        .route(
            "/workers/register",
            post(async |State(s): Gate, h: HeaderMap, Json(body)| {
                if Server::caller(&h).token != "the bootstrap token" {
                    return s.answer::<()>(Err(GatewayError::Unauthorized));
                }
                s.answer(s.gateway.register(&body).await)
            }),
        )
        .route(
            "/workers/{id}/heartbeat",
            put(async |State(s): Gate, h: HeaderMap, Json(body)| {
                s.answer(s.gateway.heartbeat(&Server::caller(&h), &body).await)
            }),
        )
        .route(
            "/workers/{id}",
            delete(async |State(s): Gate, h: HeaderMap| {
                s.answer(s.gateway.goodbye(&Server::caller(&h)).await)
            }),
        )
        .route(
            "/workers/{id}/sessions/{sid}/state",
            get(read_state).put(put_state),
        )
        .route(
            "/workers/{id}/sessions/{sid}/state/journal",
            post(append_state),
        );
    Router::new()
        .nest("/api/v1", workers.merge(webhooks))
        .with_state(server)
}

/// A worker and its gateway, registered.
struct Pair {
    server: Arc<Server>,
    worker: SimHttpWorker,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Pair {
    async fn start(script: Script) -> Self {
        let (server, url) = Server::start().await;
        let mut options = Options::new(
            worker("a"),
            &url,
            "the bootstrap token",
            Arc::new(MachineClock(tokio::time::Instant::now())),
            Arc::new(SeededEntropy::new(3)),
        );
        options.script = script;
        let worker = SimHttpWorker::start(options).await.expect("it starts");
        server
            .until(|gateway| !gateway.told().registrations.is_empty())
            .await;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let pair = Self {
            server,
            worker,
            client,
        };
        pair.registered().await;
        pair
    }

    /// The answer to the registration has arrived once the worker has a token.
    async fn registered(&self) {
        while self.worker.with(|worker, _| worker.token().is_none()) {
            tokio::task::yield_now().await;
        }
    }

    fn target(&self) -> Target {
        Target {
            owner: self.worker.with(|worker, _| worker.owner()),
            endpoint: self.worker.endpoint().to_owned(),
        }
    }

    async fn post(&self, path: &str, body: &impl Serialize) -> (StatusCode, Value) {
        let token = format!("token-{}", self.target().owner.incarnation);
        let body = serde_json::to_vec(body).expect("JSON");
        self.exchange(self.request(Method::POST, path, &token).body(body.into()))
            .await
    }

    fn request(&self, method: Method, path: &str, token: &str) -> hyper::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.worker.endpoint()))
            .header(AUTHORIZATION, format!("Bearer {token}"))
    }

    async fn exchange(
        &self,
        request: hyper::http::Result<Request<Full<Bytes>>>,
    ) -> (StatusCode, Value) {
        let asked = self.client.request(request.expect("a request"));
        let response = asked.await.expect("an answer");
        let status = response.status();
        let body = response
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    fn start_body(&self, epoch: u64, mode: StartSessionMode) -> StartSession {
        StartSession {
            session_id: SESSION,
            epoch: Epoch(epoch),
            incarnation: self.target().owner.incarnation,
            mode,
            phone_number: None,
            proxy: None,
            config: None,
        }
    }

    async fn connect(&self) {
        let (status, _) = self
            .post("/sessions", &self.start_body(1, StartSessionMode::Qr))
            .await;
        assert_eq!(status, StatusCode::ACCEPTED);
        self.server
            .until(|g| g.statuses(SESSION).iter().any(|s| s == "CONNECTED"))
            .await;
    }
}

fn fast() -> Script {
    Script::default().time_scale(100.0).auto_scan(1_000)
}

#[tokio::test]
async fn a_session_is_linked_sends_and_is_forgotten() {
    let pair = Pair::start(fast().echo(100)).await;
    pair.connect().await;
    assert_eq!(
        pair.server.gateway.statuses(SESSION),
        [
            "QR_REQUIRED",
            "CONNECTING pairing",
            "CONNECTING syncing",
            "CONNECTED"
        ]
    );
    let path = format!("/sessions/{SESSION}/messages");
    let (status, sent) = pair.post(&path, &message(&pair.target(), 1, 1)).await;
    assert_eq!(
        (status, sent["status"].as_str()),
        (StatusCode::ACCEPTED, Some("accepted"))
    );
    let receipts = |g: &StubGateway| g.told().receipts.iter().any(|r| r.status == "delivered");
    pair.server.until(receipts).await;
    pair.server.until(|g| !g.told().inbound.is_empty()).await;

    let path = format!("/api/v1/sessions/{SESSION}");
    let token = format!("token-{}", pair.target().owner.incarnation);
    let asked = pair
        .request(Method::GET, &path, &token)
        .body(Full::default());
    let (status, said) = pair.exchange(asked).await;
    assert_eq!(
        (status, said["status"].as_str()),
        (StatusCode::OK, Some("CONNECTED"))
    );

    let incarnation = pair.target().owner.incarnation;
    let forget = pair
        .request(Method::DELETE, &path, &token)
        .header(EPOCH_HEADER, 1)
        .header(INCARNATION_HEADER, incarnation.as_str());
    let (status, answer) = pair.exchange(forget.body(Full::default())).await;
    assert_eq!(
        (status, answer["remoteUnlinked"].as_bool()),
        (StatusCode::OK, Some(true))
    );
    let (status, problem) = pair
        .post("/sessions", &pair.start_body(1, StartSessionMode::Qr))
        .await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(
        (&problem["type"], &problem["currentEpoch"]),
        (&json!("stale_epoch"), &json!(1))
    );
}

#[tokio::test]
async fn a_burst_of_sends_waits_for_its_counters() {
    let pair = Pair::start(fast()).await;
    pair.connect().await;
    let path = format!("/sessions/{SESSION}/messages");
    let target = pair.target();
    let bodies: Vec<_> = (1..=300).map(|n| message(&target, 1, n)).collect();
    let sends = bodies.iter().map(|body| pair.post(&path, body));
    let answers = futures_util::future::join_all(sends).await;
    assert!(
        answers
            .iter()
            .all(|(status, _)| *status == StatusCode::ACCEPTED)
    );
}

#[tokio::test]
async fn strangers_and_commands_for_another_run_are_refused() {
    let pair = Pair::start(fast()).await;
    let body = serde_json::to_vec(&pair.start_body(1, StartSessionMode::Qr)).expect("JSON");
    let asked = pair
        .request(Method::POST, "/sessions", "guessed")
        .body(body.into());
    assert_eq!(pair.exchange(asked).await.0, StatusCode::UNAUTHORIZED);

    let mut other = pair.start_body(1, StartSessionMode::Qr);
    other.incarnation = Incarnation::parse("another-run").expect("one");
    let (status, problem) = pair.post("/sessions", &other).await;
    assert_eq!(
        (status, &problem["type"]),
        (StatusCode::CONFLICT, &json!("wrong_incarnation"))
    );
    let present = pair.target().owner.incarnation;
    assert_eq!(problem["currentIncarnation"], json!(present));

    let (status, _) = pair.post("/sessions/nonsense/release", &json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = pair.post("/sessions", &json!({})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_clean_shutdown_says_goodbye() {
    let pair = Pair::start(fast()).await;
    pair.connect().await;
    let owner = pair.target().owner;
    pair.worker.shutdown().await.expect("a clean end");
    assert_eq!(pair.server.gateway.told().goodbyes.last(), Some(&owner));
}

#[tokio::test]
async fn a_worker_that_is_stopped_delivers_what_whatsapp_says_before_its_goodbye() {
    for (sent_ms, status) in [(Some(30_000), "sent"), (None, "unknown")] {
        let mut script = fast();
        script.receipts.sent_ms = sent_ms;
        script.receipts.delivered_ms = None;
        let pair = Pair::start(script).await;
        pair.connect().await;
        let path = format!("/sessions/{SESSION}/messages");
        for number in 1..=6 {
            let body = message(&pair.target(), 1, number);
            let (answer, _) = pair.post(&path, &body).await;
            assert_eq!(answer, StatusCode::ACCEPTED);
        }
        pair.worker.shutdown().await.expect("a clean end");
        let told = pair.server.gateway.told();
        let statuses: Vec<_> = told.receipts.iter().map(|r| r.status.as_str()).collect();
        assert_eq!(statuses, [status; 6]);
        assert_eq!(told.taken.last(), Some(&WorkerRoute::Goodbye));
    }
}

#[tokio::test]
async fn a_crash_breaks_the_connection_without_an_answer() {
    let mut pair = Pair::start(fast().crash_at_send(1, CrashPoint::BeforeAnswering)).await;
    pair.connect().await;
    let path = format!("/sessions/{SESSION}/messages");
    let token = format!("token-{}", pair.target().owner.incarnation);
    let body = serde_json::to_vec(&message(&pair.target(), 1, 1)).expect("JSON");
    let asked = pair
        .request(Method::POST, &path, &token)
        .body(Full::from(body));
    let answer = pair.client.request(asked.expect("a request")).await;
    assert!(answer.is_err());
    pair.worker.ended().await.expect("not refused");
    assert!(pair.worker.with(|worker, _| SimWorker::has_crashed(worker)));
    assert!(pair.server.gateway.told().goodbyes.is_empty());
}

/// An engine that runs nothing, and panics once it is broken.
#[derive(Debug, Default)]
struct BreakableEngine {
    is_broken: AtomicBool,
}

#[async_trait]
impl Engine for BreakableEngine {
    fn info(&self) -> EngineInfo {
        EngineInfo::default()
    }

    fn load(&self, _: Duration, _: usize) -> Load {
        assert!(!self.is_broken.load(Ordering::Relaxed), "it is broken");
        Load::default()
    }

    fn start(&self, _: Start) -> Result<(), Ending> {
        Err(Ending::error("never_started", None))
    }

    fn abandon(&self, _: SessionId, _: Epoch) {}

    async fn state(&self, _: SessionId) -> SessionState {
        SessionState::default()
    }

    async fn send(&self, _: SessionId, _: &SendMessage) -> Result<Timestamp, Refusal> {
        Err(Refusal::NotConnected)
    }

    async fn release(&self, _: SessionId, _: Epoch) {}

    async fn logout(&self, _: SessionId, _: Epoch) -> bool {
        false
    }
}

#[tokio::test]
async fn a_worker_whose_engine_panics_ends_with_an_error_after_its_goodbye() {
    let (server, url) = Server::start().await;
    let clock = Arc::new(MachineClock(tokio::time::Instant::now()));
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await;
    let listener = listener.expect("a free port");
    let card = WorkerCard::new(worker("a"), listener.base_url());
    let (engine, entropy) = (BreakableEngine::default(), Arc::new(SeededEntropy::new(3)));
    let worker = Arc::new(Worker::new(card, engine, entropy, Moment::of(&*clock)));
    let gateway = HttpGateway::new(&url, "the bootstrap token").expect("a URL");
    let mut running = run(listener, Arc::clone(&worker), gateway, clock);
    server.until(|g| !g.told().beats.is_empty()).await;
    worker.engine().is_broken.store(true, Ordering::Relaxed);
    let ended = running.ended().await;
    let failed = EndError::EngineFailed("it is broken".to_owned());
    assert_eq!(ended, Err(failed));
    assert_eq!(server.gateway.told().goodbyes.len(), 1);
}

#[tokio::test]
async fn a_gateway_without_a_usable_url_is_refused() {
    let options = Options::new(
        worker("a"),
        "https://gateway.example",
        "t",
        Arc::new(MachineClock(tokio::time::Instant::now())),
        Arc::new(SeededEntropy::new(3)),
    );
    let refused = SimHttpWorker::start(options).await;
    assert!(refused.is_err());
}
