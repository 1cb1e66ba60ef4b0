//! What a tenant's or an operator's request says that its operation does not know is refused by name: ignored,
//! a misspelt field would do the opposite of what was meant.

use hyper::Method;
use serde_json::{Value, json};

use crate::app::{TestAnswer, TestApp, TestRequest};
use crate::scene::Scene;

/// Those whose requests are held to what the document describes.
fn is_strict(operation: &Value) -> bool {
    let access = operation["x-access"].as_str().expect("an access class");
    match access {
        "worker" | "bootstrap" => false,
        "public" => operation["tags"][0] != "system",
        _ => true,
    }
}

/// Every strict operation of the document: its method and path, with its parameters filled in.
fn operations(session: &str) -> Vec<(Method, String, Value)> {
    let document = gateway_server::http::document("/");
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            if !is_strict(operation) {
                continue;
            }
            let method: Method = method.to_uppercase().parse().expect("a method");
            let id = match path.split('/').nth(3) {
                Some("messages") => "msg_01j0000000e008000000000001",
                Some("users") => "key_01j0000000e008000000000001",
                Some("admin") => "worker-1",
                _ => session,
            };
            found.push((method, path.replace("{id}", id), operation.clone()));
        }
    }
    assert!(found.len() > 30, "the document has few operations");
    found
}

/// A tenant's session, seen by an operator, who may call everything.
struct Asked {
    scene: Scene,
    token: String,
    session: String,
}

impl Asked {
    async fn set() -> Self {
        let scene = Scene::set().await;
        let admin = scene.app.register_admin("operator").await;
        let made = scene.app.post("/api/v1/sessions").bearer(&admin.access);
        let made = made.json(&json!({"name": "sales"})).expect(201).await;
        let session = made.data()["id"].as_str().expect("an id").to_owned();
        Self {
            scene,
            token: admin.access,
            session,
        }
    }

    fn ask(&self, method: Method, path: &str) -> TestRequest<'_> {
        let app: &TestApp = &self.scene.app;
        app.request(method, path).bearer(&self.token)
    }
}

fn named(answer: TestAnswer) -> Vec<String> {
    assert_eq!(answer.status.as_u16(), 400, "{}", answer.text);
    answer.is("unknown_field").fields()
}

#[tokio::test]
async fn no_operation_ignores_a_parameter_of_its_query() {
    let asked = Asked::set().await;
    for (method, path, operation) in operations(&asked.session) {
        let request = asked.ask(method.clone(), &format!("{path}?noSuch=1"));
        let request = match operation["requestBody"].is_null() {
            true => request,
            false => request.json(&json!({})),
        };
        assert_eq!(named(request.send().await), ["noSuch"], "{method} {path}");
    }
}

#[tokio::test]
async fn no_operation_ignores_a_field_of_its_body() {
    let asked = Asked::set().await;
    for (method, path, operation) in operations(&asked.session) {
        if operation["requestBody"].is_null() {
            continue;
        }
        let request = asked.ask(method.clone(), &path).json(&json!({"noSuch": 1}));
        assert_eq!(named(request.send().await), ["noSuch"], "{method} {path}");
    }
}

#[tokio::test]
async fn misspelt_words_do_not_do_the_opposite() {
    let asked = Asked::set().await;
    let sessions = format!("/api/v1/sessions/{}/messages", asked.session);
    let text = |more: Value| {
        let mut body = json!({"to": "+491701234567", "type": "text", "text": "x"});
        let (known, more) = (body.as_object_mut(), more.as_object().cloned());
        known.expect("an object").extend(more.expect("an object"));
        body
    };
    for (method, path, body, field) in [
        (
            Method::POST,
            "/api/v1/users/me/api-keys",
            json!({"name": "q", "scope": ["sessions:read"]}),
            "scope",
        ),
        (
            Method::POST,
            "/api/v1/users/me/api-keys",
            json!({"name": "q", "expiresIn": 60}),
            "expiresIn",
        ),
        (
            Method::PATCH,
            "/api/v1/admin/workers/w",
            json!({"cordonned": true}),
            "cordonned",
        ),
        (
            Method::POST,
            &sessions,
            text(json!({"sendAtt": "2030-01-01T00:00:00Z"})),
            "sendAtt",
        ),
        (
            Method::POST,
            &sessions,
            text(json!({"send_at": "2030-01-01T00:00:00Z"})),
            "send_at",
        ),
        (
            Method::POST,
            &sessions,
            text(json!({"quotedMessageID": "x"})),
            "quotedMessageID",
        ),
        (
            Method::POST,
            &sessions,
            json!({"to": "+491701234567", "type": "contact", "contacts": [{"name": "A", "phoneNumber": "+491701234567", "org": "B"}]}),
            "contacts[0].org",
        ),
        (
            Method::POST,
            &sessions,
            json!({"to": "+491701234567", "type": "image", "media": {"uri": "https://a.test/b"}}),
            "media.uri",
        ),
        (
            Method::GET,
            "/api/v1/messages?offset=50&limit=2",
            Value::Null,
            "offset",
        ),
        (Method::GET, "/api/v1/messages?page=2", Value::Null, "page"),
        (
            Method::GET,
            "/api/v1/messages?statu=delivered",
            Value::Null,
            "statu",
        ),
        (
            Method::GET,
            "/api/messages?statu=delivered",
            Value::Null,
            "statu",
        ),
    ] {
        let request = asked.ask(method, path);
        let request = match body.is_null() {
            true => request,
            false => request.json(&body),
        };
        assert_eq!(named(request.send().await), [field], "{path}");
    }
}

#[tokio::test]
async fn a_cursor_that_is_none_is_named_as_it_was_sent() {
    let scene = Scene::set().await;
    for name in ["after", "cursor"] {
        let answer = scene.get(&format!("/api/v1/events?{name}=abc"));
        assert_eq!(answer.expect(400).await.fields(), [name]);
    }
    let both = scene
        .get("/api/v1/events?after=MQ&cursor=Mg")
        .expect(400)
        .await;
    assert_eq!(both.fields(), ["after"]);
}

#[tokio::test]
async fn workers_and_probes_may_say_more_than_is_known_here() {
    let scene = Scene::set().await;
    let path = format!("/api/v1/workers/{}/heartbeat?newer=1", crate::scene::WORKER);
    let beat = json!({"incarnation": crate::scene::INCARNATION, "newer": 1});
    let beat = scene.as_worker(scene.app.put(&path)).json(&beat);
    let answer = beat.send().await;
    assert_ne!(answer.kind(), "unknown_field", "{}", answer.text);
    scene.app.get("/health/ready?t=1").expect(200).await;
}
