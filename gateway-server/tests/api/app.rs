//! A server for one test: memory stores, a clock that the test moves, and no socket.
//!
//! ```ignore
//! let app = TestApp::start().await;
//! let login = app.register("acme").await;
//! let answer = app.get("/api/v1/users/me").bearer(&login.access).expect(200).await;
//! assert_eq!(answer.data()["email"], "acme@example.com");
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use gateway_core::coord::Coordinator;
use gateway_core::id::TenantId;
use gateway_core::orchestrator::{Orchestrator, Policy, Ports as OrchestratorPorts};
use gateway_core::session::Owner;
use gateway_core::store::{PlatformStore, Store};
use gateway_core::tenant::{TenantStatus, Tier, TierName};
use gateway_core::time::Clock;
use gateway_core::user::{Email, Role};
use gateway_core::worker::{GuardedLink, StoreLeases, Vitals, Worker, WorkerLink};
use gateway_server::app::{App, Ports};
use gateway_server::cache::Caches;
use gateway_server::config::{Config, Secret, Secrets, Source, StateKey};
use gateway_server::http::door::Door;
use gateway_server::shutdown::Shutdown;
use gateway_server::telemetry::metrics::Metrics;
use gateway_testkit::clock::ManualClock;
use gateway_testkit::entropy::SeededEntropy;
use gateway_testkit::memory::{MemoryCoordinator, MemoryLog, MemoryState, MemoryStore};
use gateway_testkit::worker::SimFleet;
use http_body_util::BodyExt;
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tower::ServiceExt;

use crate::described;
use crate::link::ScriptedLink;

/// What workers register with in tests.
pub(crate) const BOOTSTRAP: &str = "bootstrap-of-the-tests";
/// The first secret signs access tokens.
pub(crate) const JWT_SECRETS: [&str; 2] = ["new-secret-of-the-tests", "old-secret-of-the-tests"];
/// Everybody's password.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A server for one test.
pub(crate) struct TestApp {
    pub(crate) app: App,
    pub(crate) store: MemoryStore,
    pub(crate) coord: Arc<MemoryCoordinator>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) link: ScriptedLink,
    door: Door,
}

impl std::fmt::Debug for TestApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestApp").finish_non_exhaustive()
    }
}

/// A login.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) tenant: TenantId,
    pub(crate) email: String,
}

impl TestApp {
    /// With the default configuration.
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// With a configuration of the test's own.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let environment = Source::from_iter::<[(&str, &str); 0]>([]);
        let mut config = Config::load(&environment, None)
            .expect("the defaults")
            .config;
        change(&mut config);
        let clock = Arc::new(ManualClock::default());
        let link = ScriptedLink::default();
        Self::over(config, clock, link.clone(), Arc::new(link)).await
    }

    /// With simulated workers behind it, which speak the worker protocol to its routes.
    pub(crate) async fn with_fleet() -> (Self, SimFleet) {
        let environment = Source::from_iter::<[(&str, &str); 0]>([]);
        let loaded = Config::load(&environment, None).expect("the defaults");
        let clock = Arc::new(ManualClock::default());
        let fleet = SimFleet::new(7, clock.clone());
        let (unused, link) = (ScriptedLink::default(), Arc::new(fleet.clone()));
        let app = Self::over(loaded.config, clock, unused, link).await;
        (app, fleet)
    }

    async fn over(
        config: Config,
        clock: Arc<ManualClock>,
        link: ScriptedLink,
        workers: Arc<dyn WorkerLink>,
    ) -> Self {
        let store = MemoryStore::new(clock.clone());
        let this = Self::on(config, clock, store, link, workers);
        this.put_tiers(Tier::defaults()).await;
        this
    }

    /// Another replica on the same store and workers, which hears nothing of what this one does.
    pub(crate) fn replica(&self) -> Self {
        let (clock, store) = (self.clock.clone(), self.store.clone());
        let link = self.link.clone();
        let workers = Arc::new(link.clone());
        Self::on(Config::clone(&self.app.config), clock, store, link, workers)
    }

    fn on(
        config: Config,
        clock: Arc<ManualClock>,
        store: MemoryStore,
        link: ScriptedLink,
        workers: Arc<dyn WorkerLink>,
    ) -> Self {
        let coord = Arc::new(MemoryCoordinator::new(clock.clone()));
        let ports = ports(&config, &clock, &store, coord.clone(), workers);
        let metrics = Metrics::new().expect("metrics");
        let app = App::new(config, &secrets(), ports, metrics, Shutdown::new());
        let door = Door::new(&app);
        Self {
            app,
            store,
            coord,
            clock,
            link,
            door,
        }
    }

    /// Lets the caches ask the store what changed.
    pub(crate) async fn look(&self) {
        self.app.caches.look().await.expect("a look");
    }

    /// Adds plans or replaces those of the same name.
    pub(crate) async fn put_tiers(&self, tiers: impl IntoIterator<Item = Tier>) {
        let mut tx = self.store.begin_platform().await.expect("a transaction");
        for tier in tiers {
            tx.put_tier(&tier).await.expect("a tier");
        }
        tx.commit().await.expect("a commit");
    }

    /// A tenant `name` with a user `name@example.com`, logged in.
    pub(crate) async fn register(&self, name: &str) -> Login {
        let body = json!({
            "email": format!("{name}@example.com"),
            "password": PASSWORD,
            "tenantName": name,
        });
        let answer = self
            .post("/api/v1/auth/register")
            .json(&body)
            .expect(201)
            .await;
        Login::of(&answer)
    }

    /// The same as an operator.
    pub(crate) async fn register_admin(&self, name: &str) -> Login {
        let login = self.register(name).await;
        let mut tx = self.store.begin_platform().await.expect("a transaction");
        let email = Email::parse(&login.email).expect("an address");
        let mut user = tx
            .user_by_email(&email)
            .await
            .expect("a look")
            .expect("a user");
        user.role = Role::Admin;
        user.version += 1;
        tx.save_user(&user).await.expect("saved");
        tx.commit().await.expect("a commit");
        login
    }

    /// Suspends a tenant or lets it act again.
    pub(crate) async fn set_status(&self, tenant: TenantId, status: TenantStatus) {
        let mut tx = self.store.begin_platform().await.expect("a transaction");
        let mut row = tx.tenant(tenant).await.expect("a look").expect("a tenant");
        row.status = status;
        row.version += 1;
        tx.save_tenant(&row).await.expect("saved");
        tx.commit().await.expect("a commit");
    }

    /// Puts a tenant on another plan.
    pub(crate) async fn set_tier(&self, tenant: TenantId, tier: &str) {
        let mut tx = self.store.begin_platform().await.expect("a transaction");
        let mut row = tx.tenant(tenant).await.expect("a look").expect("a tenant");
        row.tier = TierName::parse(tier).expect("a name");
        row.version += 1;
        tx.save_tenant(&row).await.expect("saved");
        tx.commit().await.expect("a commit");
    }

    /// The secret of a new API key.
    pub(crate) async fn key(&self, login: &Login, scopes: &[&str]) -> String {
        let mut body = json!({"name": "test"});
        if !scopes.is_empty() {
            body["scopes"] = json!(scopes);
        }
        let made = self.post("/api/v1/users/me/api-keys").bearer(&login.access);
        let answer = made.json(&body).expect(201).await;
        text(&answer.data()["key"])
    }

    /// A worker that is there, and its token.
    pub(crate) async fn a_worker(&self, worker: &Worker) -> (Owner, String) {
        let owner = worker.owner().expect("a worker with an incarnation");
        let mut tx = self.store.begin_platform().await.expect("a transaction");
        tx.insert_worker(worker).await.expect("inserted");
        tx.commit().await.expect("a commit");
        let token = self.app.worker_tokens.issue(&owner);
        (owner, token)
    }

    pub(crate) fn get(&self, path: &str) -> TestRequest<'_> {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> TestRequest<'_> {
        self.request(Method::POST, path)
    }

    pub(crate) fn put(&self, path: &str) -> TestRequest<'_> {
        self.request(Method::PUT, path)
    }

    pub(crate) fn patch(&self, path: &str) -> TestRequest<'_> {
        self.request(Method::PATCH, path)
    }

    pub(crate) fn delete(&self, path: &str) -> TestRequest<'_> {
        self.request(Method::DELETE, path)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> TestRequest<'_> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("a path");
        let peer: SocketAddr = "127.0.0.1:4000".parse().expect("an address");
        request.extensions_mut().insert(ConnectInfo(peer));
        TestRequest { app: self, request }
    }

    /// Time passes.
    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn ports(
    config: &Config,
    clock: &Arc<ManualClock>,
    store: &MemoryStore,
    coord: Arc<dyn Coordinator>,
    link: Arc<dyn WorkerLink>,
) -> Ports {
    let platform: Arc<dyn PlatformStore> = Arc::new(store.clone());
    let looking = Arc::clone(&platform);
    let caches = Caches::new(
        Arc::clone(&platform),
        looking,
        clock.clone(),
        Handle::current(),
    );
    let coord = caches.announcing(coord);
    let orchestration: Arc<dyn Store> = Arc::new(store.clone());
    let entropy = Arc::new(SeededEntropy::new(7));
    let state = Arc::new(MemoryState::default());
    let time: Arc<dyn Clock> = clock.clone();
    let policy = config.orchestration.lease_policy();
    let leases = StoreLeases::new(Arc::clone(&orchestration), Arc::clone(&time), policy);
    let vitals = Arc::new(Vitals::new(time, config.vitals_policy()));
    let link: Arc<dyn WorkerLink> = Arc::new(GuardedLink::new(link, Arc::clone(&vitals)));
    let orchestrator = Orchestrator::new(
        OrchestratorPorts {
            store: orchestration,
            coord: coord.clone(),
            link: link.clone(),
            state: state.clone(),
            leases: Arc::new(leases),
            vitals,
            entropy: entropy.clone(),
        },
        Policy::default(),
    );
    Ports {
        store: Arc::clone(&platform),
        sequencing: platform,
        caches,
        coord,
        state,
        log: Arc::new(MemoryLog::new(store)),
        link,
        orchestrator: Arc::new(orchestrator),
        clock: clock.clone(),
        entropy,
    }
}

fn secrets() -> Secrets {
    Secrets {
        jwt: JWT_SECRETS.map(Secret::new).to_vec(),
        worker_bootstrap: Secret::new(BOOTSTRAP),
        worker_token_key: Secret::new("worker-token-key-of-the-tests"),
        message_id_key: Secret::new("message-id-key-of-the-tests"),
        state_keys: vec![StateKey {
            id: 1,
            key: [7; 32],
        }],
    }
}

impl Login {
    pub(crate) fn of(answer: &TestAnswer) -> Self {
        let data = answer.data();
        Self {
            access: text(&data["accessToken"]),
            refresh: text(&data["refreshToken"]),
            tenant: text(&data["user"]["tenant"]["id"]).parse().expect("an id"),
            email: text(&data["user"]["email"]),
        }
    }
}

/// The text of a JSON string.
pub(crate) fn text(value: &Value) -> String {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("not a text: {value}"))
        .to_owned()
}

/// A request on its way.
#[must_use]
pub(crate) struct TestRequest<'a> {
    app: &'a TestApp,
    request: Request<Body>,
}

impl TestRequest<'_> {
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("x-api-key", key)
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = value.parse().expect("a header value");
        self.request.headers_mut().append(name, value);
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.raw("application/json", body.to_string())
    }

    /// With a body whose type a header says.
    pub(crate) fn body(mut self, body: impl Into<Body>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    pub(crate) fn raw(self, kind: &str, body: impl Into<Body>) -> Self {
        let mut this = self.header("content-type", kind);
        *this.request.body_mut() = body.into();
        this
    }

    /// As if it came from this address.
    pub(crate) fn from(mut self, address: &str) -> Self {
        let peer = SocketAddr::new(address.parse().expect("an address"), 4000);
        self.request.extensions_mut().insert(ConnectInfo(peer));
        self
    }

    /// Sends it and checks status and envelope.
    pub(crate) async fn expect(self, status: u16) -> TestAnswer {
        let what = format!("{} {}", self.request.method(), self.request.uri());
        let answer = self.send().await;
        assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text);
        answer.check_envelope(&what);
        answer
    }

    /// Sends it.
    pub(crate) async fn send(self) -> TestAnswer {
        let (method, path) = (
            self.request.method().clone(),
            self.request.uri().to_string(),
        );
        let response = self.app.door.clone().oneshot(self.request).await;
        let (parts, body) = response.unwrap_or_else(|never| match never {}).into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let answer = TestAnswer {
            bytes,
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        };
        described::check(&method, &path, &answer);
        answer
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct TestAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
    pub(crate) bytes: Bytes,
}

impl TestAnswer {
    /// What a success is about.
    pub(crate) fn data(&self) -> &Value {
        &self.body["data"]
    }

    /// The type of a failure.
    pub(crate) fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap_or("")
    }

    /// The fields that a failure names.
    pub(crate) fn fields(&self) -> Vec<String> {
        let details = self.body["details"].as_array().cloned().unwrap_or_default();
        details
            .iter()
            .map(|detail| text(&detail["field"]))
            .collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("a text"))
    }

    /// Checks the type of a failure.
    pub(crate) fn is(self, kind: &str) -> Self {
        assert_eq!(self.kind(), kind, "{}", self.text);
        self
    }

    fn check_envelope(&self, what: &str) {
        let success = self.body["success"].as_bool();
        if self.status.is_client_error() || self.status.is_server_error() {
            assert_eq!(success, Some(false), "{what}: {}", self.text);
            let id = self.body["requestId"].as_str().expect("a request id");
            assert_eq!(self.header("x-request-id"), id, "{what}");
            assert!(!self.kind().is_empty(), "{what}: {}", self.text);
            assert!(self.body["details"].is_array(), "{what}: {}", self.text);
        } else if success.is_some() {
            assert_eq!(success, Some(true), "{what}: {}", self.text);
        }
    }
}
