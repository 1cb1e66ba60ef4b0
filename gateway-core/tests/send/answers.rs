//! What a worker can answer, and what the log can do, and what becomes of the send.

use gateway_core::message::{LogFull, MessageStatus};
use gateway_core::store::StoreError;

use super::*;

#[test]
fn accepted_is_recorded_as_sending_before_it_is_answered() {
    let mut stage = Stage::open();
    stage.has_place().worker(1, Ok(())).records();
    let (outcome, recorded) = stage.send(&request(None));
    let outcome = outcome.expect("sent");
    assert!(!outcome.repeated);
    assert_eq!(outcome.message.status, MessageStatus::Sending);
    let [fact] = &recorded[..] else {
        panic!("{recorded:?}")
    };
    assert_eq!((fact.status, &fact.error), (MessageStatus::Sending, &None));
    assert_eq!(
        (fact.tenant, fact.session, fact.epoch),
        (TENANT, SESSION, Epoch(1))
    );
    assert_eq!(fact.chat_id, "491701234567@s.whatsapp.net");
    assert_eq!(fact.content, serde_json::json!({ "text": "hello" }));
    let derived = MessageIds::new(b"key").wa(fact.id);
    assert_eq!(fact.wa_message_id, derived);
    assert_eq!(outcome.message.wa_message_id, Some(derived));
}

#[test]
fn the_place_is_taken_before_the_worker_is_asked() {
    let mut stage = Stage::open();
    stage
        .log
        .expect_reserve()
        .times(1)
        .returning(|| Err(LogFull));
    let (outcome, recorded) = stage.send(&request(None));
    assert!(matches!(outcome, Err(SendError::LogFull(_))), "{outcome:?}");
    assert!(recorded.is_empty(), "and the worker was not asked");
}

#[test]
fn a_store_that_is_away_means_that_nobody_is_asked() {
    let mut stage = Stage::default();
    stage.routes.expect_route().times(1).returning(|_, _, _| {
        Err(StoreError::Unavailable(Box::new(std::io::Error::other(
            "away",
        ))))
    });
    let (outcome, _) = stage.send(&request(None));
    assert!(matches!(
        outcome,
        Err(SendError::Store(StoreError::Unavailable(_)))
    ));
}

/// Certainly not sent: no row, and the client may try again.
#[test]
fn what_certainly_did_not_go_out_leaves_no_row() {
    for answer in [
        LinkError::NotSent,
        LinkError::NotConnected,
        LinkError::Busy { retry_after: None },
    ] {
        let mut stage = Stage::open();
        stage.has_place().worker(1, Err(answer.clone()));
        let (outcome, recorded) = stage.send(&request(None));
        assert!(
            matches!(outcome, Err(SendError::SessionUnavailable)),
            "{answer}"
        );
        assert!(recorded.is_empty());
    }
}

#[test]
fn a_final_refusal_is_recorded_as_failed() {
    let refusal = LinkError::Refused {
        status: 400,
        code: "invalid_recipient".to_owned(),
        message: "no such number".to_owned(),
    };
    let mut stage = Stage::open();
    stage.has_place().worker(1, Err(refusal)).records();
    let (outcome, recorded) = stage.send(&request(None));
    let Err(SendError::Refused {
        id,
        status,
        code,
        message,
    }) = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (status, code.as_str(), message.as_str()),
        (400, "invalid_recipient", "no such number")
    );
    assert_eq!(
        (recorded[0].id, recorded[0].status),
        (id, MessageStatus::Failed)
    );
    let error = recorded[0].error.as_ref().map(|error| error.code.as_str());
    assert_eq!(error, Some("invalid_recipient"));
}

#[test]
fn rubbish_may_have_gone_out() {
    let mut stage = Stage::open();
    stage
        .has_place()
        .worker(1, Err(LinkError::Rubbish))
        .records();
    let (outcome, recorded) = stage.send(&request(None));
    let Err(SendError::WorkerError { id }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (recorded[0].id, recorded[0].status),
        (id, MessageStatus::Unknown)
    );
}

#[test]
fn an_answer_about_another_message_is_rubbish() {
    let mut stage = Stage::open();
    stage.has_place().records();
    let another = MessageId::from_u128(99);
    stage.worker.answer(1, Answer::AcceptsAnother(another));
    let (outcome, recorded) = stage.send(&request(None));
    assert!(matches!(outcome, Err(SendError::WorkerError { .. })));
    assert_eq!(recorded[0].status, MessageStatus::Unknown);
}

#[test]
fn silence_after_the_request_went_out_is_an_unknown_outcome() {
    let mut stage = Stage::open();
    stage
        .has_place()
        .worker(1, Err(LinkError::Unknown))
        .records();
    let (outcome, recorded) = stage.send(&request(None));
    let Err(SendError::OutcomeUnknown { id }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (recorded[0].id, recorded[0].status),
        (id, MessageStatus::Unknown)
    );
}

#[test]
fn a_worker_that_knows_the_id_with_another_body_is_a_mismatch() {
    let mut stage = Stage::open();
    stage.has_place().worker(1, Err(LinkError::BodyMismatch));
    let (outcome, recorded) = stage.send(&request(None));
    assert!(matches!(
        outcome,
        Err(SendError::IdempotencyMismatch { .. })
    ));
    assert!(recorded.is_empty());
}

#[test]
fn without_a_key_nothing_is_read_and_every_send_has_its_own_id() {
    // `find` is not expected: reading would panic.
    let mut seen = Vec::new();
    for seed in [1, 2] {
        let mut stage = Stage::open();
        stage.seed = seed;
        stage.has_place().worker(1, Ok(())).records();
        let (outcome, _) = stage.send(&request(None));
        seen.push(outcome.expect("sent").message.id);
    }
    assert_ne!(seen[0], seen[1]);
}
