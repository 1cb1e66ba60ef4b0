//! The same key again: the first answer, a mismatch, or the same message once more.

use gateway_core::message::{
    LogError, Message, MessageError, MessageStatus, StatusFact, body_hash,
};

use super::*;

fn hash() -> [u8; 32] {
    body_hash(&serde_json::json!({
        "to": "491701234567@s.whatsapp.net", "type": "text", "text": "hello",
    }))
}

/// The row of a former send of the same body under key `k`.
fn earlier(status: MessageStatus, error: Option<MessageError>) -> Message {
    let fact = Outgoing {
        id: keyed("k"),
        tenant: TENANT,
        session: SESSION,
        epoch: Epoch(1),
        wa_message_id: MessageIds::new(b"key").wa(keyed("k")),
        chat_id: "491701234567@s.whatsapp.net".to_owned(),
        kind: "text".to_owned(),
        content: serde_json::json!({ "text": "hello" }),
        body_hash: hash(),
        status,
        error,
        refused_status: None,
        alias: None,
    };
    fold(None, &Fact::Outgoing(fact), now()).recorded.message
}

fn stub() -> Message {
    let fact = StatusFact {
        id: keyed("k"),
        tenant: TENANT,
        session: SESSION,
        epoch: Epoch(1),
        wa_message_id: MessageIds::new(b"key").wa(keyed("k")),
        status: MessageStatus::Delivered,
        error: None,
        own: None,
        age: None,
        occurred_at: None,
    };
    fold(None, &Fact::Status(fact), now()).recorded.message
}

/// A session that is open, and a log that knows `found`.
fn known(found: Option<Message>) -> Stage {
    let mut stage = Stage::open();
    stage
        .log
        .expect_find()
        .withf(|tenant, id| *tenant == TENANT && *id == keyed("k"))
        .times(1)
        .returning(move |_, _| Ok(found.clone()));
    stage
}

#[test]
fn the_first_use_of_a_key_is_sent_under_the_id_it_derives() {
    let mut stage = known(None);
    stage.has_place().worker(1, Ok(())).records();
    let (outcome, recorded) = stage.send(&request(Some("k")));
    assert_eq!(outcome.expect("sent").message.id, keyed("k"));
    assert_eq!(
        (recorded[0].id, recorded[0].body_hash),
        (keyed("k"), hash())
    );
}

#[test]
fn a_repeat_gets_the_first_answer_and_nobody_is_asked() {
    for status in [
        MessageStatus::Sending,
        MessageStatus::Sent,
        MessageStatus::Read,
    ] {
        let (outcome, recorded) = known(Some(earlier(status, None))).send(&request(Some("k")));
        let outcome = outcome.expect("the first answer");
        assert!(outcome.repeated);
        assert_eq!(outcome.message, earlier(status, None));
        assert!(recorded.is_empty());
    }
}

#[test]
fn the_first_answer_stays_whatever_became_of_the_message_since() {
    let accepted = earlier(MessageStatus::Sending, None);
    for (status, code) in [
        (MessageStatus::Unknown, Some("not_acknowledged")),
        (MessageStatus::Failed, Some("blocked")),
        (MessageStatus::Sent, None),
        (MessageStatus::Read, None),
    ] {
        let error = code.map(|code| MessageError {
            code: code.to_owned(),
            message: None,
        });
        let fact = StatusFact {
            id: accepted.id,
            tenant: TENANT,
            session: SESSION,
            epoch: Epoch(1),
            wa_message_id: MessageIds::new(b"key").wa(accepted.id),
            own: None,
            age: None,
            status,
            error,
            occurred_at: None,
        };
        let row = fold(Some(&accepted), &Fact::Status(fact), now())
            .recorded
            .message;
        assert_eq!(row.status, status);
        let (outcome, recorded) = known(Some(row)).send(&request(Some("k")));
        let outcome = outcome.expect("200, as the first one");
        assert!(outcome.repeated && recorded.is_empty());
        assert_eq!(outcome.message, accepted);
    }
}

#[test]
fn a_refusal_is_repeated_with_its_status() {
    for status in [400, 422, 501] {
        let error = MessageError {
            code: "no".to_owned(),
            message: None,
        };
        let row = Message {
            refused_status: Some(status),
            ..earlier(MessageStatus::Failed, Some(error))
        };
        let (outcome, _) = known(Some(row)).send(&request(Some("k")));
        let Err(SendError::Refused { status: again, .. }) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(again, status);
    }
}

#[test]
fn a_repeat_of_a_refused_message_is_refused() {
    let error = MessageError {
        code: "invalid_recipient".to_owned(),
        message: Some("no such number".to_owned()),
    };
    let row = earlier(MessageStatus::Failed, Some(error));
    let (outcome, _) = known(Some(row)).send(&request(Some("k")));
    let Err(SendError::Refused {
        id, code, message, ..
    }) = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(id, keyed("k"));
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("invalid_recipient", "no such number")
    );
}

#[test]
fn another_body_under_the_key_is_a_mismatch_whatever_became_of_the_first() {
    for status in [
        MessageStatus::Sending,
        MessageStatus::Unknown,
        MessageStatus::Failed,
    ] {
        let mut row = earlier(status, None);
        row.body_hash = Some([9; 32]);
        let (outcome, _) = known(Some(row)).send(&request(Some("k")));
        assert!(matches!(outcome, Err(SendError::IdempotencyMismatch { id }) if id == keyed("k")));
    }
}

#[test]
fn an_outcome_that_is_not_known_is_asked_for_again_under_the_same_ids() {
    for found in [earlier(MessageStatus::Unknown, None), stub()] {
        let mut stage = known(Some(found.clone()));
        stage.has_place().worker(1, Ok(()));
        let recorded = Arc::clone(&stage.recorded);
        stage
            .log
            .expect_record()
            .times(1)
            .returning(move |_, fact| {
                let folded = fold(Some(&found), &fact, now()).recorded;
                if let Fact::Outgoing(fact) = fact {
                    recorded.lock().expect("unpoisoned").push(fact);
                }
                Ok(folded)
            });
        let (outcome, recorded) = stage.send(&request(Some("k")));
        let message = outcome.expect("the worker's first answer").message;
        assert_eq!(message.id, keyed("k"));
        assert!(message.status >= MessageStatus::Sending && !message.is_stub());
        assert_eq!(
            recorded[0].wa_message_id,
            MessageIds::new(b"key").wa(keyed("k"))
        );
    }
}

#[test]
fn a_body_that_another_replica_recorded_first_is_a_mismatch() {
    let mut stage = known(None);
    stage.has_place().worker(1, Ok(()));
    let mut winner = earlier(MessageStatus::Sending, None);
    winner.body_hash = Some([9; 32]);
    stage
        .log
        .expect_record()
        .times(1)
        .returning(move |_, fact| Ok(fold(Some(&winner), &fact, now()).recorded));
    let (outcome, _) = stage.send(&request(Some("k")));
    assert!(matches!(
        outcome,
        Err(SendError::IdempotencyMismatch { .. })
    ));
}

#[test]
fn a_log_that_cannot_be_read_means_that_nobody_is_asked() {
    let mut stage = Stage::open();
    stage
        .log
        .expect_find()
        .times(1)
        .returning(|_, _| Err(LogError::Unavailable));
    let (outcome, _) = stage.send(&request(Some("k")));
    assert!(matches!(outcome, Err(SendError::LogFull(_))), "{outcome:?}");
}

#[test]
fn what_went_out_and_could_not_be_recorded_is_said_with_its_id() {
    let mut stage = known(None);
    stage.has_place().worker(1, Ok(()));
    stage
        .log
        .expect_record()
        .times(1)
        .returning(|_, _| Err(LogError::Unavailable));
    let (outcome, _) = stage.send(&request(Some("k")));
    let Err(SendError::NotRecorded { id, source }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        id,
        keyed("k"),
        "a repeat with the key names the same message"
    );
    assert!(matches!(source, LogError::Unavailable));
}

#[test]
fn a_key_belongs_to_one_session_of_one_tenant() {
    let ids = MessageIds::new(b"key");
    assert_ne!(keyed("k"), ids.keyed(TENANT, SessionId::from_u128(3), "k"));
    assert_ne!(keyed("k"), ids.keyed(TenantId::from_u128(3), SESSION, "k"));
}
