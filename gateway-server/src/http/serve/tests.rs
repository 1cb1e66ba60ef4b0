//! Over real sockets. Nothing here waits for a time to pass: a test reads until the server closes the
//! connection, and the limits are short where they are what is tested and long where they are not.

use std::future::pending;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;

use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::*;
use crate::config::{Config, Source};

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(40);
const GET: &[u8] = b"GET /peer HTTP/1.1\r\nhost: x\r\n\r\n";

fn patient() -> Http {
    let loaded = Config::load(&Source::default(), None).expect("the defaults");
    Http {
        listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 0,
        header_timeout: LONG,
        first_request_timeout: LONG,
        body_timeout: LONG,
        idle_timeout: LONG,
        ..loaded.config.http
    }
}

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    cut: CancellationToken,
    served: JoinHandle<usize>,
}

impl Running {
    async fn start(http: Http) -> Self {
        let router = Router::new()
            .route(
                "/peer",
                get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }),
            )
            .route("/echo", post(|body: String| async move { body }));
        Self::start_router(router, http).await
    }

    async fn start_router(router: Router, http: Http) -> Self {
        let listener = Listener::bind(http.address()).expect("a free port");
        let address = listener.address();
        let stop = CancellationToken::new();
        let cut = CancellationToken::new();
        let serving = Serving::new(&http, Gauge::noop(), stop.clone(), cut.clone());
        let served =
            tokio::spawn(async move { listener.serve(router, serving).await.expect("served") });
        Self {
            address,
            stop,
            cut,
            served,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address)
            .await
            .expect("a connection")
    }

    async fn stop(self) -> usize {
        self.stop.cancel();
        self.served.await.expect("the server")
    }
}

/// Returns everything until the server closes. A reset is a close too.
async fn rest(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8_lossy(&all).into_owned()
}

/// Reads one answer with a short body.
async fn one_answer(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    loop {
        let mut buffer = [0; 1024];
        let read = stream.read(&mut buffer).await.expect("an answer");
        assert!(read > 0, "closed after {}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&all).into_owned();
        if text
            .split_once("\r\n\r\n")
            .is_some_and(|(_, body)| !body.is_empty())
        {
            return text;
        }
    }
}

#[tokio::test]
async fn requests_know_their_peer_and_share_a_connection() {
    let server = Running::start(patient()).await;
    let mut stream = server.connect().await;
    let own = stream.local_addr().expect("an address").to_string();
    for _ in 0..2 {
        stream.write_all(GET).await.expect("sent");
        let answer = one_answer(&mut stream).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with(&own),
            "{answer}"
        );
    }
    drop(stream);
    assert_eq!(server.stop().await, 0);
}

#[tokio::test]
async fn an_occupied_port_is_said_in_one_sentence() {
    let first = Listener::bind(patient().address()).expect("a free port");
    let error = Listener::bind(first.address())
        .expect_err("occupied")
        .to_string();
    let port = first.address().port();
    assert_eq!(
        error,
        format!("port {port} is already in use: stop the other program or set PORT")
    );
}

#[tokio::test]
async fn clients_that_never_send_a_request_are_cut() {
    let server = Running::start(Http {
        first_request_timeout: SHORT,
        ..patient()
    })
    .await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice();
    for sent in [
        b"".as_slice(),
        b"PRI",
        preface,
        b"GET / HT",
        b"GET / HTTP/1.1\r\nhost: x\r\n",
    ] {
        let mut stream = server.connect().await;
        stream.write_all(sent).await.expect("sent");
        let answer = rest(stream).await;
        assert!(!answer.contains("200"), "{answer}");
    }
}

#[tokio::test]
async fn a_dripping_head_is_cut_on_a_connection_that_was_good() {
    let server = Running::start(Http {
        header_timeout: SHORT,
        ..patient()
    })
    .await;
    let mut stream = server.connect().await;
    stream.write_all(GET).await.expect("sent");
    one_answer(&mut stream).await;
    stream.write_all(b"GET / HTTP/1.1\r\n").await.expect("sent");
    assert_eq!(rest(stream).await, "");
}

#[tokio::test]
async fn an_idle_connection_is_closed_by_its_own_limit() {
    let server = Running::start(Http {
        idle_timeout: SHORT,
        ..patient()
    })
    .await;
    let mut stream = server.connect().await;
    stream.write_all(GET).await.expect("sent");
    one_answer(&mut stream).await;
    assert_eq!(rest(stream).await, "");
}

#[tokio::test]
async fn short_limits_for_heads_leave_served_requests_alone() {
    let release = Arc::new(Notify::new());
    let waiting = Arc::clone(&release);
    let handler = move || async move {
        waiting.notified().await;
        "done"
    };
    let http = Http {
        header_timeout: SHORT,
        first_request_timeout: SHORT,
        idle_timeout: SHORT,
        ..patient()
    };
    let server = Running::start_router(Router::new().route("/slow", get(handler)), http).await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("sent");
    // This one ends by the same limits, so they have passed for the other one too.
    assert_eq!(rest(server.connect().await).await, "");
    release.notify_one();
    let answer = rest(slow).await;
    assert!(answer.ends_with("done"), "{answer}");
}

#[tokio::test]
async fn a_dripping_body_is_refused() {
    let server = Running::start(Http {
        body_timeout: SHORT,
        ..patient()
    })
    .await;
    let mut stream = server.connect().await;
    let head = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc";
    stream.write_all(head).await.expect("sent");
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

/// A server that refuses without looking at the body.
async fn refusing() -> Running {
    let refusal = || async { (hyper::StatusCode::UNAUTHORIZED, "refused") };
    let router = Router::new().route("/never-read", post(refusal));
    Running::start_router(router, patient()).await
}

fn head(length: usize) -> Vec<u8> {
    let head = "POST /never-read HTTP/1.1\r\nhost: x\r\ncontent-length: ";
    format!("{head}{length}\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_writing() {
    let server = refusing().await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream.write_all(&head(300_000)).await.expect("sent");
        let answer = one_answer(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        for _ in 0..3 {
            stream.write_all(&[b'x'; 100_000]).await.expect("read on");
        }
    }
    drop(stream);
    assert_eq!(server.stop().await, 0);
}

#[tokio::test]
async fn a_refused_body_is_read_up_to_a_bound() {
    let server = refusing().await;
    let mut stream = server.connect().await;
    let endless = 1 << 40;
    stream.write_all(&head(endless)).await.expect("sent");
    one_answer(&mut stream).await;
    while stream.write_all(&[b'x'; 100_000]).await.is_ok() {}
    assert_eq!(server.stop().await, 0);
}

#[tokio::test]
async fn a_client_that_asks_first_is_not_told_to_go_on() {
    let server = refusing().await;
    let mut stream = server.connect().await;
    let mut head = head(10);
    head.truncate(head.len() - 2);
    head.extend_from_slice(b"expect: 100-continue\r\n\r\n");
    stream.write_all(&head).await.expect("sent");
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test]
async fn connections_over_the_cap_wait_for_a_place() {
    let server = Running::start(Http {
        max_connections: 1,
        ..patient()
    })
    .await;
    let mut first = server.connect().await;
    first.write_all(GET).await.expect("sent");
    one_answer(&mut first).await;
    let mut second = server.connect().await;
    second.write_all(GET).await.expect("sent");
    drop(first);
    assert!(one_answer(&mut second).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn stopping_finishes_requests_in_flight_and_closes_idle_connections() {
    let (started, is_started) = oneshot::channel();
    let started = Arc::new(Mutex::new(Some(started)));
    let release = Arc::new(Notify::new());
    let waiting = Arc::clone(&release);
    let handler = move || async move {
        let started = started.lock().expect("no panic").take();
        started.expect("one request").send(()).expect("the test");
        waiting.notified().await;
        "finished"
    };
    let server = Running::start_router(Router::new().route("/slow", get(handler)), patient()).await;
    let idle = server.connect().await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("sent");
    is_started.await.expect("a request");

    server.stop.cancel();
    assert_eq!(rest(idle).await, "", "idle connections are closed");
    release.notify_one();
    let answer = rest(busy).await;
    assert!(answer.ends_with("finished"), "{answer}");
    assert_eq!(server.stop().await, 0);
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut() {
    let router = Router::new().route("/never", get(pending::<&'static str>));
    let server = Running::start_router(router, patient()).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("sent");
    let address = server.address;
    server.cut.cancel();
    assert!(server.stop().await <= 1);
    assert!(rest(stream).await.is_empty());
    assert!(
        TcpStream::connect(address).await.is_err(),
        "the port is free"
    );
}

#[tokio::test]
async fn http2_is_served_on_the_same_port() {
    let server = Running::start(patient()).await;
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .no_proxy()
        .build();
    let url = format!("http://{}/peer", server.address);
    let answer = client
        .expect("a client")
        .get(url)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.version(), hyper::Version::HTTP_2);
    assert!(
        answer
            .text()
            .await
            .expect("a body")
            .starts_with("127.0.0.1")
    );
}
