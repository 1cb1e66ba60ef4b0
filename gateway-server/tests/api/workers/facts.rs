//! `POST /webhooks/message-status` and `POST /webhooks/messages`

use serde_json::{Value, json};

use crate::app::{TestRequest, text};
use crate::scene::{INCARNATION, Scene, WORKER, registration};

fn to<'a>(scene: &'a Scene, what: &str, body: &Value) -> TestRequest<'a> {
    let path = format!("/api/v1/webhooks/{what}");
    scene.as_worker(scene.app.post(&path)).json(body)
}

fn fact(id: &str, more: Value) -> Value {
    let mut fact = json!({"sessionId": id, "epoch": 1, "incarnation": INCARNATION});
    if let Value::Object(fields) = more {
        for (name, value) in fields {
            fact[name] = value;
        }
    }
    fact
}

fn inbound(id: &str, wa: &str) -> Value {
    let chat = "491709999999@s.whatsapp.net";
    fact(
        id,
        json!({"chat": chat, "waMessageId": wa, "type": "text", "text": "hi"}),
    )
}

#[tokio::test]
async fn receipts_fold_in_any_order_and_are_events() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let sent = scene.sent(&id, "x").await;
    let message = text(&sent.data()["id"]);
    let receipt = |status: &str| fact(&id, json!({"messageId": message, "status": status}));
    to(&scene, "message-status", &receipt("read"))
        .expect(200)
        .await;
    let several = json!([receipt("sent"), receipt("delivered"), receipt("sent")]);
    let answer = to(&scene, "message-status", &several).expect(200).await;
    assert_eq!(
        answer.data(),
        &json!({"accepted": 3, "dropped": 0, "rejected": []})
    );
    let read = scene
        .get(&format!("/api/v1/messages/{message}"))
        .expect(200)
        .await;
    assert_eq!(read.data()["status"], "read");
    assert!(read.data()["timestamps"]["read"].is_string());
    scene.publish().await;
    let events = scene
        .get("/api/v1/events?type=message.status")
        .expect(200)
        .await;
    let newest = events
        .data()
        .as_array()
        .and_then(|events| events.last().cloned());
    assert_eq!(newest.expect("an event")["data"]["status"], "read");
}

#[tokio::test]
async fn an_inbound_message_is_known_by_its_identity() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let batch = json!([inbound(&id, "A1"), inbound(&id, "A2"), inbound(&id, "A1")]);
    to(&scene, "messages", &batch).expect(200).await;
    to(&scene, "messages", &inbound(&id, "A1"))
        .expect(200)
        .await;
    let all = scene
        .get("/api/v1/messages?direction=inbound")
        .expect(200)
        .await;
    assert_eq!(all.data().as_array().map(Vec::len), Some(2));
    scene.publish().await;
    let events = scene
        .get("/api/v1/events?type=message.received")
        .expect(200)
        .await;
    assert_eq!(events.data().as_array().map(Vec::len), Some(2));
    assert_eq!(events.data()[0]["data"]["content"]["text"], "hi");
    assert_eq!(events.data()[0]["data"]["type"], "text");
}

#[tokio::test]
async fn what_people_wrote_is_not_refused_for_its_characters() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let mut message = inbound(&id, "A1");
    message["text"] = json!("a\u{0}b\u{7}c");
    to(&scene, "messages", &message).expect(200).await;
    let all = scene.get("/api/v1/messages").expect(200).await;
    assert_eq!(all.data()[0]["content"]["text"], "ab\u{7}c");
}

#[tokio::test]
async fn half_an_emoji_and_broken_bytes_are_no_reason_to_lose_a_message() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let whole = inbound(&id, "A1").to_string();
    let broken = whole.replace("\"hi\"", r#""hi \ud83d""#);
    let report = scene.as_worker(scene.app.post("/api/v1/webhooks/messages"));
    report.raw("application/json", broken).expect(200).await;
    let all = scene.get("/api/v1/messages").expect(200).await;
    assert_eq!(all.data()[0]["content"]["text"], "hi \u{fffd}");
}

#[tokio::test]
async fn messages_of_chats_of_another_kind_are_taken_and_found() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let chats = [
        "status@broadcast",
        "867051314767696@bot",
        "0@s.whatsapp.net",
        "x@call",
    ];
    for chat in chats {
        let mut message = inbound(&id, "A1");
        message["chat"] = json!(chat);
        to(&scene, "messages", &message).expect(200).await;
        let found = scene.get(&format!("/api/v1/messages?chat={chat}"));
        assert_eq!(found.expect(200).await.data()[0]["chatId"], chat);
    }
    let mut long = inbound(&id, "A2");
    long["text"] = json!("x".repeat(1_200_000));
    to(&scene, "messages", &long).expect(200).await;
    let to_all = json!({"to": "status@broadcast", "type": "text", "text": "x"});
    let answer = scene.send(&id, &to_all).expect(501).await;
    assert_eq!(answer.is("not_supported").body["capability"], "broadcast");
}

#[tokio::test]
async fn facts_of_a_former_owner_still_count_and_inventions_do_not() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    scene.act(&id, "restart").expect(202).await;
    scene.settle().await;
    to(&scene, "messages", &inbound(&id, "A1"))
        .expect(200)
        .await;

    let mut never = inbound(&id, "A2");
    never["epoch"] = json!(7);
    to(&scene, "messages", &never)
        .expect(409)
        .await
        .is("stale_epoch");
    let batch = json!([never, inbound(&id, "A3")]);
    let answer = to(&scene, "messages", &batch).expect(200).await;
    assert_eq!(answer.data()["accepted"], 1);
    assert_eq!(answer.data()["rejected"][0]["index"], 0);

    let other = scene
        .register(&registration("worker-2", "incarnation-2"))
        .expect(200)
        .await;
    let stranger = scene.app.post("/api/v1/webhooks/messages");
    let stranger = stranger.bearer(&text(&other.data()["workerToken"]));
    stranger
        .json(&inbound(&id, "A4"))
        .expect(409)
        .await
        .is("stale_epoch");
}

#[tokio::test]
async fn a_status_of_no_message_of_ours_is_dropped() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    for more in [
        json!({"waMessageId": "FROMPHONE", "status": "sent"}),
        json!({"messageId": "msg_01j0000000e008000000000001", "waMessageId": "X", "status": "sent"}),
        json!({"messageId": "nonsense", "status": "sent"}),
        json!({"messageId": "msg_01j0000000e008000000000001", "status": "of_the_future"}),
    ] {
        let answer = to(&scene, "message-status", &fact(&id, more))
            .expect(200)
            .await;
        assert_eq!(answer.data()["dropped"], 1, "{}", answer.text);
    }
    assert_eq!(
        scene.get("/api/v1/messages").expect(200).await.data(),
        &json!([])
    );
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    for (body, field) in [
        (json!({}), "sessionId"),
        (fact(&id, json!({"epoch": 1_u64 << 63})), "epoch"),
        (json!([{}]), "[0].sessionId"),
        (json!("x"), "body"),
        (
            fact(&id, json!({"chat": "nobody", "waMessageId": "A"})),
            "chat",
        ),
        (
            fact(&id, json!({"chat": "4912345678", "waMessageId": ""})),
            "waMessageId",
        ),
        (
            fact(
                &id,
                json!({"chat": "4912345678", "waMessageId": "A", "sender": "?"}),
            ),
            "sender",
        ),
        (
            fact(
                &id,
                json!({"chat": "4912345678", "waMessageId": "A", "workerId": "x"}),
            ),
            "workerId",
        ),
        (
            fact(
                &id,
                json!({"chat": "4912345678", "waMessageId": "A", "incarnation": "x"}),
            ),
            "incarnation",
        ),
    ] {
        let answer = to(&scene, "messages", &body).expect(400).await;
        assert_eq!(answer.fields(), [field], "{}", answer.text);
    }
    let many: Vec<Value> = (0..1_001).map(|n| inbound(&id, &format!("A{n}"))).collect();
    to(&scene, "messages", &json!(many)).expect(400).await;
}

/// The most bytes of a call of a worker, state apart.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// The body with blanks behind it, so that it has this many bytes.
fn padded(body: &Value, bytes: usize) -> String {
    let mut text = body.to_string();
    text.push_str(&" ".repeat(bytes - text.len()));
    text
}

#[tokio::test]
async fn calls_of_workers_carry_four_mebibytes_and_not_a_byte_more() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let status = json!({"sessionId": id, "epoch": 1, "status": "CONNECTED"});
    let receipt = fact(&id, json!({"messageId": "msg_x", "status": "sent"}));
    let workers = format!("/api/v1/workers/{WORKER}");
    for (path, body) in [
        ("/api/v1/webhooks/messages".to_owned(), inbound(&id, "A1")),
        ("/api/v1/webhooks/message-status".to_owned(), receipt),
        ("/api/v1/webhooks/session-status".to_owned(), status),
        (
            format!("{workers}/sessions/recovery-status"),
            json!({"results": []}),
        ),
        (format!("{workers}/heartbeat"), json!({})),
    ] {
        let call = |bytes: usize| {
            let request = match path.ends_with("heartbeat") {
                true => scene.app.put(&path),
                false => scene.app.post(&path),
            };
            let request = scene.as_worker(request);
            request.raw("application/json", padded(&body, bytes))
        };
        call(MOST_BYTES).expect(200).await;
        let refused = call(MOST_BYTES + 1).expect(413).await;
        assert_eq!(refused.kind(), "payload_too_large", "{path}");
    }
}

#[tokio::test]
async fn a_workers_words_about_a_failure_are_cut() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let sent = scene.sent(&id, "x").await;
    let message = text(&sent.data()["id"]);
    let long = "x".repeat(100_000);
    let error = json!({"code": long, "message": long});
    let failed = json!({"messageId": message, "status": "failed", "error": error});
    to(&scene, "message-status", &fact(&id, failed))
        .expect(200)
        .await;
    let read = scene.get(&format!("/api/v1/messages/{message}"));
    let read = read.expect(200).await;
    for part in ["code", "message"] {
        assert_eq!(text(&read.data()["error"][part]).len(), 512, "{part}");
    }
}

#[tokio::test]
async fn the_other_form_of_a_chat_is_kept_if_it_can_be_one() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let mut message = inbound(&id, "B1");
    message["chatAlt"] = json!("1".repeat(100_000));
    message["senderAlt"] = json!("77@lid");
    to(&scene, "messages", &message).expect(200).await;
    let read = scene.get(&format!("/api/v1/sessions/{id}/messages"));
    let read = read.expect(200).await;
    assert!(
        read.text.contains("77@lid") && read.text.len() < 10_000,
        "{}",
        read.text.len()
    );
}
