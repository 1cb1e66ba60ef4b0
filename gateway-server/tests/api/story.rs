//! The main job from end to end, over the API alone: tenants and simulated workers both speak HTTP.

use gateway_core::id::WorkerId;
use gateway_testkit::worker::{Script, SimFleet};
use serde_json::{Value, json};

use crate::app::{Login, TestApp, text};
use crate::fleet::pass;

struct Story {
    app: TestApp,
    fleet: SimFleet,
    login: Login,
}

fn worker(name: &str) -> WorkerId {
    WorkerId::parse(name).expect("an id")
}

impl Story {
    /// A tenant and two workers whose codes are scanned after two seconds.
    async fn begin(script: Script) -> Self {
        let (app, fleet) = TestApp::with_fleet().await;
        let login = app.register("acme").await;
        app.set_tier(login.tenant, "PRO").await;
        for name in ["worker-1", "worker-2"] {
            fleet.add(&worker(name), script.clone());
        }
        let story = Self { app, fleet, login };
        story.pass(1).await;
        story
    }

    async fn pass(&self, seconds: u64) {
        pass(&self.app, &self.fleet, seconds).await;
    }

    async fn get(&self, path: &str) -> Value {
        let path = format!("/api/v1{path}");
        let answer = self
            .app
            .get(&path)
            .bearer(&self.login.access)
            .expect(200)
            .await;
        answer.data().clone()
    }

    async fn linked(&self) -> String {
        let made = self.app.post("/api/v1/sessions").bearer(&self.login.access);
        let made = made.json(&json!({"name": "sales"})).expect(201).await;
        let id = text(&made.data()["id"]);
        let connect = format!("/api/v1/sessions/{id}/connect");
        self.app
            .post(&connect)
            .bearer(&self.login.access)
            .expect(202)
            .await;
        self.pass(1).await;
        let code = self.get("/sessions/sales/qr").await;
        assert!(!text(&code["qrCode"]).is_empty());
        self.pass(6).await;
        let session = self.get("/sessions/sales").await;
        assert_eq!(session["status"], "CONNECTED", "{session}");
        assert!(session["phoneNumber"].is_string(), "{session}");
        id
    }

    async fn sent(&self, words: &str) -> String {
        let request = self.app.post("/api/v1/sessions/sales/messages");
        let body = json!({"to": "+491701234567", "type": "text", "text": words});
        let answer = request
            .bearer(&self.login.access)
            .json(&body)
            .expect(200)
            .await;
        text(&answer.data()["id"])
    }
}

#[tokio::test]
async fn from_a_card_to_a_delivered_message_and_its_answer() {
    let story = Story::begin(Script::default().auto_scan(2_000).echo(500)).await;
    story.linked().await;
    let message = story.sent("hello").await;
    story.pass(3).await;
    let seen = story.get(&format!("/messages/{message}")).await;
    assert_eq!(seen["status"], "delivered", "{seen}");
    let answers = story
        .get("/sessions/sales/messages?direction=inbound")
        .await;
    assert_eq!(answers.as_array().map(Vec::len), Some(1), "{answers}");

    let events = story.get("/sessions/sales/events?limit=100").await;
    let events = events.as_array().expect("a list");
    let kinds: Vec<&str> = events
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    for kind in [
        "session.created",
        "session.qr",
        "session.status",
        "message.status",
        "message.received",
    ] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    let numbers: Vec<_> = events
        .iter()
        .filter_map(|event| event["seq"].as_u64())
        .collect();
    let dense: Vec<u64> = (1..=events.len() as u64).collect();
    assert_eq!(numbers, dense);
}

#[tokio::test]
async fn a_worker_that_dies_loses_neither_the_session_nor_a_scan() {
    let story = Story::begin(Script::default().auto_scan(2_000)).await;
    story.linked().await;
    let place = story.get("/sessions/sales/history").await;
    let owner = worker(&text(&place[0]["workerId"]));
    story.fleet.crash(&owner);
    story.pass(30).await;
    let session = story.get("/sessions/sales").await;
    assert_eq!(session["status"], "CONNECTED", "{session}");
    let history = story.get("/sessions/sales/history").await;
    let epochs: Vec<_> = history.as_array().expect("a list").iter().collect();
    assert_eq!(epochs.len(), 2, "{history}");
    assert_ne!(text(&history[0]["workerId"]), owner.as_str());
    let codes = story.get("/events?type=session.qr").await;
    assert_eq!(
        codes.as_array().map(Vec::len),
        Some(1),
        "one scan, ever: {codes}"
    );
    let message = story.sent("still here").await;
    story.pass(2).await;
    let seen = story.get(&format!("/messages/{message}")).await;
    assert_eq!(seen["status"], "delivered", "{seen}");
}

#[tokio::test]
async fn disconnecting_and_connecting_again_needs_no_scan() {
    let story = Story::begin(Script::default().auto_scan(2_000)).await;
    story.linked().await;
    for (verb, status) in [
        ("disconnect", "DISCONNECTED"),
        ("connect", "CONNECTED"),
        ("restart", "CONNECTED"),
    ] {
        let path = format!("/api/v1/sessions/sales/{verb}");
        story
            .app
            .post(&path)
            .bearer(&story.login.access)
            .expect(202)
            .await;
        story.pass(3).await;
        let session = story.get("/sessions/sales").await;
        assert_eq!(session["status"], status, "{verb}: {session}");
    }
    let codes = story.get("/events?type=session.qr").await;
    assert_eq!(codes.as_array().map(Vec::len), Some(1), "{codes}");
    let gone = story
        .app
        .delete("/api/v1/sessions/sales")
        .bearer(&story.login.access);
    gone.expect(202).await;
    story.pass(2).await;
    let list = story.get("/sessions").await;
    assert_eq!(list, json!([]));
}
