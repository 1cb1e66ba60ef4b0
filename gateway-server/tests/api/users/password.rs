use serde_json::json;

use crate::app::{Login, PASSWORD, TestApp};

const PATH: &str = "/api/v1/users/me/password";
const NEXT: &str = "another battery staple";

#[tokio::test]
async fn a_new_password_ends_every_other_login() {
    let app = TestApp::start().await;
    let here = app.register("acme").await;
    let old = json!({"email": here.email, "password": PASSWORD});
    let there = app.post("/api/v1/auth/login").json(&old).expect(200).await;
    let there = Login::of(&there);

    let body = json!({"currentPassword": PASSWORD, "newPassword": NEXT});
    let answer = app
        .put(PATH)
        .bearer(&here.access)
        .json(&body)
        .expect(200)
        .await;
    let renewed = Login::of(&answer);
    app.get("/api/v1/auth/me")
        .bearer(&renewed.access)
        .expect(200)
        .await;
    for ended in [&here, &there] {
        app.get("/api/v1/auth/me")
            .bearer(&ended.access)
            .expect(401)
            .await;
        let body = json!({"refreshToken": ended.refresh});
        app.post("/api/v1/auth/refresh")
            .json(&body)
            .expect(401)
            .await;
    }
    app.post("/api/v1/auth/login").json(&old).expect(401).await;
    let new = json!({"email": here.email, "password": NEXT});
    app.post("/api/v1/auth/login").json(&new).expect(200).await;
}

#[tokio::test]
async fn post_is_the_same_as_put() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let body = json!({"currentPassword": PASSWORD, "newPassword": NEXT});
    app.post(PATH)
        .bearer(&login.access)
        .json(&body)
        .expect(200)
        .await;
}

#[tokio::test]
async fn the_present_password_is_needed() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    for (body, field) in [
        (json!({"newPassword": NEXT}), "currentPassword"),
        (
            json!({"currentPassword": "wrong", "newPassword": NEXT}),
            "currentPassword",
        ),
        (
            json!({"currentPassword": PASSWORD, "newPassword": "short"}),
            "newPassword",
        ),
    ] {
        let answer = app
            .put(PATH)
            .bearer(&login.access)
            .json(&body)
            .expect(400)
            .await;
        assert_eq!(answer.fields(), [field], "{body}");
    }
}
