//! Redis must be there at the start; if it is not, one sentence says what to change.

use gateway_server::telemetry::ErrorChain;
use gateway_testkit::services::PrivateRedis;

use crate::{LIMIT, connect, own};

async fn refused(url: &str) -> String {
    let error = tokio::time::timeout(LIMIT, connect(url, "a")).await;
    let error = error.expect("an end").expect_err("a refusal");
    let sentence = ErrorChain(&error).to_string();
    assert!(!sentence.contains('\n'), "{sentence}");
    sentence
}

pub(crate) async fn a_server_that_is_away_is_one_sentence() {
    let mut server = own(PrivateRedis::start());
    let url = server.url();
    server.kill();
    let sentence = refused(&url).await;
    let expected = format!("Redis does not answer at {url}: start it, or correct REDIS_URL");
    assert!(sentence.starts_with(&expected), "{sentence}");
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

pub(crate) async fn a_server_that_hangs_is_given_up_in_time() {
    let server = own(PrivateRedis::start());
    server.freeze().expect("frozen");
    let sentence = refused(&server.url()).await;
    assert!(sentence.contains("does not answer"), "{sentence}");
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

pub(crate) async fn a_server_without_tls_is_one_sentence_where_tls_is_asked_for() {
    let server = own(PrivateRedis::start());
    let url = server.url().replacen("redis://", "rediss://", 1);
    let sentence = refused(&url).await;
    assert!(sentence.contains("does not answer"), "{sentence}");
}
