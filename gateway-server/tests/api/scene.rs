//! A tenant, a worker that has registered over the protocol, and sessions in the states that tests need.
//!
//! The worker has no process: its commands go to the scripted link, its reports are sent by the test.

use gateway_core::event::sequence;
use gateway_core::id::SessionId;
use serde_json::{Value, json};

use crate::app::{BOOTSTRAP, Login, TestAnswer, TestApp, TestRequest, text};

/// The run of the scene's worker.
pub(crate) const INCARNATION: &str = "incarnation-1";
/// The id of the scene's worker.
pub(crate) const WORKER: &str = "worker-1";
/// The recipient of most messages.
pub(crate) const CHAT: &str = "491701234567@s.whatsapp.net";

pub(crate) struct Scene {
    pub(crate) app: TestApp,
    pub(crate) login: Login,
    /// The worker's.
    pub(crate) token: String,
}

impl Scene {
    /// A tenant on PRO, and a worker with room.
    pub(crate) async fn set() -> Self {
        let mut scene = Self::without_workers().await;
        let answer = scene
            .register(&registration(WORKER, INCARNATION))
            .expect(200)
            .await;
        scene.token = text(&answer.data()["workerToken"]);
        scene
    }

    pub(crate) async fn without_workers() -> Self {
        let app = TestApp::start().await;
        let login = app.register("acme").await;
        app.set_tier(login.tenant, "PRO").await;
        let token = String::new();
        Self { app, login, token }
    }

    pub(crate) fn register(&self, body: &Value) -> TestRequest<'_> {
        let request = self.app.post("/api/v1/workers/register");
        request.bearer(BOOTSTRAP).json(body)
    }

    /// A card of that name.
    pub(crate) async fn card(&self, name: &str) -> String {
        let body = json!({ "name": name });
        let answer = self.post("/api/v1/sessions").json(&body).expect(201).await;
        text(&answer.data()["id"])
    }

    /// A session that was connected and whose worker has been told to start it.
    pub(crate) async fn starting(&self, name: &str) -> String {
        let id = self.card(name).await;
        self.act(&id, "connect").expect(202).await;
        self.settle().await;
        id
    }

    /// A session that shows a QR code.
    pub(crate) async fn showing_qr(&self, name: &str) -> String {
        let id = self.starting(name).await;
        let report = json!({
            "status": "QR_REQUIRED", "qrCode": "2@the,qr,text", "qrIndex": 0,
            "qrExpiresAt": "2033-01-01T00:00:00.000Z",
        });
        self.reports(&id, report).expect(200).await;
        id
    }

    /// A session that is linked and live.
    pub(crate) async fn connected(&self, name: &str) -> String {
        let id = self.starting(name).await;
        let report = json!({"status": "CONNECTED", "phoneNumber": "491700000001"});
        self.reports(&id, report).expect(200).await;
        id
    }

    /// The worker reports on a session at epoch 1.
    pub(crate) fn reports(&self, id: &str, more: Value) -> TestRequest<'_> {
        let mut body = json!({"sessionId": id, "epoch": 1, "incarnation": INCARNATION});
        if let Value::Object(fields) = more {
            for (name, value) in fields {
                body[name] = value;
            }
        }
        self.as_worker(self.app.post("/api/v1/webhooks/session-status"))
            .json(&body)
    }

    pub(crate) fn as_worker<'a>(&self, request: TestRequest<'a>) -> TestRequest<'a> {
        request.bearer(&self.token)
    }

    pub(crate) fn act(&self, id: &str, verb: &str) -> TestRequest<'_> {
        self.post(&format!("/api/v1/sessions/{id}/{verb}"))
    }

    pub(crate) fn send(&self, id: &str, body: &Value) -> TestRequest<'_> {
        self.act(id, "messages").json(body)
    }

    /// A text that is sent without trouble.
    pub(crate) async fn sent(&self, id: &str, words: &str) -> TestAnswer {
        self.send(id, &a_text(words)).expect(200).await
    }

    pub(crate) async fn status(&self, id: &str) -> Value {
        let path = format!("/api/v1/sessions/{id}/status");
        self.get(&path).expect(200).await.data().clone()
    }

    pub(crate) fn get(&self, path: &str) -> TestRequest<'_> {
        self.app.get(path).bearer(&self.login.access)
    }

    pub(crate) fn post(&self, path: &str) -> TestRequest<'_> {
        self.app.post(path).bearer(&self.login.access)
    }

    pub(crate) fn patch(&self, path: &str) -> TestRequest<'_> {
        self.app.patch(path).bearer(&self.login.access)
    }

    pub(crate) fn delete(&self, path: &str) -> TestRequest<'_> {
        self.app.delete(path).bearer(&self.login.access)
    }

    /// Lets everything happen that can without the passing of time.
    pub(crate) async fn settle(&self) {
        for _ in 0..500 {
            tokio::task::yield_now().await;
        }
    }

    /// Publishes the events of everything so far.
    pub(crate) async fn publish(&self) {
        sequence(&*self.app.app.store, 0, 1_000)
            .await
            .expect("published");
    }
}

/// The body of a registration.
pub(crate) fn registration(worker: &str, incarnation: &str) -> Value {
    json!({
        "workerId": worker, "endpoint": format!("http://{worker}.test:9000"), "maxSessions": 10,
        "incarnation": incarnation, "environment": "test", "version": "1.2.3",
        "labels": {"region": "eu"},
    })
}

/// The body of a send.
pub(crate) fn a_text(words: &str) -> Value {
    json!({"to": "+49 170 1234567", "type": "text", "text": words})
}

/// The id in a JSON text.
pub(crate) fn session_id(id: &str) -> SessionId {
    id.parse().expect("a session id")
}
