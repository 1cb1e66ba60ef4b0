//! What is due: claimed by one at a time, without touching the version, in a fair order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::id::SessionId;
use gateway_core::session::Session;
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;

use super::{OrchestrationUnderTest, orchestration_cases, while_open};
use crate::conformance::Verdict;
use crate::conformance::fixture::{
    CROWD, a_card, at_once, connected, next, session_id, tenant_id, waiting,
};

orchestration_cases!("claim":
    only_what_is_due_is_claimed,
    a_claim_moves_the_due_time_and_nothing_else,
    a_claim_never_goes_past_a_deadline_to_come,
    the_claimers_decision_follows_the_claim,
    what_is_due_longest_comes_first,
    of_what_is_due_together_linked_then_important_then_old_comes_first,
    a_dropped_claim_leaves_the_row_due,
    concurrent_claimers_never_get_the_same_row,
    rows_being_claimed_are_skipped [SecondWriter],
    the_next_due_time_is_the_earliest,
    waking_takes_linked_then_important_then_old_first,
    waking_touches_nothing_but_the_due_time_of_what_waits,
    who_may_not_start_yet_is_not_woken,
    concurrent_wakers_wake_no_row_twice,
    who_has_read_a_row_before_it_was_woken_does_not_put_it_back_to_sleep,
    who_makes_room_waits_for_a_row_that_goes_to_sleep [SecondWriter],
    who_goes_to_sleep_beside_a_waker_sees_what_it_freed [SecondWriter],
);

const SECOND: Duration = Duration::from_secs(1);

fn ids(rows: &[Session]) -> Vec<SessionId> {
    rows.iter().map(|row| row.id).collect()
}

/// Stores waiting rows `1..=count`, due since one second.
async fn due(
    s: &OrchestrationUnderTest,
    count: u128,
) -> Result<(Timestamp, Vec<Session>), crate::conformance::Failure> {
    let now = s.tenants(1).await?;
    let rows: Vec<_> = (1..=count)
        .map(|n| waiting(a_card(tenant_id(1), n, now), now.minus(SECOND)))
        .collect();
    s.sessions(&rows).await?;
    Ok((now, rows))
}

async fn only_what_is_due_is_claimed(s: &OrchestrationUnderTest) -> Verdict {
    let (now, rows) = due(s, 3).await?;
    let later = waiting(a_card(tenant_id(1), 8, now), now.plus(3_600 * SECOND));
    s.sessions(&[later, a_card(tenant_id(1), 9, now)]).await?;
    let until = now.plus(3_600 * SECOND);
    let mut tx = s.begin().await?;
    assert_eq!(tx.claim_due_sessions(until, 0).await?, []);
    let mut claimed = tx.claim_due_sessions(until, 2).await?;
    assert_eq!(claimed.len(), 2);
    claimed.extend(tx.claim_due_sessions(until, 2).await?);
    tx.commit().await?;
    let claimed: BTreeSet<_> = ids(&claimed).into_iter().collect();
    assert_eq!(claimed, ids(&rows).into_iter().collect());
    assert_eq!(s.begin().await?.claim_due_sessions(until, 9).await?, []);
    Ok(())
}

async fn a_claim_moves_the_due_time_and_nothing_else(s: &OrchestrationUnderTest) -> Verdict {
    let (now, rows) = due(s, 1).await?;
    let until = now.plus(5 * SECOND);
    let mut tx = s.begin().await?;
    let claimed = tx.claim_due_sessions(until, 9).await?;
    tx.commit().await?;
    let moved = Session {
        due_at: Some(until),
        ..rows[0].clone()
    };
    assert_eq!(claimed, std::slice::from_ref(&moved));
    assert_eq!(s.session(&rows[0]).await?, moved);
    Ok(())
}

async fn a_claim_never_goes_past_a_deadline_to_come(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let until = now.plus(3_600 * SECOND);
    let soon = now.plus(1_800 * SECOND);
    let with = |n, deadline| Session {
        deadline: Some(deadline),
        ..waiting(a_card(tenant_id(1), n, now), now.minus(SECOND))
    };
    let [past, early, late] = [
        with(1, now.minus(SECOND)),
        with(2, soon),
        with(3, until.plus(SECOND)),
    ];
    s.sessions(&[past.clone(), early.clone(), late.clone()])
        .await?;
    let mut tx = s.begin().await?;
    tx.claim_due_sessions(until, 9).await?;
    tx.commit().await?;
    assert_eq!(s.session(&past).await?.due_at, Some(until));
    assert_eq!(s.session(&early).await?.due_at, Some(soon));
    assert_eq!(s.session(&late).await?.due_at, Some(until));
    Ok(())
}

async fn the_claimers_decision_follows_the_claim(s: &OrchestrationUnderTest) -> Verdict {
    let (now, rows) = due(s, 1).await?;
    let mut tx = s.begin().await?;
    let claimed = tx.claim_due_sessions(now.plus(5 * SECOND), 9).await?;
    tx.commit().await?;
    // A decision on what was read before the claim holds too: the claim is no change.
    let mut tx = s.begin().await?;
    tx.save_sessions(&[next(&rows[0])]).await?;
    drop(tx);
    let mut tx = s.begin().await?;
    tx.save_sessions(&[next(&claimed[0])]).await?;
    tx.commit().await?;
    Ok(())
}

async fn what_is_due_longest_comes_first(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let since = |n, seconds| waiting(a_card(tenant_id(1), n, now), now.minus(seconds * SECOND));
    let important = Session {
        paired: true,
        priority: 9,
        ..since(1, 1)
    };
    s.sessions(&[important, since(2, 3), since(3, 2)]).await?;
    let mut tx = s.begin().await?;
    let first = tx.claim_due_sessions(now.plus(60 * SECOND), 2).await?;
    assert_eq!(ids(&first), [session_id(2), session_id(3)]);
    let rest = tx.claim_due_sessions(now.plus(60 * SECOND), 2).await?;
    assert_eq!(ids(&rest), [session_id(1)]);
    Ok(())
}

/// Returns five rows that wait since `due_at`. They must be served in the order 5, 3, 1, 2, 4.
fn ranked(now: Timestamp, due_at: Timestamp) -> Vec<Session> {
    let row = |n: u128, paired, priority, age: u32| {
        let card = a_card(tenant_id(1), n, now.minus(age * SECOND));
        Session {
            paired,
            priority,
            ..waiting(card, due_at)
        }
    };
    vec![
        row(1, false, 3, 10),
        row(2, false, 1, 20),
        row(3, true, 1, 10),
        row(4, false, 1, 10),
        row(5, true, 2, 1),
    ]
}

const RANKED: [u128; 5] = [5, 3, 1, 2, 4];

async fn of_what_is_due_together_linked_then_important_then_old_comes_first(
    s: &OrchestrationUnderTest,
) -> Verdict {
    let now = s.tenants(1).await?;
    s.sessions(&ranked(now, now.minus(SECOND))).await?;
    let mut tx = s.begin().await?;
    let mut served = Vec::new();
    for limit in [2, 3] {
        served.extend(tx.claim_due_sessions(now.plus(60 * SECOND), limit).await?);
    }
    assert_eq!(ids(&served), RANKED.map(session_id));
    Ok(())
}

async fn a_dropped_claim_leaves_the_row_due(s: &OrchestrationUnderTest) -> Verdict {
    let (now, rows) = due(s, 1).await?;
    let until = now.plus(60 * SECOND);
    let mut tx = s.begin().await?;
    assert_eq!(tx.claim_due_sessions(until, 9).await?.len(), 1);
    drop(tx);
    // A dropped transaction may hold its locks for a moment longer, and what is locked is skipped.
    let mut again = Vec::new();
    for _ in 0..1_000 {
        again = s.begin().await?.claim_due_sessions(until, 9).await?;
        if !again.is_empty() {
            break;
        }
    }
    assert_eq!(ids(&again), ids(&rows));
    Ok(())
}

async fn concurrent_claimers_never_get_the_same_row(s: &OrchestrationUnderTest) -> Verdict {
    let (now, rows) = due(s, 40).await?;
    let until = now.plus(3_600 * SECOND);
    let results = at_once(CROWD, |_| {
        let store = Arc::clone(&s.store);
        async move {
            let mut mine = Vec::new();
            loop {
                let mut tx = store.begin().await?;
                let claimed = tx.claim_due_sessions(until, 3).await?;
                tokio::task::yield_now().await;
                tx.commit().await?;
                if claimed.is_empty() {
                    return Ok::<_, StoreError>(mine);
                }
                mine.extend(ids(&claimed));
            }
        }
    })
    .await;
    let mut claimed = Vec::new();
    for result in results {
        claimed.extend(result?);
    }
    claimed.sort_unstable();
    assert_eq!(claimed, ids(&rows));
    Ok(())
}

async fn rows_being_claimed_are_skipped(s: &OrchestrationUnderTest) -> Verdict {
    let (now, rows) = due(s, 4).await?;
    let until = now.plus(60 * SECOND);
    let (mut one, mut two) = (s.begin().await?, s.begin().await?);
    let mut claimed = ids(&one.claim_due_sessions(until, 2).await?);
    claimed.extend(ids(&two.claim_due_sessions(until, 9).await?));
    claimed.sort_unstable();
    assert_eq!(claimed, ids(&rows));
    Ok(())
}

async fn the_next_due_time_is_the_earliest(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    assert_eq!(s.read().await?.next_due().await?, None);
    let at = |n, seconds| waiting(a_card(tenant_id(1), n, now), now.plus(seconds * SECOND));
    s.sessions(&[
        a_card(tenant_id(1), 1, now),
        at(2, 20),
        at(3, 10),
        at(4, 30),
    ])
    .await?;
    assert_eq!(
        s.read().await?.next_due().await?,
        Some(now.plus(10 * SECOND))
    );
    Ok(())
}

async fn waking_takes_linked_then_important_then_old_first(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    s.sessions(&ranked(now, now.plus(3_600 * SECOND))).await?;
    let mut woken = Vec::new();
    for _ in RANKED {
        let mut tx = s.begin().await?;
        assert_eq!(tx.wake_waiting(1).await?, 1);
        tx.commit().await?;
        let mut tx = s.begin().await?;
        woken.extend(ids(&tx
            .claim_due_sessions(now.plus(7_200 * SECOND), 9)
            .await?));
        // Kept claimed and set aside: no longer waiting for a wake-up.
        for id in &woken {
            if let Some(row) = tx.session(*id).await?.filter(|row| row.due_at.is_some()) {
                let phase = gateway_core::session::Phase::Idle;
                let row = Session {
                    phase,
                    due_at: None,
                    ..next(&row)
                };
                tx.save_sessions(&[row]).await?;
            }
        }
        tx.commit().await?;
    }
    assert_eq!(woken, RANKED.map(session_id));
    assert_eq!(s.begin().await?.wake_waiting(9).await?, 0);
    Ok(())
}

async fn waking_touches_nothing_but_the_due_time_of_what_waits(
    s: &OrchestrationUnderTest,
) -> Verdict {
    let now = s.tenants(1).await?;
    let held = s.worker("w", 9).await?;
    let later = now.plus(3_600 * SECOND);
    let sleeping = waiting(a_card(tenant_id(1), 1, now), later);
    let due = waiting(a_card(tenant_id(1), 2, now), now.minus(SECOND));
    let held = Session {
        due_at: Some(later),
        ..connected(a_card(tenant_id(1), 3, now), &held)
    };
    let idle = a_card(tenant_id(1), 4, now);
    let others = [due, held, idle];
    s.sessions(&others).await?;
    s.sessions(std::slice::from_ref(&sleeping)).await?;
    let mut tx = s.begin().await?;
    assert_eq!(tx.wake_waiting(0).await?, 0);
    assert_eq!(tx.wake_waiting(9).await?, 1);
    let latest = tx.now().await?;
    tx.commit().await?;
    for row in &others {
        assert_eq!(&s.session(row).await?, row);
    }
    let woken = s.session(&sleeping).await?;
    let due_at = woken.due_at.unwrap_or(later);
    assert!(now <= due_at && due_at <= latest, "{due_at} is not now");
    assert_eq!(
        Session {
            due_at: sleeping.due_at,
            ..woken
        },
        next(&sleeping),
        "and its version, so that no older reading puts it back to sleep"
    );
    Ok(())
}

async fn who_may_not_start_yet_is_not_woken(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let later = now.plus(3_600 * SECOND);
    let row = |n, not_before| Session {
        not_before,
        ..waiting(a_card(tenant_id(1), n, now), later)
    };
    let rows = [
        row(1, Some(later)),
        row(2, Some(now.minus(SECOND))),
        row(3, None),
    ];
    s.sessions(&rows).await?;
    let mut tx = s.begin().await?;
    assert_eq!(tx.wake_waiting(9).await?, 2);
    tx.commit().await?;
    assert_eq!(s.session(&rows[0]).await?.due_at, Some(later));
    for woken in &rows[1..] {
        assert!(s.session(woken).await?.due_at < Some(later));
    }
    Ok(())
}

async fn concurrent_wakers_wake_no_row_twice(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let rows: Vec<_> = (1..=30)
        .map(|n| waiting(a_card(tenant_id(1), n, now), now.plus(3_600 * SECOND)))
        .collect();
    s.sessions(&rows).await?;
    let results = at_once(CROWD, |_| {
        let store = Arc::clone(&s.store);
        async move {
            let mut tx = store.begin().await?;
            let woken = tx.wake_waiting(2).await?;
            tokio::task::yield_now().await;
            tx.commit().await?;
            Ok::<u32, StoreError>(woken)
        }
    })
    .await;
    let mut woken = 0;
    for result in results {
        woken += result?;
    }
    let due = s
        .begin()
        .await?
        .claim_due_sessions(now.plus(7_200 * SECOND), 99)
        .await?;
    assert_eq!(due.len(), woken as usize, "what was counted is what is due");
    Ok(())
}

async fn who_has_read_a_row_before_it_was_woken_does_not_put_it_back_to_sleep(
    s: &OrchestrationUnderTest,
) -> Verdict {
    let now = s.tenants(1).await?;
    let later = now.plus(3_600 * SECOND);
    let row = waiting(a_card(tenant_id(1), 1, now), later);
    s.sessions(std::slice::from_ref(&row)).await?;
    let mut tx = s.begin().await?;
    assert_eq!(tx.wake_waiting(1).await?, 1);
    tx.commit().await?;
    let mut tx = s.begin().await?;
    let saved = tx.save_sessions(&[next(&row)]).await;
    assert!(matches!(saved, Err(StoreError::Conflict)), "{saved:?}");
    drop(tx);
    let due_at = s.session(&row).await?.due_at;
    assert!(due_at.is_some_and(|due_at| due_at < later), "{due_at:?}");
    Ok(())
}

async fn who_makes_room_waits_for_a_row_that_goes_to_sleep(s: &OrchestrationUnderTest) -> Verdict {
    let (now, rows) = due(s, 1).await?;
    let mut sleeper = s.begin().await?;
    let asleep = Session {
        due_at: Some(now.plus(3_600 * SECOND)),
        ..next(&rows[0])
    };
    sleeper.save_sessions(std::slice::from_ref(&asleep)).await?;
    let waking = async {
        let mut waker = s.begin().await?;
        let woken = waker.wake_waiting(1).await?;
        waker.commit().await?;
        Ok(woken)
    };
    assert_eq!(while_open(sleeper.commit(), waking).await?, 1);
    assert!(s.session(&rows[0]).await?.due_at < asleep.due_at);
    Ok(())
}

async fn who_goes_to_sleep_beside_a_waker_sees_what_it_freed(
    s: &OrchestrationUnderTest,
) -> Verdict {
    let (now, rows) = due(s, 1).await?;
    let full = s.worker("w", 1).await?;
    let mut taking = s.begin().await?;
    assert!(taking.reserve_slot(&full).await?);
    taking.commit().await?;
    let mut waker = s.begin().await?;
    waker.release_slots(&full.worker, 1).await?;
    assert_eq!(waker.wake_waiting(1).await?, 0, "it is awake");
    let asleep = Session {
        due_at: Some(now.plus(3_600 * SECOND)),
        ..next(&rows[0])
    };
    let sleeping = async {
        let mut sleeper = s.begin().await?;
        sleeper.save_sessions(&[asleep]).await?;
        sleeper.commit().await?;
        let worker = s.read().await?.worker(&full.worker).await?;
        Ok(worker.map(|worker| worker.assigned))
    };
    assert_eq!(while_open(waker.commit(), sleeping).await?, Some(0));
    Ok(())
}
