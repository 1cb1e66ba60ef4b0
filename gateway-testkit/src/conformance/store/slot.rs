//! Places on workers: one conditional write, never more than there are.

use std::sync::Arc;

use gateway_core::session::Owner;
use gateway_core::store::StoreError;
use gateway_core::worker::{Worker, WorkerStatus};

use super::{OrchestrationUnderTest, orchestration_cases};
use crate::conformance::fixture::{CROWD, a_worker, at_once, owner};
use crate::conformance::{Failure, Verdict};

orchestration_cases!("slot":
    places_are_given_until_there_are_none,
    only_the_newest_incarnation_gets_a_place,
    only_an_active_worker_gets_a_session,
    a_cordoned_worker_gets_nothing,
    a_stuck_run_gets_nothing_and_the_next_one_does,
    taking_a_place_leaves_the_rows_version_alone,
    a_place_is_given_back_with_its_transaction,
    places_given_back_never_go_below_none,
    concurrent_reservations_never_exceed_the_places,
    concurrent_takers_and_givers_keep_the_count,
);

async fn assigned(s: &OrchestrationUnderTest, owner: &Owner) -> Result<u32, Failure> {
    let worker = s.read().await?.worker(&owner.worker).await?;
    worker
        .map(|row| row.assigned)
        .ok_or_else(|| Failure::new("the worker is gone"))
}

async fn places_are_given_until_there_are_none(s: &OrchestrationUnderTest) -> Verdict {
    let held = s.worker("w", 2).await?;
    let mut tx = s.begin().await?;
    assert!(tx.reserve_slot(&held).await?);
    assert!(tx.reserve_slot(&held).await?);
    assert!(!tx.reserve_slot(&held).await?);
    tx.release_slots(&held.worker, 1).await?;
    assert!(tx.reserve_slot(&held).await?);
    assert!(!tx.reserve_slot(&owner("nobody", 1)).await?);
    tx.commit().await?;
    assert_eq!(assigned(s, &held).await?, 2);
    Ok(())
}

async fn only_the_newest_incarnation_gets_a_place(s: &OrchestrationUnderTest) -> Verdict {
    let old = s.worker("w", 2).await?;
    let newest = s.restart_worker("w", 2).await?;
    let mut tx = s.begin().await?;
    assert!(!tx.reserve_slot(&old).await?);
    assert!(tx.reserve_slot(&newest).await?);
    Ok(())
}

async fn only_an_active_worker_gets_a_session(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.now().await?;
    let mut tx = s.begin().await?;
    for status in WorkerStatus::ALL {
        let name = status.name().to_lowercase();
        let row = Worker {
            status,
            ..a_worker(&name, 1, now)
        };
        tx.insert_worker(&row).await?;
        let given = tx.reserve_slot(&owner(&name, 1)).await?;
        assert_eq!(given, status == WorkerStatus::Active, "{status:?}");
    }
    Ok(())
}

async fn a_cordoned_worker_gets_nothing(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.now().await?;
    let mut tx = s.begin().await?;
    tx.insert_worker(&Worker {
        cordoned: true,
        ..a_worker("w", 1, now)
    })
    .await?;
    assert!(!tx.reserve_slot(&owner("w", 1)).await?);
    Ok(())
}

async fn a_stuck_run_gets_nothing_and_the_next_one_does(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.now().await?;
    let stuck = Worker {
        stuck: Some(owner("w", 1).incarnation),
        ..a_worker("w", 1, now)
    };
    let mut tx = s.begin().await?;
    tx.insert_worker(&stuck).await?;
    assert!(!tx.reserve_slot(&owner("w", 1)).await?);
    let next = Worker {
        incarnation: Some(owner("w", 2).incarnation),
        row_version: stuck.row_version + 1,
        ..stuck
    };
    tx.save_worker(&next).await?;
    assert_eq!(tx.worker(&next.id).await?, Some(next.clone()));
    assert!(tx.reserve_slot(&owner("w", 2)).await?);
    Ok(())
}

async fn taking_a_place_leaves_the_rows_version_alone(s: &OrchestrationUnderTest) -> Verdict {
    let held = s.worker("w", 2).await?;
    let mut tx = s.begin().await?;
    assert!(tx.reserve_slot(&held).await?);
    tx.release_slots(&held.worker, 1).await?;
    tx.commit().await?;
    let row = s.read().await?.worker(&held.worker).await?;
    assert_eq!(row.map(|row| row.row_version), Some(1));
    Ok(())
}

async fn a_place_is_given_back_with_its_transaction(s: &OrchestrationUnderTest) -> Verdict {
    let held = s.worker("w", 1).await?;
    let mut tx = s.begin().await?;
    assert!(tx.reserve_slot(&held).await?);
    drop(tx);
    assert_eq!(assigned(s, &held).await?, 0);
    Ok(())
}

async fn places_given_back_never_go_below_none(s: &OrchestrationUnderTest) -> Verdict {
    let held = s.worker("w", 2).await?;
    let mut tx = s.begin().await?;
    assert!(tx.reserve_slot(&held).await?);
    tx.release_slots(&held.worker, 5).await?;
    tx.commit().await?;
    assert_eq!(assigned(s, &held).await?, 0);
    Ok(())
}

async fn concurrent_reservations_never_exceed_the_places(s: &OrchestrationUnderTest) -> Verdict {
    let held = s.worker("w", 5).await?;
    let results = at_once(CROWD, |_| {
        let (store, held) = (Arc::clone(&s.store), held.clone());
        async move {
            let mut tx = store.begin().await?;
            let given = tx.reserve_slot(&held).await?;
            tokio::task::yield_now().await;
            tx.commit().await?;
            Ok::<bool, StoreError>(given)
        }
    })
    .await;
    let mut given = 0;
    for result in results {
        given += u32::from(result?);
    }
    assert_eq!(given, 5);
    assert_eq!(assigned(s, &held).await?, 5);
    Ok(())
}

async fn concurrent_takers_and_givers_keep_the_count(s: &OrchestrationUnderTest) -> Verdict {
    let held = s.worker("w", 1_000).await?;
    let results = at_once(CROWD, |index| {
        let (store, held) = (Arc::clone(&s.store), held.clone());
        async move {
            for _ in 0..3 {
                let mut tx = store.begin().await?;
                tx.reserve_slot(&held).await?;
                tx.reserve_slot(&held).await?;
                tx.commit().await?;
                let mut tx = store.begin().await?;
                tx.release_slots(&held.worker, 1 + u32::from(index % 2 == 0))
                    .await?;
                tx.commit().await?;
            }
            Ok::<(), StoreError>(())
        }
    })
    .await;
    for result in results {
        result?;
    }
    // Every other task keeps one place per round.
    assert_eq!(assigned(s, &held).await? as usize, 3 * CROWD / 2);
    Ok(())
}
