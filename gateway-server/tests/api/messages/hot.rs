//! A send that a core answers by itself is answered as the router does it.

use std::sync::Arc;

use gateway_core::worker::WorkerLink;
use gateway_server::http;
use gateway_server::http::core::{Core, CorePorts};
use gateway_server::http::serve::{Listener, Serving};
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
    /// With one connected session; the key and the route are known.
    async fn start() -> Self {
        let scene = Scene::set().await;
        let session = scene.connected("sales").await;
        let key = scene.app.key(&scene.login, &[]).await;
        let app = &scene.app.app;
        let link = ScriptedLink::default();
        let own: Arc<dyn WorkerLink> = Arc::new(link.clone());
        let log = Arc::clone(&app.log);
        let ports = CorePorts { link: own, log };
        let core = Core::new(app.parts.clone(), http::router(app), ports);
        let listener = Listener::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let base = format!("http://{}", listener.address());
        let stop = CancellationToken::new();
        let serving = Serving::new(&app.config.http, Gauge::noop(), stop.clone());
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
        let first = served.send(&a_text("first")).send().await.expect("sent");
        assert_eq!(first.status(), 200);
        assert_eq!(served.by_core(), 0, "nothing was known yet");
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

/// Names of the headers, without those of the connection and of caches in between.
fn header_names(response: &Response) -> Vec<String> {
    let names = response.headers().keys().map(ToString::to_string);
    let mut names: Vec<_> = names.filter(|name| name != "vary").collect();
    names.sort();
    names
}

#[tokio::test]
async fn it_says_what_the_router_says() {
    let served = Served::start().await;
    // A request of a browser goes through the layers.
    let routed = served.send(&a_text("routed"));
    let routed = routed
        .header("origin", "https://elsewhere.test")
        .send()
        .await;
    let routed = routed.expect("sent");
    assert_eq!(served.by_core(), 0);
    let own = served
        .send(&a_text("by the core"))
        .send()
        .await
        .expect("sent");
    assert_eq!(served.by_core(), 1);
    assert_eq!(
        (own.status(), routed.status()),
        (routed.status(), own.status())
    );
    let exposed = |names: Vec<String>| -> Vec<String> {
        let cross = |name: &String| !name.starts_with("access-control-");
        names.into_iter().filter(cross).collect()
    };
    assert_eq!(header_names(&own), exposed(header_names(&routed)));
    let left = |response: &Response| -> u64 {
        let value = response.headers()["ratelimit-remaining"].to_str();
        value.expect("text").parse().expect("a number")
    };
    assert_eq!(left(&own), left(&routed) - 1);
    let (own, routed) = (body(own).await, body(routed).await);
    let fields = |body: &Value| -> Vec<String> {
        let data = body["data"].as_object().expect("data");
        data.keys().cloned().collect()
    };
    assert_eq!(fields(&own), fields(&routed));
    assert_eq!(own["data"]["content"]["text"], "by the core");
    assert_eq!(own["data"]["status"], "sending");
    let id = own["data"]["id"].as_str().expect("an id");
    let path = format!("/api/v1/messages/{id}");
    served.scene.get(&path).expect(200).await;
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_said_in_the_same_words() {
    let served = Served::start().await;
    for wrong in [
        json!({"to": "nobody", "type": "text", "text": "x"}),
        json!({"to": "+49 170 1234567", "type": "fax"}),
        json!({"to": "+49 170 1234567", "type": "image", "media": {"url": "https://a.test/b"}}),
        json!({"to": "+49 170 1234567", "type": "text", "text": "x\u{0}"}),
        json!([]),
    ] {
        let own = served.send(&wrong).send().await.expect("an answer");
        let routed = served
            .send(&wrong)
            .header("origin", "https://elsewhere.test");
        let routed = routed.send().await.expect("an answer");
        assert_eq!(own.status(), routed.status(), "{wrong}");
        let id = own.headers()["x-request-id"]
            .to_str()
            .expect("text")
            .to_owned();
        let (mut own, mut routed) = (body(own).await, body(routed).await);
        assert_eq!(own["requestId"], id.as_str());
        own["requestId"] = Value::Null;
        routed["requestId"] = Value::Null;
        assert_eq!(own, routed, "{wrong}");
    }
    assert_eq!(served.by_core(), 0);
}

#[tokio::test]
async fn what_the_core_cannot_know_is_left_to_the_router() {
    let served = Served::start().await;
    let nobody = served.send_to("nobody", &a_text("x")).send().await;
    assert_eq!(nobody.expect("an answer").status(), 404);
    let bare = served
        .client
        .post(format!("{}/api/v1/sessions/x/messages", served.base));
    let bare = bare.json(&a_text("x")).send().await.expect("an answer");
    assert_eq!(bare.status(), 401);
    served.scene.app.advance(6);
    let late = served.send(&a_text("x")).send().await.expect("an answer");
    assert_eq!(late.status(), 200);
    assert_eq!(served.by_core(), 0, "what is remembered is too old");
    served.refresh().await;
    served.send(&a_text("x")).send().await.expect("an answer");
    assert_eq!(served.by_core(), 1);
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
    assert_eq!(served.by_core(), 1);
}

#[tokio::test]
async fn a_body_that_is_announced_too_long_is_refused_before_it_comes() {
    let served = Served::start().await;
    let limit = served.scene.app.app.config.http.body_limit;
    let address = served.base.strip_prefix("http://").expect("an address");
    let session = format!("/api/v1/sessions/{}/messages", served.session);
    // A browser's request goes through the layers.
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
