//! `GET /events`

use gateway_core::coord::Coordinator;
use gateway_core::event::{NewEvent, UsageDelta};
use gateway_core::store::Store;
use serde_json::{Value, json};

use crate::app::text;
use crate::scene::{Scene, session_id};

fn kinds(data: &Value) -> Vec<String> {
    let events = data.as_array().expect("a list").iter();
    events.map(|event| text(&event["type"])).collect()
}

#[tokio::test]
async fn an_event_has_the_envelope_of_the_catalogue() {
    let scene = Scene::without_workers().await;
    let body = json!({"name": "sales", "metadata": {"team": "x"}});
    let made = scene.post("/api/v1/sessions").json(&body).expect(201).await;
    scene.publish().await;
    let answer = scene.get("/api/v1/events").expect(200).await;
    let event = &answer.data()[0];
    assert!(text(&event["id"]).starts_with("evt_"));
    assert!(text(&event["createdAt"]).ends_with('Z'));
    let rest = json!({
        "id": event["id"], "createdAt": event["createdAt"], "type": "session.created", "version": 1,
        "tenantId": scene.login.tenant, "seq": 1, "epoch": 0,
        "session": {"id": made.data()["id"], "name": "sales", "metadata": {"team": "x"}},
        "data": {"name": "sales", "metadata": {"team": "x"}},
    });
    assert_eq!(event, &rest);
}

#[tokio::test]
async fn a_code_is_joined_while_it_is_valid_and_is_in_no_log() {
    let scene = Scene::set().await;
    let id = scene.showing_qr("sales").await;
    scene.publish().await;
    let path = "/api/v1/events?type=session.qr";
    let answer = scene.get(path).expect(200).await;
    assert_eq!(answer.data()[0]["data"]["qrCode"], "2@the,qr,text");
    scene
        .app
        .coord
        .drop_secrets(session_id(&id))
        .await
        .expect("dropped");
    let answer = scene.get(path).expect(200).await;
    assert!(answer.data()[0]["data"].get("qrCode").is_none());
    assert_eq!(answer.data()[0]["data"]["index"], 0);
}

#[tokio::test]
async fn a_reader_goes_on_where_it_was_and_misses_nothing() {
    let scene = Scene::without_workers().await;
    for name in ["a", "b", "c"] {
        scene.card(name).await;
    }
    scene.publish().await;
    let mut cursor = String::new();
    let mut seen = Vec::new();
    for expected in [2, 1, 0] {
        let answer = scene
            .get(&format!("/api/v1/events?limit=2{cursor}"))
            .expect(200)
            .await;
        let names = answer.data().as_array().expect("a list").iter();
        seen.extend(names.map(|event| text(&event["data"]["name"])));
        assert_eq!(answer.data().as_array().map(Vec::len), Some(expected));
        cursor = format!("&after={}", text(&answer.body["pagination"]["nextCursor"]));
    }
    assert_eq!(seen, ["a", "b", "c"]);
    scene.card("d").await;
    scene.publish().await;
    let answer = scene
        .get(&format!("/api/v1/events?limit=2{cursor}"))
        .expect(200)
        .await;
    assert_eq!(answer.data()[0]["data"]["name"], "d");
}

#[tokio::test]
async fn types_and_tenants_are_told_apart() {
    let scene = Scene::set().await;
    scene.connected("sales").await;
    scene.publish().await;
    let answer = scene
        .get("/api/v1/events?type=session.created,session.deleted")
        .expect(200)
        .await;
    assert_eq!(kinds(answer.data()), ["session.created"]);
    let all = scene.get("/api/v1/events").expect(200).await;
    assert!(
        !kinds(all.data())
            .iter()
            .any(|kind| kind.starts_with("worker.")),
        "operators only"
    );
    let stranger = scene.app.register("stranger").await;
    let theirs = scene
        .app
        .get("/api/v1/events")
        .bearer(&stranger.access)
        .expect(200)
        .await;
    assert_eq!(theirs.data(), &json!([]));
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let scene = Scene::without_workers().await;
    for (query, field) in [
        ("after=%25", "after"),
        ("after=bm9uc2Vuc2U", "after"),
        ("cursor=bm9uc2Vuc2U", "cursor"),
        ("limit=1000", "limit"),
        ("type=session.exploded", "type"),
        ("type=", "type"),
        ("type=%00", "type"),
    ] {
        let answer = scene
            .get(&format!("/api/v1/events?{query}"))
            .expect(400)
            .await;
        assert_eq!(answer.fields(), [field], "{query}");
    }
}

#[tokio::test]
async fn an_event_of_a_newer_gateway_fails_no_page() {
    let scene = Scene::without_workers().await;
    scene.card("before").await;
    let newer = NewEvent {
        tenant: Some(scene.login.tenant),
        session: None,
        epoch: None,
        name: "billing.due".into(),
        version: 2,
        data: serde_json::from_str(r#"{"amount":12.50}"#).expect("JSON"),
        usage: UsageDelta::default(),
    };
    let mut tx = scene.app.store.begin().await.expect("begins");
    tx.append_events(&[newer]).await.expect("appends");
    tx.commit().await.expect("commits");
    scene.card("after").await;
    scene.publish().await;
    let answer = scene.get("/api/v1/events").expect(200).await;
    assert_eq!(
        kinds(answer.data()),
        ["session.created", "billing.due", "session.created"]
    );
    let event = &answer.data()[1];
    assert_eq!(
        (&event["version"], &event["session"]),
        (&json!(2), &json!(null))
    );
    assert_eq!(event["data"], json!({"amount": 12.5}));
}
