//! `GET /sessions/{id}/qr`

use gateway_core::id::Epoch;
use gateway_core::protocol::SessionState;
use gateway_core::time::Timestamp;
use serde_json::json;

use crate::scene::Scene;

fn path(id: &str) -> String {
    format!("/api/v1/sessions/{id}/qr")
}

#[tokio::test]
async fn the_code_comes_as_json_by_default() {
    let scene = Scene::set().await;
    let id = scene.showing_qr("sales").await;
    let answer = scene.get(&path(&id)).expect(200).await;
    let expected = json!({
        "qrCode": "2@the,qr,text", "expiresAt": "2033-01-01T00:00:00.000Z", "index": 0,
    });
    assert_eq!(answer.data(), &expected);
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn the_code_comes_in_the_form_that_is_accepted() {
    let scene = Scene::set().await;
    let id = scene.showing_qr("sales").await;
    for (accept, kind, begins) in [
        ("image/png", "image/png", "\u{fffd}PNG"),
        ("image/*", "image/png", "\u{fffd}PNG"),
        ("image/svg+xml", "image/svg+xml", "<?xml"),
        ("text/plain", "text/plain; charset=utf-8", ""),
        (
            "image/png;q=0.2, text/plain;q=0.9",
            "text/plain; charset=utf-8",
            "",
        ),
        ("*/*", "application/json", "{"),
    ] {
        let answer = scene.get(&path(&id)).header("accept", accept).send().await;
        assert_eq!(answer.status.as_u16(), 200, "{accept}: {}", answer.text);
        assert_eq!(answer.header("content-type"), kind, "{accept}");
        assert!(answer.text.starts_with(begins), "{accept}: {}", answer.text);
    }
    let refused = scene.get(&path(&id)).header("accept", "application/pdf");
    refused.expect(406).await.is("not_acceptable");
}

#[tokio::test]
async fn a_code_to_type_is_not_drawn() {
    let scene = Scene::set().await;
    let id = scene.starting("sales").await;
    let body = json!({
        "status": "QR_REQUIRED", "pairingCode": "ABCD-1234",
        "pairingExpiresAt": "2033-01-01T00:00:00.000Z",
    });
    scene.reports(&id, body).expect(200).await;
    let shown = scene.get(&path(&id)).expect(200).await;
    assert_eq!(shown.data()["pairingCode"], "ABCD-1234");
    let drawn = scene.get(&path(&id)).header("accept", "image/png");
    let refused = drawn.expect(404).await.is("qr_not_available");
    assert!(
        refused.text.contains("application/json"),
        "{}",
        refused.text
    );
}

#[tokio::test]
async fn without_a_code_the_answer_says_whether_one_is_coming() {
    let scene = Scene::set().await;
    let idle = scene.card("idle").await;
    let answer = scene
        .get(&path(&idle))
        .expect(404)
        .await
        .is("qr_not_available");
    assert_eq!(answer.header("retry-after"), "");
    let coming = scene.starting("coming").await;
    let answer = scene
        .get(&path(&coming))
        .expect(404)
        .await
        .is("qr_not_available");
    assert_eq!(answer.header("retry-after"), "1");
    let linked = scene.connected("linked").await;
    scene
        .get(&path(&linked))
        .expect(404)
        .await
        .is("qr_not_available");
}

#[tokio::test]
async fn a_lost_code_is_asked_for_at_the_worker() {
    let scene = Scene::set().await;
    let id = scene.showing_qr("sales").await;
    let session = crate::scene::session_id(&id);
    let coord = &scene.app.app.coord;
    coord.drop_secrets(session).await.expect("dropped");
    scene
        .get(&path(&id))
        .expect(404)
        .await
        .is("qr_not_available");
    scene.app.link.say(SessionState {
        session_id: Some(session),
        epoch: Epoch(1),
        status: "QR_REQUIRED".to_owned(),
        qr_code: Some("2@again".to_owned()),
        qr_index: Some(3),
        qr_expires_at: Timestamp::parse("2033-01-01T00:00:00Z").ok(),
        ..SessionState::default()
    });
    let answer = scene.get(&path(&id)).expect(200).await;
    assert_eq!(
        (&answer.data()["qrCode"], &answer.data()["index"]),
        (&json!("2@again"), &json!(3))
    );
}

#[tokio::test]
async fn a_code_that_cannot_be_drawn_is_the_workers_fault() {
    let scene = Scene::set().await;
    let id = scene.starting("sales").await;
    let report = json!({"status": "QR_REQUIRED", "qrCode": "x".repeat(4_000), "qrIndex": 0});
    let refused = scene.reports(&id, report).expect(400).await;
    refused.is("validation_error");
    let longest = json!({"status": "QR_REQUIRED", "qrCode": "x".repeat(512), "qrIndex": 0});
    scene.reports(&id, longest).expect(200).await;
    let drawn = scene.get(&path(&id)).header("accept", "image/png");
    drawn.expect(200).await;
}
