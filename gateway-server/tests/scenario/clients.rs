//! Clients that take their time, and very many of them.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::gateway::Gateway;
use crate::{eventually, pause};

const IDLE: u64 = 10_000;
/// Of these more than may be open at once.
const MORE: u64 = 200;
/// After this the kernel's queue is taken for full: it drops what does not fit, and it is asked again
/// after a second.
const FULL: Duration = Duration::from_secs(4);
/// Far more than so many silent connections need.
const MEMORY: u64 = 500;

fn address(gateway: &Gateway) -> String {
    gateway.url.trim_start_matches("http://").to_owned()
}

pub(crate) async fn a_body_at_one_byte_a_second_is_refused_and_its_connection_freed() {
    let gateway = Gateway::serve(&[("GATEWAY_HTTP_BODY_TIMEOUT", "3s")]);
    let _worker = gateway.worker("worker-1", &[]);
    let tenant = gateway.tenant("drip@example.com").await;
    tenant.connected_session("drip").await;
    for path in ["/api/v1/auth/login", "/api/v1/sessions/drip/messages"] {
        let stream = TcpStream::connect(address(&gateway)).await;
        let (mut answers, mut body) = stream.expect("a connection").into_split();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n",
            tenant.credential()
        );
        body.write_all(head.as_bytes()).await.expect("sent");
        let dripping = tokio::spawn(async move {
            while body.write_all(b" ").await.is_ok() {
                pause(Duration::from_secs(1)).await;
            }
        });
        let mut answer = Vec::new();
        // The end of the connection ends the reading; a reset is one too.
        let _ = answers.read_to_end(&mut answer).await;
        dripping.abort();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 408"), "{path}: {answer}");
        assert!(answer.contains("request_timeout"), "{path}: {answer}");
    }
}

/// What most systems give a program that asks for nothing.
const USUAL: u64 = 1_024;

/// How many connections the hard limit allows.
fn allowed() -> u64 {
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    IDLE.min(most.saturating_sub(1_000))
}

/// From now on this process, and each that it starts, may open so many files; none: all that are allowed.
fn limit_files(to: Option<u64>) {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: to.or(limit.maximum),
        ..limit
    };
    setrlimit(Resource::Nofile, wanted).expect("up to the hard limit");
}

pub(crate) async fn thousands_of_idle_connections_end_and_others_are_served() {
    let cap = allowed();
    limit_files(Some(USUAL));
    let gateway = Gateway::serve(&[
        ("GATEWAY_HTTP_MAX_CONNECTIONS", &cap.to_string()),
        ("GATEWAY_HTTP_FIRST_REQUEST_TIMEOUT", "10s"),
    ]);
    limit_files(None);
    let address = address(&gateway);
    let mut idle = Vec::new();
    for _ in 0..cap + MORE {
        let connecting = TcpStream::connect(&address);
        let connected = tokio::time::timeout(FULL, connecting).await;
        match connected {
            Ok(stream) => idle.push(stream.expect("a connection")),
            // The kernel's queue is full: those over the cap wait.
            Err(_) => break,
        }
    }
    assert!(idle.len() as u64 >= cap, "{} of {cap}", idle.len());
    let memory = gateway.process.memory();
    assert!(memory < MEMORY, "{memory} MiB");
    eventually("somebody else is served", || async {
        let answer = reqwest::get(format!("{}/health", gateway.url)).await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
    for mut stream in idle {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty(), "nobody asked for anything");
    }
}
