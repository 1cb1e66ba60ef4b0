//! `GET /sessions`

use serde_json::{Value, json};

use crate::app::text;
use crate::scene::Scene;

fn names(data: &Value) -> Vec<String> {
    let cards = data.as_array().expect("a list").iter();
    cards.map(|card| text(&card["name"])).collect()
}

#[tokio::test]
async fn pages_follow_their_cursor_to_the_end() {
    let scene = Scene::without_workers().await;
    for name in ["a", "b", "c", "d", "e"] {
        scene.card(name).await;
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/sessions?limit=2".to_owned();
    loop {
        let page = scene.get(&path).expect(200).await;
        seen.extend(names(page.data()));
        assert_eq!(page.body["pagination"]["limit"], 2);
        let Some(cursor) = page.body["pagination"]["nextCursor"].as_str() else {
            break;
        };
        path = format!("/api/v1/sessions?limit=2&cursor={cursor}");
    }
    seen.sort();
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn a_status_narrows_the_list() {
    let scene = Scene::set().await;
    scene.card("idle").await;
    scene.connected("live").await;
    for (status, expected) in [("CONNECTED", "live"), ("DISCONNECTED", "idle")] {
        let page = scene
            .get(&format!("/api/v1/sessions?status={status}"))
            .expect(200)
            .await;
        assert_eq!(names(page.data()), [expected]);
    }
}

#[tokio::test]
async fn nobody_sees_the_sessions_of_others() {
    let scene = Scene::without_workers().await;
    let id = scene.card("mine").await;
    scene.card("other").await;
    let stranger = scene.app.register("stranger").await;
    let page = scene
        .app
        .get("/api/v1/sessions")
        .bearer(&stranger.access)
        .expect(200)
        .await;
    assert_eq!(page.data(), &json!([]));
    let key = scene.post("/api/v1/users/me/api-keys");
    let key = key
        .json(&json!({"name": "k", "sessionId": id}))
        .expect(201)
        .await;
    let page = scene
        .app
        .get("/api/v1/sessions")
        .key(&text(&key.data()["key"]));
    assert_eq!(
        names(page.expect(200).await.data()),
        ["mine"],
        "a restricted key"
    );
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let scene = Scene::without_workers().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("cursor=%25%25", "cursor"),
        ("cursor=bm9uc2Vuc2U", "cursor"),
        ("status=connected", "status"),
        ("status=", "status"),
        ("status=%00", "status"),
    ] {
        let answer = scene
            .get(&format!("/api/v1/sessions?{query}"))
            .expect(400)
            .await;
        assert_eq!(answer.fields(), [field], "{query}: {}", answer.text);
    }
}
