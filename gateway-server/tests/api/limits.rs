//! How much a caller may ask for: plans, and strangers per address.

use std::time::Duration;

use gateway_core::store::PlatformStore;
use gateway_core::tenant::Tier;
use gateway_testkit::fixture::a_worker;

use crate::app::{Login, TestAnswer, TestApp};

/// A route that takes keys; what it answers does not matter here.
const ROUTE: &str = "/api/v1/sessions";

async fn small(app: &TestApp, login: &Login, requests_per_hour: u64) {
    let mut tier = Tier::defaults()[0].clone();
    tier.requests_per_hour = requests_per_hour;
    app.put_tiers([tier]).await;
    app.set_tier(login.tenant, "BASIC").await;
}

fn remaining(answer: &TestAnswer) -> u64 {
    answer
        .header("ratelimit-remaining")
        .parse()
        .expect("a number")
}

#[tokio::test]
async fn requests_with_a_key_are_counted_and_refused_over_the_plan() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    small(&app, &login, 5).await;
    let key = app.key(&login, &[]).await;
    for left in (0..5).rev() {
        let answer = app.get(ROUTE).key(&key).expect(200).await;
        assert_eq!(answer.header("ratelimit-limit"), "5");
        assert!(remaining(&answer) <= left, "a lower bound");
    }
    let refused = app
        .get(ROUTE)
        .key(&key)
        .expect(429)
        .await
        .is("rate_limited");
    assert_eq!(remaining(&refused), 0);
    assert_eq!(refused.body["limit"], 5);
    assert_eq!(refused.body["used"], 5);
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert_eq!(refused.header("ratelimit-reset"), wait.to_string());
    let people = app.get(ROUTE).bearer(&login.access).expect(200).await;
    assert_eq!(
        people.header("ratelimit-limit"),
        "",
        "logins are not counted"
    );

    app.advance(wait + 1);
    app.get(ROUTE).key(&key).expect(200).await;
}

#[tokio::test]
async fn a_burst_gets_exactly_the_plan() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    small(&app, &login, 40).await;
    let key = app.key(&login, &[]).await;
    let burst = (0..60).map(|_| app.get(ROUTE).key(&key).send());
    let answers = futures_util::future::join_all(burst).await;
    let served = answers.iter().filter(|answer| answer.status.is_success());
    assert_eq!(served.count(), 40);
    let refused = answers
        .iter()
        .filter(|answer| answer.kind() == "rate_limited");
    assert_eq!(refused.count(), 20);
}

#[tokio::test]
async fn all_keys_of_a_tenant_share_its_plan_and_tenants_do_not() {
    let app = TestApp::start().await;
    let (one, two) = (app.register("one").await, app.register("two").await);
    small(&app, &one, 3).await;
    let keys = [app.key(&one, &[]).await, app.key(&one, &[]).await];
    for turn in 0..3 {
        app.get(ROUTE).key(&keys[turn % 2]).expect(200).await;
    }
    for key in &keys {
        app.get(ROUTE).key(key).expect(429).await;
    }
    let other = app.key(&two, &[]).await;
    app.get(ROUTE).key(&other).expect(200).await;
}

#[tokio::test]
async fn a_larger_plan_holds_at_once() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    small(&app, &login, 1).await;
    let key = app.key(&login, &[]).await;
    app.get(ROUTE).key(&key).expect(200).await;
    app.get(ROUTE).key(&key).expect(429).await;
    app.set_tier(login.tenant, "PRO").await;
    let answer = app.get(ROUTE).key(&key).expect(200).await;
    assert_eq!(answer.header("ratelimit-limit"), "1000");
}

#[tokio::test]
async fn what_was_not_used_is_given_back() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    app.set_tier(login.tenant, "PRO").await;
    let key = app.key(&login, &[]).await;
    app.get(ROUTE).key(&key).expect(200).await;
    app.app.give_back().await;
    let mut tx = app.store.begin_platform().await.expect("a transaction");
    let drawn = tx
        .draw_quota(login.tenant, 1000, 1, false)
        .await
        .expect("drawn");
    assert_eq!(drawn.total - drawn.granted, 1, "one request was used");
}

#[tokio::test]
async fn the_next_hour_is_drawn_before_it_begins() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    app.set_tier(login.tenant, "PRO").await;
    let key = app.key(&login, &[]).await;
    let answer = app.get(ROUTE).key(&key).expect(200).await;
    let resets_in: u64 = answer.header("ratelimit-reset").parse().expect("seconds");
    app.advance(resets_in.saturating_sub(1));
    // Only the last second is inside everybody's lead of up to a minute, give or take.
    app.get(ROUTE).key(&key).expect(200).await;
    app.app
        .shutdown
        .finish(Duration::from_secs(60), async {})
        .await;
    let mut tx = app.store.begin_platform().await.expect("a transaction");
    let drawn = tx.draw_quota(login.tenant, 1000, 1, true).await;
    let drawn = drawn.expect("drawn");
    assert_eq!(drawn.total - drawn.granted, 62, "the first chunk is drawn");
}

#[tokio::test]
async fn strangers_are_counted_per_address() {
    let app = TestApp::with(|config| config.limits.address_requests = 3).await;
    let login = app.register("acme").await;
    let key = app.key(&login, &[]).await;
    let stranger = || app.get(ROUTE).key("gwk_nonsense").from("192.0.2.7");
    for _ in 0..3 {
        stranger().expect(401).await;
    }
    let refused = stranger().expect(429).await.is("rate_limited");
    assert!(!refused.header("retry-after").is_empty());
    app.get(ROUTE).from("192.0.2.7").expect(429).await;
    app.get(ROUTE).key(&key).from("192.0.2.8").expect(200).await;
    app.get("/health").from("192.0.2.7").expect(200).await;
    app.advance(15 * 60 + 1);
    app.get(ROUTE).key(&key).from("192.0.2.7").expect(200).await;
}

#[tokio::test]
async fn customers_and_workers_are_not_counted_against_their_address() {
    let app = TestApp::with(|config| config.limits.address_requests = 3).await;
    let login = app.register("acme").await;
    let key = app.key(&login, &[]).await;
    for _ in 0..10 {
        app.get(ROUTE).key(&key).from("192.0.2.7").expect(200).await;
    }
    for _ in 0..3 {
        app.get(ROUTE).from("192.0.2.7").expect(401).await;
    }
    let (_, token) = app.a_worker(&a_worker("one").build()).await;
    let worker = app.get(ROUTE).bearer(&token).from("192.0.2.7");
    worker.expect(403).await.is("forbidden");
}

#[tokio::test]
async fn without_the_coordinator_requests_are_served_uncounted() {
    let app = TestApp::with(|config| config.limits.address_requests = 1).await;
    app.coord.set_available(false);
    let login = app.register("acme").await;
    let body = serde_json::json!({"email": login.email, "password": crate::app::PASSWORD});
    for _ in 0..3 {
        app.post("/api/v1/auth/login").json(&body).expect(200).await;
    }
}
