//! The sequencer under concurrency: one at a time per shard, nothing lost, nothing twice, no gap.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gateway_core::event::{EventFilter, LoggedEvent, Sequenced, ShardHead, sequence};
use gateway_core::store::{PlatformStore, StoreError, retry_conflicts};

use super::StoreUnderTest;
use crate::conformance::fixture::{CROWD, a_card, an_event, at_once, session_id, tenant_id};
use crate::conformance::{Failure, Verdict, cases};

cases!(StoreUnderTest, "sequencer":
    a_shard_begins_at_nothing_and_keeps_its_head,
    a_shard_is_locked_by_one_without_waiting [SecondWriter],
    a_lock_ends_with_its_transaction,
    a_row_is_published_once,
    a_dropped_step_is_made_again,
    a_reader_beside_many_writers_and_sequencers_misses_nothing,
);

async fn arrange(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    s.sessions(&[1, 2].map(|n| a_card(tenant_id(1), n, now)))
        .await
}

async fn append(store: &dyn PlatformStore, session: u128, index: u32) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    let event = |index| an_event(tenant_id(1), session_id(session), index);
    tx.append_events(&[event(index), event(index + 1)]).await?;
    tokio::task::yield_now().await;
    tx.commit().await
}

async fn a_shard_begins_at_nothing_and_keeps_its_head(s: &StoreUnderTest) -> Verdict {
    arrange(s).await?;
    let mut tx = s.begin().await?;
    assert_eq!(tx.lock_shard(0).await?, Some(ShardHead { position: 0 }));
    tx.commit().await?;
    append(&*s.store, 1, 0).await?;
    let step = sequence(&*s.store, 0, 2).await?;
    assert_eq!(
        step,
        Sequenced::Published {
            count: 2,
            more: true
        }
    );
    let mut tx = s.begin().await?;
    assert_eq!(tx.lock_shard(0).await?, Some(ShardHead { position: 2 }));
    assert_eq!(tx.newest_position(0).await?, 2);
    assert_eq!(tx.newest_position(9).await?, 0, "no such shard");
    assert_eq!(tx.outbox(9).await?, []);
    Ok(())
}

async fn a_shard_is_locked_by_one_without_waiting(s: &StoreUnderTest) -> Verdict {
    let (mut one, mut two) = (s.begin().await?, s.begin().await?);
    assert!(one.lock_shard(0).await?.is_some());
    assert_eq!(two.lock_shard(0).await?, None);
    drop(two);
    one.commit().await?;
    assert!(s.begin().await?.lock_shard(0).await?.is_some());
    Ok(())
}

async fn a_lock_ends_with_its_transaction(s: &StoreUnderTest) -> Verdict {
    for _ in 0..3 {
        // A database hears of a dropped transaction a little later than its owner dropped it.
        loop {
            let mut tx = s.begin().await?;
            if tx.lock_shard(0).await?.is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

async fn a_row_is_published_once(s: &StoreUnderTest) -> Verdict {
    arrange(s).await?;
    append(&*s.store, 1, 0).await?;
    let rows = s.read().await?.outbox(9).await?;
    assert_eq!(rows.len(), 2);
    assert!(rows[0].row < rows[1].row);
    assert_eq!(s.read().await?.outbox(1).await?, rows[..1]);
    for published in [2, 0] {
        let mut tx = s.begin().await?;
        tx.lock_shard(0).await?;
        assert_eq!(tx.publish(0, 9).await?, published);
        tx.commit().await?;
    }
    assert_eq!(s.read().await?.outbox(9).await?, []);
    assert_eq!(read_after(&*s.store, 0).await?.len(), 2);
    Ok(())
}

async fn a_dropped_step_is_made_again(s: &StoreUnderTest) -> Verdict {
    arrange(s).await?;
    append(&*s.store, 1, 0).await?;
    let mut tx = s.begin().await?;
    tx.lock_shard(0).await?;
    assert_eq!(tx.publish(0, 9).await?, 2);
    drop(tx);
    assert_eq!(read_after(&*s.store, 0).await?, []);
    // A dropped transaction may hold its lock for a moment longer, and a locked shard is skipped.
    for _ in 0..1_000 {
        if sequence(&*s.store, 0, 9).await? != Sequenced::Busy {
            break;
        }
    }
    let events = read_after(&*s.store, 0).await?;
    let seqs: Vec<_> = events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, [Some(1), Some(2)]);
    Ok(())
}

async fn read_after(store: &dyn PlatformStore, after: u64) -> Result<Vec<LoggedEvent>, StoreError> {
    let mut tx = store.read_platform().await?;
    tx.events(tenant_id(1), &EventFilter::default(), after, 7)
        .await
}

const ROUNDS: usize = 5;

/// A third of the crowd appends, a third sequences, a third reads with a cursor, all at once.
async fn a_reader_beside_many_writers_and_sequencers_misses_nothing(s: &StoreUnderTest) -> Verdict {
    arrange(s).await?;
    let expected = CROWD / 3 * ROUNDS * 2;
    let done = Arc::new(AtomicUsize::new(0));
    let results = at_once(CROWD, |index| {
        let store = Arc::clone(&s.store);
        let done = Arc::clone(&done);
        async move {
            match index % 3 {
                0 => write(&*store, index as u32).await.map(|()| Vec::new()),
                1 => publish_all(&*store, &done, expected)
                    .await
                    .map(|()| Vec::new()),
                _ => follow(&*store, expected).await,
            }
        }
    })
    .await;
    let mut readers = Vec::new();
    for result in results {
        readers.push(result?);
    }
    readers.retain(|events| !events.is_empty());
    assert_eq!(readers.len(), CROWD / 3);
    for events in &readers {
        check(events, expected)?;
        assert_eq!(events, &readers[0], "all cursors lead through the same log");
    }
    Ok(())
}

async fn write(store: &dyn PlatformStore, writer: u32) -> Result<(), StoreError> {
    for round in 0..ROUNDS as u32 {
        let session = u128::from(1 + (writer + round) % 2);
        let index = writer * 1_000 + 2 * round;
        retry_conflicts(1_000, || append(store, session, index)).await?;
    }
    Ok(())
}

async fn publish_all(
    store: &dyn PlatformStore,
    done: &AtomicUsize,
    expected: usize,
) -> Result<(), StoreError> {
    while done.load(Ordering::SeqCst) < expected {
        match retry_conflicts(1_000, || sequence(store, 0, 3)).await? {
            Sequenced::Published { count, .. } => {
                done.fetch_add(count, Ordering::SeqCst);
            }
            Sequenced::Busy => {}
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn follow(
    store: &dyn PlatformStore,
    expected: usize,
) -> Result<Vec<LoggedEvent>, StoreError> {
    let mut seen: Vec<LoggedEvent> = Vec::new();
    while seen.len() < expected {
        let after = seen.last().map_or(0, |event| event.position);
        seen.extend(read_after(store, after).await?);
        tokio::task::yield_now().await;
    }
    Ok(seen)
}

fn check(events: &[LoggedEvent], expected: usize) -> Result<(), Failure> {
    assert_eq!(events.len(), expected);
    assert!(
        events
            .windows(2)
            .all(|two| two[0].position < two[1].position)
    );
    let mut heads: BTreeMap<_, u64> = BTreeMap::new();
    let mut written = BTreeSet::new();
    for event in events {
        let head = heads.entry(event.session).or_default();
        *head += 1;
        assert_eq!(event.seq, Some(*head), "dense per session");
        let gateway_core::event::Event::SessionQr(qr) = event.event()? else {
            return Err(Failure::new("an event that nobody wrote"));
        };
        assert!(written.insert(qr.index), "{} was published twice", qr.index);
    }
    let ids: BTreeSet<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), expected);
    Ok(())
}
