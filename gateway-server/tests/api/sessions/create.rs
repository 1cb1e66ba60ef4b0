//! `POST /sessions`

use serde_json::{Value, json};

use crate::app::{TestApp, text};
use crate::scene::Scene;

#[tokio::test]
async fn a_card_begins_disconnected_under_its_normalised_name() {
    let scene = Scene::without_workers().await;
    let body = json!({"name": " My Sales_Phone ", "description": "d", "metadata": {"k": [1]}});
    let made = scene.post("/api/v1/sessions").json(&body).expect(201).await;
    let mut card = made.data().clone();
    assert!(text(&card["id"]).starts_with("ses_"));
    for time in ["since", "createdAt", "updatedAt"] {
        assert!(text(&card[time]).ends_with('Z'), "{time}");
        card[time] = Value::Null;
    }
    let expected = json!({
        "id": card["id"], "name": "my-sales-phone", "displayName": "My Sales_Phone",
        "description": "d",
        "status": "DISCONNECTED", "desired": "DISCONNECTED", "reason": null, "since": null,
        "deadline": null, "retryAt": null, "actionRequired": null, "phoneNumber": null,
        "metadata": {"k": [1]}, "createdAt": null, "updatedAt": null,
    });
    assert_eq!(card, expected, "exactly the fields of the wire");
}

#[tokio::test]
async fn a_name_is_taken_once_per_tenant() {
    let scene = Scene::without_workers().await;
    scene.card("sales").await;
    let again = scene
        .post("/api/v1/sessions")
        .json(&json!({"name": "SALES"}));
    assert_eq!(again.expect(409).await.is("duplicate").fields(), ["name"]);
    let other = scene.app.register("other").await;
    let theirs = scene.app.post("/api/v1/sessions").bearer(&other.access);
    theirs.json(&json!({"name": "sales"})).expect(201).await;
}

#[tokio::test]
async fn the_plan_limits_how_many_there_are() {
    let scene = Scene::without_workers().await;
    scene.app.set_tier(scene.login.tenant, "BASIC").await;
    scene.card("one").await;
    let two = scene.post("/api/v1/sessions").json(&json!({"name": "two"}));
    let refused = two.expect(403).await.is("limit_exceeded");
    assert_eq!(
        (&refused.body["limit"], &refused.body["used"]),
        (&json!(1), &json!(1))
    );
    scene.delete("/api/v1/sessions/one").expect(200).await;
    scene.card("two").await;
}

#[tokio::test]
async fn each_wrong_field_is_named() {
    let scene = Scene::without_workers().await;
    let many: Value = (0..51)
        .map(|n| (n.to_string(), json!(n)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    for (body, field) in [
        (json!({}), "name"),
        (json!({"name": null}), "name"),
        (json!({"name": 7}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": "___"}), "name"),
        (json!({"name": "x".repeat(65)}), "name"),
        (json!({"name": "x".repeat(100_000)}), "name"),
        (json!({"name": "a\u{0}b"}), "name"),
        (
            json!({"name": "a", "description": "x".repeat(1001)}),
            "description",
        ),
        (json!({"name": "a", "description": "\u{1b}"}), "description"),
        (json!({"name": "a", "metadata": []}), "metadata"),
        (json!({"name": "a", "metadata": many}), "metadata"),
        (json!({"name": "a", "metadata": {"": 1}}), "metadata"),
        (
            json!({"name": "a", "metadata": {"k": "x".repeat(17_000)}}),
            "metadata",
        ),
        (
            json!({"name": "a", "metadata": {"k": "\u{0}"}}),
            "metadata.k",
        ),
    ] {
        let sent = scene.post("/api/v1/sessions").json(&body);
        let answer = sent.expect(400).await.is("validation_error");
        assert_eq!(answer.fields(), [field], "{}", answer.text);
    }
}

#[tokio::test]
async fn a_body_of_another_kind_is_refused() {
    let scene = Scene::without_workers().await;
    let sent = scene
        .post("/api/v1/sessions")
        .raw("text/plain", "{\"name\":\"a\"}");
    sent.expect(415).await.is("unsupported_media_type");
    let sent = scene
        .post("/api/v1/sessions")
        .raw("application/json", "{\"name\"");
    sent.expect(400).await.is("invalid_json");
    let sent = scene
        .post("/api/v1/sessions")
        .raw("application/json", " ".repeat(1_100_000));
    sent.expect(413).await.is("payload_too_large");
}

#[tokio::test]
async fn a_key_for_one_session_makes_no_other() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let made = app.post("/api/v1/sessions").bearer(&login.access);
    let id = text(&made.json(&json!({"name": "one"})).expect(201).await.data()["id"]);
    let key = app.post("/api/v1/users/me/api-keys").bearer(&login.access);
    let key = key
        .json(&json!({"name": "k", "sessionId": id}))
        .expect(201)
        .await;
    let sent = app.post("/api/v1/sessions").key(&text(&key.data()["key"]));
    sent.json(&json!({"name": "two"}))
        .expect(403)
        .await
        .is("forbidden");
}
