//! Sends are served on the core where they arrive, by the same functions as on one runtime for all.

use std::sync::Arc;

use gateway_core::worker::WorkerLink;
use gateway_server::http::door::{CorePorts, Door};
use gateway_server::http::serve::{Listener, Serving};
use hyper::HeaderMap;
use hyper::header::HeaderName;
use metrics::Gauge;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::link::ScriptedLink;
use crate::scene::{Scene, a_text};

/// A core on a socket, whose connections to workers are its own, so that a test sees who sent.
struct Served {
    scene: Scene,
    link: ScriptedLink,
    base: String,
    client: Client,
    session: String,
    key: String,
    stop: CancellationToken,
}

impl Served {
    /// With one connected session.
    async fn start() -> Self {
        let scene = Scene::set().await;
        let session = scene.connected("sales").await;
        let key = scene.app.key(&scene.login, &[]).await;
        let app = &scene.app.app;
        let link = ScriptedLink::default();
        let own: Arc<dyn WorkerLink> = Arc::new(link.clone());
        let log = Arc::clone(&app.log);
        let ports = CorePorts { link: own, log };
        let core = Door::of_core(app, ports);
        let listener = Listener::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let base = format!("http://{}", listener.address());
        let stop = CancellationToken::new();
        let serving = Serving::new(&app.config.http, Gauge::noop(), stop.clone(), stop.clone());
        tokio::spawn(listener.serve(core, serving));
        let served = Self {
            scene,
            link,
            base,
            client: Client::new(),
            session,
            key,
            stop,
        };
        served.refresh().await;
        served
    }

    /// The caches may be answered from now on.
    async fn refresh(&self) {
        self.scene.app.app.caches.look().await.expect("a look");
    }

    fn send(&self, body: &Value) -> RequestBuilder {
        self.send_to(&self.session, body)
    }

    fn send_to(&self, session: &str, body: &Value) -> RequestBuilder {
        let url = format!("{}/api/v1/sessions/{session}/messages", self.base);
        self.client
            .post(url)
            .header("x-api-key", &self.key)
            .json(body)
    }

    /// How many messages the core has sent by itself.
    fn by_core(&self) -> usize {
        self.link.sends().len()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn body(response: Response) -> Value {
    let text = response.text().await.expect("a body");
    serde_json::from_str(&text).expect("JSON")
}

/// The names of the headers, without what the listener adds.
fn header_names(headers: &HeaderMap) -> Vec<&str> {
    let names = headers.keys().map(HeaderName::as_str);
    let mut names: Vec<_> = names.filter(|name| *name != "date").collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn it_says_what_is_said_without_cores() {
    let served = Served::start().await;
    let own = served.send(&a_text("by the core")).send();
    let own = own.await.expect("sent");
    assert_eq!(served.by_core(), 1);
    let path = format!("/api/v1/sessions/{}/messages", served.session);
    let request = served.scene.app.post(&path).key(&served.key);
    let shared = request.json(&a_text("by all")).expect(200).await;
    assert_eq!(served.by_core(), 1);
    assert_eq!(own.status(), 200);
    assert_eq!(header_names(own.headers()), header_names(&shared.headers));
    let left: u64 = own.headers()["ratelimit-remaining"]
        .to_str()
        .expect("text")
        .parse()
        .expect("a number");
    assert_eq!(shared.header("ratelimit-remaining"), (left - 1).to_string());
    let own = body(own).await;
    let fields = |data: &Value| -> Vec<String> {
        let data = data.as_object().expect("data");
        data.keys().cloned().collect()
    };
    assert_eq!(fields(&own["data"]), fields(shared.data()));
    assert_eq!(own["data"]["content"]["text"], "by the core");
    assert_eq!(own["data"]["status"], "sending");
    let id = own["data"]["id"].as_str().expect("an id");
    let path = format!("/api/v1/messages/{id}");
    served.scene.get(&path).expect(200).await;
}

#[tokio::test]
async fn what_is_wrong_is_said_in_the_same_words() {
    let served = Served::start().await;
    let path = format!("/api/v1/sessions/{}/messages", served.session);
    for (wrong, status) in [
        (json!({"to": "nobody", "type": "text", "text": "x"}), 400),
        (json!({"to": "+49 170 1234567", "type": "fax"}), 400),
        (
            json!({"to": "+49 170 1234567", "type": "image", "media": {"url": "https://a.test/b"}}),
            501,
        ),
        (
            json!({"to": "+49 170 1234567", "type": "text", "text": "x\u{0}"}),
            400,
        ),
        (json!([]), 400),
    ] {
        let own = served.send(&wrong).send().await.expect("an answer");
        assert_eq!(own.status(), status, "{wrong}");
        let id = own.headers()["x-request-id"]
            .to_str()
            .expect("text")
            .to_owned();
        let request = served.scene.app.post(&path).key(&served.key).json(&wrong);
        let mut shared = request.expect(status).await.body;
        let mut own = body(own).await;
        assert_eq!(own["requestId"], id.as_str());
        own["requestId"] = Value::Null;
        shared["requestId"] = Value::Null;
        assert_eq!(own, shared, "{wrong}");
    }
    assert_eq!(served.by_core(), 0);
}

#[tokio::test]
async fn what_a_core_does_not_remember_is_looked_up() {
    let served = Served::start().await;
    served.send(&a_text("first")).send().await.expect("sent");
    let nobody = served.send_to("nobody", &a_text("x")).send().await;
    assert_eq!(nobody.expect("an answer").status(), 404);
    let bare = served
        .client
        .post(format!("{}/api/v1/sessions/x/messages", served.base));
    let bare = bare.json(&a_text("x")).send().await.expect("an answer");
    assert_eq!(bare.status(), 401);
    served.scene.app.advance(6);
    let late = served.send(&a_text("x")).send().await.expect("an answer");
    assert_eq!(late.status(), 200, "what is remembered is too old");
    assert_eq!(served.by_core(), 2);
}

#[tokio::test]
async fn a_restricted_key_sends_for_its_own_session_by_either_name() {
    let served = Served::start().await;
    let other = served.scene.connected("support").await;
    let body = json!({
        "name": "bot", "scopes": ["messages:send"], "sessionId": served.session
    });
    let made = served.scene.post("/api/v1/users/me/api-keys").json(&body);
    let made = made.expect(201).await;
    let key = made.data()["key"].as_str().expect("a key").to_owned();
    for (session, status) in [
        (&*served.session, 200),
        ("sales", 200),
        (&other, 404),
        ("support", 404),
    ] {
        let url = format!("{}/api/v1/sessions/{session}/messages", served.base);
        let send = served.client.post(url).header("apikey", &key);
        let answer = send.json(&a_text("x")).send().await.expect("sent");
        assert_eq!(answer.status(), status, "{session}");
    }
    assert_eq!(served.by_core(), 2);
}

#[tokio::test]
async fn a_revoked_key_sends_nothing_any_more() {
    let served = Served::start().await;
    served.send(&a_text("x")).send().await.expect("an answer");
    assert_eq!(served.by_core(), 1);
    let keys = served
        .scene
        .get("/api/v1/users/me/api-keys")
        .expect(200)
        .await;
    let id = keys.data()[0]["id"].as_str().expect("an id");
    let path = format!("/api/v1/users/me/api-keys/{id}");
    served.scene.delete(&path).expect(200).await;
    let refused = served.send(&a_text("x")).send().await.expect("an answer");
    assert_eq!(refused.status(), 401);
    assert_eq!(served.by_core(), 1);
}

#[tokio::test]
async fn a_key_with_which_a_message_was_sent_has_its_first_answer() {
    let served = Served::start().await;
    let mut ids = Vec::new();
    for replayed in [false, true] {
        let send = served
            .send(&a_text("once"))
            .header("idempotency-key", "order 17");
        let answer = send.send().await.expect("an answer");
        assert_eq!(
            answer.headers().contains_key("idempotent-replayed"),
            replayed
        );
        ids.push(body(answer).await["data"]["id"].clone());
    }
    assert_eq!(ids[0], ids[1]);
    assert_eq!(served.by_core(), 1);
}

#[tokio::test]
async fn a_long_answer_is_compressed_when_asked_for() {
    let served = Served::start().await;
    let long = a_text(&"lorem ipsum ".repeat(200));
    for (asked, compressed) in [(true, true), (false, false)] {
        let mut send = served.send(&long);
        if asked {
            send = send.header("accept-encoding", "gzip");
        }
        let answer = send.send().await.expect("an answer");
        assert_eq!(
            answer.headers().contains_key("content-encoding"),
            compressed
        );
    }
    assert_eq!(served.by_core(), 2);
}

#[tokio::test]
async fn a_browser_is_told_from_where_it_may_call() {
    let served = Served::start().await;
    let send = served.send(&a_text("x"));
    let answer = send.header("origin", "https://elsewhere.test").send().await;
    let answer = answer.expect("sent");
    assert_eq!(answer.status(), 200);
    let exposed = "access-control-expose-headers";
    assert!(answer.headers().contains_key(exposed));
    assert_eq!(served.by_core(), 1);
}

#[tokio::test]
async fn a_body_that_is_announced_too_long_is_refused_before_it_comes() {
    let served = Served::start().await;
    let limit = served.scene.app.app.config.http.body_limit;
    let address = served.base.strip_prefix("http://").expect("an address");
    let session = format!("/api/v1/sessions/{}/messages", served.session);
    let browser = "origin: https://elsewhere.test\r\n";
    for (path, more) in [
        (&*session, ""),
        (&*session, browser),
        ("/api/v1/auth/login", ""),
    ] {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n{more}\r\n",
            served.key,
            limit + 1
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        // The server closes: the rest of the body is not waited for.
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 413"), "{path}: {answer}");
        assert!(answer.contains("payload_too_large"), "{path}: {answer}");
    }
    assert_eq!(served.by_core(), 0);
}
