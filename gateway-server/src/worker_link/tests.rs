//! Every row of the table of answers, against a server that is scripted byte by byte.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway_core::id::{Epoch, Incarnation, SessionId, WorkerId};
use gateway_core::identity::WorkerTokens;
use gateway_core::session::{Order, Owner};
use gateway_core::worker::{LinkError, Target, WorkerLink};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{HttpLink, LinkOptions};

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(100);

/// What the worker does once it has read a request.
#[derive(Clone)]
enum Act {
    Say(String),
    SayAndHang(String),
    Close,
    Hang,
}

struct Worker {
    target: Target,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
}

fn owner() -> Owner {
    Owner {
        worker: WorkerId::parse("worker-1").expect("id"),
        incarnation: Incarnation::parse("incarnation-1").expect("incarnation"),
    }
}

fn session() -> SessionId {
    SessionId::from_u128(7)
}

fn order() -> Order {
    Order {
        session: session(),
        owner: owner(),
        epoch: Epoch(3),
    }
}

fn link() -> HttpLink {
    HttpLink::new(WorkerTokens::new(b"key"), LinkOptions::default()).expect("link")
}

async fn worker(act: Act) -> Worker {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let endpoint = format!("http://{}/", listener.local_addr().expect("address"));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let connections = Arc::new(Mutex::new(0));
    let (log, count) = (Arc::clone(&seen), Arc::clone(&connections));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            *count.lock().expect("no panic") += 1;
            tokio::spawn(serve(stream, act.clone(), Arc::clone(&log)));
        }
    });
    let target = Target {
        owner: owner(),
        endpoint,
    };
    Worker {
        target,
        seen,
        connections,
    }
}

async fn serve(mut stream: TcpStream, act: Act, log: Arc<Mutex<Vec<String>>>) {
    while let Some(request) = request(&mut stream).await {
        log.lock().expect("no panic").push(request);
        match &act {
            Act::Say(bytes) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
            }
            Act::SayAndHang(bytes) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                std::future::pending::<()>().await;
            }
            Act::Close => return,
            Act::Hang => std::future::pending::<()>().await,
        }
    }
}

async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.ok().filter(|&n| n > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().expect("a length"));
        if body.len() >= length {
            return Some(text);
        }
    }
}

fn answer(status: &str, headers: &str, body: &str) -> Act {
    let length = body.len();
    Act::Say(format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    ))
}

async fn release(act: Act, limit: Duration) -> Result<u64, LinkError> {
    let worker = worker(act).await;
    let released = link().release(&worker.target, &order(), limit).await;
    released.map(|released| released.last_seq)
}

fn released(epoch: u64) -> String {
    format!(
        r#"{{"sessionId":"{}","epoch":{epoch},"lastSeq":9}}"#,
        session()
    )
}

#[tokio::test]
async fn an_answer_about_the_order_is_returned() {
    assert_eq!(
        release(answer("200 OK", "", &released(3)), LONG).await,
        Ok(9)
    );
}

#[tokio::test]
async fn every_command_is_signed_and_carries_incarnation_and_epoch() {
    let worker = worker(answer("200 OK", "", &released(3))).await;
    let link = link();
    let target = &worker.target;
    link.release(target, &order(), LONG)
        .await
        .expect("released");
    link.forget(target, &order(), LONG)
        .await
        .expect("forgotten");
    let seen = worker.seen.lock().expect("no panic").clone();
    let token = WorkerTokens::new(b"key").issue(&owner());
    for request in &seen {
        let bearer = format!("authorization: Bearer {token}\r\n");
        assert!(request.contains(&bearer), "{request}");
    }
    let posted = format!("POST /sessions/{}/release HTTP/1.1", session());
    assert!(seen[0].starts_with(&posted), "{}", seen[0]);
    assert!(seen[0].ends_with(r#"{"epoch":3,"incarnation":"incarnation-1"}"#));
    let deleted = format!("DELETE /sessions/{} HTTP/1.1", session());
    assert!(seen[1].starts_with(&deleted), "{}", seen[1]);
    assert!(seen[1].contains("x-epoch: 3\r\n") && seen[1].contains("x-incarnation: incarnation-1"));
    assert_eq!(*worker.connections.lock().expect("no panic"), 1, "kept");
}

#[tokio::test]
async fn refusals_are_told_apart_by_their_type() {
    let refusal = |status: &str, body: &str| answer(status, "", body);
    let rows = [
        (
            refusal("404 Not Found", r#"{"type":"unknown_session"}"#),
            LinkError::UnknownSession,
        ),
        (
            refusal("409 Conflict", r#"{"type":"stale_epoch","currentEpoch":8}"#),
            LinkError::StaleEpoch { current: Epoch(8) },
        ),
        (
            refusal(
                "409 Conflict",
                r#"{"type":"wrong_incarnation","currentIncarnation":"incarnation-2"}"#,
            ),
            LinkError::WrongIncarnation {
                current: Incarnation::parse("incarnation-2").ok(),
            },
        ),
        (
            refusal("409 Conflict", r#"{"type":"not_connected"}"#),
            LinkError::NotConnected,
        ),
        (
            refusal("409 Conflict", r#"{"code":"body_mismatch"}"#),
            LinkError::BodyMismatch,
        ),
        (
            refusal(
                "501 Not Implemented",
                r#"{"type":"not_supported","error":"poll"}"#,
            ),
            LinkError::Refused {
                status: 501,
                code: "not_supported".to_owned(),
                message: "poll".to_owned(),
            },
        ),
    ];
    for (act, expected) in rows {
        assert_eq!(release(act, LONG).await, Err(expected));
    }
}

#[tokio::test]
async fn a_busy_worker_says_when_to_come_back() {
    let busy = |seconds: u64| {
        Err(LinkError::Busy {
            retry_after: Some(Duration::from_secs(seconds)),
        })
    };
    let limited = answer("429 Too Many Requests", "retry-after: 7\r\n", "{}");
    assert_eq!(release(limited, LONG).await, busy(7));
    let away = answer("503 Service Unavailable", "retry-after: 1\r\n", "");
    assert_eq!(release(away, LONG).await, busy(1));
    let silent = answer("503 Service Unavailable", "", "");
    let whenever = Err(LinkError::Busy { retry_after: None });
    assert_eq!(release(silent, LONG).await, whenever);
    let strange = answer("401 Unauthorized", "", r#"{"type":"unauthorized"}"#);
    assert_eq!(release(strange, LONG).await, whenever);
}

#[tokio::test]
async fn what_is_not_the_protocol_is_rubbish() {
    let long = format!(r#"{{"sessionId":"{}"}}"#, "x".repeat(1024 * 1024));
    for act in [
        answer("200 OK", "", "not json"),
        answer("200 OK", "", ""),
        answer("200 OK", "", &released(4)),
        answer("200 OK", "", &long),
        answer("302 Found", "location: /elsewhere\r\n", ""),
        answer("500 Internal Server Error", "", "oops"),
        answer("502 Bad Gateway", "", "<html>"),
        // A proxy in front of the worker.
        answer("400 Bad Request", "", "<html>"),
        answer("401 Unauthorized", "", ""),
        answer("403 Forbidden", "", r#"{"message":"forbidden"}"#),
        answer(
            "403 Forbidden",
            "",
            r#"{"type":"about:blank","title":"Forbidden"}"#,
        ),
        answer(
            "403 Forbidden",
            "",
            r#"{"code":"Forbidden","message":"no"}"#,
        ),
        answer("404 Not Found", "", "<html>"),
        answer("413 Payload Too Large", "", "{}"),
        answer("501 Not Implemented", "", "<html>"),
        Act::Say("SSH-2.0-OpenSSH_9\r\n\r\n".to_owned()),
    ] {
        assert_eq!(release(act, LONG).await, Err(LinkError::Rubbish));
    }
}

#[tokio::test]
async fn silence_after_the_request_is_unknown() {
    assert_eq!(release(Act::Hang, SHORT).await, Err(LinkError::Unknown));
}

#[tokio::test]
async fn a_cut_connection_is_unknown() {
    assert_eq!(release(Act::Close, LONG).await, Err(LinkError::Unknown));
}

#[tokio::test]
async fn an_answer_that_is_cut_is_unknown() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"sess";
    let stuck = Act::SayAndHang(half.to_owned());
    assert_eq!(release(stuck, SHORT).await, Err(LinkError::Unknown));
    let closed = format!("{half}\r\n");
    let worker = worker_that_says_and_closes(closed).await;
    let released = link().release(&worker, &order(), LONG).await;
    assert_eq!(released, Err(LinkError::Unknown));
}

#[tokio::test]
async fn a_command_finds_the_connection_of_the_one_before_closed_and_takes_another() {
    let body = released(3);
    let length = body.len();
    let bytes = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let endpoint = format!("http://{}", listener.local_addr().expect("address"));
    let bystander = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let elsewhere = bystander.local_addr().expect("address");
    let (tell, mut closed) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            request(&mut stream).await.expect("a request");
            stream.write_all(bytes.as_bytes()).await.expect("written");
            drop(stream);
            tell.send(()).await.expect("somebody waits");
        }
    });
    let target = Target {
        owner: owner(),
        endpoint,
    };
    let link = link();
    for _ in 0..20 {
        let released = link.release(&target, &order(), LONG).await;
        assert_eq!(released.map(|released| released.epoch), Ok(Epoch(3)));
        closed.recv().await.expect("closed");
        // Whoever waits for the network hears of everything that happened there before.
        let (made, taken) = tokio::join!(TcpStream::connect(elsewhere), bystander.accept());
        drop((made.expect("connected"), taken.expect("accepted")));
    }
}

#[tokio::test]
async fn a_worker_that_came_back_is_told_who_it_is_now() {
    let worker = worker(answer("200 OK", "", &released(3))).await;
    let link = link();
    for run in ["incarnation-1", "incarnation-2"] {
        let mut target = worker.target.clone();
        target.owner.incarnation = Incarnation::parse(run).expect("incarnation");
        let mut order = order();
        order.owner = target.owner.clone();
        link.release(&target, &order, LONG).await.expect("released");
    }
    let seen = worker.seen.lock().expect("no panic").clone();
    for (request, run) in seen.iter().zip(["incarnation-1", "incarnation-2"]) {
        let token = format!("authorization: Bearer gww_worker-1.{run}.");
        assert!(request.contains(&token), "{request}");
    }
    assert_eq!(seen.len(), 2);
}

async fn worker_that_says_and_closes(bytes: String) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let endpoint = format!("http://{}", listener.local_addr().expect("address"));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        request(&mut stream).await.expect("a request");
        stream.write_all(bytes.as_bytes()).await.expect("written");
    });
    Target {
        owner: owner(),
        endpoint,
    }
}

#[tokio::test]
async fn nothing_was_sent_without_a_connection() {
    let port = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let closed = format!("http://{}", port.local_addr().expect("address"));
    drop(port);
    // The last one takes connections and never speaks TLS.
    let mute = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let handshake = format!("https://{}", mute.local_addr().expect("address"));
    for endpoint in [
        closed,
        "ftp://x".to_owned(),
        "not a url".to_owned(),
        handshake,
    ] {
        let target = Target {
            owner: owner(),
            endpoint: endpoint.clone(),
        };
        let health = link().health(&target, SHORT * 3).await;
        assert_eq!(health, Err(LinkError::NotSent), "{endpoint}");
    }
}
