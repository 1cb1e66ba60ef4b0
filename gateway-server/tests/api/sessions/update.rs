//! `PATCH /sessions/{id}`

use serde_json::json;

use crate::scene::Scene;

#[tokio::test]
async fn only_what_is_named_changes() {
    let scene = Scene::without_workers().await;
    let id = scene.card("sales").await;
    let path = format!("/api/v1/sessions/{id}");
    let patch = |body| scene.patch(&path).json(&body);
    patch(json!({"description": "d", "metadata": {"k": 1}}))
        .expect(200)
        .await;
    let renamed = patch(json!({"name": "Support"})).expect(200).await;
    let card = renamed.data();
    assert_eq!(
        (&card["name"], &card["description"]),
        (&json!("support"), &json!("d"))
    );
    assert_eq!(card["metadata"], json!({"k": 1}));
    let cleared = patch(json!({"description": null})).expect(200).await;
    assert!(cleared.data()["description"].is_null());
    scene.get("/api/v1/sessions/support").expect(200).await;
    scene.get("/api/v1/sessions/sales").expect(404).await;
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused() {
    let scene = Scene::without_workers().await;
    scene.card("sales").await;
    scene.card("support").await;
    let sent = scene
        .patch("/api/v1/sessions/support")
        .json(&json!({"name": "sales"}));
    assert_eq!(sent.expect(409).await.is("duplicate").fields(), ["name"]);
    scene
        .patch("/api/v1/sessions/support")
        .json(&json!({"name": "support"}))
        .expect(200)
        .await;
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let scene = Scene::without_workers().await;
    scene.card("sales").await;
    for (body, field) in [
        (json!({"name": ""}), "name"),
        (json!({"name": "--"}), "name"),
        (json!({"description": 1}), "description"),
        (json!({"description": "x".repeat(1001)}), "description"),
        (json!({"metadata": {"k": "x".repeat(17_000)}}), "metadata"),
    ] {
        let sent = scene.patch("/api/v1/sessions/sales").json(&body);
        let answer = sent.expect(400).await;
        assert_eq!(answer.fields(), [field], "{}", answer.text);
    }
    scene
        .patch("/api/v1/sessions/nobody")
        .json(&json!({}))
        .expect(404)
        .await;
}
