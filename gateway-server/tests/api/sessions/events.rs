//! `GET /sessions/{id}/events`

use serde_json::json;

use crate::app::text;
use crate::scene::Scene;

#[tokio::test]
async fn events_of_one_session_are_numbered_without_a_gap() {
    let scene = Scene::set().await;
    let id = scene.showing_qr("sales").await;
    scene.card("other").await;
    scene.publish().await;
    let path = format!("/api/v1/sessions/{id}/events");
    let answer = scene.get(&path).expect(200).await;
    let events = answer.data().as_array().expect("a list");
    let numbers: Vec<_> = events.iter().map(|event| event["seq"].as_u64()).collect();
    let dense: Vec<_> = (1..=events.len() as u64).map(Some).collect();
    assert_eq!(numbers, dense);
    assert!(
        events
            .iter()
            .all(|event| event["session"]["id"] == json!(id))
    );
    assert_eq!(events[0]["type"], "session.created");

    let cursor = text(&answer.body["pagination"]["nextCursor"]);
    let later = scene
        .get(&format!("{path}?after={cursor}"))
        .expect(200)
        .await;
    assert_eq!(later.data(), &json!([]));
    assert_eq!(
        text(&later.body["pagination"]["nextCursor"]),
        cursor,
        "the place is kept"
    );
}
