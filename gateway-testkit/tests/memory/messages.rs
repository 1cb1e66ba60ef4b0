use futures_executor::block_on;
use futures_util::future::poll_immediate;
use gateway_core::event::Event;
use gateway_core::id::{Epoch, MessageId, SessionId};
use gateway_core::message::{
    Fact, LogError, MessageLog, MessageStatus, Outgoing, StatusFact, WaMessageId,
};
use gateway_core::session::Session;
use gateway_testkit::fixture::{a_session, tenant_id};
use gateway_testkit::memory::{LogMode, MemoryLog};
use gateway_testkit::sink::RecordedEvents;
use serde_json::json;

use crate::{a_store, stored, tx};

const ID: MessageId = MessageId::from_u128(7);

fn wa() -> WaMessageId {
    WaMessageId::parse("3EB0AA").expect("plain ASCII")
}

fn sent(session: SessionId) -> Fact {
    Fact::Outgoing(Outgoing {
        id: ID,
        tenant: tenant_id("acme"),
        session,
        epoch: Epoch(1),
        wa_message_id: wa(),
        chat_id: "15550100@s.whatsapp.net".to_owned(),
        kind: "text".to_owned(),
        content: json!({ "text": "hello" }),
        body_hash: [1; 32],
        status: MessageStatus::Sending,
        error: None,
        refused_status: None,
        alias: None,
    })
}

fn delivered(session: SessionId) -> Fact {
    Fact::Status(StatusFact {
        id: ID,
        tenant: tenant_id("acme"),
        session,
        epoch: Epoch(1),
        wa_message_id: wa(),
        status: MessageStatus::Delivered,
        error: None,
        own: None,
        age: None,
        occurred_at: None,
    })
}

async fn record(log: &MemoryLog, fact: Fact) -> Result<Option<MessageStatus>, LogError> {
    let place = log.reserve().expect("a place is free");
    Ok(log.record(place, fact).await?.before)
}

#[test]
fn facts_fold_in_any_order_and_publish_every_change_once() {
    block_on(async {
        let store = a_store();
        let card: Session = a_session().build();
        stored(&store, &[], std::slice::from_ref(&card)).await;
        let log = MemoryLog::new(&store);
        for fact in [delivered(card.id), sent(card.id), sent(card.id)] {
            record(&log, fact).await.expect("writes");
        }
        let row = log
            .find(card.tenant, ID)
            .await
            .expect("reads")
            .expect("there");
        assert_eq!(row.status, MessageStatus::Delivered);
        assert!(!row.is_stub(), "the send has filled the stub");
        let mut tx = tx(&store).await;
        assert_eq!(tx.message(card.tenant, ID).await.expect("reads"), Some(row));

        let events = RecordedEvents::of(&store);
        let published = events.all().await.expect("sequences");
        events.assert_dense().await.expect("sequences");
        assert_eq!(published.len(), 1);
        assert_eq!((published[0].position, published[0].seq), (1, Some(1)));
        assert!(matches!(published[0].event(), Ok(Event::MessageStatus(_))));
        let card = tx.session(card.id).await.expect("reads").expect("there");
        assert!(card.last_activity_at.is_some() && card.version == 1);
    });
}

#[test]
fn a_full_log_says_so_before_anything_is_sent() {
    let log = MemoryLog::with_capacity(&a_store(), 1);
    let place = log.reserve().expect("free");
    assert!(log.reserve().is_err());
    drop(place);
    assert!(log.reserve().is_ok());
}

#[test]
fn a_held_fact_is_written_even_if_nobody_waits_for_it() {
    block_on(async {
        let log = MemoryLog::new(&a_store());
        log.set_mode(LogMode::Held);
        let mut recording = Box::pin(record(&log, sent(SessionId::from_u128(1))));
        assert!(poll_immediate(&mut recording).await.is_none(), "it is held");
        drop(recording);
        assert_eq!(log.taken(), 1, "its place is still taken");
        log.set_mode(LogMode::Open);
        assert_eq!(log.taken(), 0);
        let row = log.find(tenant_id("acme"), ID).await.expect("reads");
        assert!(row.is_some());
    });
}

#[test]
fn a_lost_answer_leaves_the_message_written() {
    block_on(async {
        let log = MemoryLog::new(&a_store());
        let session = SessionId::from_u128(1);
        log.set_mode(LogMode::LosingAnswers);
        let lost = record(&log, sent(session)).await;
        assert!(matches!(lost, Err(LogError::Unavailable)));
        log.set_mode(LogMode::Open);
        let before = record(&log, sent(session)).await.expect("writes");
        assert_eq!(
            before,
            Some(MessageStatus::Sending),
            "the repetition finds it"
        );
    });
}
