//! Redis may be there later than the gateway; who answers must be one that can be used, or one sentence says
//! what to change.

use std::time::Duration;

use futures_util::StreamExt;
use gateway_core::coord::{Coordinator, Notice, PairingSecret};
use gateway_core::id::{Epoch, SessionId};
use gateway_core::session::ChallengeKind;
use gateway_core::time::Timestamp;
use gateway_server::coord::RedisCoordinator;
use gateway_server::telemetry::ErrorChain;
use gateway_testkit::services::PrivateRedis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::{LIMIT, connect, eventually, own};

async fn refused(url: &str) -> String {
    let error = tokio::time::timeout(LIMIT, connect(url, "a")).await;
    let error = error.expect("an end").expect_err("a refusal");
    let sentence = ErrorChain(&error).to_string();
    assert!(!sentence.contains('\n'), "{sentence}");
    sentence
}

/// Two that started without it share codes and hear each other once it is there.
async fn is_there_later(a: &RedisCoordinator, b: &RedisCoordinator) {
    let session = SessionId::from_u128(1);
    let code = PairingSecret {
        epoch: Epoch(1),
        kind: ChallengeKind::Qr,
        index: 0,
        text: "code".to_owned(),
        expires_at: Timestamp::from_micros(0),
    };
    eventually("a code is shared", || async {
        a.put_secret(session, &code, LIMIT).await.ok()?;
        b.secret(session, ChallengeKind::Qr).await.ok().flatten()
    })
    .await;
    eventually("a hint is heard", || async {
        let mut heard = b.notices().await.expect("a stream");
        let _ = a.notify(&Notice::Due).await;
        let next = tokio::time::timeout(Duration::from_secs(1), heard.next()).await;
        next.ok().flatten().filter(|notice| *notice == Notice::Due)
    })
    .await;
}

pub(crate) async fn a_server_that_is_away_is_an_outage_until_it_is_there() {
    let mut server = own(PrivateRedis::start());
    let url = server.url();
    server.kill();
    let (a, b) = tokio::join!(connect(&url, "a"), connect(&url, "b"));
    let (a, b) = (a.expect("a start"), b.expect("a start"));
    assert!(a.count("key", LIMIT).await.is_err(), "away");
    assert!(a.notices().await.is_ok(), "its own hints are heard");
    server.restart().expect("it starts");
    is_there_later(&a, &b).await;
}

pub(crate) async fn a_password_that_proves_wrong_later_is_an_outage_until_it_is_right() {
    let mut server = own(PrivateRedis::start_with(&["--requirepass", "other"]));
    let url = format!("redis://:right@127.0.0.1:{}", server.port());
    server.kill();
    let (a, b) = tokio::join!(connect(&url, "a"), connect(&url, "b"));
    let (a, b) = (a.expect("a start"), b.expect("a start"));
    server.restart().expect("it starts");
    assert!(a.count("key", LIMIT).await.is_err(), "still away");
    let right = server.restart_with(&["--requirepass", "right"]);
    right.expect("it starts");
    is_there_later(&a, &b).await;
}

pub(crate) async fn somebody_else_who_answers_is_one_sentence() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 64];
            let _ = stream.read(&mut asked).await;
            let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
            let _ = stream.write_all(answer).await;
        }
    });
    let sentence = refused(&format!("redis://127.0.0.1:{port}")).await;
    assert!(sentence.contains("cannot be used"), "{sentence}");
}

pub(crate) async fn a_wrong_password_is_one_sentence_that_does_not_show_it() {
    let server = own(PrivateRedis::start_with(&["--requirepass", "right"]));
    let address = format!("127.0.0.1:{}", server.port());
    for login in ["redis://:wr0ng@", "redis://somebody:wr0ng@", "redis://"] {
        let sentence = refused(&format!("{login}{address}")).await;
        let says = sentence.contains("refuses the login: correct the user and password");
        assert!(says && sentence.contains("REDIS_URL"), "{sentence}");
        assert!(!sentence.contains("wr0ng"), "{sentence}");
    }
    let right = format!("redis://:right@{address}");
    let coordinator = connect(&right, "a").await.expect("the right password");
    let printed = format!("{coordinator:?}");
    assert!(!printed.contains("right"), "{printed}");
}

pub(crate) async fn a_server_that_hangs_is_an_outage_until_it_goes_on() {
    let server = own(PrivateRedis::start());
    server.freeze().expect("frozen");
    let url = server.url();
    let both = async { tokio::join!(connect(&url, "a"), connect(&url, "b")) };
    let (a, b) = tokio::time::timeout(LIMIT, both).await.expect("an end");
    let (a, b) = (a.expect("a start"), b.expect("a start"));
    assert!(a.count("key", LIMIT).await.is_err(), "away");
    server.thaw().expect("thawed");
    is_there_later(&a, &b).await;
}

pub(crate) async fn a_server_that_takes_no_writes_is_one_sentence() {
    let master = own(PrivateRedis::start());
    let port = master.port().to_string();
    let replica = own(PrivateRedis::start_with(&[
        "--replicaof",
        "127.0.0.1",
        &port,
    ]));
    let sentence = refused(&replica.url()).await;
    assert!(sentence.contains("cannot be used"), "{sentence}");
    assert!(sentence.contains("writable"), "{sentence}");
}

pub(crate) async fn an_address_that_makes_no_sense_is_one_sentence() {
    for url in ["redis-sentinel://:hush@host:1", "redis://:hush@host:port"] {
        let sentence = refused(url).await;
        assert!(sentence.contains("is no address of Redis"), "{sentence}");
        assert!(!sentence.contains("hush"), "{sentence}");
    }
}

/// Which takes the greeting for the beginning of a command and waits for the rest.
pub(crate) async fn a_server_without_tls_does_not_answer_where_tls_is_asked_for() {
    let server = own(PrivateRedis::start());
    let url = server.url().replacen("redis://", "rediss://", 1);
    let started = tokio::time::timeout(LIMIT, connect(&url, "a")).await;
    let coordinator = started.expect("an end").expect("a start");
    assert!(coordinator.count("key", LIMIT).await.is_err(), "away");
}
