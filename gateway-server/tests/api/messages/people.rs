//! Messages as people know them: one person is one chat, what the owner typed is theirs, and times are those of writing.

use serde_json::{Value, json};

use crate::app::{TestAnswer, text};
use crate::scene::{CHAT, INCARNATION, Scene};

const LID: &str = "123456789012345@lid";

async fn came(scene: &Scene, id: &str, wa: &str, more: Value) -> TestAnswer {
    let mut body = json!({
        "sessionId": id, "epoch": 1, "incarnation": INCARNATION, "waMessageId": wa, "type": "text",
        "text": wa, "chat": CHAT,
    });
    if let Value::Object(fields) = more {
        for (name, value) in fields {
            body[name] = value;
        }
    }
    let report = scene.as_worker(scene.app.post("/api/v1/webhooks/messages"));
    report.json(&body).expect(200).await
}

async fn listed(scene: &Scene, query: &str) -> Vec<Value> {
    let answer = scene.get(&format!("/api/v1/sessions/sales/messages?{query}"));
    let answer = answer.expect(200).await;
    answer.data().as_array().expect("a list").clone()
}

fn texts(messages: &[Value]) -> Vec<String> {
    let texts = messages
        .iter()
        .map(|message| text(&message["content"]["text"]));
    texts.collect()
}

#[tokio::test]
async fn a_reply_under_a_lid_stands_in_the_chat_of_the_number_and_is_found_by_either() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    scene.sent(&id, "hello").await;
    came(&scene, &id, "A1", json!({"chat": LID, "chatAlt": CHAT})).await;
    came(&scene, &id, "A1", json!({"chat": CHAT, "chatAlt": LID})).await;
    for chat in ["491701234567", CHAT, LID] {
        let all = listed(&scene, &format!("chat={chat}")).await;
        assert_eq!(all.len(), 2, "{chat}");
        for message in &all {
            assert_eq!(message["chatId"], CHAT);
            assert_eq!(
                (&message["phone"], &message["lid"]),
                (&json!("491701234567"), &json!(LID))
            );
        }
    }
    scene.publish().await;
    let events = scene
        .get("/api/v1/events?type=message.received")
        .expect(200)
        .await;
    let events = events.data().as_array().expect("a list").clone();
    assert_eq!(events.len(), 1, "one message");
    let told = &events[0]["data"];
    assert_eq!(
        (&told["phone"], &told["lid"]),
        (&json!("491701234567"), &json!(LID))
    );
}

#[tokio::test]
async fn a_backlog_stands_where_it_was_written() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let now = scene.app.app.clock.now();
    let ago = |minutes: u64| {
        now.minus(std::time::Duration::from_secs(minutes * 60))
            .to_string()
    };
    scene.sent(&id, "now").await;
    // The backlog comes newest first, as it does after a reconnect.
    for (wa, minutes) in [("3", 60), ("2", 120), ("1", 180)] {
        came(
            &scene,
            &id,
            wa,
            json!({"offline": true, "occurredAt": ago(minutes)}),
        )
        .await;
    }
    let all = listed(&scene, "").await;
    assert_eq!(texts(&all), ["now", "3", "2", "1"]);
    assert_eq!(all[1]["occurredAt"], json!(ago(60)));
    let some = listed(&scene, &format!("since={}&until={}", ago(150), ago(90))).await;
    assert_eq!(texts(&some), ["2"]);
    let first = scene
        .get("/api/v1/sessions/sales/messages?limit=2")
        .expect(200)
        .await;
    let cursor = text(&first.body["pagination"]["nextCursor"]);
    let rest = listed(&scene, &format!("limit=2&cursor={cursor}")).await;
    assert_eq!(texts(&rest), ["2", "1"]);
    scene.publish().await;
    let events = scene
        .get("/api/v1/events?type=message.received")
        .expect(200)
        .await;
    assert_eq!(events.data()[0]["data"]["occurredAt"], json!(ago(60)));
}

#[tokio::test]
async fn a_time_that_cannot_be_is_not_believed() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    for (wa, at) in [
        ("1", json!("2099-01-01T00:00:00Z")),
        ("2", json!("1970-01-01T00:00:00Z")),
        ("3", json!("yesterday")),
        ("4", json!({"seconds": 1})),
        ("5", Value::Null),
        ("6", json!(0)),
    ] {
        came(&scene, &id, wa, json!({"occurredAt": at})).await;
    }
    let all = listed(&scene, "").await;
    assert_eq!(all.len(), 6);
    for message in all {
        assert_eq!(
            message["occurredAt"], message["timestamps"]["createdAt"],
            "{message}"
        );
    }
    let seconds = scene.app.app.clock.now().as_millis() / 1_000 - 60;
    for (wa, at) in [("7", json!(seconds)), ("8", json!(seconds * 1_000))] {
        came(&scene, &id, wa, json!({"occurredAt": at})).await;
        let found = listed(&scene, "").await;
        let found = found
            .iter()
            .find(|message| message["waMessageId"] == wa)
            .expect("listed");
        assert_ne!(
            found["occurredAt"], found["timestamps"]["createdAt"],
            "{wa}"
        );
    }
}

#[tokio::test]
async fn what_the_owner_types_on_the_phone_is_outbound() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let own = "491700000001@s.whatsapp.net";
    came(&scene, &id, "A1", json!({"fromMe": true, "sender": own})).await;
    let receipt = json!({
        "sessionId": id, "epoch": 1, "waMessageId": "A1", "chat": CHAT, "sender": own,
        "fromMe": true, "status": "read",
    });
    let report = scene.as_worker(scene.app.post("/api/v1/webhooks/message-status"));
    report.json(&receipt).expect(200).await;
    assert!(listed(&scene, "direction=inbound").await.is_empty());
    let all = listed(&scene, "direction=outbound").await;
    assert_eq!(all.len(), 1);
    let message = &all[0];
    assert_eq!(
        (&message["source"], &message["status"]),
        (&json!("phone"), &json!("read"))
    );
    assert_eq!(
        (&message["to"], &message["from"]),
        (&json!(CHAT), &json!(own))
    );
    scene.publish().await;
    let names = scene.get("/api/v1/events").expect(200).await;
    let names = names.data().as_array().expect("a list").clone();
    let told = |name: &str| names.iter().filter(|event| event["type"] == name).count();
    assert_eq!((told("message.sent"), told("message.received")), (1, 0));
}

#[tokio::test]
async fn a_message_that_came_in_can_be_answered_by_its_id() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let group = "120363001234567890@g.us";
    let sender = "491709999999@s.whatsapp.net";
    came(
        &scene,
        &id,
        "DD1",
        json!({"chat": group, "sender": sender, "text": "When?"}),
    )
    .await;
    let message = text(&listed(&scene, "direction=inbound").await[0]["id"]);
    let answer = json!({"to": group, "type": "text", "text": "Now", "quotedMessageId": message});
    scene.send(&id, &answer).expect(200).await;
    let reaction = json!({"to": group, "type": "reaction", "messageId": message, "emoji": "👍"});
    scene.send(&id, &reaction).expect(200).await;
    let sends = scene.app.link.sends();
    for (sent, field) in sends.iter().zip(["quoted", "target"]) {
        let expected = json!({
            "messageId": message, "waMessageId": "DD1", "chat": group, "sender": sender,
            "fromMe": false, "type": "text", "text": "When?",
        });
        assert_eq!(sent.content[field], expected);
    }
}
