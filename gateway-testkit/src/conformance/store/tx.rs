//! READ COMMITTED, and no more: what a transaction shows, to whom, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::store::{Store, StoreError, retry_conflicts};
use gateway_core::worker::WorkerReport;

use super::{OrchestrationUnderTest, orchestration_cases};
use crate::conformance::Verdict;
use crate::conformance::fixture::{
    CROWD, LEASE, a_card, a_worker, at_once, next, session_id, tenant_id, worker_id,
};

orchestration_cases!("tx":
    what_is_committed_is_seen_by_everybody,
    a_transaction_sees_its_own_writes,
    a_reader_sees_nothing_uncommitted_and_does_not_wait,
    a_dropped_transaction_leaves_nothing,
    each_call_of_a_reader_sees_what_is_committed_by_then,
    a_write_on_a_reader_leaves_nothing,
    what_writes_and_answers_rows_changes_nothing_on_a_reader,
    the_next_call_sees_what_others_committed [SecondWriter],
    repeated_attempts_lose_no_update,
    the_stores_clock_does_not_go_back,
);

async fn what_is_committed_is_seen_by_everybody(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.now().await?;
    let mut tx = s.begin().await?;
    tx.insert_worker(&a_worker("w", 1, now)).await?;
    tx.commit().await?;
    let expected = Some(a_worker("w", 1, now));
    assert_eq!(s.read().await?.worker(&worker_id("w")).await?, expected);
    assert_eq!(s.begin().await?.worker(&worker_id("w")).await?, expected);
    Ok(())
}

async fn a_transaction_sees_its_own_writes(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let card = a_card(tenant_id(1), 1, now);
    let mut tx = s.begin().await?;
    tx.insert_session(&card, None).await?;
    assert_eq!(tx.session(card.id).await?.as_ref(), Some(&card));
    tx.save_sessions(&[next(&card)]).await?;
    assert_eq!(tx.session(card.id).await?, Some(next(&card)));
    tx.delete_session(card.id, 2).await?;
    assert_eq!(tx.session(card.id).await?, None);
    Ok(())
}

async fn a_reader_sees_nothing_uncommitted_and_does_not_wait(
    s: &OrchestrationUnderTest,
) -> Verdict {
    let now = s.tenants(1).await?;
    let card = a_card(tenant_id(1), 1, now);
    s.sessions(std::slice::from_ref(&card)).await?;
    let mut tx = s.begin().await?;
    tx.save_sessions(&[next(&card)]).await?;
    tx.insert_worker(&a_worker("w", 1, now)).await?;

    let mut reader = s.read().await?;
    assert_eq!(reader.session(card.id).await?.as_ref(), Some(&card));
    assert_eq!(reader.worker(&worker_id("w")).await?, None);
    drop(reader);
    tx.commit().await?;
    assert_eq!(s.session(&card).await?.version, 2);
    Ok(())
}

async fn a_dropped_transaction_leaves_nothing(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let card = a_card(tenant_id(1), 1, now);
    s.sessions(std::slice::from_ref(&card)).await?;
    let mut tx = s.begin().await?;
    tx.insert_worker(&a_worker("w", 1, now)).await?;
    tx.insert_session(&a_card(tenant_id(1), 2, now), None)
        .await?;
    tx.save_sessions(&[next(&card)]).await?;
    drop(tx);

    let mut tx = s.begin().await?;
    assert_eq!(tx.worker(&worker_id("w")).await?, None);
    assert_eq!(tx.session(session_id(2)).await?, None);
    assert_eq!(tx.session(card.id).await?, Some(card));
    Ok(())
}

async fn a_write_on_a_reader_leaves_nothing(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.now().await?;
    let mut reader = s.read().await?;
    // Whether it is refused at once or rolled back later is the store's choice.
    let _ = reader.insert_worker(&a_worker("w", 1, now)).await;
    drop(reader);
    let stored = s.begin().await?.worker(&worker_id("w")).await?;
    assert_eq!(stored, None);
    Ok(())
}

async fn each_call_of_a_reader_sees_what_is_committed_by_then(
    s: &OrchestrationUnderTest,
) -> Verdict {
    let now = s.tenants(1).await?;
    let card = a_card(tenant_id(1), 1, now);
    s.sessions(std::slice::from_ref(&card)).await?;
    let mut reader = s.read().await?;
    assert_eq!(reader.session(card.id).await?.as_ref(), Some(&card));

    let mut writer = s.begin().await?;
    writer.save_sessions(&[next(&card)]).await?;
    writer.commit().await?;

    assert_eq!(reader.session(card.id).await?, Some(next(&card)));
    Ok(())
}

/// Writes that return rows look like reads to a store that tells the two apart by whether rows come back.
async fn what_writes_and_answers_rows_changes_nothing_on_a_reader(
    s: &OrchestrationUnderTest,
) -> Verdict {
    let now = s.tenants(1).await?;
    let held = s.worker("w", 3).await?;
    let mut card = a_card(tenant_id(1), 1, now);
    card.due_at = Some(now);
    s.sessions(std::slice::from_ref(&card)).await?;
    let mut reader = s.read().await?;
    let report = WorkerReport::default();
    let _ = reader.renew_lease(&held, LEASE, &report).await;
    let until = now.plus(Duration::from_secs(9));
    let _ = reader.claim_due_sessions(until, 9).await;
    drop(reader);

    let mut reader = s.read().await?;
    let lease = reader.lease(&held).await?;
    assert_eq!(lease.map(|lease| lease.renewals), Some(0));
    assert_eq!(reader.session(card.id).await?, Some(card));
    Ok(())
}

async fn the_next_call_sees_what_others_committed(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let card = a_card(tenant_id(1), 1, now);
    s.sessions(std::slice::from_ref(&card)).await?;
    let mut mine = s.begin().await?;
    assert_eq!(mine.session(card.id).await?.as_ref(), Some(&card));

    let mut other = s.begin().await?;
    other.save_sessions(&[next(&card)]).await?;
    other.commit().await?;

    assert_eq!(mine.session(card.id).await?, Some(next(&card)));
    let stale = mine.save_sessions(&[next(&card)]).await;
    assert!(matches!(stale, Err(StoreError::Conflict)), "{stale:?}");
    Ok(())
}

async fn repeated_attempts_lose_no_update(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let card = a_card(tenant_id(1), 1, now);
    s.sessions(std::slice::from_ref(&card)).await?;
    let results = at_once(CROWD, |_| {
        let store = Arc::clone(&s.store);
        async move { retry_conflicts(1_000, || count_up(&*store)).await }
    })
    .await;
    for result in results {
        result?;
    }
    let stored = s.session(&card).await?;
    assert_eq!(stored.attempt as usize, CROWD);
    assert_eq!(stored.version as usize, CROWD + 1);
    Ok(())
}

async fn count_up(store: &dyn Store) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    let Some(mut row) = tx.session(session_id(1)).await? else {
        return Ok(());
    };
    row.attempt += 1;
    row.version += 1;
    tx.save_sessions(&[row]).await?;
    tx.commit().await
}

async fn the_stores_clock_does_not_go_back(s: &OrchestrationUnderTest) -> Verdict {
    let mut last = s.now().await?;
    for _ in 0..5 {
        let mut tx = s.begin().await?;
        let now = tx.now().await?;
        assert!(now >= last, "{now:?} after {last:?}");
        last = now;
    }
    Ok(())
}
