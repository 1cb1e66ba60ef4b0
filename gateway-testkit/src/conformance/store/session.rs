//! The rows of sessions: kept as they are, changed only by who has read them last.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::id::Epoch;
use gateway_core::session::{Inserted, Next, Pairing, Phase, Session, Setback, Setbacks, Silence};
use gateway_core::store::{Store, StoreError, Unique, retry_conflicts};
use gateway_core::time::Timestamp;
use gateway_core::worker::HeldRow;
use serde_json::json;

use super::unique::is_taken;
use super::{OrchestrationUnderTest, orchestration_cases};
use crate::conformance::Verdict;
use crate::conformance::fixture::{
    CROWD, a_card, at_once, connected, every_phase, in_phase, next, owner, session_id,
    session_name, tenant_id, worker_id,
};

orchestration_cases!("session":
    a_card_is_kept_as_it_is,
    a_row_is_kept_as_it_is_in_every_phase,
    a_name_is_taken_within_its_tenant_only,
    a_session_that_is_being_deleted_has_given_up_its_name_and_its_place,
    a_card_beyond_the_limit_is_refused,
    concurrent_inserts_never_exceed_the_limit,
    concurrent_inserts_of_one_name_store_one,
    a_save_follows_the_stored_version,
    a_batch_is_saved_whole_or_not_at_all,
    a_taken_name_cannot_be_saved,
    one_of_many_concurrent_saves_wins,
    a_deletion_follows_the_stored_version,
    one_of_many_concurrent_deletions_wins,
    a_waiting_row_must_have_a_due_time,
    the_sessions_of_an_owner_are_in_id_order,
    locked_sessions_stay_as_they_were_read,
    the_spread_of_a_tenant_counts_what_workers_hold,
    a_taken_id_of_a_session_is_not_a_taken_name,
);

fn a_setback(worker: &str, at: Timestamp) -> Setback {
    Setback {
        worker: worker_id(worker),
        at,
    }
}

async fn a_card_is_kept_as_it_is(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let card = Session {
        description: Some("Größe ☃ 'quoted\" \\ %_".to_owned()),
        metadata: [
            ("a".to_owned(), json!({"deep": [1, 2.5, null, true, "ü"]})),
            ("B".to_owned(), json!(9_007_199_254_740_993_i64)),
        ]
        .into(),
        pairing: Pairing::PairingCode {
            phone_number: "491701234567".to_owned(),
        },
        priority: 255,
        ..a_card(tenant_id(1), 1, now)
    };
    s.sessions(std::slice::from_ref(&card)).await?;
    assert_eq!(s.session(&card).await?, card);
    let unknown = a_card(tenant_id(1), 2, now).id;
    assert_eq!(s.read().await?.session(unknown).await?, None);

    let filled = Session {
        attempt: 4,
        epoch: Epoch(u64::from(u32::MAX) + 5),
        report_seq: u64::from(u32::MAX) + 6,
        silence: Some(Silence {
            since: now.minus(Duration::from_micros(1)),
            until: now.plus(Duration::from_micros(1)),
        }),
        retry_at: Some(now),
        not_before: Some(now),
        setbacks: Setbacks {
            failed_starts: vec![a_setback("v", now), a_setback("w", now)],
            deaths: vec![a_setback("w", now)],
        },
        deadline: Some(now),
        due_at: Some(now),
        paired: true,
        phone_number: Some("491701234567".to_owned()),
        state_format: Some("f1".to_owned()),
        linking_since: Some(now),
        linking_until: Some(now),
        last_activity_at: Some(now),
        name: session_name("renamed"),
        display_name: Some("Re Named".to_owned()),
        ..next(&card)
    };
    let mut tx = s.begin().await?;
    tx.save_sessions(std::slice::from_ref(&filled)).await?;
    tx.commit().await?;
    // Only the sequencer moves the last activity, so a save may leave it out.
    let stored = s.session(&card).await?;
    assert_eq!(
        Session {
            last_activity_at: Some(now),
            ..stored
        },
        filled
    );
    Ok(())
}

async fn a_row_is_kept_as_it_is_in_every_phase(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let held = s.worker("w", 1_000).await?;
    let rows = every_phase(tenant_id(1), &held, now);
    let cards: Vec<_> = (1..)
        .zip(&rows)
        .map(|(n, _)| a_card(tenant_id(1), n, now))
        .collect();
    s.sessions(&cards).await?;
    let rows: Vec<_> = rows.iter().map(next).collect();
    let mut tx = s.begin().await?;
    tx.save_sessions(&rows).await?;
    tx.commit().await?;
    for row in &rows {
        assert_eq!(&s.session(row).await?, row);
    }
    Ok(())
}

async fn a_name_is_taken_within_its_tenant_only(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(2).await?;
    let named = |tenant, n| Session {
        name: session_name("shop"),
        ..a_card(tenant_id(tenant), n, now)
    };
    let mut tx = s.begin().await?;
    assert_eq!(tx.insert_session(&named(1, 1), None).await?, Inserted::Done);
    assert_eq!(tx.insert_session(&named(2, 2), None).await?, Inserted::Done);
    tx.commit().await?;
    let again = s.begin().await?.insert_session(&named(1, 3), None).await?;
    assert_eq!(again, Inserted::NameTaken);
    Ok(())
}

async fn a_session_that_is_being_deleted_has_given_up_its_name_and_its_place(
    s: &OrchestrationUnderTest,
) -> Verdict {
    let now = s.tenants(1).await?;
    let owner = s.worker("one", 9).await?;
    let name = session_name("shop");
    let card = |n| Session {
        name: name.clone(),
        ..a_card(tenant_id(1), n, now)
    };
    s.sessions(&[card(1)]).await?;
    let leaving = Session {
        phase: Phase::Stopping {
            owner,
            next: Next::Delete,
        },
        due_at: Some(now),
        ..next(&card(1))
    };
    let mut tx = s.begin().await?;
    tx.save_sessions(std::slice::from_ref(&leaving)).await?;
    tx.commit().await?;
    assert_eq!(s.session(&leaving).await?, leaving);

    let mut tx = s.begin().await?;
    let inserted = tx.insert_session(&card(2), Some(1)).await?;
    assert_eq!(inserted, Inserted::Done);
    tx.commit().await?;
    // Its later steps do not claim the name again.
    let mut tx = s.begin().await?;
    tx.save_sessions(&[next(&leaving)]).await?;
    tx.commit().await?;
    Ok(())
}

async fn a_card_beyond_the_limit_is_refused(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(2).await?;
    s.sessions(&[a_card(tenant_id(2), 9, now)]).await?;
    let mut tx = s.begin().await?;
    for n in 1..=2 {
        let card = a_card(tenant_id(1), n, now);
        assert_eq!(tx.insert_session(&card, Some(2)).await?, Inserted::Done);
    }
    tx.commit().await?;
    for limit in [2, 1, 0] {
        let card = a_card(tenant_id(1), 3, now);
        let refused = s.begin().await?.insert_session(&card, Some(limit)).await?;
        assert_eq!(refused, Inserted::LimitReached { used: 2 }, "limit {limit}");
    }
    let card = a_card(tenant_id(1), 3, now);
    assert_eq!(
        s.begin().await?.insert_session(&card, None).await?,
        Inserted::Done
    );
    Ok(())
}

async fn insert(
    store: &dyn Store,
    card: &Session,
    limit: Option<u32>,
) -> Result<Inserted, StoreError> {
    let mut tx = store.begin().await?;
    let inserted = tx.insert_session(card, limit).await?;
    tokio::task::yield_now().await;
    tx.commit().await?;
    Ok(inserted)
}

async fn concurrent_inserts_never_exceed_the_limit(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let results = at_once(CROWD, |index| {
        let store = Arc::clone(&s.store);
        let card = a_card(tenant_id(1), 1 + index as u128, now);
        async move { retry_conflicts(1_000, || insert(&*store, &card, Some(4))).await }
    })
    .await;
    let mut done = 0;
    for result in results {
        match result? {
            Inserted::Done => done += 1,
            Inserted::LimitReached { used } => assert_eq!(used, 4),
            Inserted::NameTaken => return Err(crate::conformance::Failure::new("free name")),
        }
    }
    assert_eq!(done, 4);
    let (mut tx, mut stored) = (s.read().await?, 0);
    for n in 1..=CROWD as u128 {
        stored += usize::from(tx.session(session_id(n)).await?.is_some());
    }
    assert_eq!(stored, 4);
    Ok(())
}

async fn concurrent_inserts_of_one_name_store_one(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let results = at_once(CROWD, |index| {
        let store = Arc::clone(&s.store);
        let card = Session {
            name: session_name("shop"),
            ..a_card(tenant_id(1), 1 + index as u128, now)
        };
        async move { retry_conflicts(1_000, || insert(&*store, &card, None)).await }
    })
    .await;
    let mut done = 0;
    for result in results {
        match result? {
            Inserted::Done => done += 1,
            other => assert_eq!(other, Inserted::NameTaken),
        }
    }
    assert_eq!(done, 1);
    Ok(())
}

async fn a_save_follows_the_stored_version(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let card = a_card(tenant_id(1), 1, now);
    s.sessions(std::slice::from_ref(&card)).await?;
    let missing = next(&a_card(tenant_id(1), 2, now));
    let skipping = Session {
        version: 3,
        ..card.clone()
    };
    for row in [card.clone(), skipping, missing] {
        let saved = s
            .begin()
            .await?
            .save_sessions(std::slice::from_ref(&row))
            .await;
        assert!(
            matches!(saved, Err(StoreError::Conflict)),
            "{row:?}: {saved:?}"
        );
    }
    s.begin().await?.save_sessions(&[]).await?;
    assert_eq!(s.session(&card).await?, card);
    Ok(())
}

async fn a_batch_is_saved_whole_or_not_at_all(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let cards: Vec<_> = (1..=3).map(|n| a_card(tenant_id(1), n, now)).collect();
    s.sessions(&cards).await?;
    let mut rows: Vec<_> = cards.iter().map(next).collect();
    rows[1].version = 7;
    let mut tx = s.begin().await?;
    let saved = tx.save_sessions(&rows).await;
    assert!(matches!(saved, Err(StoreError::Conflict)), "{saved:?}");
    drop(tx);
    for card in &cards {
        assert_eq!(&s.session(card).await?, card);
    }
    rows[1].version = 2;
    // In whatever order they come.
    rows.reverse();
    let mut tx = s.begin().await?;
    tx.save_sessions(&rows).await?;
    tx.commit().await?;
    for row in &rows {
        assert_eq!(&s.session(row).await?, row);
    }
    Ok(())
}

async fn a_taken_name_cannot_be_saved(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(2).await?;
    let (mine, other) = (a_card(tenant_id(1), 1, now), a_card(tenant_id(1), 2, now));
    let stranger = a_card(tenant_id(2), 3, now);
    s.sessions(&[mine.clone(), other.clone(), stranger.clone()])
        .await?;
    let renamed = Session {
        name: other.name.clone(),
        ..next(&mine)
    };
    let saved = s.begin().await?.save_sessions(&[renamed]).await;
    assert!(
        matches!(saved, Err(StoreError::Duplicate(Unique::SessionName))),
        "{saved:?}"
    );
    let renamed = Session {
        name: stranger.name.clone(),
        ..next(&mine)
    };
    s.begin().await?.save_sessions(&[renamed]).await?;
    Ok(())
}

async fn one_of_many_concurrent_saves_wins(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let card = a_card(tenant_id(1), 1, now);
    s.sessions(std::slice::from_ref(&card)).await?;
    let results = at_once(CROWD, |index| {
        let store = Arc::clone(&s.store);
        let row = Session {
            attempt: index as u32,
            ..next(&card)
        };
        async move {
            let mut tx = store.begin().await?;
            tx.save_sessions(&[row]).await?;
            tx.commit().await
        }
    })
    .await;
    let winners: Vec<_> = (0..CROWD).filter(|index| results[*index].is_ok()).collect();
    let lost = results
        .iter()
        .filter(|result| matches!(result, Err(StoreError::Conflict)));
    assert_eq!((winners.len(), lost.count()), (1, CROWD - 1), "{results:?}");
    assert_eq!(s.session(&card).await?.attempt as usize, winners[0]);
    Ok(())
}

async fn a_deletion_follows_the_stored_version(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let card = a_card(tenant_id(1), 1, now);
    s.sessions(std::slice::from_ref(&card)).await?;
    let stale = s.begin().await?.delete_session(card.id, 2).await;
    assert!(matches!(stale, Err(StoreError::Conflict)), "{stale:?}");
    let mut tx = s.begin().await?;
    tx.delete_session(card.id, 1).await?;
    tx.commit().await?;
    let mut tx = s.begin().await?;
    assert_eq!(tx.session(card.id).await?, None);
    let gone = tx.delete_session(card.id, 1).await;
    assert!(matches!(gone, Err(StoreError::Conflict)), "{gone:?}");
    drop(tx);
    // Its name is free again, and its place under the limit too.
    let again = Session {
        name: card.name.clone(),
        ..a_card(tenant_id(1), 2, now)
    };
    let inserted = s.begin().await?.insert_session(&again, Some(1)).await?;
    assert_eq!(inserted, Inserted::Done);
    Ok(())
}

async fn one_of_many_concurrent_deletions_wins(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let card = a_card(tenant_id(1), 1, now);
    s.sessions(std::slice::from_ref(&card)).await?;
    let results = at_once(CROWD, |_| {
        let (store, id) = (Arc::clone(&s.store), card.id);
        async move {
            let mut tx = store.begin().await?;
            tx.delete_session(id, 1).await?;
            tx.commit().await
        }
    })
    .await;
    let won = results.iter().filter(|result| result.is_ok()).count();
    let lost = results
        .iter()
        .filter(|result| matches!(result, Err(StoreError::Conflict)));
    assert_eq!((won, lost.count()), (1, CROWD - 1), "{results:?}");
    Ok(())
}

async fn a_waiting_row_must_have_a_due_time(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let held = s.worker("w", 5).await?;
    let card = a_card(tenant_id(1), 1, now);
    s.sessions(std::slice::from_ref(&card)).await?;
    let bare = |phase| Session {
        due_at: None,
        ..in_phase(next(&card), phase, now)
    };
    let starting = Phase::Starting {
        owner: held.clone(),
    };
    let stopping = Phase::Stopping {
        owner: held,
        next: Next::Rest,
    };
    let with_deadline = Session {
        deadline: Some(now),
        ..next(&card)
    };
    let with_retry = Session {
        retry_at: Some(now),
        ..next(&card)
    };
    for row in [
        bare(Phase::Waiting),
        bare(starting),
        bare(stopping),
        with_deadline,
        with_retry,
    ] {
        let mut tx = s.begin().await?;
        let saved = tx.save_sessions(std::slice::from_ref(&row)).await;
        assert!(
            matches!(saved, Err(StoreError::Refused(_))),
            "{row:?}: {saved:?}"
        );
        drop(tx);
        assert_eq!(s.session(&card).await?, card);
    }
    Ok(())
}

async fn the_sessions_of_an_owner_are_in_id_order(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(2).await?;
    let held = s.worker("w", 50).await?;
    let later = s.restart_worker("w", 2).await?;
    let other = s.worker("v", 50).await?;
    let on = |tenant, n, owner| connected(a_card(tenant_id(tenant), n, now), owner);
    let mine = [on(1, 1, &held), on(2, 4, &held), on(1, 7, &held)];
    s.sessions(&[mine[2].clone(), mine[0].clone(), mine[1].clone()])
        .await?;
    s.sessions(&[
        on(1, 2, &later),
        on(1, 3, &other),
        a_card(tenant_id(1), 5, now),
    ])
    .await?;
    assert_eq!(s.read().await?.sessions_of(&held).await?, mine);
    assert_eq!(s.begin().await?.lock_sessions_of(&held).await?, mine);
    let few: Vec<HeldRow> = mine.iter().filter_map(HeldRow::of).collect();
    assert_eq!(s.read().await?.held_by(&held).await?, few);
    assert_eq!(s.read().await?.sessions_of(&owner("w", 3)).await?, []);
    Ok(())
}

async fn locked_sessions_stay_as_they_were_read(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let held = s.worker("w", 50).await?;
    let rows: Vec<_> = (1..=4)
        .map(|n| connected(a_card(tenant_id(1), n, now), &held))
        .collect();
    s.sessions(&rows).await?;
    let results = at_once(CROWD, |_| {
        let (store, held) = (Arc::clone(&s.store), held.clone());
        async move {
            let mut tx = store.begin().await?;
            let rows = tx.lock_sessions_of(&held).await?;
            tokio::task::yield_now().await;
            let rows: Vec<_> = rows.iter().map(next).collect();
            tx.save_sessions(&rows).await?;
            tx.commit().await
        }
    })
    .await;
    // Nobody repeats: with the lock held, what was read cannot change before it is written.
    for result in results {
        result?;
    }
    for row in &rows {
        assert_eq!(s.session(row).await?.version as usize, CROWD + 1);
    }
    Ok(())
}

async fn the_spread_of_a_tenant_counts_what_workers_hold(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(2).await?;
    let (v, w) = (s.worker("v", 50).await?, s.worker("w", 50).await?);
    let on = |tenant, n, owner| connected(a_card(tenant_id(tenant), n, now), owner);
    let newer = s.restart_worker("w", 2).await?;
    s.sessions(&[on(1, 1, &v), on(1, 2, &w), on(1, 3, &newer), on(2, 4, &v)])
        .await?;
    s.sessions(&[a_card(tenant_id(1), 5, now)]).await?;
    let spread = s.read().await?.tenant_spread(tenant_id(1)).await?;
    assert_eq!(spread, [(v.worker, 1), (w.worker, 2)].into());
    Ok(())
}

async fn a_taken_id_of_a_session_is_not_a_taken_name(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let card = a_card(tenant_id(1), 1, now);
    s.sessions(std::slice::from_ref(&card)).await?;
    let same_id = Session {
        name: session_name("other"),
        ..card
    };
    let mut tx = s.begin().await?;
    let again = tx.insert_session(&same_id, None).await.map(drop);
    is_taken(&again, Unique::SessionId);
    Ok(())
}
