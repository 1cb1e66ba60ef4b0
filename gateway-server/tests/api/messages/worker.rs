//! Sends that end otherwise: the table of R-61.

use gateway_core::id::Epoch;
use gateway_core::worker::LinkError;
use serde_json::json;

use crate::app::text;
use crate::scene::{Scene, a_text};

#[tokio::test]
async fn what_may_have_gone_out_is_recorded_as_unknown_under_the_named_id() {
    for (error, status, kind) in [
        (LinkError::Rubbish, 502, "worker_error"),
        (LinkError::Unknown, 504, "outcome_unknown"),
    ] {
        let scene = Scene::set().await;
        let id = scene.connected("sales").await;
        scene.app.link.fail_sends(error);
        let answer = scene.send(&id, &a_text("x")).expect(status).await.is(kind);
        let path = format!("/api/v1/messages/{}", text(&answer.body["id"]));
        let message = scene.get(&path).expect(200).await;
        assert_eq!(message.data()["status"], "unknown");
    }
}

#[tokio::test]
async fn what_certainly_did_not_go_out_leaves_no_row_and_can_be_repeated() {
    let busy = LinkError::Busy { retry_after: None };
    let stale = LinkError::StaleEpoch { current: Epoch(9) };
    for error in [
        LinkError::NotSent,
        LinkError::NotConnected,
        busy,
        LinkError::UnknownSession,
        stale,
        LinkError::WrongIncarnation { current: None },
    ] {
        let scene = Scene::set().await;
        let id = scene.connected("sales").await;
        scene.app.link.fail_sends(error.clone());
        let answer = scene
            .send(&id, &a_text("x"))
            .expect(503)
            .await
            .is("session_unavailable");
        assert!(!answer.header("retry-after").is_empty(), "{error:?}");
        let all = scene.get("/api/v1/messages").expect(200).await;
        assert_eq!(all.data(), &json!([]), "{error:?}");
        scene.app.link.fail_sends(None);
        scene.sent(&id, "x").await;
    }
}

#[tokio::test]
async fn a_final_refusal_is_recorded_as_failed() {
    let refused = |status, code: &str| LinkError::Refused {
        status,
        code: code.to_owned(),
        message: "no".to_owned(),
    };
    for (error, status, kind, code) in [
        (
            refused(400, "bad_recipient"),
            422,
            "message_refused",
            "bad_recipient",
        ),
        (refused(501, "polls"), 501, "not_supported", "polls"),
    ] {
        let scene = Scene::set().await;
        let id = scene.connected("sales").await;
        scene.app.link.fail_sends(error);
        let answer = scene.send(&id, &a_text("x")).expect(status).await.is(kind);
        assert_eq!(answer.body["code"], code);
        let path = format!("/api/v1/messages/{}", text(&answer.body["id"]));
        let message = scene.get(&path).expect(200).await;
        assert_eq!(message.data()["status"], "failed");
        assert_eq!(message.data()["error"]["code"], code);
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_that_hangs_is_answered_with_its_id_and_still_recorded() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let held = scene.app.link.hold_sends();
    let answer = scene
        .send(&id, &a_text("x"))
        .expect(504)
        .await
        .is("outcome_unknown");
    held.add_permits(1);
    scene.settle().await;
    let path = format!("/api/v1/messages/{}", text(&answer.body["id"]));
    let message = scene.get(&path).expect(200).await;
    assert_eq!(message.data()["status"], "sending");
}
