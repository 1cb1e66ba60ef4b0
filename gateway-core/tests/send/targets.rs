//! Quotations and reactions: the message that one is about is named to the worker as WhatsApp names it.

use gateway_core::message::{Inbound, Message, WaMessageId};
use serde_json::json;

use super::*;

const CHAT: &str = "491701234567@s.whatsapp.net";
const LID: &str = "123456789012345@lid";

fn id() -> MessageId {
    MessageId::from_u128(77)
}

fn wa() -> WaMessageId {
    WaMessageId::parse("3A77").expect("an id")
}

/// A message that came in at this chat.
fn came(chat: &str, sender: &str) -> Message {
    let fact = Inbound {
        id: id(),
        tenant: TENANT,
        session: SESSION,
        epoch: Epoch(1),
        wa_message_id: wa(),
        chat_id: chat.to_owned(),
        sender: sender.to_owned(),
        alias: None,
        kind: "text".to_owned(),
        content: json!({"text": "When?"}),
        offline: false,
        from_me: false,
        occurred_at: None,
    };
    fold(None, &Fact::Inbound(fact), now()).recorded.message
}

fn quoting(to: &str, quoted: &str) -> SendRequest {
    let mut request = request(None);
    request.to = to.parse().expect("a chat");
    request
        .context
        .insert("quotedMessageId".to_owned(), json!(quoted));
    request
}

fn reacting(to: &str, message: Option<&str>, wa: Option<&str>) -> SendRequest {
    SendRequest {
        to: to.parse().expect("a chat"),
        content: Content::Reaction {
            message_id: message.map(str::to_owned),
            wa_message_id: wa.map(str::to_owned),
            emoji: "👍".to_owned(),
        },
        ..request(None)
    }
}

/// A session that is open, and a log that has `found` under its id and nothing else.
fn known(found: Option<Message>) -> Stage {
    let mut stage = Stage::open();
    let of_us = |tenant: &TenantId, _: &MessageId| *tenant == TENANT;
    stage
        .log
        .expect_find()
        .withf(of_us)
        .returning(move |_, asked| Ok(found.clone().filter(|row| row.id == asked)));
    stage
}

/// What the worker is told beside the fields of every send.
fn told(found: Message, request: &SendRequest) -> serde_json::Map<String, serde_json::Value> {
    let mut stage = known(Some(found));
    stage.has_place().worker(1, Ok(())).records();
    let seen = stage.worker.seen();
    let (outcome, _) = stage.send(request);
    outcome.expect("sent");
    let seen = seen.lock().expect("unpoisoned");
    seen.last().expect("a command").content.clone()
}

#[test]
fn a_quoted_message_is_named_as_whatsapp_names_it() {
    let fields = told(came(CHAT, CHAT), &quoting(CHAT, &id().to_string()));
    let expected = json!({
        "messageId": id(), "waMessageId": "3A77", "chat": CHAT, "sender": CHAT, "fromMe": false,
        "type": "text", "text": "When?",
    });
    assert_eq!(fields["quoted"], expected);
    assert!(!fields.contains_key("quotedMessageId"), "{fields:?}");
}

#[test]
fn a_reaction_in_a_group_says_who_wrote_the_message() {
    let group = "120363001234567890@g.us";
    let found = Message {
        alias: Some(LID.to_owned()),
        ..came(group, CHAT)
    };
    let fields = told(found, &reacting(group, Some(&id().to_string()), None));
    let target = &fields["target"];
    assert_eq!(
        (&target["chat"], &target["sender"]),
        (&json!(group), &json!(CHAT))
    );
    assert_eq!(target["senderAlt"], LID);
    assert!(target.get("chatAlt").is_none(), "{target}");
    assert_eq!(fields["emoji"], "👍");
}

#[test]
fn a_message_that_was_sent_from_here_is_from_me() {
    let fact = Outgoing {
        id: id(),
        tenant: TENANT,
        session: SESSION,
        epoch: Epoch(1),
        wa_message_id: wa(),
        chat_id: CHAT.to_owned(),
        kind: "text".to_owned(),
        content: json!({"text": "x".repeat(5_000)}),
        body_hash: [0; 32],
        status: gateway_core::message::MessageStatus::Sending,
        error: None,
        refused_status: None,
        alias: None,
    };
    let found = fold(None, &Fact::Outgoing(fact), now()).recorded.message;
    let fields = told(found, &quoting(CHAT, &id().to_string()));
    assert_eq!(fields["quoted"]["fromMe"], true);
    assert!(fields["quoted"].get("sender").is_none());
    let text = fields["quoted"]["text"].as_str().expect("a text");
    assert_eq!(text.len(), 1_024, "a short one");
}

#[test]
fn a_chat_that_is_known_by_both_ids_is_one_chat() {
    let found = Message {
        alias: Some(CHAT.to_owned()),
        ..came(LID, LID)
    };
    let fields = told(found, &quoting(CHAT, &id().to_string()));
    assert_eq!(fields["quoted"]["chat"], LID);
    assert_eq!(fields["quoted"]["chatAlt"], CHAT);
}

#[test]
fn a_message_that_came_in_at_a_chat_of_two_is_found_by_its_id_at_whatsapp() {
    let came = Message {
        id: MessageIds::new(b"key").inbound(SESSION, CHAT, CHAT, &wa()),
        ..came(CHAT, CHAT)
    };
    let fields = told(came.clone(), &quoting(CHAT, "3A77"));
    assert_eq!(fields["quoted"]["messageId"], json!(came.id));
    let fields = told(came, &reacting(CHAT, None, Some("3A77")));
    assert_eq!(fields["target"]["fromMe"], false);
    // WhatsApp may know a message that is not here.
    let mut stage = known(None);
    stage.has_place().worker(1, Ok(())).records();
    let seen = stage.worker.seen();
    let (outcome, _) = stage.send(&reacting(CHAT, None, Some("3EB0FF")));
    outcome.expect("sent");
    let target = seen.lock().expect("unpoisoned")[0].content["target"].clone();
    assert_eq!(target, json!({"waMessageId": "3EB0FF", "chat": CHAT}));
}

#[test]
fn what_is_no_message_of_the_chat_is_refused_and_nobody_is_asked() {
    let elsewhere = Message {
        session: SessionId::from_u128(9),
        ..came(CHAT, CHAT)
    };
    let another = came("491700000009@s.whatsapp.net", "491700000009@s.whatsapp.net");
    for found in [None, Some(elsewhere), Some(another)] {
        for (request, field) in [
            (quoting(CHAT, &id().to_string()), "quotedMessageId"),
            (quoting(CHAT, "msg_nope"), "quotedMessageId"),
            (reacting(CHAT, Some(&id().to_string()), None), "messageId"),
            (reacting(CHAT, Some("msg_nope"), None), "messageId"),
        ] {
            let (outcome, recorded) = known(found.clone()).send(&request);
            let Err(SendError::UnknownTarget { field: named }) = outcome else {
                panic!("{outcome:?}")
            };
            assert_eq!(named, field);
            assert!(recorded.is_empty());
        }
    }
}
