//! What a session is called, and when a name is free again.

use gateway_core::worker::LinkError;
use serde_json::{Value, json};

use crate::app::{TestAnswer, text};
use crate::scene::Scene;

const SESSIONS: &str = "/api/v1/sessions";

async fn made(scene: &Scene, body: Value) -> TestAnswer {
    scene.post(SESSIONS).json(&body).expect(201).await
}

fn called(answer: &TestAnswer) -> (String, String) {
    let data = answer.data();
    (text(&data["name"]), text(&data["displayName"]))
}

#[tokio::test]
async fn a_session_is_shown_as_its_name_was_written() {
    let scene = Scene::without_workers().await;
    scene.app.set_tier(scene.login.tenant, "MAX").await;
    for (body, name, shown) in [
        (json!({"name": "São Paulo"}), "so-paulo", "São Paulo"),
        (
            json!({"displayName": "São Paulo"}),
            "so-paulo-2",
            "São Paulo",
        ),
        (
            json!({"displayName": " São  Paulo\u{2003}"}),
            "so-paulo-3",
            "São Paulo",
        ),
        (
            json!({"name": "rio", "displayName": "Rio 🎉"}),
            "rio",
            "Rio 🎉",
        ),
        (json!({"name": "plain"}), "plain", "plain"),
    ] {
        let answer = made(&scene, body).await;
        assert_eq!(called(&answer), (name.to_owned(), shown.to_owned()));
        let read = scene.get(&format!("{SESSIONS}/{name}")).expect(200).await;
        assert_eq!(called(&read).1, shown);
    }
    let answer = made(&scene, json!({"displayName": "日本"})).await;
    let (name, shown) = called(&answer);
    assert!(name.starts_with("session-"), "{name}");
    assert_eq!(shown, "日本");
    let listed = scene.get(SESSIONS).expect(200).await;
    let listed = listed.data().as_array().expect("a list").clone();
    assert!(
        listed
            .iter()
            .any(|session| session["displayName"] == "日本")
    );
    let taken = scene.post(SESSIONS).json(&json!({"name": "rio"}));
    taken.expect(409).await.is("duplicate");
    for body in [
        json!({}),
        json!({"displayName": " "}),
        json!({"name": "日本"}),
    ] {
        scene.post(SESSIONS).json(&body).expect(400).await;
    }
}

#[tokio::test]
async fn a_new_name_is_shown_as_it_was_written() {
    let scene = Scene::without_workers().await;
    let path = format!("{SESSIONS}/{}", scene.card("sales").await);
    for (body, name, shown) in [
        (
            json!({"displayName": "Verkauf Süd"}),
            "sales",
            "Verkauf Süd",
        ),
        (json!({"description": "x"}), "sales", "Verkauf Süd"),
        (json!({"name": "Ventas Sur"}), "ventas-sur", "Ventas Sur"),
        (json!({"name": "v", "displayName": "V."}), "v", "V."),
        (json!({"displayName": null}), "v", "v"),
    ] {
        let answer = scene.patch(&path).json(&body).expect(200).await;
        assert_eq!(called(&answer), (name.to_owned(), shown.to_owned()));
    }
}

#[tokio::test]
async fn the_name_of_a_deleted_session_is_free_at_once() {
    let scene = Scene::set().await;
    let former = scene.connected("sales").await;
    scene.app.link.fail_stops(LinkError::NotSent);
    scene.delete(&format!("{SESSIONS}/sales")).expect(202).await;
    let still = scene.get(&format!("{SESSIONS}/{former}")).expect(200).await;
    assert_eq!(still.data()["reason"], "deleting");
    let next = made(&scene, json!({"name": "sales"})).await;
    assert_ne!(text(&next.data()["id"]), former);
    let found = scene.get(&format!("{SESSIONS}/sales")).expect(200).await;
    assert_eq!(found.data()["id"], next.data()["id"]);
}
