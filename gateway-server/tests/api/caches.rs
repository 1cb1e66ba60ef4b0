//! What a replica remembers, it obeys only as long as the store has lately said what changed.
//!
//! Two replicas share a store and no notices: the second one obeys after one look at the changes, or when
//! it has not looked for five seconds. What a replica does itself holds there at once.

use gateway_core::id::{SessionName, TenantId};
use gateway_core::identity::ApiKeySecret;
use gateway_core::session::{Route, SessionRef, Standing};
use gateway_core::tenant::TenantStatus;
use serde_json::json;

use crate::app::{PASSWORD, TestApp, text};
use crate::scene::{INCARNATION, Scene, WORKER, a_text, registration, session_id};

const ME: &str = "/api/v1/users/me";
const SESSIONS: &str = "/api/v1/sessions";

/// Whether the replica knows the key without asking anybody.
fn knows(app: &TestApp, key: &str) -> bool {
    let hash = ApiKeySecret::parse(key).expect("a key").hash();
    app.app.caches.holds_key(&hash, app.app.clock.uptime())
}

async fn route(app: &TestApp, tenant: TenantId, session: &SessionRef) -> Option<Route> {
    let routes = &app.app.sender.routes;
    routes.route(tenant, session, false).await.expect("a look")
}

fn named(name: &str) -> SessionRef {
    SessionRef::Name(SessionName::parse(name).expect("a name"))
}

fn is_open(route: Option<Route>) -> bool {
    route.is_some_and(|route| matches!(route.standing, Standing::Open(_)))
}

#[tokio::test]
async fn a_key_is_known_after_its_first_use_and_not_before_a_look() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let key = app.key(&login, &[]).await;
    app.get(SESSIONS).key(&key).expect(200).await;
    assert!(!knows(&app, &key), "nobody has said what changed");
    app.look().await;
    app.get(SESSIONS).key(&key).expect(200).await;
    assert!(knows(&app, &key));
    app.advance(5);
    assert!(!knows(&app, &key), "that was too long ago");
}

#[tokio::test]
async fn a_key_revoked_elsewhere_ends_with_the_next_look() {
    let here = TestApp::start().await;
    let login = here.register("acme").await;
    let key = here.key(&login, &[]).await;
    let there = here.replica();
    there.look().await;
    there.get(SESSIONS).key(&key).expect(200).await;
    let keys = here.get("/api/v1/users/me/api-keys").bearer(&login.access);
    let id = text(&keys.expect(200).await.data()[0]["id"]);
    let path = format!("/api/v1/users/me/api-keys/{id}");
    here.delete(&path).bearer(&login.access).expect(200).await;
    here.get(SESSIONS).key(&key).expect(401).await;
    there.get(SESSIONS).key(&key).expect(200).await;
    there.look().await;
    there.get(SESSIONS).key(&key).expect(401).await;
}

#[tokio::test]
async fn without_looks_everything_is_read_from_the_store_after_five_seconds() {
    let here = TestApp::start().await;
    let login = here.register("acme").await;
    let key = here.key(&login, &[]).await;
    let there = here.replica();
    there.look().await;
    there.get(SESSIONS).key(&key).expect(200).await;
    there.get(ME).bearer(&login.access).expect(200).await;
    here.set_status(login.tenant, TenantStatus::Suspended).await;
    there.advance(4);
    there.get(SESSIONS).key(&key).expect(200).await;
    there.advance(1);
    there.get(SESSIONS).key(&key).expect(403).await;
    there.get(ME).bearer(&login.access).expect(403).await;
    here.store.set_available(false);
    assert!(there.app.caches.look().await.is_err());
    there.get(SESSIONS).key(&key).expect(503).await;
}

#[tokio::test]
async fn what_this_replica_ends_holds_here_at_once() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let key = app.key(&login, &[]).await;
    app.look().await;
    app.get(SESSIONS).key(&key).expect(200).await;
    app.get(ME).bearer(&login.access).expect(200).await;
    let keys = app.get("/api/v1/users/me/api-keys").bearer(&login.access);
    let id = text(&keys.expect(200).await.data()[0]["id"]);
    let path = format!("/api/v1/users/me/api-keys/{id}");
    let narrower = json!({"scopes": ["messages:send"]});
    let update = app.patch(&path).bearer(&login.access).json(&narrower);
    update.expect(200).await;
    app.get(SESSIONS).key(&key).expect(403).await;
    let rotate = app.post(&format!("{path}/rotate")).bearer(&login.access);
    rotate.json(&json!({})).expect(201).await;
    app.get(SESSIONS).key(&key).expect(401).await;
    let logout = app.post("/api/v1/auth/logout").bearer(&login.access);
    logout.expect(200).await;
    app.get(ME).bearer(&login.access).expect(401).await;
}

#[tokio::test]
async fn a_new_password_ends_logins_here_at_once_and_elsewhere_with_the_next_look() {
    let here = TestApp::start().await;
    let login = here.register("acme").await;
    let there = here.replica();
    for app in [&here, &there] {
        app.look().await;
        app.get(ME).bearer(&login.access).expect(200).await;
    }
    let change = json!({"currentPassword": PASSWORD, "newPassword": "another horse battery"});
    let path = "/api/v1/users/me/password";
    let change = here.put(path).bearer(&login.access).json(&change);
    change.expect(200).await;
    here.get(ME).bearer(&login.access).expect(401).await;
    there.get(ME).bearer(&login.access).expect(200).await;
    there.look().await;
    there.get(ME).bearer(&login.access).expect(401).await;
}

#[tokio::test]
async fn a_refresh_token_used_twice_ends_its_login_at_once() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    app.look().await;
    app.get(ME).bearer(&login.access).expect(200).await;
    let body = json!({"refreshToken": login.refresh});
    let refresh = || app.post("/api/v1/auth/refresh").json(&body);
    refresh().expect(200).await;
    app.advance(11);
    app.look().await;
    app.get(ME).bearer(&login.access).expect(200).await;
    refresh().expect(401).await;
    app.get(ME).bearer(&login.access).expect(401).await;
}

#[tokio::test]
async fn a_tenant_obeys_its_new_plan_and_its_suspension_with_the_next_look() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    app.set_tier(login.tenant, "PRO").await;
    let key = app.key(&login, &[]).await;
    app.look().await;
    let answer = app.get(SESSIONS).key(&key).expect(200).await;
    assert_eq!(answer.header("ratelimit-limit"), "1000");
    app.set_tier(login.tenant, "BASIC").await;
    app.look().await;
    let answer = app.get(SESSIONS).key(&key).expect(200).await;
    assert_eq!(answer.header("ratelimit-limit"), "100");
    app.set_status(login.tenant, TenantStatus::Suspended).await;
    app.look().await;
    app.get(SESSIONS).key(&key).expect(403).await;
    app.get(ME).bearer(&login.access).expect(403).await;
    app.set_status(login.tenant, TenantStatus::Active).await;
    app.look().await;
    app.get(SESSIONS).key(&key).expect(200).await;
}

#[tokio::test]
async fn a_long_pause_between_two_looks_forgets_everything() {
    let here = TestApp::start().await;
    let login = here.register("acme").await;
    let key = here.key(&login, &[]).await;
    let there = here.replica();
    there.look().await;
    there.get(SESSIONS).key(&key).expect(200).await;
    here.set_status(login.tenant, TenantStatus::Suspended).await;
    there.advance(300);
    there.look().await;
    there.get(SESSIONS).key(&key).expect(403).await;
}

#[tokio::test]
async fn a_known_key_is_let_in_from_an_address_over_its_limit() {
    let app = TestApp::with(|config| config.limits.address_requests = 2).await;
    let login = app.register("acme").await;
    let (known, unknown) = (app.key(&login, &[]).await, app.key(&login, &[]).await);
    app.look().await;
    app.get(SESSIONS).key(&known).expect(200).await;
    let ask = || app.get(SESSIONS).from("192.0.2.9");
    for _ in 0..2 {
        ask().expect(401).await;
    }
    ask().key(&unknown).expect(429).await;
    ask().key(&known).expect(200).await;
}

#[tokio::test]
async fn a_worker_that_came_back_elsewhere_ends_its_old_token_with_the_next_look() {
    let scene = Scene::set().await;
    let (here, there) = (&scene.app, scene.app.replica());
    there.look().await;
    let assigned = format!("/api/v1/workers/{WORKER}/sessions/assigned");
    there.get(&assigned).bearer(&scene.token).expect(200).await;
    let again = scene.register(&registration(WORKER, "incarnation-2"));
    let fresh = text(&again.expect(200).await.data()["workerToken"]);
    here.get(&assigned).bearer(&scene.token).expect(401).await;
    there.get(&assigned).bearer(&fresh).expect(200).await;
    there.look().await;
    there.get(&assigned).bearer(&scene.token).expect(401).await;
}

#[tokio::test]
async fn a_session_seen_connected_here_takes_messages_at_once() {
    let scene = Scene::set().await;
    scene.app.look().await;
    let id = scene.showing_qr("sales").await;
    scene.send(&id, &a_text("too early")).expect(409).await;
    let report = json!({"status": "CONNECTED", "phoneNumber": "491700000001"});
    scene.reports(&id, report).expect(200).await;
    scene.sent(&id, "in time").await;
}

#[tokio::test]
async fn a_route_moves_and_ends_with_the_next_look() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let (there, tenant) = (scene.app.replica(), scene.login.tenant);
    there.look().await;
    assert!(is_open(route(&there, tenant, &named("sales")).await));
    let now = there.app.clock.uptime();
    let known = |name: &str| there.app.caches.known_route(tenant, &named(name), now);
    assert!(is_open(known("sales")), "known without asking anybody");

    let path = format!("/api/v1/sessions/{id}");
    let renamed = scene.patch(&path).json(&json!({"name": "support"}));
    renamed.expect(200).await;
    assert!(is_open(known("sales")), "not known here yet");
    there.look().await;
    assert!(known("sales").is_none());
    assert_eq!(route(&there, tenant, &named("sales")).await, None);
    assert!(is_open(route(&there, tenant, &named("support")).await));

    scene.act(&id, "disconnect").expect(202).await;
    there.look().await;
    assert!(!is_open(known("support")));
    assert!(!is_open(route(&there, tenant, &named("support")).await));
}

#[tokio::test]
async fn a_route_that_refuses_is_read_again_after_a_second() {
    let scene = Scene::set().await;
    let id = scene.showing_qr("sales").await;
    let (there, tenant) = (scene.app.replica(), scene.login.tenant);
    let session = SessionRef::Id(session_id(&id));
    there.look().await;
    assert!(!is_open(route(&there, tenant, &session).await));
    let report = json!({"status": "CONNECTED", "phoneNumber": "491700000001"});
    scene.reports(&id, report).expect(200).await;
    there.advance(1);
    assert!(!is_open(route(&there, tenant, &session).await));
    there.advance(1);
    assert!(is_open(route(&there, tenant, &session).await));
}

#[tokio::test]
async fn another_tenants_session_is_never_answered() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let other = scene.app.register("other").await;
    scene.app.look().await;
    let session = SessionRef::Id(session_id(&id));
    assert!(is_open(
        route(&scene.app, scene.login.tenant, &session).await
    ));
    assert_eq!(route(&scene.app, other.tenant, &session).await, None);
    let now = scene.app.app.clock.uptime();
    let caches = &scene.app.app.caches;
    assert!(caches.known_route(other.tenant, &session, now).is_none());
    assert!(
        caches
            .known_route(scene.login.tenant, &session, now)
            .is_some()
    );
}

#[tokio::test]
async fn a_suspect_worker_closes_the_routes_to_it_with_the_next_look() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let (there, tenant) = (scene.app.replica(), scene.login.tenant);
    let session = SessionRef::Id(session_id(&id));
    there.look().await;
    assert!(is_open(route(&there, tenant, &session).await));
    // Watched from now on, and silent since.
    let _watched = scene.app.app.orchestrator.tick().await.expect("a tick");
    scene.app.advance(7);
    let _silent = scene.app.app.orchestrator.tick().await.expect("a tick");
    there.look().await;
    assert!(!is_open(route(&there, tenant, &session).await));
    let beat = json!({"incarnation": INCARNATION, "sentAt": "2033-01-01T00:00:00.000Z"});
    let path = format!("/api/v1/workers/{WORKER}/heartbeat");
    let beat = scene.as_worker(scene.app.put(&path)).json(&beat);
    beat.expect(200).await;
    there.look().await;
    assert!(is_open(route(&there, tenant, &session).await));
}
