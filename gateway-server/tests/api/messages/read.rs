//! `GET /messages`, `GET /sessions/{id}/messages` and `GET /messages/{id}`

use serde_json::{Value, json};

use crate::app::text;
use crate::scene::{CHAT, INCARNATION, Scene, a_text};

async fn answered(scene: &Scene, id: &str) {
    let body = json!({
        "sessionId": id, "epoch": 1, "incarnation": INCARNATION, "chat": "491709999999@s.whatsapp.net",
        "waMessageId": "ABC123", "type": "text", "text": "hi there",
    });
    let sent = scene.as_worker(scene.app.post("/api/v1/webhooks/messages"));
    sent.json(&body).expect(200).await;
}

fn texts(data: &Value) -> Vec<String> {
    let messages = data.as_array().expect("a list").iter();
    messages
        .map(|message| text(&message["content"]["text"]))
        .collect()
}

#[tokio::test]
async fn filters_narrow_the_history() {
    let scene = Scene::set().await;
    let (one, two) = (scene.connected("one").await, scene.connected("two").await);
    scene.sent(&one, "first").await;
    scene.app.advance(60);
    scene.sent(&two, "second").await;
    answered(&scene, &one).await;
    let time = scene.app.app.clock.now().to_string();
    for (query, expected) in [
        (String::new(), vec!["first", "hi there", "second"]),
        (format!("?session={one}"), vec!["first", "hi there"]),
        ("?session=two".to_owned(), vec!["second"]),
        ("?direction=inbound".to_owned(), vec!["hi there"]),
        ("?direction=outbound&session=one".to_owned(), vec!["first"]),
        ("?chat=%2B491701234567".to_owned(), vec!["first", "second"]),
        (format!("?chat={CHAT}&session=one"), vec!["first"]),
        ("?status=delivered".to_owned(), vec!["hi there"]),
        ("?status=failed".to_owned(), vec![]),
        ("?status=sending".to_owned(), vec!["first", "second"]),
        ("?type=text".to_owned(), vec!["first", "hi there", "second"]),
        ("?type=poll".to_owned(), vec![]),
        (format!("?since={time}"), vec!["hi there", "second"]),
        (format!("?until={time}"), vec!["first"]),
    ] {
        let answer = scene
            .get(&format!("/api/v1/messages{query}"))
            .expect(200)
            .await;
        let mut seen = texts(answer.data());
        seen.sort();
        assert_eq!(seen, expected, "{query}");
    }
    let own = scene
        .get("/api/v1/sessions/one/messages?direction=inbound")
        .expect(200)
        .await;
    assert_eq!(texts(own.data()), ["hi there"]);
    assert_eq!(own.data()[0]["from"], "491709999999@s.whatsapp.net");
    assert_eq!(own.data()[0]["to"], Value::Null);
}

#[tokio::test]
async fn the_newest_comes_first_page_by_page() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    for words in ["1", "2", "3", "4", "5"] {
        scene.sent(&id, words).await;
        scene.app.advance(1);
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/messages?limit=2".to_owned();
    loop {
        let page = scene.get(&path).expect(200).await;
        seen.extend(texts(page.data()));
        let Some(cursor) = page.body["pagination"]["nextCursor"].as_str() else {
            break;
        };
        path = format!("/api/v1/messages?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["5", "4", "3", "2", "1"]);
}

#[tokio::test]
async fn nobody_reads_the_messages_of_others() {
    let scene = Scene::set().await;
    let (one, two) = (scene.connected("one").await, scene.connected("two").await);
    let message = scene.sent(&one, "secret").await;
    let path = format!("/api/v1/messages/{}", text(&message.data()["id"]));
    let stranger = scene.app.register("stranger").await;
    scene
        .app
        .get(&path)
        .bearer(&stranger.access)
        .expect(404)
        .await;
    let all = scene
        .app
        .get("/api/v1/messages")
        .bearer(&stranger.access)
        .expect(200)
        .await;
    assert_eq!(all.data(), &json!([]));

    let key = scene.post("/api/v1/users/me/api-keys");
    let key = key
        .json(&json!({"name": "k", "sessionId": two}))
        .expect(201)
        .await;
    let key = text(&key.data()["key"]);
    scene.app.get(&path).key(&key).expect(404).await;
    let all = scene
        .app
        .get("/api/v1/messages")
        .key(&key)
        .expect(200)
        .await;
    assert_eq!(all.data(), &json!([]));
    scene
        .app
        .get("/api/v1/messages?session=one")
        .key(&key)
        .expect(404)
        .await;
    let sent = scene.app.post("/api/v1/sessions/one/messages").key(&key);
    sent.json(&a_text("x")).expect(404).await;
    assert_eq!(scene.app.link.sends().len(), 1);
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let scene = Scene::without_workers().await;
    for (query, field) in [
        ("chat=nobody", "chat"),
        ("direction=both", "direction"),
        ("status=lost", "status"),
        ("since=yesterday", "since"),
        ("until=1", "until"),
        ("session=ses_x", "session"),
        ("cursor=bm9uc2Vuc2U", "cursor"),
        ("limit=0", "limit"),
        ("type=%00", "type"),
    ] {
        let answer = scene
            .get(&format!("/api/v1/messages?{query}"))
            .expect(400)
            .await;
        assert_eq!(answer.fields(), [field], "{query}");
    }
    scene
        .get("/api/v1/messages?session=nobody")
        .expect(404)
        .await;
    scene
        .get("/api/v1/messages/msg_01j0000000e008000000000001")
        .expect(404)
        .await;
    assert_eq!(
        scene
            .get("/api/v1/messages/nonsense")
            .expect(400)
            .await
            .fields(),
        ["id"]
    );
}
