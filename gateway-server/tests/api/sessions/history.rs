//! `GET /sessions/{id}/history`

use serde_json::json;

use crate::app::text;
use crate::scene::{Scene, WORKER};

#[tokio::test]
async fn every_assignment_is_kept_with_its_reasons_and_without_the_endpoint() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    scene.act(&id, "restart").expect(202).await;
    scene.settle().await;
    let path = format!("/api/v1/sessions/{id}/history");
    let answer = scene.get(&path).expect(200).await;
    let [new, old] = answer.data().as_array().expect("a list").as_slice() else {
        panic!("two assignments: {}", answer.text);
    };
    assert_eq!((&new["epoch"], &old["epoch"]), (&json!(2), &json!(1)));
    assert_eq!(old["workerId"], WORKER);
    assert!(old["explanation"]["factors"].is_array(), "{old}");
    assert!(new["endedAt"].is_null() && old["endedAt"].is_string());
    assert!(
        !answer.text.contains("http://"),
        "no endpoint: {}",
        answer.text
    );

    let first = scene.get(&format!("{path}?limit=1")).expect(200).await;
    let cursor = text(&first.body["pagination"]["nextCursor"]);
    let rest = scene
        .get(&format!("{path}?limit=1&cursor={cursor}"))
        .expect(200)
        .await;
    assert_eq!(rest.data()[0]["epoch"], 1);
    assert!(rest.body["pagination"]["nextCursor"].is_null());
}
