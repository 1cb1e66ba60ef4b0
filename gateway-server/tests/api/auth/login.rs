use gateway_core::tenant::TenantStatus;
use serde_json::{Value, json};

use crate::app::{Login, PASSWORD, TestApp};

const PATH: &str = "/api/v1/auth/login";

fn credentials(name: &str, password: &str) -> Value {
    json!({"email": format!("{name}@example.com"), "password": password})
}

#[tokio::test]
async fn the_right_password_gets_tokens() {
    let app = TestApp::start().await;
    app.register("acme").await;
    let answer = app
        .post(PATH)
        .json(&credentials("acme", PASSWORD))
        .expect(200)
        .await;
    assert!(answer.data()["user"]["lastLoginAt"].is_string());
    let login = Login::of(&answer);
    app.get("/api/v1/auth/me")
        .bearer(&login.access)
        .expect(200)
        .await;
}

#[tokio::test]
async fn strangers_and_wrong_passwords_get_the_same_answer() {
    let app = TestApp::start().await;
    app.register("acme").await;
    let wrong = app
        .post(PATH)
        .json(&credentials("acme", "wrong password"))
        .expect(401)
        .await;
    let stranger = app
        .post(PATH)
        .json(&credentials("nobody", "wrong password"))
        .expect(401)
        .await;
    for answer in [&wrong, &stranger] {
        assert_eq!(answer.kind(), "invalid_credentials");
    }
    assert_eq!(wrong.body["error"], stranger.body["error"]);
}

#[tokio::test]
async fn guessing_is_refused_for_known_and_unknown_accounts_alike() {
    for name in ["acme", "nobody"] {
        let app = TestApp::with(|config| config.auth.login_attempts = 3).await;
        app.register("acme").await;
        for guess in 0..3 {
            let address = format!("192.0.2.{guess}");
            let guess = app.post(PATH).json(&credentials(name, "a wrong password"));
            guess.from(&address).expect(401).await;
        }
        let right = app
            .post(PATH)
            .json(&credentials(name, PASSWORD))
            .from("192.0.2.9");
        let refused = right.expect(429).await.is("rate_limited");
        assert!(!refused.header("retry-after").is_empty());
    }
}

#[tokio::test]
async fn a_success_forgets_the_failures_before_it() {
    let app = TestApp::with(|config| config.auth.login_attempts = 3).await;
    app.register("acme").await;
    for round in 0..3 {
        for status in [401, 401, 200] {
            let right = status == 200;
            let password = if right { PASSWORD } else { "a wrong password" };
            let attempt = app.post(PATH).json(&credentials("acme", password));
            attempt
                .from(&format!("2001:db8:0:{round}::1"))
                .expect(status)
                .await;
        }
    }
}

#[tokio::test]
async fn refused_logins_are_let_in_again_when_the_window_is_over() {
    let app = TestApp::with(|config| config.auth.login_attempts = 1).await;
    app.register("acme").await;
    for status in [401, 429] {
        let attempt = app
            .post(PATH)
            .json(&credentials("acme", "a wrong password"));
        attempt.expect(status).await;
    }
    app.advance(15 * 60 + 1);
    let right = app.post(PATH).json(&credentials("acme", PASSWORD));
    right.expect(200).await;
}

#[tokio::test]
async fn an_address_that_guesses_at_many_accounts_is_refused() {
    let app = TestApp::with(|config| config.auth.login_attempts = 3).await;
    app.register("acme").await;
    for guess in 0..3 {
        let body = credentials(&format!("nobody{guess}"), "a wrong password");
        app.post(PATH)
            .json(&body)
            .from("192.0.2.7")
            .expect(401)
            .await;
    }
    let body = credentials("acme", PASSWORD);
    app.post(PATH)
        .json(&body)
        .from("192.0.2.7")
        .expect(429)
        .await;
    app.post(PATH)
        .json(&body)
        .from("192.0.2.8")
        .expect(200)
        .await;
}

#[tokio::test]
async fn a_suspended_tenant_cannot_log_in_and_its_credentials_are_refused() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let key = app.key(&login, &[]).await;
    app.set_status(login.tenant, TenantStatus::Suspended).await;
    let body = credentials("acme", PASSWORD);
    app.post(PATH)
        .json(&body)
        .expect(403)
        .await
        .is("tenant_suspended");
    let me = app.get("/api/v1/auth/me").bearer(&login.access);
    me.expect(403).await.is("tenant_suspended");
    let list = app.get("/api/v1/sessions").key(&key);
    list.expect(403).await.is("tenant_suspended");
}
