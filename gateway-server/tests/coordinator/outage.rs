//! Redis vanishes after the start, in every way that it can, and comes back.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use gateway_core::coord::{Coordinator, Notice, PairingSecret};
use gateway_core::id::{Epoch, SessionId};
use gateway_core::session::ChallengeKind;
use gateway_core::time::{Clock, Timestamp};
use gateway_server::coord::local::{LocalCoordinator, LocalLimits};
use gateway_server::coord::{RedisCoordinator, Sheltered};
use gateway_server::system::SystemClock;
use gateway_testkit::services::PrivateRedis;

use crate::{LIMIT, connect, eventually, own};

const MINUTE: Duration = Duration::from_secs(60);

async fn works(coordinator: &RedisCoordinator) -> Option<()> {
    coordinator.count("works", MINUTE).await.ok().map(|_| ())
}

async fn works_again(coordinator: &RedisCoordinator) {
    eventually("Redis is used again", || works(coordinator)).await;
}

/// Every call fails, and a thousand of them take hardly longer than one.
async fn fails_at_once(coordinator: &RedisCoordinator) {
    eventually("the outage is seen", || async {
        works(coordinator).await.is_none().then_some(())
    })
    .await;
    // Ten seconds are far less than a thousand time limits of 250 ms.
    let calls = async {
        for _ in 0..1_000 {
            assert!(works(coordinator).await.is_none(), "still away");
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(10), calls).await;
    in_time.expect("calls during an outage wait for nothing");
}

pub(crate) async fn a_stopped_server_is_asked_no_more_and_comes_back() {
    let mut server = own(PrivateRedis::start());
    let coordinator = connect(&server.url(), "a").await.expect("connected");
    for _ in 0..2 {
        server.kill();
        fails_at_once(&coordinator).await;
        server.restart().expect("it starts again");
        works_again(&coordinator).await;
    }
}

pub(crate) async fn a_frozen_server_costs_one_time_out() {
    let server = own(PrivateRedis::start());
    let coordinator = connect(&server.url(), "a").await.expect("connected");
    server.freeze().expect("frozen");
    // Those on their way wait together.
    let clock = SystemClock;
    let begun = clock.uptime();
    let calls = join_all((0..100).map(|_| works(&coordinator)));
    let answers = tokio::time::timeout(LIMIT, calls).await.expect("an end");
    assert!(answers.iter().all(Option::is_none));
    let took = clock.uptime().since(begun);
    assert!(
        took < 100 * Duration::from_millis(250),
        "not one by one: {took:?}"
    );
    fails_at_once(&coordinator).await;
    server.thaw().expect("thawed");
    works_again(&coordinator).await;
}

pub(crate) async fn a_server_that_restarts_empty_has_forgotten_and_goes_on() {
    let mut server = own(PrivateRedis::start());
    let coordinator = connect(&server.url(), "a").await.expect("connected");
    for _ in 0..3 {
        coordinator.count("key", MINUTE).await.expect("counted");
    }
    server.restart().expect("restarted");
    // Scripts are gone too, and loaded again.
    let counted = eventually("counting goes on", || async {
        coordinator.count("key", MINUTE).await.ok()
    })
    .await;
    assert_eq!(counted.count, 1, "what was there is gone");
    assert!(counted.resets_in <= MINUTE && counted.resets_in > Duration::ZERO);
}

pub(crate) async fn a_changed_password_is_an_outage_until_it_is_changed_back() {
    let mut server = own(PrivateRedis::start_with(&["--requirepass", "first"]));
    let url = format!("redis://:first@127.0.0.1:{}", server.port());
    let coordinator = connect(&url, "a").await.expect("connected");
    server
        .restart_with(&["--requirepass", "second"])
        .expect("restarted");
    fails_at_once(&coordinator).await;
    server
        .restart_with(&["--requirepass", "first"])
        .expect("restarted");
    works_again(&coordinator).await;
    hears(&coordinator, &connect(&url, "b").await.expect("connected")).await;
}

/// Hints get through; asked again and again, because those in between may be lost.
async fn hears(listener: &RedisCoordinator, speaker: &RedisCoordinator) {
    eventually("a hint is heard", || async {
        let mut heard = listener.notices().await.expect("a stream");
        speaker.notify(&Notice::Outbox).await.ok()?;
        let next = tokio::time::timeout(Duration::from_secs(1), heard.next()).await;
        next.ok().flatten().map(|_| ())
    })
    .await;
}

pub(crate) async fn a_cut_subscription_ends_streams_and_hears_again() {
    let server = own(PrivateRedis::start());
    let listener = connect(&server.url(), "a").await.expect("connected");
    let speaker = connect(&server.url(), "b").await.expect("connected");
    for _ in 0..3 {
        hears(&listener, &speaker).await;
        let mut before = listener.notices().await.expect("a stream");
        let killed = server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        assert_eq!(killed.expect("an answer"), ":2\r\n", "both were subscribed");
        let ended = async { while before.next().await.is_some() {} };
        let ended = tokio::time::timeout(LIMIT, ended).await;
        ended.expect("whoever listened is told to look");
        hears(&listener, &speaker).await;
        hears(&speaker, &listener).await;
        works_again(&listener).await;
    }
}

pub(crate) async fn hints_of_its_own_are_heard_without_a_server() {
    let mut server = own(PrivateRedis::start());
    let coordinator = connect(&server.url(), "a").await.expect("connected");
    server.kill();
    fails_at_once(&coordinator).await;
    let mut heard = coordinator.notices().await.expect("a stream");
    let told = coordinator.notify(&Notice::Due).await;
    assert!(told.is_err(), "the others have not heard it");
    let next = tokio::time::timeout(LIMIT, heard.next()).await;
    assert_eq!(next.expect("at once"), Some(Notice::Due));
}

pub(crate) async fn what_requests_need_is_there_without_a_server() {
    let mut server = own(PrivateRedis::start());
    let redis = connect(&server.url(), "a").await.expect("connected");
    let own_memory = LocalCoordinator::new(Arc::new(SystemClock), LocalLimits::default());
    let coordinator = Sheltered::new(Arc::new(redis), own_memory);
    coordinator.count("key", MINUTE).await.expect("counted");
    server.kill();
    for count in 1..=3 {
        let counted = coordinator.count("key", MINUTE).await.expect("counted");
        assert_eq!(counted.count, count, "a share of its own");
    }
    let session = SessionId::from_u128(1);
    let code = PairingSecret {
        epoch: Epoch(1),
        kind: ChallengeKind::Qr,
        index: 0,
        text: "code".to_owned(),
        expires_at: Timestamp::from_micros(0),
    };
    let kept = coordinator.put_secret(session, &code, MINUTE).await;
    kept.expect("kept here");
    let shown = coordinator.secret(session, code.kind).await;
    assert_eq!(shown.expect("an answer"), Some(code));
}
