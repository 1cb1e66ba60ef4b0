//! The link over real HTTP, with the simulated worker as a real server at the other end.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use gateway_core::id::{Incarnation, SessionId, WorkerId};
use gateway_core::identity::WorkerTokens;
use gateway_core::protocol::Register;
use gateway_core::protocol::state::{EPOCH_HEADER, STATE_SEQ_HEADER, decode_entries, encode_state};
use gateway_core::session::Owner;
use gateway_core::state::StoredState;
use gateway_core::worker::Target;
use gateway_server::system::{OsEntropy, SystemClock};
use gateway_server::worker_link::http::{HttpLink, LinkOptions};
use gateway_testkit::conformance::{Backend, Failure, LinkUnderTest, Need, Phone};
use gateway_testkit::worker::http::{Options, SimHttpWorker};
use gateway_testkit::worker::{PhoneNetwork, Script};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

const LEASE_SECONDS: u64 = 3_600;
const WORKER: &str = "linked";

/// A gateway that grants every lease, keeps nothing, and believes every report.
#[derive(Debug)]
struct Agreeable {
    tokens: WorkerTokens,
    registered: watch::Sender<Option<Owner>>,
    connected: Notify,
}

impl Agreeable {
    fn register(&self, body: &[u8]) -> Value {
        let body: Register = serde_json::from_slice(body).expect("a registration");
        let owner = Owner {
            worker: WorkerId::parse(&body.worker_id).expect("an id"),
            incarnation: Incarnation::parse(&body.incarnation).expect("an incarnation"),
        };
        let token = self.tokens.issue(&owner);
        self.registered.send_replace(Some(owner));
        json!({
            "workerId": body.worker_id,
            "workerToken": token,
            "leaseSeconds": LEASE_SECONDS,
            "heartbeatIntervalMs": 2_000,
            "recoveryRequired": false,
            "assignedSessionCount": 0,
            "serverTime": "2026-01-01T00:00:00.000Z",
        })
    }

    fn reported(&self, body: &[u8]) -> Value {
        let report: Value = serde_json::from_slice(body).expect("a report");
        if report["status"] == "CONNECTED" {
            self.connected.notify_one();
        }
        json!({})
    }
}

fn number(headers: &HeaderMap, name: &str) -> u64 {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

async fn agree(State(gateway): State<Arc<Agreeable>>, request: Request) -> Response {
    let path = request
        .uri()
        .path()
        .trim_start_matches("/api/v1")
        .to_owned();
    let after = number(request.headers(), STATE_SEQ_HEADER);
    let epoch = number(request.headers(), EPOCH_HEADER);
    let reading = request.method() == "GET";
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    let body: Bytes = body.expect("a body");
    let data = match path.as_str() {
        "/workers/register" => gateway.register(&body),
        "/webhooks/session-status" => gateway.reported(&body),
        path if path.ends_with("/heartbeat") => json!({
            "leaseSeconds": LEASE_SECONDS, "drop": [], "start": [], "drain": false, "sendHeld": false,
        }),
        path if path.ends_with("/state") && reading => {
            let mut nothing = StoredState::default();
            nothing.version.epoch.0 = epoch;
            return encode_state(&nothing).into_response();
        }
        path if path.ends_with("/state") => json!({ "seq": after + 1 }),
        path if path.ends_with("/journal") => {
            let entries = decode_entries(&body).expect("frames");
            json!({ "seq": after + entries.len() as u64 })
        }
        _ => json!({}),
    };
    Json(json!({ "success": true, "data": data })).into_response()
}

/// Waits for the report that the script's scan has worked.
#[derive(Debug)]
struct Person {
    _worker: SimHttpWorker,
    gateway: Arc<Agreeable>,
}

impl Phone for Person {
    fn link(&self, _: SessionId) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.gateway.connected.notified())
    }
}

/// A worker and a link for every case.
pub(crate) struct OverHttp;

impl Backend for OverHttp {
    type UnderTest = LinkUnderTest;

    fn name(&self) -> &'static str {
        "http"
    }

    fn offers(&self, _: Need) -> bool {
        false
    }

    async fn open(&self) -> Result<LinkUnderTest, Failure> {
        let tokens = WorkerTokens::new(b"of the suite");
        let (registered, mut owner) = watch::channel(None);
        let gateway = Arc::new(Agreeable {
            tokens: tokens.clone(),
            registered,
            connected: Notify::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new()
            .fallback(agree)
            .with_state(Arc::clone(&gateway));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });

        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
        let mut options = Options::new(WorkerId::parse(WORKER)?, &url, "join", clock, entropy);
        let mut script = Script::default();
        script.time_scale = 50.0;
        script.auto_scan_ms = Some(100);
        options.script = script;
        options.network = Arc::new(PhoneNetwork::default());
        let worker = SimHttpWorker::start(options).await?;
        let owner = owner.wait_for(Option::is_some).await?.clone();
        let owner = owner.ok_or_else(|| Failure::new("the worker has not registered"))?;
        let target = Target {
            owner: owner.clone(),
            endpoint: worker.endpoint().to_owned(),
        };
        // Nobody listens on the port of a listener that is closed again.
        let closed = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let nobody = Target {
            owner,
            endpoint: format!("http://{closed}"),
        };
        Ok(LinkUnderTest {
            link: Arc::new(HttpLink::new(tokens, LinkOptions::default())?),
            target,
            nobody,
            phone: Arc::new(Person {
                _worker: worker,
                gateway,
            }),
            keep: Box::new(AbortOnDrop(serving)),
        })
    }
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
