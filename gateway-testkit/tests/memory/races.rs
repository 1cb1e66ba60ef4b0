use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_executor::block_on;
use futures_util::future::join_all;
use gateway_core::session::{Inserted, Owner};
use gateway_core::store::{Store, StoreError, retry_conflicts};
use gateway_testkit::clock::ManualClock;
use gateway_testkit::entropy::SeededEntropy;
use gateway_testkit::fixture::{a_session, a_worker};
use gateway_testkit::memory::MemoryStore;

use crate::stored;

fn interleaved(seed: u64) -> MemoryStore {
    let turns = Arc::new(SeededEntropy::new(seed));
    MemoryStore::interleaved(Arc::new(ManualClock::default()), turns)
}

async fn reserve(store: &MemoryStore, owner: &Owner) -> Result<bool, StoreError> {
    let mut tx = store.begin().await?;
    let got = tx.reserve_slot(owner).await?;
    tx.commit().await?;
    Ok(got)
}

#[test]
fn racing_reservations_never_exceed_the_capacity() {
    for seed in 0..20 {
        block_on(async {
            let store = interleaved(seed);
            let worker = a_worker("w").with_room_for(3).build();
            stored(&store, std::slice::from_ref(&worker), &[]).await;
            let owner = worker.owner().expect("it has run");
            let tries = join_all((0..12).map(|_| reserve(&store, &owner))).await;
            let won = tries.into_iter().filter(|got| matches!(got, Ok(true)));
            assert_eq!(won.count(), 3, "seed {seed}");
        });
    }
}

#[test]
fn a_lost_update_is_repeated_until_it_is_not_lost() {
    let attempts = AtomicU32::new(0);
    for seed in 0..20 {
        block_on(async {
            let store = interleaved(seed);
            let card = a_session().build();
            stored(&store, &[], std::slice::from_ref(&card)).await;
            let raise = || async {
                attempts.fetch_add(1, Ordering::Relaxed);
                let mut tx = store.begin().await?;
                let mut row = tx.session(card.id).await?.ok_or(StoreError::Conflict)?;
                row.attempt += 1;
                row.version += 1;
                tx.save_sessions(&[row]).await?;
                tx.commit().await
            };
            let done = join_all((0..8).map(|_| retry_conflicts(100, raise))).await;
            assert!(done.iter().all(Result::is_ok), "seed {seed}");
            let mut tx = store.begin().await.expect("begins");
            let row = tx.session(card.id).await.expect("reads").expect("there");
            assert_eq!((row.attempt, row.version), (8, 9), "seed {seed}");
        });
    }
    let attempts = attempts.into_inner();
    assert!(attempts > 20 * 8, "tasks do meet: {attempts} attempts");
}

#[test]
fn racing_cards_never_exceed_the_limit() {
    for seed in 0..20 {
        block_on(async {
            let store = interleaved(seed);
            let insert = async |number: usize| {
                let card = a_session().named(&format!("card-{number}")).build();
                let mut tx = store.begin().await?;
                let inserted = tx.insert_session(&card, Some(2)).await?;
                tx.commit().await?;
                Ok::<_, StoreError>(inserted)
            };
            let done = join_all((0..6).map(insert)).await;
            let made = done.iter().filter(|got| matches!(got, Ok(Inserted::Done)));
            assert_eq!(made.count(), 2, "seed {seed}");
        });
    }
}
