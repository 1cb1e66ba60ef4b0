//! A machine whose wall clock is set back, under a store in a file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::change::WINDOW;
use gateway_core::store::{PlatformStore as _, Store as _};
use gateway_core::time::Clock;
use gateway_server::store::sql::SqlStore;
use gateway_testkit::clock::ManualClock;
use gateway_testkit::fixture::{START, a_session, a_worker};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

async fn store(folder: &Path) -> (SqlStore, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(START));
    let path = folder.join("gateway.db");
    let store = SqlStore::sqlite(&path, clock.clone()).await.unwrap();
    store.migrate().await.unwrap();
    (store, clock)
}

pub(crate) async fn a_clock_that_is_set_back_delays_no_timer(folder: &Path) {
    let (store, clock) = store(folder).await;
    let row = a_session()
        .waiting()
        .due_at(START.plus(30 * SECOND))
        .build();
    let mut tx = store.begin().await.unwrap();
    tx.insert_session(&row, None).await.unwrap();
    tx.commit().await.unwrap();

    clock.step_to(START.minus(HOUR));
    for (second, due) in [(20, 0), (12, 1)] {
        clock.advance(second * SECOND);
        let mut tx = store.begin().await.unwrap();
        let until = tx.now().await.unwrap().plus(HOUR);
        let claimed = tx.claim_due_sessions(until, 10).await.unwrap();
        assert_eq!(claimed.len(), due, "after {second} s more");
        tx.commit().await.unwrap();
    }
}

pub(crate) async fn what_a_command_writes_beside_a_clock_that_was_set_back_is_seen(folder: &Path) {
    let (store, clock) = store(folder).await;
    store.read().await.unwrap().now().await.unwrap();
    clock.advance(HOUR);
    let mut tx = store.read_platform().await.unwrap();
    tx.now().await.unwrap();
    clock.step_to(clock.now().minus(HOUR));

    let path = folder.join("gateway.db");
    let beside = SqlStore::sqlite_beside(&path, clock.clone()).await.unwrap();
    let mut command = beside.begin().await.unwrap();
    command
        .insert_worker(&a_worker("w1").build())
        .await
        .unwrap();
    command.commit().await.unwrap();

    let now = tx.now().await.unwrap();
    assert!(
        now >= START.plus(HOUR),
        "the server's time does not go back"
    );
    let changes = tx.changes_since(now.minus(WINDOW)).await.unwrap();
    assert_eq!(changes.workers.len(), 1);
}
