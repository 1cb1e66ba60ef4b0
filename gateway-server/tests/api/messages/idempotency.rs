//! The `Idempotency-Key` of a send.

use gateway_core::worker::LinkError;
use serde_json::json;

use crate::scene::{Scene, a_text};

const KEY: &str = "idempotency-key";

#[tokio::test]
async fn the_same_key_and_body_is_sent_once() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let first = scene
        .send(&id, &a_text("x"))
        .header(KEY, "order 17")
        .expect(200)
        .await;
    assert_eq!(first.header("idempotent-replayed"), "");
    let again = scene
        .send(&id, &a_text("x"))
        .header(KEY, "order 17")
        .expect(200)
        .await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(first.data(), again.data());
    assert_eq!(scene.app.link.sends().len(), 1);
    scene
        .send(&id, &a_text("x"))
        .header(KEY, "order 18")
        .expect(200)
        .await;
    assert_eq!(scene.app.link.sends().len(), 2);
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let first = scene
        .send(&id, &a_text("x"))
        .header(KEY, "k")
        .expect(200)
        .await;
    let other = scene.send(&id, &a_text("y")).header(KEY, "k");
    let refused = other.expect(422).await.is("idempotency_mismatch");
    assert_eq!(refused.body["id"], first.data()["id"]);
    assert_eq!(scene.app.link.sends().len(), 1);
}

#[tokio::test]
async fn an_unknown_outcome_is_asked_for_again_under_the_same_id() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    scene.app.link.fail_sends(LinkError::Unknown);
    let lost = scene
        .send(&id, &a_text("x"))
        .header(KEY, "k")
        .expect(504)
        .await;
    scene.app.link.fail_sends(None);
    let found = scene
        .send(&id, &a_text("x"))
        .header(KEY, "k")
        .expect(200)
        .await;
    assert_eq!(found.data()["id"], lost.body["id"]);
    let sends = scene.app.link.sends();
    assert_eq!(sends.len(), 2);
    assert_eq!(
        sends[0].wa_message_id, sends[1].wa_message_id,
        "the phone shows it once"
    );
}

#[tokio::test]
async fn a_repeat_has_the_first_answer_whatever_became_of_the_message_since() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let send = || scene.send(&id, &a_text("x")).header(KEY, "k");
    let first = send().expect(200).await;
    for status in ["unknown", "failed", "delivered"] {
        let report = json!({
            "sessionId": id, "epoch": 1, "messageId": first.data()["id"], "status": status,
        });
        let reported = scene.as_worker(scene.app.post("/api/v1/webhooks/message-status"));
        reported.json(&report).expect(200).await;
        let again = send().expect(200).await;
        assert_eq!(again.data(), first.data(), "{status}");
    }
    assert_eq!(scene.app.link.sends().len(), 1);
    let path = format!(
        "/api/v1/messages/{}",
        first.data()["id"].as_str().expect("an id")
    );
    assert_eq!(
        scene.get(&path).expect(200).await.data()["status"],
        "delivered"
    );
}

#[tokio::test]
async fn a_repeat_of_a_refused_send_is_refused_in_the_same_way() {
    for (status, answered) in [(501, 501), (404, 422), (422, 422)] {
        let scene = Scene::set().await;
        let id = scene.connected("sales").await;
        scene.app.link.fail_sends(LinkError::Refused {
            status,
            code: "no".to_owned(),
            message: "no such thing".to_owned(),
        });
        let send = || scene.send(&id, &a_text("x")).header(KEY, "k");
        let first = send().expect(answered).await;
        let again = send().expect(answered).await;
        assert_eq!(again.body["type"], first.body["type"]);
        assert_eq!(again.body["error"], first.body["error"]);
        assert_eq!(scene.app.link.sends().len(), 1);
    }
}

#[tokio::test]
async fn keys_of_two_sessions_are_two_keys() {
    let scene = Scene::set().await;
    let (one, two) = (scene.connected("one").await, scene.connected("two").await);
    for id in [&one, &two] {
        scene
            .send(id, &a_text("x"))
            .header(KEY, "k")
            .expect(200)
            .await;
    }
    assert_eq!(scene.app.link.sends().len(), 2);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    for key in ["", "a\tb", &"x".repeat(256)] {
        let answer = scene
            .send(&id, &a_text("x"))
            .header(KEY, key)
            .expect(400)
            .await;
        assert_eq!(answer.fields(), ["Idempotency-Key"]);
    }
    let several = scene
        .send(&id, &a_text("x"))
        .header(KEY, "a")
        .header(KEY, "b");
    assert_eq!(several.expect(400).await.fields(), ["Idempotency-Key"]);
    assert_eq!(
        scene.get("/api/v1/messages").expect(200).await.data(),
        &json!([])
    );
}
