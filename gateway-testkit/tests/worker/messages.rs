//! Sends, receipts, what comes in, and what goes wrong with them.

use std::time::Duration;

use gateway_core::id::MessageId;
use gateway_core::protocol::StartSessionMode;
use gateway_core::worker::LinkError;
use gateway_testkit::worker::{CrashPoint, Script};
use serde_json::json;

use crate::stage::{SESSION, Stage, message, worker};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn outcomes(stage: &Stage) -> Vec<String> {
    let told = stage.gateway.told();
    told.receipts.iter().map(|r| r.status.clone()).collect()
}

#[test]
fn a_repeated_send_gets_the_first_result_and_goes_out_once() {
    let stage = Stage::with(&["a"], &Script::default());
    let target = stage.connect("a");
    let first = stage.send(&target, 1, 1);
    assert_eq!(stage.send(&target, 1, 1), first);
    let mut other = message(&target, 1, 1);
    other.body_hash = "another".to_owned();
    assert_eq!(
        stage.send_body(&target, &other),
        Err(LinkError::BodyMismatch)
    );
    let shown = stage.fleet.network().shown(SESSION);
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].arrivals, 1);
}

#[test]
fn a_repeat_after_a_crash_goes_out_again_and_is_shown_once() {
    let script = Script::default().crash_at_send(1, CrashPoint::BeforeAnswering);
    let stage = Stage::with(&["a"], &script);
    let target = stage.connect("a");
    assert_eq!(stage.send(&target, 1, 1), Err(LinkError::Unknown));
    assert_eq!(stage.send(&target, 1, 1), Err(LinkError::NotSent));
    stage
        .fleet
        .change_script(&worker("a"), |s| s.faults.crash = None);
    stage.fleet.restart(&worker("a"));
    stage.settle();
    let target = stage.target("a");
    stage
        .start(&target, 2, StartSessionMode::Restore)
        .expect("taken");
    stage.pass(seconds(1));
    assert!(stage.send(&target, 2, 1).is_ok());
    let shown = stage.fleet.network().shown(SESSION);
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].arrivals, 2);
    assert_eq!(
        stage.fleet.network().times_shown(MessageId::from_u128(1)),
        1
    );
    assert_eq!(
        outcomes(&stage),
        ["sent", "delivered"],
        "of the first attempt"
    );
}

#[test]
fn a_crash_before_sending_sends_nothing() {
    let script = Script::default().crash_at_send(2, CrashPoint::BeforeSending);
    let stage = Stage::with(&["a"], &script);
    let target = stage.connect("a");
    assert!(stage.send(&target, 1, 1).is_ok());
    assert_eq!(stage.send(&target, 1, 2), Err(LinkError::Unknown));
    assert_eq!(stage.fleet.network().shown_in_all(), 1);
}

#[test]
fn receipts_come_in_their_time() {
    let script = Script::default().receipts(Some(100), Some(500), Some(2_000));
    let stage = Stage::with(&["a"], &script);
    let target = stage.connect("a");
    stage.send(&target, 1, 1).expect("accepted");
    assert_eq!(outcomes(&stage), Vec::<String>::new());
    stage.pass(seconds(1));
    assert_eq!(outcomes(&stage), ["sent", "delivered"]);
    stage.pass(seconds(2));
    assert_eq!(outcomes(&stage), ["sent", "delivered", "read"]);
}

#[test]
fn no_acknowledgement_in_30_seconds_is_unknown() {
    let stage = Stage::with(&["a"], &Script::default().receipts(None, None, None));
    let target = stage.connect("a");
    stage.send(&target, 1, 1).expect("accepted");
    stage.pass(seconds(29));
    assert_eq!(outcomes(&stage), Vec::<String>::new());
    stage.pass(seconds(2));
    assert_eq!(outcomes(&stage), ["unknown"]);
}

#[test]
fn chosen_recipients_are_refused_or_rejected() {
    let to = "491701234567@s.whatsapp.net";
    let stage = Stage::with(
        &["a"],
        &Script::default().refuse(to, 404, "unknown_recipient"),
    );
    let target = stage.connect("a");
    let refused = stage.send(&target, 1, 1);
    assert!(
        matches!(&refused, Err(LinkError::Refused { status: 404, code, .. }) if code == "unknown_recipient"),
        "{refused:?}"
    );
    stage.fleet.change_script(&worker("a"), |script| {
        *script = Script::default().reject("*", "recipient_requires_token");
    });
    assert!(stage.send(&target, 1, 2).is_ok());
    stage.pass(seconds(1));
    assert_eq!(outcomes(&stage), ["failed"]);
    assert_eq!(stage.fleet.network().shown_in_all(), 0);
}

#[test]
fn rubbish_and_silence_hide_a_send_that_happened() {
    let mut script = Script::default();
    script.faults.rubbish_every = Some(2);
    script.faults.silent_every = Some(3);
    let stage = Stage::with(&["a"], &script);
    let target = stage.connect("a");
    assert!(stage.send(&target, 1, 1).is_ok());
    assert_eq!(stage.send(&target, 1, 2), Err(LinkError::Rubbish));
    assert_eq!(stage.send(&target, 1, 3), Err(LinkError::Unknown));
    assert_eq!(stage.fleet.network().shown_in_all(), 3);
}

#[test]
fn nothing_goes_out_whose_state_is_not_stored() {
    let stage = Stage::with(&["a"], &Script::default());
    let target = stage.connect("a");
    stage.gateway.state.set_available(false);
    let sent = (1..=200).take_while(|n| {
        stage.settle();
        stage.send(&target, 1, *n).is_ok()
    });
    assert_eq!(sent.count(), 64, "the block that was stored");
    assert!(matches!(
        stage.send(&target, 1, 500),
        Err(LinkError::Busy { .. })
    ));
    stage.gateway.state.set_available(true);
    stage.pass(seconds(6));
    assert!(stage.send(&target, 1, 500).is_ok());
}

#[test]
fn what_comes_in_is_reported_until_the_gateway_has_it() {
    let stage = Stage::with(&["a", "b"], &Script::default().echo(100));
    let target = stage.connect("a");
    stage.send(&target, 1, 1).expect("accepted");
    stage.pass(seconds(1));
    assert_eq!(stage.gateway.told().inbound.len(), 1);

    stage.fleet.crash(&worker("a"));
    stage
        .fleet
        .network()
        .write(SESSION, "4930@s.whatsapp.net", "are you there?");
    let target = stage.target("b");
    stage
        .start(&target, 2, StartSessionMode::Restore)
        .expect("taken");
    stage.pass(seconds(1));
    let told = stage.gateway.told();
    let last = told.inbound.last().expect("a message");
    assert!(last.offline);
    assert_eq!(last.chat_alt.as_deref(), Some("94930@lid"));
    assert_eq!(told.inbound.len(), 2, "the echo is not reported again");
}

#[test]
fn somebody_writes_by_themselves() {
    let mut script = Script::default();
    script.inbound.every_ms = Some(1_000);
    let stage = Stage::with(&["a"], &script);
    stage.connect("a");
    stage.pass(seconds(5));
    assert!((4..=6).contains(&stage.gateway.told().inbound.len()));
}

#[test]
fn a_message_that_whatsapp_does_not_know_cannot_be_quoted_or_reacted_to() {
    let stage = Stage::with(&["a"], &Script::default());
    let target = stage.connect("a");
    let to = message(&target, 1, 1).to;
    stage.send(&target, 1, 1).expect("sent");
    let sent = message(&target, 1, 1).wa_message_id;
    let chat = "4930@s.whatsapp.net";
    stage.fleet.network().write(SESSION, chat, "When?");
    stage.pass(seconds(1));
    let came = stage
        .gateway
        .told()
        .inbound
        .last()
        .expect("a message")
        .wa_message_id
        .clone();
    let about = |number: u128, kind: &str, to: &str, field: &str, value: serde_json::Value| {
        let mut body = message(&target, 1, number);
        kind.clone_into(&mut body.kind);
        to.clone_into(&mut body.to);
        body.content.insert(field.to_owned(), value);
        stage.send_body(&target, &body).map(|_| ())
    };
    let known = |wa: &str, chat: &str| json!({"waMessageId": wa, "chat": chat, "fromMe": true});
    assert_eq!(
        about(2, "text", &to, "quoted", known(sent.as_str(), &to)),
        Ok(())
    );
    assert_eq!(
        about(3, "reaction", chat, "target", known(&came, chat)),
        Ok(())
    );
    for (number, kind, field, value) in [
        (4, "text", "quoted", known("3EB0NONE", &to)),
        (5, "text", "quoted", known(&came, &to)),
        (6, "text", "quoted", json!({"messageId": "msg_1"})),
        (7, "text", "quotedMessageId", json!("msg_1")),
        (8, "reaction", "target", json!({"messageId": "msg_1"})),
        (9, "reaction", "emoji", json!("👍")),
    ] {
        let refused = about(number, kind, &to, field, value);
        let Err(LinkError::Refused { status, code, .. }) = refused else {
            panic!("{number}: {refused:?}")
        };
        assert_eq!(
            (status, code.as_str()),
            (422, "unknown_message"),
            "{number}"
        );
    }
    assert_eq!(stage.fleet.network().shown_in_all(), 3);
}
