//! Facts fold into one row per message, in any order, any number of times.

use gateway_core::event::{Event, MessageReceived};
use gateway_core::id::Epoch;
use gateway_core::message::{
    Direction, Fact, Inbound, Message, MessageError, MessageStatus, Outgoing, Timeline,
};
use serde_json::json;

use super::{LogUnderTest, a_send, a_status, an_inbound};
use crate::conformance::fixture::{message_id, session_id, tenant_id};
use crate::conformance::{Verdict, cases};

cases!(LogUnderTest, "message_log::record":
    a_send_is_kept_as_it_is,
    a_repeated_fact_changes_nothing,
    another_body_changes_nothing,
    a_report_before_its_send_makes_a_stub_that_the_send_fills,
    a_late_report_never_takes_a_status_back,
    facts_in_any_order_come_to_the_same,
    a_failure_keeps_its_error_until_a_receipt_refutes_it,
    an_unknown_outcome_is_resolved_by_what_follows,
    an_inbound_message_is_kept_as_it_is_and_told_once,
    each_change_of_status_is_an_event,
);

/// Returns the row without its times, which depend on when it was written.
fn timeless(row: Message) -> Message {
    let epoch = gateway_core::time::Timestamp::default();
    Message {
        created_at: epoch,
        timeline: Timeline::default(),
        ..row
    }
}

async fn a_send_is_kept_as_it_is(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let before = l.store.read_platform().await?.now().await?;
    let sent = Outgoing {
        content: json!({"text": "Grüße \u{1F600} 'quoted' \\ %", "n": 9_007_199_254_740_993_i64}),
        epoch: Epoch(1 << 40),
        ..a_send(1)
    };
    let recorded = l.record(Fact::Outgoing(sent.clone())).await?;
    assert_eq!((recorded.before, recorded.mismatch), (None, false));
    let row = recorded.message;
    assert_eq!(l.stored(1).await?, row);
    let after = l.store.read_platform().await?.now().await?;
    assert!(
        before <= row.created_at && row.created_at <= after,
        "the store's time"
    );
    assert_eq!(row.timeline.sending, Some(row.created_at));
    let expected = Message {
        id: sent.id,
        tenant: sent.tenant,
        session: sent.session,
        direction: Direction::Outbound,
        kind: Some(sent.kind),
        chat_id: Some(sent.chat_id),
        sender: None,
        wa_message_id: Some(sent.wa_message_id),
        status: MessageStatus::Sending,
        error: None,
        content: Some(sent.content),
        body_hash: Some(sent.body_hash),
        epoch: sent.epoch,
        created_at: row.created_at,
        timeline: row.timeline,
    };
    assert_eq!(row, expected);
    Ok(())
}

async fn a_repeated_fact_changes_nothing(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    for fact in [
        Fact::Outgoing(a_send(1)),
        a_status(1, MessageStatus::Delivered),
        Fact::Inbound(an_inbound(2)),
    ] {
        l.record(fact.clone()).await?;
        let first = l
            .stored(if fact.direction() == Direction::Inbound {
                2
            } else {
                1
            })
            .await?;
        let again = l.record(fact).await?;
        assert_eq!(again.before, Some(first.status));
        assert_eq!(again.message, first);
        assert!(!again.mismatch);
    }
    assert_eq!(l.events().await?.len(), 3);
    Ok(())
}

async fn another_body_changes_nothing(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    l.record(Fact::Outgoing(a_send(1))).await?;
    let first = l.stored(1).await?;
    let other = Outgoing {
        body_hash: [0xee; 32],
        content: json!({"text": "other"}),
        status: MessageStatus::Failed,
        ..a_send(1)
    };
    let recorded = l.record(Fact::Outgoing(other)).await?;
    assert!(recorded.mismatch);
    assert_eq!(recorded.message, first);
    assert_eq!(l.stored(1).await?, first);
    assert_eq!(l.check_chains().await?, 1);
    Ok(())
}

async fn a_report_before_its_send_makes_a_stub_that_the_send_fills(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let recorded = l.record(a_status(1, MessageStatus::Delivered)).await?;
    assert_eq!(recorded.before, None);
    let stub = l.stored(1).await?;
    assert!(stub.is_stub() && stub.content.is_none() && stub.body_hash.is_none());
    assert_eq!(stub.status, MessageStatus::Delivered);
    let recorded = l.record(Fact::Outgoing(a_send(1))).await?;
    assert_eq!(recorded.before, Some(MessageStatus::Delivered));
    let row = l.stored(1).await?;
    assert_eq!(row.status, MessageStatus::Delivered);
    assert_eq!(row.content, Some(a_send(1).content));
    assert_eq!(row.body_hash, Some(a_send(1).body_hash));
    assert_eq!(row.created_at, stub.created_at);
    assert_eq!(l.check_chains().await?, 1);
    Ok(())
}

async fn a_late_report_never_takes_a_status_back(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    l.record(Fact::Outgoing(a_send(1))).await?;
    l.record(a_status(1, MessageStatus::Read)).await?;
    let late = l.record(a_status(1, MessageStatus::Sent)).await?;
    assert_eq!(late.before, Some(MessageStatus::Read));
    assert_eq!(late.message.status, MessageStatus::Read);
    let row = l.stored(1).await?;
    assert!(
        row.timeline.sent.is_some(),
        "that it was sent is known all the same"
    );
    assert!(row.timeline.delivered.is_none());
    assert_eq!(l.check_chains().await?, 2);
    Ok(())
}

async fn facts_in_any_order_come_to_the_same(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let facts = |n: u128| {
        [
            Fact::Outgoing(a_send(n)),
            a_status(n, MessageStatus::Failed),
            a_status(n, MessageStatus::Sent),
            a_status(n, MessageStatus::Read),
        ]
    };
    let mut results = Vec::new();
    for (n, order) in (1..).zip(orders()) {
        for at in order {
            l.record(facts(n)[at].clone()).await?;
        }
        let row = timeless(l.stored(n).await?);
        // One message per order: what differs by number alone is made equal.
        results.push(Message {
            id: message_id(0),
            wa_message_id: None,
            content: None,
            body_hash: None,
            ..row
        });
    }
    assert_eq!(results.len(), 24);
    assert_eq!(results[0].status, MessageStatus::Read);
    assert!(results.iter().all(|row| row == &results[0]), "{results:?}");
    l.check_chains().await?;
    Ok(())
}

fn orders() -> Vec<[usize; 4]> {
    let digits = |n: usize| [n / 64 % 4, n / 16 % 4, n / 4 % 4, n % 4];
    (0..256)
        .map(digits)
        .filter(|order| (0..4).all(|digit| order.contains(&digit)))
        .collect()
}

async fn a_failure_keeps_its_error_until_a_receipt_refutes_it(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    l.record(Fact::Outgoing(a_send(1))).await?;
    l.record(a_status(1, MessageStatus::Failed)).await?;
    let failed = l.stored(1).await?;
    let error = MessageError {
        code: "blocked".to_owned(),
        message: Some("by the recipient".to_owned()),
    };
    assert_eq!(
        (failed.status, failed.error),
        (MessageStatus::Failed, Some(error))
    );
    l.record(a_status(1, MessageStatus::Delivered)).await?;
    let delivered = l.stored(1).await?;
    assert_eq!(
        (delivered.status, delivered.error),
        (MessageStatus::Delivered, None)
    );
    Ok(())
}

async fn an_unknown_outcome_is_resolved_by_what_follows(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let unknown = Outgoing {
        status: MessageStatus::Unknown,
        ..a_send(1)
    };
    l.record(Fact::Outgoing(unknown)).await?;
    assert_eq!(l.stored(1).await?.status, MessageStatus::Unknown);
    let accepted = l.record(Fact::Outgoing(a_send(1))).await?;
    assert_eq!(accepted.before, Some(MessageStatus::Unknown));
    assert_eq!(l.stored(1).await?.status, MessageStatus::Sending);
    assert_eq!(l.check_chains().await?, 2);
    Ok(())
}

async fn an_inbound_message_is_kept_as_it_is_and_told_once(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let fact = an_inbound(1);
    let recorded = l.record(Fact::Inbound(fact.clone())).await?;
    assert_eq!(recorded.before, None);
    // Reported again by another owner, with other words: the first stands.
    let again = Inbound {
        epoch: Epoch(3),
        content: json!({}),
        ..fact.clone()
    };
    let again = l.record(Fact::Inbound(again)).await?;
    assert_eq!(again.message, recorded.message);
    let row = l.stored(1).await?;
    assert_eq!(row.direction, Direction::Inbound);
    assert_eq!(row.sender.as_ref(), Some(&fact.sender));
    assert_eq!(row.content.as_ref(), Some(&fact.content));
    assert_eq!((row.epoch, row.session), (Epoch(2), session_id(1)));

    let events = l.events().await?;
    let [event] = events.as_slice() else {
        return Err(crate::conformance::Failure::new(format!(
            "told once: {events:?}"
        )));
    };
    let expected = Event::MessageReceived(MessageReceived {
        id: fact.id,
        wa_message_id: fact.wa_message_id,
        chat_id: fact.chat_id,
        from: Some(fact.sender),
        kind: fact.kind,
        content: fact.content,
        offline: true,
    });
    assert_eq!(event.event()?, expected);
    assert_eq!(
        (event.tenant, event.session),
        (Some(tenant_id(1)), Some(session_id(1)))
    );
    assert_eq!(event.epoch, Some(Epoch(2)));
    Ok(())
}

async fn each_change_of_status_is_an_event(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    l.record(Fact::Outgoing(a_send(1))).await?;
    let receipts = [
        MessageStatus::Sent,
        MessageStatus::Delivered,
        MessageStatus::Read,
    ];
    for status in receipts {
        l.record(a_status(1, status)).await?;
    }
    let told: Vec<_> = l
        .events()
        .await?
        .into_iter()
        .filter_map(|event| match event.event() {
            Ok(Event::MessageStatus(change)) => Some(change.status),
            _ => None,
        })
        .collect();
    assert_eq!(told[0], MessageStatus::Sending);
    assert_eq!(told[1..], receipts);
    Ok(())
}
