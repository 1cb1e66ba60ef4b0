//! `examples/http/*.http`: every request that a person can send there works.
//!
//! The files are written for the REST clients of editors; this reads the part of their format that the
//! files use: `###` between requests, `@name = value`, `# @name x`, and `{{x.response.body.$.path}}`.

use std::collections::BTreeMap;
use std::path::Path;

use gateway_core::id::WorkerId;
use gateway_testkit::worker::{Script, SimFleet};
use hyper::Method;
use serde_json::Value;

use crate::app::{BOOTSTRAP, TestApp, text};
use crate::fleet::pass;

#[derive(Debug, Default, PartialEq)]
struct Example {
    title: String,
    name: Option<String>,
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// The file's variables and requests.
fn parse(file: &str) -> (BTreeMap<String, String>, Vec<Example>) {
    let mut variables = BTreeMap::new();
    let mut parts = file.split("\n### ");
    for line in parts.next().unwrap_or_default().lines() {
        if let Some((name, value)) = line
            .strip_prefix('@')
            .and_then(|line| line.split_once(" = "))
        {
            variables.insert(name.to_owned(), value.to_owned());
        }
    }
    (variables, parts.map(request).collect())
}

fn request(part: &str) -> Example {
    let (head, body) = part.split_once("\n\n").unwrap_or((part, ""));
    let mut lines = head.lines();
    let mut example = Example {
        title: lines.next().unwrap_or_default().to_owned(),
        body: body.trim().to_owned(),
        ..Example::default()
    };
    for line in lines {
        if let Some(name) = line.strip_prefix("# @name ") {
            example.name = Some(name.to_owned());
        } else if example.method.is_empty() {
            let (method, url) = line.split_once(' ').expect("a method and a URL");
            (example.method, example.url) = (method.to_owned(), url.to_owned());
        } else {
            let (name, value) = line.split_once(": ").expect("a header");
            example
                .headers
                .push((name.to_lowercase(), value.to_owned()));
        }
    }
    example
}

/// What `{{…}}` stands for.
struct Known {
    variables: BTreeMap<String, String>,
    answers: BTreeMap<String, Value>,
}

impl Known {
    fn fill(&self, template: &str) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            let (key, after) = after.split_once("}}").expect("a closed variable");
            out.push_str(before);
            out.push_str(&self.value(key));
            rest = after;
        }
        out + rest
    }

    fn value(&self, key: &str) -> String {
        let Some((name, path)) = key.split_once(".response.body.$.") else {
            return self.variables[key].clone();
        };
        let pointer = format!("/{}", path.replace('.', "/"));
        let answer = self
            .answers
            .get(name)
            .unwrap_or_else(|| panic!("no answer {name}"));
        text(
            answer
                .pointer(&pointer)
                .unwrap_or_else(|| panic!("no {path} in {answer}")),
        )
    }
}

/// `seconds` pass during each request.
async fn run(file: &str, app: &TestApp, fleet: &SimFleet, seconds: u64) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/http");
    let content = std::fs::read_to_string(folder.join(file)).expect("a file");
    let (mut variables, examples) = parse(&content);
    if let Some(token) = variables.get_mut("bootstrap") {
        *token = BOOTSTRAP.to_owned();
    }
    assert!(!examples.is_empty(), "{file}");
    let answers = BTreeMap::new();
    let mut known = Known { variables, answers };
    for example in examples {
        let url = known.fill(&example.url);
        let path = url
            .strip_prefix("http://localhost:8000")
            .expect("the local server");
        let method: Method = example.method.parse().expect("a method");
        let mut request = app.request(method, path);
        for (name, value) in &example.headers {
            let name: &'static str = match name.as_str() {
                "authorization" => "authorization",
                "content-type" => "content-type",
                "x-api-key" => "x-api-key",
                "idempotency-key" => "idempotency-key",
                "x-epoch" => "x-epoch",
                "x-state-seq" => "x-state-seq",
                other => panic!("{file}: unknown header {other}"),
            };
            request = request.header(name, &known.fill(value));
        }
        let sending = request.body(known.fill(&example.body)).send();
        // Time passes for the workers while a request waits for them.
        let (answer, ()) = tokio::join!(sending, pass(app, fleet, seconds));
        let title = &example.title;
        assert!(
            answer.status.is_success(),
            "{file}, {title}: {}",
            answer.text
        );
        if let Some(name) = example.name {
            known.answers.insert(name, answer.body);
        }
    }
}

async fn server() -> (TestApp, SimFleet) {
    let (app, fleet) = TestApp::with_fleet().await;
    for name in ["worker-1", "worker-2"] {
        let id = WorkerId::parse(name).expect("an id");
        fleet.add(&id, Script::default().auto_scan(2_000));
    }
    pass(&app, &fleet, 1).await;
    (app, fleet)
}

#[tokio::test(start_paused = true)]
async fn an_account_is_made_as_written() {
    let (app, fleet) = server().await;
    run("account.http", &app, &fleet, 8).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_lives_as_written() {
    let (app, fleet) = server().await;
    run("sessions.http", &app, &fleet, 8).await;
}

#[tokio::test(start_paused = true)]
async fn messages_are_sent_as_written() {
    let (app, fleet) = server().await;
    run("messages.http", &app, &fleet, 8).await;
}

#[tokio::test(start_paused = true)]
async fn an_operator_works_as_written() {
    let (app, fleet) = server().await;
    app.register_admin("admin").await;
    run("admin.http", &app, &fleet, 8).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_speaks_as_written() {
    let (app, fleet) = TestApp::with_fleet().await;
    // Nobody sends heartbeats but the file.
    run("workers.http", &app, &fleet, 1).await;
}

#[test]
fn every_file_is_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/http");
    let files = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = files
        .map(|file| {
            file.expect("a file")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "account.http",
            "admin.http",
            "messages.http",
            "sessions.http",
            "workers.http"
        ]
    );
}
