//! What workers report about messages: what is taken, dropped and refused.

use std::sync::Arc;

use gateway_core::id::{Epoch, MessageId, SessionId};
use gateway_core::message::{
    Intake, IntakeError, Message, MessageError, MessageIds, MessageStatus, Taken,
};
use gateway_core::session::{Command, Owner};
use gateway_core::time::Clock;
use gateway_testkit::entropy::SeededEntropy;
use gateway_testkit::memory::LogMode;
use serde_json::{Value, json};

use super::block_on;
use super::world::{TENANT, World};

struct Stage {
    world: World,
    intake: Intake,
    session: SessionId,
    owner: Owner,
}

/// A connected session, and the intake of its gateway.
fn stage(seed: u64) -> Stage {
    let world = World::new(seed).with_workers(1..=1, 10);
    let session = world.connected("sales");
    let owner = world.owner(session).expect("held");
    let intake = Intake {
        store: Arc::new(world.shared.store.clone()),
        log: Arc::clone(&world.shared.log),
        ids: MessageIds::new(b"never rotated"),
    };
    Stage {
        world,
        intake,
        session,
        owner,
    }
}

fn with(mut fields: Value, more: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut fields, more) {
        fields.extend(more);
    }
    fields
}

impl Stage {
    /// A message that has gone out.
    fn sent(&self) -> MessageId {
        let request = self.world.text(self.session, None);
        let sent = block_on(self.world.gateway().send(&request));
        sent.expect("sent").message.id
    }

    fn find(&self, id: MessageId) -> Option<Message> {
        block_on(self.world.shared.log.find(TENANT, id)).expect("the log answers")
    }

    fn status(&self, fields: Value) -> Result<Taken, IntakeError> {
        let base = json!({"sessionId": self.session, "epoch": 1});
        let report = serde_json::from_value(with(base, fields)).expect("a report");
        block_on(self.intake.status(&self.owner, &report))
    }

    fn inbound(&self, fields: Value) -> Result<Taken, IntakeError> {
        let base = json!({
            "sessionId": self.session, "epoch": 1, "waMessageId": "3EB0",
            "chat": "491709999999@s.whatsapp.net", "type": "text",
        });
        let report = serde_json::from_value(with(base, fields)).expect("a report");
        block_on(self.intake.inbound(&self.owner, report))
    }

    /// The message that came in under these names.
    fn received(&self, chat: &str, sender: &str) -> Option<Message> {
        let wa = gateway_core::message::WaMessageId::parse("3EB0").expect("an id");
        self.find(self.intake.ids.inbound(self.session, chat, sender, &wa))
    }
}

const CHAT: &str = "491709999999@s.whatsapp.net";

#[test]
fn a_failure_keeps_the_workers_words_in_either_form() {
    let stage = stage(1);
    let rows = [
        (json!("no_account"), "no_account", None),
        (
            json!({"code": "no_account", "message": "not on\0 WhatsApp"}),
            "no_account",
            Some("not on WhatsApp"),
        ),
    ];
    for (error, code, message) in rows {
        let id = stage.sent();
        let report = json!({"messageId": id, "status": "failed", "error": error});
        assert_eq!(stage.status(report).expect("taken"), Taken::Recorded);
        let row = stage.find(id).expect("recorded");
        assert_eq!(row.status, MessageStatus::Failed);
        let expected = MessageError {
            code: code.to_owned(),
            message: message.map(str::to_owned),
        };
        assert_eq!(row.error, Some(expected), "{error}");
    }
    for wordless in [json!(null), json!(7), json!([]), json!({"message": "?"})] {
        let id = stage.sent();
        let report = json!({"messageId": id, "status": "failed", "error": wordless});
        assert_eq!(stage.status(report).expect("taken"), Taken::Recorded);
        let row = stage.find(id).expect("recorded");
        assert_eq!((row.status, row.error), (MessageStatus::Failed, None));
    }
}

#[test]
fn what_is_about_no_message_of_ours_is_dropped_without_an_error() {
    let stage = stage(2);
    let id = stage.sent();
    let before = stage.find(id);
    for report in [
        json!({"messageId": id, "status": "levitated"}),
        json!({"messageId": "not-ours", "status": "read"}),
        json!({"waMessageId": "3EB0AAAA", "status": "read"}),
        json!({"messageId": id, "waMessageId": "3EB0AAAA", "status": "read"}),
    ] {
        let taken = stage.status(report.clone()).expect("answered");
        assert_eq!(taken, Taken::Dropped, "{report}");
    }
    assert_eq!(stage.find(id), before);
}

/// A stub is made of what only a worker can know that was asked to send it.
#[test]
fn an_id_that_a_worker_makes_up_leaves_no_message() {
    let stage = stage(9);
    let made_up = MessageId::from_u128(stage.sent().as_u128() + 1);
    let wa = stage.intake.ids.wa(made_up);
    for report in [
        json!({"messageId": made_up, "status": "delivered"}),
        json!({"messageId": made_up, "waMessageId": "3EB0AAAA", "status": "delivered"}),
        json!({"messageId": made_up, "status": "read", "fromMe": true, "chat": CHAT}),
    ] {
        let taken = stage.status(report.clone()).expect("answered");
        assert_eq!(taken, Taken::Dropped, "{report}");
        assert_eq!(stage.find(made_up), None, "{report}");
    }
    let known = json!({"messageId": made_up, "waMessageId": wa, "status": "delivered"});
    assert_eq!(stage.status(known).expect("taken"), Taken::Recorded);
    assert!(stage.find(made_up).is_some_and(|row| row.is_stub()));
}

#[test]
fn a_late_report_on_a_message_that_retention_has_deleted_leaves_none() {
    let stage = stage(10);
    let now = stage.world.clock.now();
    let made = now.minus(std::time::Duration::from_secs(25 * 3_600));
    let old = MessageIds::random(made, &SeededEntropy::new(1));
    let wa = stage.intake.ids.wa(old);
    let read = json!({"messageId": old, "waMessageId": wa, "status": "read", "occurredAt": now});
    assert_eq!(stage.status(read).expect("answered"), Taken::Dropped);
    assert_eq!(stage.find(old), None);
}

#[test]
fn a_report_on_a_message_that_came_in_changes_nothing() {
    let stage = stage(11);
    assert_eq!(stage.inbound(json!({})).expect("taken"), Taken::Recorded);
    let row = stage.received(CHAT, CHAT).expect("recorded");
    for status in ["failed", "read"] {
        let report = json!({"messageId": row.id, "status": status});
        stage.status(report).expect("answered");
        assert_eq!(stage.received(CHAT, CHAT).as_ref(), Some(&row), "{status}");
    }
}

#[test]
fn a_fact_counts_for_whoever_held_the_session_then_and_for_nobody_else() {
    let stage = stage(3);
    let id = stage.sent();
    let read = json!({"messageId": id, "status": "read"});
    stage.world.ask(stage.session, Command::Disconnect);
    stage.world.settle();
    assert_eq!(stage.world.owner(stage.session), None);
    let never = stage.status(with(read.clone(), json!({"epoch": 2})));
    assert!(
        matches!(never, Err(IntakeError::NotHeld { named: Epoch(2) })),
        "{never:?}"
    );
    let another = stage.status(with(read.clone(), json!({"incarnation": "another-run"})));
    assert!(
        matches!(another, Err(IntakeError::NotHeld { .. })),
        "{another:?}"
    );
    let unreadable = stage.status(with(read.clone(), json!({"incarnation": "?"})));
    let Err(IntakeError::Invalid { field, .. }) = unreadable else {
        panic!("{unreadable:?}")
    };
    assert_eq!(field, "incarnation");
    assert_ne!(stage.find(id).expect("sent").status, MessageStatus::Read);

    assert_eq!(stage.status(read).expect("taken"), Taken::Recorded);
    let row = stage.find(id).expect("sent");
    assert_eq!(row.status, MessageStatus::Read, "though it is held no more");
}

#[test]
fn a_group_message_keeps_its_sender_both_names_and_all_its_content() {
    let stage = stage(4);
    let (chat, sender) = ("120363000000000001@g.us", "491708888888:3@s.whatsapp.net");
    let fields = json!({
        "chat": chat, "sender": sender, "senderAlt": "77@lid", "chatAlt": "78@lid",
        "type": "te\0xt", "text": "a\0b", "nested\0": [{"c\0": "d\0"}, null, 1, true],
    });
    assert_eq!(
        stage.inbound(fields.clone()).expect("taken"),
        Taken::Recorded
    );
    let row = stage
        .received(chat, "491708888888@s.whatsapp.net")
        .expect("recorded");
    assert_eq!(row.sender.as_deref(), Some("491708888888@s.whatsapp.net"));
    assert_eq!(row.kind.as_deref(), Some("text"));
    assert!(!row.is_stub());
    let content = json!({
        "text": "ab", "nested": [{"c": "d"}, null, 1, true],
        "senderAlt": "77@lid", "chatAlt": "78@lid",
    });
    assert_eq!(row.content, Some(content), "only U+0000 is taken out");
    assert_eq!(stage.inbound(fields).expect("again"), Taken::Recorded);
    assert_eq!(
        stage.received(chat, "491708888888@s.whatsapp.net"),
        Some(row),
        "a repetition changes nothing"
    );
}

#[test]
fn without_a_sender_the_chat_wrote_it() {
    let stage = stage(5);
    let fields = json!({"type": null, "offline": true});
    assert_eq!(stage.inbound(fields).expect("taken"), Taken::Recorded);
    let row = stage.received(CHAT, CHAT).expect("recorded");
    assert_eq!(row.sender.as_deref(), Some(CHAT));
    assert_eq!(row.kind.as_deref(), Some("unknown"));
}

#[test]
fn a_field_that_cannot_be_read_is_named() {
    let stage = stage(6);
    let rows = [
        ("chat", json!({"chat": "somebody"})),
        ("sender", json!({"sender": "somebody"})),
        ("waMessageId", json!({"waMessageId": ""})),
    ];
    for (field, fields) in rows {
        let refused = stage.inbound(fields);
        let Err(IntakeError::Invalid { field: named, .. }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(named, field);
    }
    let never = stage.inbound(json!({"epoch": 5}));
    assert!(
        matches!(never, Err(IntakeError::NotHeld { .. })),
        "{never:?}"
    );
}

#[test]
fn a_message_of_any_chat_and_any_length_is_taken() {
    let stage = stage(8);
    for chat in [
        "status@broadcast",
        "1234567890@broadcast",
        "491701234567@hosted",
        "123456789012345@hosted.lid",
        "867051314767696@bot",
        "0@s.whatsapp.net",
        "1234@s.whatsapp.net",
        "123@interop",
        "x@call",
        "somebody@example.com",
    ] {
        let fields = json!({"chat": chat});
        assert_eq!(stage.inbound(fields).expect(chat), Taken::Recorded);
        let row = stage.received(chat, chat).expect(chat);
        assert_eq!(row.chat_id.as_deref(), Some(chat));
    }
    let (group, bot) = ("120363001234567890@g.us", "867051314767696@bot");
    let fields = json!({"chat": group, "sender": bot});
    assert_eq!(stage.inbound(fields).expect("taken"), Taken::Recorded);
    assert!(stage.received(group, bot).is_some());

    let long = format!("{}ü", "x".repeat(1024 * 1024 - 1));
    let fields = json!({"text": long, "waMessageId": "3EB0"});
    assert_eq!(stage.inbound(fields).expect("taken"), Taken::Recorded);
    let content = stage.received(CHAT, CHAT).expect("recorded").content;
    let content = content.expect("content");
    assert_eq!(content["truncated"], true);
    assert_eq!(
        content["text"].as_str().map(str::len),
        Some(1024 * 1024 - 1)
    );
}

#[test]
fn what_the_log_does_not_take_is_sent_again_later() {
    let stage = stage(7);
    let report = json!({"messageId": stage.sent(), "status": "read"});
    stage.world.memory_log.set_mode(LogMode::Failing);
    for outcome in [stage.status(report.clone()), stage.inbound(json!({}))] {
        assert!(
            matches!(outcome, Err(IntakeError::Log(_) | IntakeError::LogFull(_))),
            "{outcome:?}"
        );
    }
    stage.world.memory_log.set_mode(LogMode::Open);
    assert_eq!(stage.status(report).expect("taken"), Taken::Recorded);
    assert_eq!(stage.inbound(json!({})).expect("taken"), Taken::Recorded);
}
