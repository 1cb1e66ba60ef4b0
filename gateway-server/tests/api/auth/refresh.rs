use serde_json::json;

use crate::app::{Login, TestAnswer, TestApp};

async fn refresh(app: &TestApp, token: &str, status: u16) -> TestAnswer {
    let body = json!({"refreshToken": token});
    app.post("/api/v1/auth/refresh")
        .json(&body)
        .expect(status)
        .await
}

#[tokio::test]
async fn a_refresh_token_is_exchanged_for_the_next_pair() {
    let app = TestApp::start().await;
    let first = app.register("acme").await;
    let second = Login::of(&refresh(&app, &first.refresh, 200).await);
    assert_ne!(first.refresh, second.refresh);
    let third = Login::of(&refresh(&app, &second.refresh, 200).await);
    app.get("/api/v1/auth/me")
        .bearer(&third.access)
        .expect(200)
        .await;
}

#[tokio::test]
async fn using_a_token_twice_ends_the_whole_login() {
    let app = TestApp::start().await;
    let first = app.register("acme").await;
    let second = Login::of(&refresh(&app, &first.refresh, 200).await);
    app.advance(11);
    refresh(&app, &first.refresh, 401).await.is("unauthorized");
    refresh(&app, &second.refresh, 401).await;
    app.get("/api/v1/auth/me")
        .bearer(&second.access)
        .expect(401)
        .await;
}

#[tokio::test]
async fn two_tabs_that_refresh_at_once_both_go_on() {
    let app = TestApp::start().await;
    let first = app.register("acme").await;
    let here = Login::of(&refresh(&app, &first.refresh, 200).await);
    app.advance(10);
    let there = Login::of(&refresh(&app, &first.refresh, 200).await);
    assert_ne!(here.refresh, there.refresh);
    for tab in [here, there] {
        app.get("/api/v1/auth/me")
            .bearer(&tab.access)
            .expect(200)
            .await;
        refresh(&app, &tab.refresh, 200).await;
    }
}

#[tokio::test]
async fn another_login_of_the_same_user_goes_on() {
    let app = TestApp::start().await;
    let stolen = app.register("acme").await;
    let body = json!({"email": stolen.email, "password": crate::app::PASSWORD});
    let other = app.post("/api/v1/auth/login").json(&body).expect(200).await;
    let other = Login::of(&other);
    refresh(&app, &stolen.refresh, 200).await;
    app.advance(11);
    refresh(&app, &stolen.refresh, 401).await;
    app.get("/api/v1/auth/me")
        .bearer(&other.access)
        .expect(200)
        .await;
    refresh(&app, &other.refresh, 200).await;
}

#[tokio::test]
async fn expired_and_invented_tokens_are_refused() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    for token in ["", "gwr_invented", &login.access, "\u{1F511}"] {
        refresh(&app, token, 401).await.is("unauthorized");
    }
    app.advance(30 * 86_400 + 1);
    refresh(&app, &login.refresh, 401).await;
}
