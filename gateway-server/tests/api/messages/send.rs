//! `POST /sessions/{id}/messages`: what can be sent, and what cannot.

use gateway_core::protocol::SendMessage;
use gateway_core::store::PlatformStore;
use serde_json::{Value, json};

use crate::app::text;
use crate::scene::{CHAT, Scene, WORKER, a_text};

#[tokio::test]
async fn a_message_goes_out_once_and_stands_in_the_history() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let answer = scene.sent(&id, "hello").await;
    let sends = scene.app.link.sends();
    assert_eq!(sends.len(), 1);
    let mut message = answer.data().clone();
    for time in ["createdAt", "sending"] {
        assert!(text(&message["timestamps"][time]).ends_with('Z'), "{time}");
    }
    assert_eq!(message["occurredAt"], message["timestamps"]["createdAt"]);
    message["timestamps"] = Value::Null;
    message["occurredAt"] = Value::Null;
    let expected = json!({
        "id": sends[0].message_id, "waMessageId": sends[0].wa_message_id, "sessionId": id,
        "direction": "outbound", "source": "api", "type": "text", "to": CHAT, "from": null,
        "chatId": CHAT, "phone": "491701234567", "lid": null, "occurredAt": null,
        "status": "sending", "error": null, "content": {"text": "hello"}, "timestamps": null,
    });
    assert_eq!(message, expected, "exactly the fields of the wire");
    let wa = text(&message["waMessageId"]);
    assert!(wa.starts_with("3EB0") && wa.len() == 22, "{wa}");
    let path = format!("/api/v1/messages/{}", text(&message["id"]));
    assert_eq!(
        scene.get(&path).expect(200).await.data()["status"],
        "sending"
    );
}

#[tokio::test]
async fn every_type_without_media_reaches_the_worker() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    for body in [
        json!({"type": "text", "text": "x".repeat(65_536), "previewUrl": false}),
        json!({"type": "location", "latitude": 52.5, "longitude": 13.4, "name": "Berlin"}),
        json!({"type": "contact", "contacts": [{"name": "A", "phoneNumber": "+4912345"}]}),
        json!({"type": "poll", "question": "?", "options": ["a", "b"], "selectableCount": 2}),
        json!({"type": "reaction", "waMessageId": "3EB0AA", "emoji": "👍"}),
    ] {
        let mut body = body;
        body["to"] = json!("120363000000000000@g.us");
        let kind = text(&body["type"]);
        let answer = scene.send(&id, &body).expect(200).await;
        assert_eq!(text(&answer.data()["type"]), kind);
        let sent = scene.app.link.sends().pop().expect("a send");
        assert_eq!(
            (sent.kind.as_str(), sent.to.as_str()),
            (kind.as_str(), "120363000000000000@g.us")
        );
        let wire = serde_json::to_string(&sent).expect("JSON");
        let read: SendMessage = serde_json::from_str(&wire).expect("no field stands twice");
        assert_eq!(read, sent, "{wire}");
    }
}

#[tokio::test]
async fn a_reaction_names_its_message_beside_the_ids_of_its_own() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let about = text(&scene.sent(&id, "hello").await.data()["id"]);
    let body = json!({"to": CHAT, "type": "reaction", "messageId": about, "emoji": "👍"});
    let answer = scene.send(&id, &body).expect(200).await;
    assert_eq!(answer.data()["content"]["messageId"], json!(about));
    let sent = scene.app.link.sends().pop().expect("a send");
    let target = &sent.content["target"];
    assert_eq!(target["messageId"], json!(about));
    assert_eq!(
        target["waMessageId"],
        json!(scene.app.link.sends()[0].wa_message_id)
    );
    assert_eq!(
        (&target["chat"], &target["fromMe"]),
        (&json!(CHAT), &json!(true))
    );
    assert_eq!(json!(sent.message_id), answer.data()["id"]);
}

#[tokio::test]
async fn what_is_no_message_of_the_chat_cannot_be_quoted_or_reacted_to() {
    let scene = Scene::set().await;
    let (id, other) = (
        scene.connected("sales").await,
        scene.connected("support").await,
    );
    let elsewhere = text(&scene.sent(&other, "hello").await.data()["id"]);
    let mine = text(&scene.sent(&id, "hello").await.data()["id"]);
    let sent = scene.app.link.sends().len();
    let unknown = "msg_01j0000000e008000000000001";
    for (to, message) in [
        (CHAT, elsewhere.as_str()),
        (CHAT, unknown),
        (CHAT, "msg_nope"),
        ("491700000099@s.whatsapp.net", mine.as_str()),
    ] {
        let mut quoting = a_text("x");
        quoting["to"] = json!(to);
        quoting["quotedMessageId"] = json!(message);
        let reacting = json!({"to": to, "type": "reaction", "messageId": message, "emoji": "👍"});
        for (body, field) in [(quoting, "quotedMessageId"), (reacting, "messageId")] {
            let refused = scene.send(&id, &body).expect(400).await;
            assert_eq!(refused.is("validation_error").fields(), [field], "{body}");
        }
    }
    assert_eq!(scene.app.link.sends().len(), sent, "nobody was asked");
    let mut quoting = a_text("x");
    quoting["quotedMessageId"] = json!(mine);
    let answer = scene.send(&id, &quoting).expect(200).await;
    assert_eq!(answer.data()["content"]["quotedMessageId"], json!(mine));
    let told = scene.app.link.sends().pop().expect("a send").content;
    assert_eq!(told["quoted"]["text"], "hello");
}

#[tokio::test]
async fn media_and_scheduling_are_checked_and_then_not_supported() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let media = json!({"url": "https://example.org/a.png"});
    for kind in ["image", "video", "audio", "document", "sticker"] {
        let body = json!({"to": CHAT, "type": kind, "media": media});
        let answer = scene.send(&id, &body).expect(501).await.is("not_supported");
        assert_eq!(answer.body["capability"], kind);
        let body = json!({"to": CHAT, "type": kind, "media": {"url": "ftp://x"}});
        assert_eq!(
            scene.send(&id, &body).expect(400).await.fields(),
            ["media.url"]
        );
    }
    let mut later = a_text("x");
    later["sendAt"] = json!("2033-01-01T00:00:00Z");
    let answer = scene
        .send(&id, &later)
        .expect(501)
        .await
        .is("not_supported");
    assert_eq!(answer.body["capability"], "sendAt");
    assert!(scene.app.link.sends().is_empty());
}

#[tokio::test]
async fn what_the_workers_engine_cannot_do_is_named() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let worker = gateway_core::id::WorkerId::parse(WORKER).expect("an id");
    let mut tx = scene
        .app
        .store
        .begin_platform()
        .await
        .expect("a transaction");
    let mut row = tx
        .lock_worker(&worker)
        .await
        .expect("a look")
        .expect("a worker");
    row.engine.capabilities.message_types = vec!["text".to_owned()];
    row.row_version += 1;
    tx.save_worker(&row).await.expect("saved");
    tx.commit().await.expect("a commit");
    scene.sent(&id, "text can be sent").await;
    let poll = json!({"to": CHAT, "type": "poll", "question": "?", "options": ["a", "b"]});
    let answer = scene.send(&id, &poll).expect(501).await.is("not_supported");
    assert_eq!(answer.body["capability"], "poll");
}

#[tokio::test]
async fn each_wrong_field_is_named_and_nothing_is_sent() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    let poll =
        |options: Value| json!({"to": CHAT, "type": "poll", "question": "?", "options": options});
    for (body, field) in [
        (json!({"type": "text", "text": "x"}), "to"),
        (json!({"to": CHAT, "text": "x"}), "type"),
        (json!({"to": CHAT, "type": "fax", "text": "x"}), "type"),
        (json!({"to": CHAT, "type": "TEXT", "text": "x"}), "type"),
        (json!({"to": CHAT, "type": "text"}), "text"),
        (json!({"to": CHAT, "type": "text", "text": ""}), "text"),
        (json!({"to": CHAT, "type": "text", "text": 7}), "text"),
        (
            json!({"to": CHAT, "type": "text", "text": "x".repeat(65_537)}),
            "text",
        ),
        (
            json!({"to": CHAT, "type": "text", "text": "a\u{0}b"}),
            "text",
        ),
        (
            json!({"to": CHAT, "type": "text", "text": "x", "previewUrl": "yes"}),
            "previewUrl",
        ),
        (json!({"to": "nobody", "type": "text", "text": "x"}), "to"),
        (json!({"to": "12", "type": "text", "text": "x"}), "to"),
        (
            json!({"to": "1@example.org", "type": "text", "text": "x"}),
            "to",
        ),
        (
            json!({"to": "x".repeat(100_000), "type": "text", "text": "x"}),
            "to",
        ),
        (json!({"to": 49, "type": "text", "text": "x"}), "to"),
        (
            json!({"to": CHAT, "type": "text", "text": "x", "mentions": ["?"]}),
            "mentions[0]",
        ),
        (
            json!({"to": CHAT, "type": "text", "text": "x", "quotedMessageId": "ü"}),
            "quotedMessageId",
        ),
        (
            json!({"to": CHAT, "type": "text", "text": "x", "sendAt": "tomorrow"}),
            "sendAt",
        ),
        (
            json!({"to": CHAT, "type": "location", "latitude": 91, "longitude": 0}),
            "latitude",
        ),
        (
            json!({"to": CHAT, "type": "contact", "contacts": []}),
            "contacts",
        ),
        (
            json!({"to": CHAT, "type": "contact", "contacts": [{"name": "x"}]}),
            "contacts[0].phoneNumber",
        ),
        (poll(json!(["a"])), "options"),
        (poll(json!(["a", "a"])), "options[1]"),
        (poll(json!(["a", 1])), "options[1]"),
        (
            json!({"to": CHAT, "type": "reaction", "emoji": "👍"}),
            "messageId",
        ),
    ] {
        let answer = scene
            .send(&id, &body)
            .expect(400)
            .await
            .is("validation_error");
        assert_eq!(answer.fields(), [field], "{}", answer.text);
    }
    for number in ["1e999", "-1e999"] {
        let body =
            format!(r#"{{"to":"{CHAT}","type":"location","latitude":{number},"longitude":0}}"#);
        scene
            .act(&id, "messages")
            .raw("application/json", body)
            .expect(400)
            .await;
    }
    assert!(scene.app.link.sends().is_empty());
    scene.send("nobody", &a_text("x")).expect(404).await;
}

#[tokio::test]
async fn a_session_that_waits_for_a_person_says_for_what() {
    let scene = Scene::set().await;
    let idle = scene.card("idle").await;
    let answer = scene
        .send(&idle, &a_text("x"))
        .expect(409)
        .await
        .is("not_connected");
    assert_eq!(answer.body["reason"], "disconnected");
    let scanning = scene.showing_qr("scanning").await;
    let answer = scene
        .send(&scanning, &a_text("x"))
        .expect(409)
        .await
        .is("not_connected");
    assert_eq!(answer.body["actionRequired"], "scan_qr");
    let starting = scene.starting("starting").await;
    let answer = scene
        .send(&starting, &a_text("x"))
        .expect(503)
        .await
        .is("session_unavailable");
    assert!(!answer.header("retry-after").is_empty());
    let all = scene.get("/api/v1/messages").expect(200).await;
    assert_eq!(all.data(), &json!([]), "none of them left a row");
}

#[tokio::test]
async fn a_defect_after_the_worker_was_asked_names_the_message_that_may_have_gone_out() {
    let scene = Scene::set().await;
    let id = scene.connected("sales").await;
    scene.app.link.panic_in_sends();
    let sent = scene.send(&id, &a_text("x"));
    let answer = sent.expect(504).await.is("outcome_unknown");
    let sends = scene.app.link.sends();
    assert_eq!(answer.body["id"], json!(sends[0].message_id));
    let metrics = scene.app.app.metrics.render();
    for line in [
        "gateway_sends_in_flight 0",
        "gateway_sends_total{outcome=\"unknown\"} 1",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}: {metrics}"
        );
    }
}
