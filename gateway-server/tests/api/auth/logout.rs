use serde_json::json;

use crate::app::{Login, PASSWORD, TestApp};

#[tokio::test]
async fn logging_out_ends_this_login_at_once_and_no_other() {
    let app = TestApp::start().await;
    let here = app.register("acme").await;
    let body = json!({"email": here.email, "password": PASSWORD});
    let there = app.post("/api/v1/auth/login").json(&body).expect(200).await;
    let there = Login::of(&there);

    app.post("/api/v1/auth/logout")
        .bearer(&here.access)
        .expect(200)
        .await;
    app.get("/api/v1/auth/me")
        .bearer(&here.access)
        .expect(401)
        .await;
    let body = json!({"refreshToken": here.refresh});
    app.post("/api/v1/auth/refresh")
        .json(&body)
        .expect(401)
        .await;
    app.get("/api/v1/auth/me")
        .bearer(&there.access)
        .expect(200)
        .await;
}
