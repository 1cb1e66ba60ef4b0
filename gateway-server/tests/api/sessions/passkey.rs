//! `POST /sessions/{id}/passkey` and `…/confirm`

use gateway_core::worker::LinkError;
use serde_json::json;

use crate::scene::Scene;

async fn asking(scene: &Scene) -> String {
    let id = scene.starting("sales").await;
    let report = json!({
        "status": "QR_REQUIRED", "passkeyChallenge": {"challenge": "abc"},
        "passkeyExpiresAt": "2033-01-01T00:00:00.000Z",
    });
    scene.reports(&id, report).expect(200).await;
    id
}

#[tokio::test]
async fn the_assertion_and_its_confirmation_reach_the_worker() {
    let scene = Scene::set().await;
    let id = asking(&scene).await;
    assert_eq!(scene.status(&id).await["actionRequired"], "passkey");
    let code = scene
        .get(&format!("/api/v1/sessions/{id}/qr"))
        .expect(200)
        .await;
    assert_eq!(code.data()["passkeyChallenge"], json!({"challenge": "abc"}));

    let body = json!({"assertion": {"id": "x", "signature": "y"}});
    scene.act(&id, "passkey").json(&body).expect(202).await;
    scene.act(&id, "passkey/confirm").expect(202).await;
    let passkeys = scene.app.link.passkeys();
    assert_eq!(passkeys[0].1.assertion, Some(body["assertion"].clone()));
    assert_eq!((passkeys[0].0, passkeys[1].0), (false, true));
    assert_eq!(passkeys[1].1.assertion, None);
}

#[tokio::test]
async fn without_a_challenge_it_is_refused() {
    let scene = Scene::set().await;
    let id = scene.showing_qr("sales").await;
    let body = json!({"assertion": {}});
    scene
        .act(&id, "passkey")
        .json(&body)
        .expect(409)
        .await
        .is("invalid_transition");
    scene
        .act(&id, "passkey/confirm")
        .expect(409)
        .await
        .is("invalid_transition");
    for (body, field) in [
        (json!({}), "assertion"),
        (json!({"assertion": "x"}), "assertion"),
    ] {
        assert_eq!(
            scene
                .act(&id, "passkey")
                .json(&body)
                .expect(400)
                .await
                .fields(),
            [field]
        );
    }
}

#[tokio::test]
async fn a_worker_that_cannot_take_it_is_named() {
    let scene = Scene::set().await;
    let id = asking(&scene).await;
    let body = json!({"assertion": {"id": "x"}});
    for (error, status, kind) in [
        (LinkError::Rubbish, 502, "worker_error"),
        (LinkError::Unknown, 504, "outcome_unknown"),
        (LinkError::NotSent, 503, "session_unavailable"),
    ] {
        scene.app.link.fail_passkeys(error);
        scene
            .act(&id, "passkey")
            .json(&body)
            .expect(status)
            .await
            .is(kind);
    }
}
