//! A gateway process and a tenant's view of it.

use std::collections::BTreeMap;
use std::path::Path;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::eventually;
use crate::process::Process;

/// What an operator shows to see the metrics and the details of the health.
pub(crate) const METRICS_TOKEN: &str = "the-token-of-the-operators-monitoring";

/// A gateway in a folder of its own.
#[derive(Debug)]
pub(crate) struct Gateway {
    /// The process.
    pub(crate) process: Process,
    /// `http://127.0.0.1:port`
    pub(crate) url: String,
    folder: TempDir,
    variables: BTreeMap<String, String>,
}

impl Gateway {
    /// `serve` on a free port with short leases, so that a dead worker is noticed within a test.
    pub(crate) fn serve(more: &[(&str, &str)]) -> Self {
        Self::serve_in(tempfile::tempdir().expect("a folder"), more)
    }

    /// The same in a folder that is there already.
    pub(crate) fn serve_in(folder: TempDir, more: &[(&str, &str)]) -> Self {
        let mut variables: BTreeMap<String, String> = [
            ("PORT", "0"),
            ("GATEWAY_HTTP_LISTEN", "127.0.0.1"),
            ("GATEWAY_HTTP_METRICS_TOKEN", METRICS_TOKEN),
            ("WORKER_AUTH_TOKEN", BOOTSTRAP),
            ("GATEWAY_ORCHESTRATION_LEASE", "3s"),
            ("GATEWAY_ORCHESTRATION_LEASE_GUARD", "1s"),
            ("GATEWAY_ORCHESTRATION_HEARTBEAT", "500ms"),
            ("GATEWAY_ORCHESTRATION_SUSPECT_AFTER", "2s"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        variables.extend(
            more.iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned())),
        );
        let (process, url) = start(folder.path(), &variables);
        // A gateway that starts again takes the same port: its workers know no other.
        let port = url.rsplit(':').next().expect("a port").to_owned();
        variables.insert("PORT".to_owned(), port);
        Self {
            process,
            url,
            folder,
            variables,
        }
    }

    /// Starts it again after it was stopped or killed, on the same data and port.
    pub(crate) fn start_again(&mut self) {
        let (process, url) = start(self.folder.path(), &self.variables);
        self.process = process;
        self.url = url;
    }

    /// Its working folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A simulated worker as a process of its own.
    pub(crate) fn worker(&self, id: &str, more: &[&str]) -> Process {
        let mut arguments = vec![
            "sim-worker",
            "--id",
            id,
            "--gateway",
            &self.url,
            "--token",
            BOOTSTRAP,
        ];
        arguments.extend(more);
        Process::start(self.folder.path(), &arguments, &BTreeMap::new())
    }

    /// A tenant on the largest plan, with an API key.
    pub(crate) async fn tenant(&self, email: &str) -> Tenant {
        let client = Client::new();
        let register = json!({ "email": email, "password": "correct horse battery" });
        let api = Tenant {
            client,
            url: self.url.clone(),
            token: String::new(),
        };
        let (status, account) = api
            .call(Method::POST, "/auth/register", Some(register))
            .await
            .expect("an answer");
        assert_eq!(status, StatusCode::CREATED, "{account}");
        let token = account["data"]["accessToken"]
            .as_str()
            .expect("a token")
            .to_owned();
        let user = Tenant { token, ..api };
        let set = ["admin", "set-tier", "--email", email, "--tier", "MAX"];
        let (status, log) = Process::start(self.folder(), &set, &self.variables).wait();
        assert!(status.success(), "{log}");
        let body = json!({ "name": "story" });
        let (status, key) = user
            .call(Method::POST, "/users/me/api-keys", Some(body))
            .await
            .expect("an answer");
        assert_eq!(status, StatusCode::CREATED, "{key}");
        Tenant {
            token: key["data"]["key"].as_str().expect("a key").to_owned(),
            ..user
        }
    }
}

/// What workers register with.
pub(crate) const BOOTSTRAP: &str = "a-bootstrap-token-for-the-stories-only";

fn start(folder: &Path, variables: &BTreeMap<String, String>) -> (Process, String) {
    let mut process = Process::start(folder, &["serve"], variables);
    let output = process.read_until("listening on ");
    let line = output
        .lines()
        .find(|line| line.contains("listening on "))
        .expect("the line");
    let url = line.split("listening on ").nth(1).expect("an address");
    (process, url.trim().to_owned())
}

/// Somebody with a credential.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    client: Client,
    url: String,
    token: String,
}

impl Tenant {
    /// What it shows at a gateway.
    pub(crate) fn credential(&self) -> &str {
        &self.token
    }

    /// The same tenant at another replica.
    pub(crate) fn at(&self, gateway: &Gateway) -> Self {
        Self {
            url: gateway.url.clone(),
            ..self.clone()
        }
    }

    /// One call below `/api/v1`; none if there was no answer.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Option<(StatusCode, Value)> {
        self.call_with(method, path, body, None).await
    }

    /// The same with an `Idempotency-Key`.
    pub(crate) async fn call_with(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> Option<(StatusCode, Value)> {
        let mut request = self
            .client
            .request(method, format!("{}/api/v1{path}", self.url));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status();
        Some((status, answer.json().await.unwrap_or(Value::Null)))
    }

    /// A session that is connected; simulated workers scan by themselves.
    pub(crate) async fn connected_session(&self, name: &str) -> String {
        let body = Some(json!({ "name": name }));
        let (status, session) = self
            .call(Method::POST, "/sessions", body)
            .await
            .expect("an answer");
        assert_eq!(status, StatusCode::CREATED, "{session}");
        let connect = format!("/sessions/{name}/connect");
        let (status, answer) = self
            .call(Method::POST, &connect, None)
            .await
            .expect("an answer");
        assert!(status.is_success(), "{answer}");
        self.until_connected(name).await;
        session["data"]["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until the session is connected.
    pub(crate) async fn until_connected(&self, name: &str) {
        let path = format!("/sessions/{name}");
        eventually(&format!("{name} is connected"), || async {
            let (_, answer) = self.call(Method::GET, &path, None).await?;
            (answer["data"]["status"] == "CONNECTED").then_some(())
        })
        .await;
    }

    /// Sends a text; the answer, or none if there was none.
    pub(crate) async fn send(
        &self,
        session: &str,
        text: &str,
        key: Option<&str>,
    ) -> Option<(StatusCode, Value)> {
        let body = json!({ "to": "+491701234567", "type": "text", "text": text });
        self.call_with(
            Method::POST,
            &format!("/sessions/{session}/messages"),
            Some(body),
            key,
        )
        .await
    }

    /// The same, with everything about the answer.
    pub(crate) async fn raw_send(&self, session: &str, text: &str) -> reqwest::Response {
        let body = json!({ "to": "+491701234567", "type": "text", "text": text });
        let url = format!("{}/api/v1/sessions/{session}/messages", self.url);
        let request = self.client.post(url).bearer_auth(&self.token).json(&body);
        request.send().await.expect("an answer")
    }

    /// Every message of the session, over all pages.
    pub(crate) async fn history(&self, session: &str) -> Vec<Value> {
        let mut messages = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/sessions/{session}/messages?limit=100{cursor}");
            let (status, page) = self
                .call(Method::GET, &path, None)
                .await
                .expect("an answer");
            assert_eq!(status, StatusCode::OK, "{page}");
            messages.extend(page["data"].as_array().expect("a list").iter().cloned());
            match page["pagination"]["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return messages,
            }
        }
    }

    /// Every event of the tenant, over all pages.
    pub(crate) async fn events(&self) -> Vec<Value> {
        let mut events = Vec::new();
        let mut after = String::new();
        loop {
            let path = format!("/events?limit=100{after}");
            let (status, page) = self
                .call(Method::GET, &path, None)
                .await
                .expect("an answer");
            assert_eq!(status, StatusCode::OK, "{page}");
            let data = page["data"].as_array().expect("a list");
            if data.is_empty() {
                return events;
            }
            events.extend(data.iter().cloned());
            let next = page["pagination"]["nextCursor"].as_str();
            after = format!("&after={}", next.expect("events go on"));
        }
    }
}
