//! Every route of the API document, asked as everybody.
//!
//! The expected answer is derived from the access class that the document publishes, so a route that is
//! added later is walked without a line here. Bodies are empty objects: where a route needs more, a
//! refusal of the body is as good as "not found", but never an answer.

use std::collections::BTreeMap;

use gateway_core::id::{MessageId, SessionId};
use gateway_core::identity::{ApiKey, Scope};
use gateway_core::session::{Session, SessionRef};
use gateway_core::store::{PlatformStore, Store};
use gateway_core::tenant::TenantStatus;
use gateway_testkit::fixture::{a_session, a_worker};
use hyper::Method;
use serde_json::json;

use crate::app::{BOOTSTRAP, Login, TestAnswer, TestApp, text};

/// Who a route is for, as the document says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Public,
    User,
    Key(Scope),
    Admin,
    Worker,
    Bootstrap,
}

impl Access {
    fn parse(mark: &str) -> Self {
        match mark {
            "public" => Self::Public,
            "user" => Self::User,
            "admin" => Self::Admin,
            "worker" => Self::Worker,
            "bootstrap" => Self::Bootstrap,
            other => {
                let scope = other.strip_prefix("key:").and_then(Scope::parse);
                Self::Key(scope.unwrap_or_else(|| panic!("unknown access class {other}")))
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Route {
    method: Method,
    path: String,
    access: Access,
}

impl Route {
    fn names_an_object(&self) -> bool {
        self.path.contains('{')
    }

    fn has_body(&self) -> bool {
        [Method::POST, Method::PUT, Method::PATCH].contains(&self.method)
    }
}

fn routes() -> Vec<Route> {
    let document = gateway_server::http::document("/");
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let mark = operation["x-access"].as_str();
            let mark = mark.unwrap_or_else(|| panic!("{method} {path} has no access class"));
            routes.push(Route {
                method: method.to_uppercase().parse().expect("a method"),
                path: path.clone(),
                access: Access::parse(mark),
            });
        }
    }
    assert!(routes.len() > 15, "the document has few routes");
    routes
}

/// A tenant whose objects the others try to reach.
struct Scene {
    app: TestApp,
    owner: Login,
    session: Session,
    other_session: SessionId,
    api_key: String,
    worker: String,
}

impl Scene {
    async fn set() -> Self {
        let app = TestApp::with(|config| {
            config.limits.address_requests = 1_000_000;
            config.auth.login_attempts = 1_000_000;
        })
        .await;
        let owner = app.register("owner").await;
        app.set_tier(owner.tenant, "MAX").await;
        let session = a_session().of(owner.tenant).named("mine").build();
        let id = SessionId::from_u128(session.id.as_u128() + 1);
        let other = a_session()
            .of(owner.tenant)
            .named("other")
            .with_id(id)
            .build();
        let mut tx = app.store.begin().await.expect("a transaction");
        for row in [&session, &other] {
            tx.insert_session(row, None).await.expect("inserted");
        }
        tx.commit().await.expect("a commit");
        let api_key = app.post("/api/v1/users/me/api-keys").bearer(&owner.access);
        let api_key = api_key.json(&json!({"name": "mine"})).expect(201).await;
        let (_, _token) = app
            .a_worker(&a_worker("theirs").at("http://127.0.0.1:9").build())
            .await;
        Self {
            owner,
            session,
            other_session: other.id,
            api_key: text(&api_key.data()["id"]),
            worker: "theirs".to_owned(),
            app,
        }
    }

    /// The path with the owner's objects in it.
    fn path(&self, template: &str) -> String {
        let mut before = String::new();
        let mut filled = Vec::new();
        for part in template.split('/') {
            let value = match (part.starts_with('{'), before.as_str()) {
                (false, _) => part.to_owned(),
                (true, "sessions") => self.session.id.to_string(),
                (true, "api-keys") => self.api_key.clone(),
                (true, "workers") => self.worker.clone(),
                (true, "messages") => MessageId::from_u128(7).to_string(),
                (true, other) => panic!("say here what {part} after {other} is"),
            };
            part.clone_into(&mut before);
            filled.push(value);
        }
        filled.join("/")
    }

    async fn ask(&self, route: &Route, credential: Option<&str>) -> TestAnswer {
        let path = self.path(&route.path);
        let mut request = self.app.request(route.method.clone(), &path);
        if let Some(credential) = credential {
            request = request.bearer(credential);
        }
        if route.has_body() {
            request = request.json(&json!({}));
        }
        request.send().await
    }

    /// Asks every route with one credential and checks the status of each.
    async fn walk(
        &self,
        who: &str,
        credential: Option<&str>,
        expected: impl Fn(&Route) -> Allowed,
    ) {
        let mut wrong = BTreeMap::new();
        for route in routes() {
            let answer = self.ask(&route, credential).await;
            let allowed = expected(&route);
            if !allowed.holds(answer.status.as_u16()) {
                let place = format!("{} {}", route.method, route.path);
                wrong.insert(place, (allowed, answer.status, answer.text));
            }
        }
        assert!(wrong.is_empty(), "{who}: {wrong:#?}");
    }

    async fn rows(&self) -> (Vec<Session>, Vec<ApiKey>) {
        let mut tx = self.app.store.read_platform().await.expect("a transaction");
        let mut sessions = Vec::new();
        for id in [self.session.id, self.other_session] {
            let card = tx.card(self.owner.tenant, &SessionRef::Id(id)).await;
            sessions.extend(card.expect("a look"));
        }
        let keys = tx.keys(self.owner.tenant, None, 100).await.expect("keys");
        (sessions, keys)
    }

    async fn worker_token(&self) -> String {
        let worker = a_worker("stranger").at("http://127.0.0.1:10").build();
        self.app.a_worker(&worker).await.1
    }
}

/// Which statuses are right.
#[derive(Clone, Copy, Debug)]
enum Allowed {
    Only(&'static [u16]),
    /// Let in: whatever the handler says, but no refusal and no defect.
    LetIn,
}

impl Allowed {
    fn holds(self, status: u16) -> bool {
        match self {
            Self::Only(list) => list.contains(&status),
            Self::LetIn => ![401, 403, 500].contains(&status),
        }
    }
}

use Allowed::{LetIn, Only};

/// Objects of others are not there; where a body is needed, its refusal may come first.
fn not_there(route: &Route) -> Allowed {
    match (route.names_an_object(), route.has_body()) {
        (true, false) => Only(&[404]),
        (true, true) => Only(&[404, 400, 415]),
        (false, _) => LetIn,
    }
}

#[tokio::test]
async fn without_a_credential_only_public_routes_answer() {
    let scene = Scene::set().await;
    let expected = |route: &Route| match route.access {
        Access::Public => LetIn,
        Access::User | Access::Key(_) | Access::Admin | Access::Worker | Access::Bootstrap => {
            Only(&[401])
        }
    };
    let expected = |route: &Route| match route.path.as_str() {
        // These ask for a secret of their own in the body.
        "/api/v1/auth/login" | "/api/v1/auth/refresh" => Only(&[400]),
        _ => expected(route),
    };
    scene.walk("nobody", None, expected).await;
}

#[tokio::test]
async fn a_foreign_tenants_key_finds_nothing_and_changes_nothing() {
    let scene = Scene::set().await;
    let stranger = scene.app.register("stranger").await;
    scene.app.set_tier(stranger.tenant, "MAX").await;
    let key = scene.app.key(&stranger, &[]).await;
    let before = scene.rows().await;
    let expected = |route: &Route| match route.access {
        Access::Public => LetIn,
        Access::Key(_) => not_there(route),
        Access::User | Access::Admin | Access::Worker | Access::Bootstrap => Only(&[403]),
    };
    scene.walk("a foreign key", Some(&key), expected).await;
    assert_eq!(scene.rows().await, before);
}

#[tokio::test]
async fn a_foreign_user_finds_nothing_and_changes_nothing() {
    let scene = Scene::set().await;
    let before = scene.rows().await;
    for (index, route) in routes().into_iter().enumerate() {
        let stranger = scene.app.register(&format!("stranger{index}")).await;
        let answer = scene.ask(&route, Some(&stranger.access)).await;
        let allowed = match route.access {
            Access::Public => LetIn,
            Access::Key(_) | Access::User => not_there(&route),
            Access::Admin | Access::Worker | Access::Bootstrap => Only(&[403]),
        };
        let place = format!("{} {}", route.method, route.path);
        assert!(
            allowed.holds(answer.status.as_u16()),
            "{place}: {}",
            answer.text
        );
    }
    assert_eq!(scene.rows().await, before);
}

#[tokio::test]
async fn a_key_without_the_scope_is_refused_and_one_with_it_is_let_in() {
    let scene = Scene::set().await;
    for scope in Scope::ALL {
        let others = Scope::ALL.iter().filter(|other| **other != scope);
        let others: Vec<&str> = others.map(|other| other.name()).collect();
        let lacking = scene.app.key(&scene.owner, &others).await;
        let having = scene.app.key(&scene.owner, &[scope.name()]).await;
        for route in routes() {
            if route.access != Access::Key(scope) {
                continue;
            }
            let place = format!("{} {}", route.method, route.path);
            let refused = scene.ask(&route, Some(&lacking)).await;
            assert_eq!(
                refused.kind(),
                "insufficient_scope",
                "{place}: {}",
                refused.text
            );
            let served = scene.ask(&route, Some(&having)).await;
            assert!(
                LetIn.holds(served.status.as_u16()),
                "{place}: {}",
                served.text
            );
        }
    }
}

#[tokio::test]
async fn a_key_for_one_session_does_not_reach_another() {
    let scene = Scene::set().await;
    let body = json!({"name": "one", "sessionId": scene.other_session});
    let made = scene
        .app
        .post("/api/v1/users/me/api-keys")
        .bearer(&scene.owner.access);
    let key = text(&made.json(&body).expect(201).await.data()["key"]);
    let before = scene.rows().await.0;
    let expected = |route: &Route| match route.access {
        Access::Public => LetIn,
        Access::Key(_) => not_there(route),
        Access::User | Access::Admin | Access::Worker | Access::Bootstrap => Only(&[403]),
    };
    scene
        .walk("a key for another session", Some(&key), expected)
        .await;
    assert_eq!(scene.rows().await.0, before);
}

#[tokio::test]
async fn a_worker_reaches_nothing_but_its_own() {
    let scene = Scene::set().await;
    let token = scene.worker_token().await;
    let before = scene.rows().await;
    let expected = |route: &Route| match (route.access, route.has_body()) {
        (Access::Public, _) => LetIn,
        (Access::Worker, false) if route.names_an_object() => Only(&[403, 404]),
        (Access::Worker, _) => Only(&[200, 202, 400, 403, 404, 415]),
        (Access::User | Access::Key(_) | Access::Admin | Access::Bootstrap, _) => Only(&[403]),
    };
    scene.walk("a worker", Some(&token), expected).await;
    assert_eq!(scene.rows().await, before);
}

#[tokio::test]
async fn the_bootstrap_token_only_registers() {
    let scene = Scene::set().await;
    let expected = |route: &Route| match route.access {
        Access::Public | Access::Bootstrap => LetIn,
        Access::User | Access::Key(_) | Access::Admin | Access::Worker => Only(&[403]),
    };
    scene
        .walk("the bootstrap token", Some(BOOTSTRAP), expected)
        .await;
}

#[tokio::test]
async fn an_operator_is_let_into_admin_routes_and_no_workers_ones() {
    let scene = Scene::set().await;
    for (index, route) in routes().into_iter().enumerate() {
        let admin = scene.app.register_admin(&format!("admin{index}")).await;
        let answer = scene.ask(&route, Some(&admin.access)).await;
        let allowed = match route.access {
            Access::Public | Access::Admin => LetIn,
            Access::User | Access::Key(_) => not_there(&route),
            Access::Worker | Access::Bootstrap => Only(&[403]),
        };
        let place = format!("{} {}", route.method, route.path);
        assert!(
            allowed.holds(answer.status.as_u16()),
            "{place}: {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn a_suspended_tenant_is_let_in_nowhere() {
    let scene = Scene::set().await;
    let key = scene.app.key(&scene.owner, &[]).await;
    scene
        .app
        .set_status(scene.owner.tenant, TenantStatus::Suspended)
        .await;
    for credential in [&key, &scene.owner.access] {
        let expected = |route: &Route| match route.access {
            Access::Public => LetIn,
            Access::User | Access::Key(_) | Access::Admin | Access::Worker | Access::Bootstrap => {
                Only(&[403])
            }
        };
        scene
            .walk("a suspended tenant", Some(credential), expected)
            .await;
    }
}
