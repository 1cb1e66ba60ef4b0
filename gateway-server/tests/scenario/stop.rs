//! A gateway that is asked to stop, as orchestrators and people do.

use std::time::Duration;

use gateway_testkit::worker::Script;
use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::crash::{Phones, worker_of};
use crate::eventually;
use crate::gateway::Gateway;

/// Far more than a stop takes that waits for nobody, and less than the limit of one that does.
const SOON: Duration = Duration::from_secs(15);

async fn status(gateway: &Gateway, path: &str) -> Option<StatusCode> {
    let asked = reqwest::get(format!("{}{path}", gateway.url)).await;
    Some(asked.ok()?.status())
}

pub(crate) async fn it_is_not_ready_and_serves_on_until_load_balancers_have_noticed() {
    let mut gateway = Gateway::serve(&[("GATEWAY_SHUTDOWN_GRACE", "3s")]);
    let tenant = gateway.tenant("grace@example.com").await;
    let asked = Instant::now();
    gateway.process.signal(Signal::TERM);
    eventually("it says that it is not ready", || async {
        let ready = status(&gateway, "/health/ready").await?;
        (ready == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    let answer = tenant.call(Method::GET, "/sessions", None).await;
    let (status, _) = answer.expect("it serves on");
    assert!(status.is_success());
    let (ended, log) = gateway.process.ended();
    assert!(ended.success(), "{log}");
    assert!(asked.elapsed() >= Duration::from_secs(3), "{log}");
    assert!(log.contains("serving on"), "{log}");
}

pub(crate) async fn it_does_not_wait_for_uploads() {
    let mut gateway = Gateway::serve(&[]);
    let address = gateway.url.trim_start_matches("http://").to_owned();
    let mut upload = TcpStream::connect(address).await.expect("a connection");
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Content-Length: 60\r\n\r\n{";
    upload.write_all(head.as_bytes()).await.expect("sent");
    // An answer to a later request shows that the head has been read.
    assert!(status(&gateway, "/health/live").await.is_some());
    let asked = Instant::now();
    gateway.process.signal(Signal::TERM);
    let mut answer = String::new();
    let _ = upload.read_to_string(&mut answer).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 503"),
        "{answer}"
    );
    let (ended, log) = gateway.process.ended();
    assert!(ended.success() && asked.elapsed() < SOON, "{log}");
}

pub(crate) async fn a_second_signal_cuts_a_send_and_its_message_is_unknown() {
    let mut gateway = Gateway::serve(&[]);
    let phones = Phones::default();
    let worker = worker_of(&gateway, "worker-1", &phones).await;
    let tenant = gateway.tenant("twice@example.com").await;
    tenant.connected_session("twice").await;
    // From here on the worker sends at once and says so when nobody listens any more.
    worker.with(|worker, _| worker.change_script(|script: &mut Script| script.latency_ms = 60_000));
    let sending = {
        let tenant = tenant.clone();
        tokio::spawn(async move { tenant.send("twice", "on its way", Some("order-18")).await })
    };
    eventually("the phone shows the message", || async {
        (phones.network.shown_in_all() == 1).then_some(())
    })
    .await;
    let asked = Instant::now();
    gateway.process.signal(Signal::TERM);
    eventually("it waits for the send", || async {
        let log = gateway.process.log();
        log.contains("waiting for requests and sends").then_some(())
    })
    .await;
    gateway.process.signal(Signal::TERM);
    let (ended, log) = gateway.process.ended();
    assert!(ended.success() && asked.elapsed() < SOON, "{log}");
    let told = sending.await.expect("a task");
    if let Some((status, answer)) = told {
        assert_eq!(status, StatusCode::GATEWAY_TIMEOUT, "{answer}");
    }
    drop(worker);
    gateway.start_again();
    let messages = tenant.call(Method::GET, "/messages", None).await;
    let (_, messages) = messages.expect("an answer");
    assert_eq!(messages["data"][0]["status"], "unknown", "{messages}");
}
