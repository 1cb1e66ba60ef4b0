//! What nobody has acknowledged is found by when it was recorded.

use gateway_core::message::{Fact, MessageStatus, Outgoing};

use super::{LogUnderTest, a_send, a_status, an_inbound};
use crate::conformance::fixture::{message_id, session_id, tenant_id};
use crate::conformance::{Verdict, cases};

cases!(LogUnderTest, "message_log::deadline":
    what_is_still_sending_is_found_by_when_it_was_recorded,
    how_far_it_was_looked_is_kept,
);

async fn what_is_still_sending_is_found_by_when_it_was_recorded(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let elsewhere = Outgoing {
        tenant: tenant_id(2),
        session: session_id(2),
        ..a_send(4)
    };
    for send in [a_send(1), a_send(2), a_send(3), elsewhere] {
        l.record(Fact::Outgoing(send)).await?;
    }
    l.record(a_status(2, MessageStatus::Sent)).await?;
    l.record(Fact::Inbound(an_inbound(5))).await?;
    let from = l.stored(1).await?.created_at;
    let mut tx = l.store.read_platform().await?;
    let until = tx.now().await?.plus(std::time::Duration::from_secs(1));
    let found = tx.unacknowledged(from, until, 9).await?;
    let mut ids: Vec<_> = found.iter().map(|row| row.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 3, 4].map(message_id));
    assert_eq!(tx.unacknowledged(from, until, 2).await?.len(), 2);
    assert_eq!(tx.unacknowledged(until, until, 9).await?, []);
    let third = l.stored(3).await?.created_at;
    let before = tx.unacknowledged(from, third, 9).await?;
    assert!(
        before.iter().all(|row| row.created_at < third),
        "{before:?}"
    );
    Ok(())
}

async fn how_far_it_was_looked_is_kept(l: &LogUnderTest) -> Verdict {
    let mut tx = l.store.begin_platform().await?;
    assert_eq!(tx.acknowledged_until().await?, None);
    let first = tx.now().await?;
    tx.save_acknowledged_until(first).await?;
    tx.commit().await?;
    let mut tx = l.store.begin_platform().await?;
    assert_eq!(tx.acknowledged_until().await?, Some(first));
    let later = first.plus(std::time::Duration::from_secs(60));
    tx.save_acknowledged_until(later).await?;
    tx.commit().await?;
    let mut tx = l.store.read_platform().await?;
    assert_eq!(tx.acknowledged_until().await?, Some(later));
    Ok(())
}
