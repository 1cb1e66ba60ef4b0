//! Facts fold into one row per message, in any order, any number of times.

use std::time::Duration;

use gateway_core::event::{Event, MessageReceived};
use gateway_core::id::Epoch;
use gateway_core::message::{
    Direction, Fact, Inbound, Message, MessageError, MessageFilter, MessageSource, MessageStatus,
    Outgoing, OwnMessage, StatusFact, Timeline,
};
use gateway_core::time::Timestamp;
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
    an_unknown_outcome_is_resolved_by_an_acknowledgement,
    a_refusal_keeps_the_workers_answer,
    a_message_stands_where_it_was_written_and_never_in_the_future,
    a_receipt_says_when_it_happened,
    a_message_typed_on_the_phone_is_outbound_and_its_statuses_fold,
    what_was_typed_on_the_phone_was_sent_when_it_was_written,
    a_report_on_what_came_in_changes_nothing,
    an_inbound_message_is_kept_as_it_is_and_told_once,
    each_change_of_status_is_an_event,
);

/// Returns the row without its times, which depend on when it was written.
fn timeless(row: Message) -> Message {
    let epoch = Timestamp::default();
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
        source: Some(MessageSource::Api),
        kind: Some(sent.kind),
        chat_id: Some(sent.chat_id),
        sender: None,
        alias: None,
        wa_message_id: Some(sent.wa_message_id),
        status: MessageStatus::Sending,
        error: None,
        refused_status: None,
        content: Some(sent.content),
        body_hash: Some(sent.body_hash),
        epoch: sent.epoch,
        occurred_at: None,
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

async fn an_unknown_outcome_is_resolved_by_an_acknowledgement(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let unknown = Outgoing {
        status: MessageStatus::Unknown,
        ..a_send(1)
    };
    l.record(Fact::Outgoing(unknown)).await?;
    assert_eq!(l.stored(1).await?.status, MessageStatus::Unknown);
    // That a worker takes a repetition says nothing about the first attempt.
    let accepted = l.record(Fact::Outgoing(a_send(1))).await?;
    assert_eq!(accepted.before, Some(MessageStatus::Unknown));
    assert_eq!(accepted.message.status, MessageStatus::Unknown);
    l.record(a_status(1, MessageStatus::Sent)).await?;
    assert_eq!(l.stored(1).await?.status, MessageStatus::Sent);
    assert_eq!(l.check_chains().await?, 2);
    Ok(())
}

async fn a_refusal_keeps_the_workers_answer(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let unknown = Outgoing {
        status: MessageStatus::Unknown,
        ..a_send(1)
    };
    let refused = Outgoing {
        status: MessageStatus::Failed,
        refused_status: Some(501),
        ..a_send(1)
    };
    l.record(Fact::Outgoing(unknown)).await?;
    l.record(Fact::Outgoing(refused.clone())).await?;
    assert_eq!(l.stored(1).await?.refused_status, Some(501));
    let new = Outgoing {
        refused_status: Some(422),
        id: message_id(2),
        ..refused
    };
    l.record(Fact::Outgoing(new)).await?;
    assert_eq!(l.stored(2).await?.refused_status, Some(422));
    Ok(())
}

async fn a_message_stands_where_it_was_written_and_never_in_the_future(
    l: &LogUnderTest,
) -> Verdict {
    l.arrange().await?;
    let before = l.store.read_platform().await?.now().await?;
    let at = |hours: u64| Some(before.minus(Duration::from_secs(hours * 3_600)));
    for (n, occurred_at) in [(1, at(1)), (2, at(3)), (3, at(2)), (4, None)] {
        let fact = Inbound {
            occurred_at,
            ..an_inbound(n)
        };
        l.record(Fact::Inbound(fact)).await?;
        let row = l.stored(n).await?;
        assert_eq!(row.occurred_at, occurred_at);
        assert!(row.created_at >= before, "recorded now");
    }
    let future = Inbound {
        occurred_at: Some(before.plus(Duration::from_secs(3_600))),
        ..an_inbound(5)
    };
    let recorded = l.record(Fact::Inbound(future)).await?.message;
    assert_eq!(recorded.written_at(), recorded.created_at);
    assert_eq!(l.stored(5).await?, recorded);
    let mut tx = l.store.read_platform().await?;
    for session in [None, Some(session_id(1))] {
        let filter = MessageFilter {
            session,
            ..MessageFilter::default()
        };
        let all = tx.messages(tenant_id(1), &filter, None, 9).await?;
        let order: Vec<_> = all.iter().map(|row| row.id).collect();
        assert_eq!(order, [5, 4, 1, 3, 2].map(message_id), "{session:?}");
        let filter = MessageFilter {
            since: at(2),
            until: at(1),
            ..filter
        };
        let some = tx.messages(tenant_id(1), &filter, None, 9).await?;
        assert_eq!(
            some.iter().map(|row| row.id).collect::<Vec<_>>(),
            [message_id(3)]
        );
    }
    Ok(())
}

async fn a_receipt_says_when_it_happened(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let sent = l.record(Fact::Outgoing(a_send(1))).await?.message;
    let at = |occurred_at: Timestamp, status| {
        let Fact::Status(fact) = a_status(1, status) else {
            return a_status(1, status);
        };
        Fact::Status(StatusFact {
            occurred_at: Some(occurred_at),
            ..fact
        })
    };
    let second = Duration::from_secs(1);
    l.record(at(sent.created_at.minus(second), MessageStatus::Sent))
        .await?;
    l.record(at(sent.created_at, MessageStatus::Delivered))
        .await?;
    let later = sent.created_at.plus(Duration::from_secs(3_600));
    l.record(at(later, MessageStatus::Read)).await?;
    let row = l.stored(1).await?;
    assert_eq!(
        row.timeline.sent,
        Some(sent.created_at),
        "not before it was written"
    );
    assert_eq!(row.timeline.delivered, Some(sent.created_at));
    assert!(row.timeline.read < Some(later), "not in the future");
    Ok(())
}

async fn a_message_typed_on_the_phone_is_outbound_and_its_statuses_fold(
    l: &LogUnderTest,
) -> Verdict {
    l.arrange().await?;
    let typed = |n| Inbound {
        from_me: true,
        ..an_inbound(n)
    };
    let report = |n, status| {
        let Fact::Status(fact) = a_status(n, status) else {
            return a_status(n, status);
        };
        Fact::Status(StatusFact {
            own: Some(OwnMessage {
                chat_id: typed(n).chat_id,
                sender: Some(typed(n).sender),
            }),
            ..fact
        })
    };
    // The second one's statuses come before it does.
    l.record(Fact::Inbound(typed(1))).await?;
    for n in [1, 2] {
        l.record(report(n, MessageStatus::Delivered)).await?;
    }
    assert!(l.stored(2).await?.is_stub());
    l.record(Fact::Inbound(typed(2))).await?;
    for n in [1, 2] {
        l.record(report(n, MessageStatus::Read)).await?;
        let row = l.stored(n).await?;
        let seen = (row.direction, row.source, row.status);
        let phone = Some(MessageSource::Phone);
        assert_eq!(seen, (Direction::Outbound, phone, MessageStatus::Read));
        assert_eq!(row.sender, Some(typed(n).sender));
        assert_eq!(row.content, Some(typed(n).content));
        assert!(row.timeline.sent.is_some());
    }
    let names: Vec<_> = l
        .events()
        .await?
        .into_iter()
        .map(|event| event.name)
        .collect();
    let told = names.iter().filter(|name| *name == "message.sent");
    assert_eq!(told.count(), 2, "{names:?}");
    assert!(!names.iter().any(|name| name == "message.received"));
    Ok(())
}

async fn what_was_typed_on_the_phone_was_sent_when_it_was_written(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let now = l.store.read_platform().await?.now().await?;
    let written = now.minus(Duration::from_secs(3_600));
    let typed = Inbound {
        from_me: true,
        occurred_at: Some(written),
        ..an_inbound(1)
    };
    let recorded = l.record(Fact::Inbound(typed)).await?.message;
    assert_eq!(recorded.timeline.sent, Some(written));
    assert_eq!(l.stored(1).await?, recorded);
    Ok(())
}

async fn a_report_on_what_came_in_changes_nothing(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let row = l.record(Fact::Inbound(an_inbound(1))).await?.message;
    for status in [MessageStatus::Read, MessageStatus::Failed] {
        let recorded = l.record(a_status(1, status)).await?;
        assert_eq!(recorded.message, row);
    }
    assert_eq!(l.stored(1).await?, row);
    assert_eq!(l.events().await?.len(), 1);
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
        phone: Some("491707654321".to_owned()),
        lid: None,
        occurred_at: None,
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
