//! `GET /sessions/{id}` and `…/status`

use serde_json::json;

use crate::app::text;
use crate::scene::{Scene, WORKER};

#[tokio::test]
async fn a_session_is_found_by_id_and_by_any_writing_of_its_name() {
    let scene = Scene::without_workers().await;
    let id = scene.card("sales").await;
    for reference in [id.as_str(), "sales", "SALES", "Sales_", "%20sales"] {
        let answer = scene
            .get(&format!("/api/v1/sessions/{reference}"))
            .expect(200)
            .await;
        assert_eq!(text(&answer.data()["id"]), id, "{reference}");
    }
}

#[tokio::test]
async fn what_is_not_there_or_of_others_is_not_found() {
    let scene = Scene::without_workers().await;
    let id = scene.card("sales").await;
    let stranger = scene.app.register("stranger").await;
    for reference in [id.as_str(), "sales"] {
        for path in ["", "/status", "/qr", "/history", "/events", "/messages"] {
            let path = format!("/api/v1/sessions/{reference}{path}");
            scene
                .app
                .get(&path)
                .bearer(&stranger.access)
                .expect(404)
                .await
                .is("not_found");
        }
    }
    scene.get("/api/v1/sessions/nobody").expect(404).await;
    scene
        .get("/api/v1/sessions/ses_01j0000000e008000000000001")
        .expect(404)
        .await;
    for malformed in ["ses_x", "___", &"x".repeat(5_000)] {
        let answer = scene
            .get(&format!("/api/v1/sessions/{malformed}"))
            .send()
            .await;
        assert!(
            [400, 404].contains(&answer.status.as_u16()),
            "{malformed}: {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn only_administrators_see_where_it_lives() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let path = format!("/api/v1/sessions/{id}");
    let seen = scene.get(&path).expect(200).await;
    assert!(seen.data().get("workerId").is_none() && seen.data().get("epoch").is_none());
    assert_eq!(seen.data()["phoneNumber"], "491700000001");

    let admin = scene.app.register_admin("boss").await;
    let own = scene.app.post("/api/v1/sessions").bearer(&admin.access);
    let own = text(&own.json(&json!({"name": "own"})).expect(201).await.data()["id"]);
    let connect = format!("/api/v1/sessions/{own}/connect");
    scene
        .app
        .post(&connect)
        .bearer(&admin.access)
        .expect(202)
        .await;
    scene.settle().await;
    let seen = scene
        .app
        .get(&format!("/api/v1/sessions/{own}"))
        .bearer(&admin.access);
    let seen = seen.expect(200).await;
    assert_eq!(
        (&seen.data()["workerId"], &seen.data()["epoch"]),
        (&json!(WORKER), &json!(1))
    );
}

#[tokio::test]
async fn the_status_explains_itself() {
    let scene = Scene::set().await;
    let id = scene.showing_qr("sales").await;
    let status = scene.status(&id).await;
    assert_eq!(status["status"], "QR_REQUIRED");
    assert_eq!(status["actionRequired"], "scan_qr");
    assert_eq!(status["desired"], "CONNECTED");
    assert!(
        status["since"].is_string() && status["deadline"].is_string(),
        "{status}"
    );
    assert!(status["retryAt"].is_null(), "{status}");
}
