//! Facts of one message from two sides at once, and bad company in a batch.

use std::sync::Arc;

use gateway_core::event::Event;
use gateway_core::message::{Fact, LogError, MessageFilter, MessageStatus, Outgoing};
use serde_json::json;

use super::{LogUnderTest, a_send, a_status, an_inbound, write};
use crate::conformance::fixture::{CROWD, at_once, tenant_id};
use crate::conformance::{Failure, Verdict, cases};

cases!(LogUnderTest, "message_log::race":
    one_send_recorded_from_two_sides_is_one_row,
    reports_from_two_sides_form_one_chain,
    one_inbound_message_from_two_sides_is_told_once,
    of_two_bodies_one_stands,
    a_bad_row_harms_no_other,
    many_messages_at_once_are_all_kept,
);

async fn crowd(
    l: &LogUnderTest,
    fact: impl Fn(usize) -> Fact,
) -> Vec<Result<gateway_core::message::Recorded, LogError>> {
    at_once(CROWD, |index| {
        let log = Arc::clone(if index % 2 == 0 { &l.log } else { &l.other });
        let fact = fact(index);
        async move { write(&*log, fact).await }
    })
    .await
}

async fn one_send_recorded_from_two_sides_is_one_row(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let mut made = 0;
    for result in crowd(l, |_| Fact::Outgoing(a_send(1))).await {
        let recorded = result?;
        assert_eq!(recorded.message.status, MessageStatus::Sending);
        made += u32::from(recorded.before.is_none());
    }
    assert!(made >= 1, "somebody made the row");
    let mut tx = l.store.read_platform().await?;
    let rows = tx
        .messages(tenant_id(1), &MessageFilter::default(), None, 9)
        .await?;
    assert_eq!(rows.len(), 1);
    drop(tx);
    assert_eq!(l.check_chains().await?, 1);
    Ok(())
}

async fn reports_from_two_sides_form_one_chain(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let ladder = [
        MessageStatus::Sent,
        MessageStatus::Delivered,
        MessageStatus::Read,
        MessageStatus::Played,
    ];
    for n in 1..=5 {
        let fact = |index: usize| match index % 5 {
            0 => Fact::Outgoing(a_send(n)),
            step => a_status(n, ladder[step - 1]),
        };
        for result in crowd(l, fact).await {
            result?;
        }
        let row = l.stored(n).await?;
        assert_eq!(row.status, MessageStatus::Played);
        assert!(!row.is_stub());
        let stamps = row.timeline;
        let known = [
            stamps.sending,
            stamps.sent,
            stamps.delivered,
            stamps.read,
            stamps.played,
        ];
        assert!(
            known.iter().all(Option::is_some),
            "nothing is lost: {stamps:?}"
        );
    }
    l.check_chains().await?;
    Ok(())
}

async fn one_inbound_message_from_two_sides_is_told_once(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    for result in crowd(l, |_| Fact::Inbound(an_inbound(1))).await {
        result?;
    }
    let events = l.events().await?;
    let told = events
        .iter()
        .filter(|event| matches!(event.event(), Ok(Event::MessageReceived(_))));
    assert_eq!((told.count(), events.len()), (1, 1));
    Ok(())
}

async fn of_two_bodies_one_stands(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let body = |index: usize| Outgoing {
        body_hash: [(index % 2) as u8; 32],
        content: json!({"text": index % 2}),
        ..a_send(1)
    };
    let results = crowd(l, |index| Fact::Outgoing(body(index))).await;
    let row = l.stored(1).await?;
    for (index, result) in results.into_iter().enumerate() {
        let mine = row.body_hash == Some(body(index).body_hash);
        assert_eq!(result?.mismatch, !mine);
        if mine {
            assert_eq!(row.content, Some(body(index).content));
        }
    }
    assert_eq!(l.check_chains().await?, 1);
    Ok(())
}

async fn a_bad_row_harms_no_other(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let fact = |index: usize| {
        let send = a_send(index as u128);
        // PostgreSQL has no place for NUL in a text; other stores may keep it.
        let kind = if index == 5 { "te\0xt" } else { "text" }.to_owned();
        Fact::Outgoing(Outgoing { kind, ..send })
    };
    let results = crowd(l, fact).await;
    for (index, result) in results.into_iter().enumerate() {
        match result {
            Ok(_) => drop(l.stored(index as u128).await?),
            Err(LogError::Refused(_)) => assert_eq!(index, 5),
            Err(error) => return Err(Failure::new(format!("{index}: {error}"))),
        }
    }
    l.record(Fact::Outgoing(a_send(99))).await?;
    Ok(())
}

async fn many_messages_at_once_are_all_kept(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let results = at_once(CROWD, |index| {
        let log = Arc::clone(if index % 2 == 0 { &l.log } else { &l.other });
        async move {
            for round in 0..10 {
                let n = 1 + (index * 10 + round) as u128;
                write(&*log, Fact::Outgoing(a_send(n))).await?;
                write(&*log, a_status(n, MessageStatus::Sent)).await?;
            }
            Ok::<(), LogError>(())
        }
    })
    .await;
    for result in results {
        result?;
    }
    let mut tx = l.store.read_platform().await?;
    let rows = tx
        .messages(tenant_id(1), &MessageFilter::default(), None, 999)
        .await?;
    assert_eq!(rows.len(), CROWD * 10);
    assert!(
        rows.iter()
            .all(|row| row.status == MessageStatus::Sent && !row.is_stub())
    );
    drop(tx);
    assert_eq!(l.check_chains().await?, CROWD * 20);
    Ok(())
}
