//! The workers that the stub plays, as the gateway sees them: registered, alive, and connected.

use std::collections::BTreeMap;
use std::future::ready;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use gateway_core::protocol::{Beat, Register, SessionCounts, StartSession};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};

use super::Stub;
use crate::clock::{now, pause};
use crate::{Failure, names};

/// How many calls to the gateway are made at once.
const AT_ONCE: usize = 8;
/// How often every worker reports: half as often as it is asked to, and well within its lease.
const EVERY: Duration = Duration::from_secs(4);
/// How many renewals may wait for their answers.
const WAITING: usize = 1000;
const MAX_SESSIONS: u32 = 1000;

/// All workers of this process.
pub(super) struct Fleet {
    gateway: String,
    stub: Stub,
    client: Client<HttpConnector, Full<Bytes>>,
    tokens: Mutex<BTreeMap<String, String>>,
}

impl Fleet {
    pub(super) fn new(gateway: String, stub: &Stub) -> Self {
        Self {
            gateway,
            stub: stub.clone(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            tokens: Mutex::default(),
        }
    }

    /// Registers every worker.
    pub(super) async fn register(&self) -> Result<(), Failure> {
        let all = stream::iter(0..self.stub.workers).map(|number| self.register_one(number));
        all.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn register_one(&self, number: u32) -> Result<(), Failure> {
        let (id, run) = (
            names::worker(number),
            names::incarnation(&self.stub.run, number),
        );
        let endpoint = names::endpoint(self.stub.port, number);
        let body = Register::new(&id, &run, &endpoint, MAX_SESSIONS);
        let body = serde_json::to_value(body)?;
        let path = "/workers/register";
        let answer = self
            .call(Method::POST, path, names::BOOTSTRAP, &body)
            .await?;
        let token = answer["data"]["workerToken"].as_str();
        let token = token.ok_or("a registration without a token")?.to_owned();
        self.tokens()
            .insert(names::incarnation(&self.stub.run, number), token);
        Ok(())
    }

    /// Renews every lease for ever, evenly over time. No worker waits for the answer to another, and who comes
    /// late makes the next no later: under full load both would make workers suspect.
    pub(super) async fn beat(&self) -> Result<(), Failure> {
        let started = now();
        let gap = EVERY / self.stub.workers.max(1);
        let workers = (0..self.stub.workers).cycle();
        let turns = stream::iter(workers.zip(1..)).then(|(number, turn)| async move {
            pause((gap * turn).saturating_sub(started.elapsed())).await;
            number
        });
        let beats = turns.map(|number| self.beat_one(number, started.elapsed()));
        // A renewal that fails is tried again in the next round, long before the lease ends.
        beats
            .buffer_unordered(WAITING)
            .for_each(|_| ready(()))
            .await;
        Ok(())
    }

    async fn beat_one(&self, number: u32, uptime: Duration) -> Result<(), Failure> {
        let held = self.stub.sessions / self.stub.workers.max(1);
        let beat = Beat {
            cpu_usage: Some(0.1),
            memory_usage: Some(0.1),
            uptime_seconds: Some(uptime.as_secs()),
            sessions: Some(SessionCounts {
                total: held,
                connected: held,
                ..SessionCounts::default()
            }),
            ..Beat::default()
        };
        let token = self.token(&names::incarnation(&self.stub.run, number))?;
        let path = format!("/workers/{}/heartbeat", names::worker(number));
        let body = serde_json::to_value(beat)?;
        self.call(Method::PUT, &path, &token, &body).await.map(drop)
    }

    /// Returns what a worker says of its health.
    pub(super) fn health(&self, number: u32) -> String {
        json!({
            "status": "ok",
            "workerId": names::worker(number),
            "incarnation": names::incarnation(&self.stub.run, number),
        })
        .to_string()
    }

    /// Reports that a session that was to be started is connected.
    pub(super) async fn connected(&self, start: &StartSession) {
        let report = json!({
            "sessionId": start.session_id, "epoch": start.epoch, "incarnation": start.incarnation,
            "reportId": format!("{}-{}", start.session_id, start.epoch), "reportSeq": 1,
            "status": "CONNECTED", "phoneNumber": "491701234567",
        });
        let Ok(token) = self.token(start.incarnation.as_str()) else {
            return;
        };
        let path = "/webhooks/session-status";
        while self
            .call(Method::POST, path, &token, &report)
            .await
            .is_err()
        {
            pause(Duration::from_secs(1)).await;
        }
    }

    fn token(&self, incarnation: &str) -> Result<String, Failure> {
        let token = self.tokens().get(incarnation).cloned();
        token.ok_or_else(|| format!("{incarnation} is not registered").into())
    }

    fn tokens(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Result<Value, Failure> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/api/v1{path}", self.gateway))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.to_string())))?;
        let response = self.client.request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            let text = String::from_utf8_lossy(&body);
            return Err(format!("{path}: {status} {text}").into());
        }
        Ok(serde_json::from_slice(&body)?)
    }
}
