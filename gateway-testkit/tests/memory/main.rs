//! The ports in memory keep what they promise; the store READ COMMITTED, row locks, and no more.

mod coord;
mod isolation;
mod messages;
mod quota;
mod races;
mod state;

use std::sync::Arc;

use gateway_core::session::Session;
use gateway_core::store::{PlatformStore, PlatformTx};
use gateway_core::worker::Worker;
use gateway_testkit::clock::ManualClock;
use gateway_testkit::memory::MemoryStore;

fn a_store() -> MemoryStore {
    MemoryStore::new(Arc::new(ManualClock::default()))
}

async fn tx(store: &MemoryStore) -> Box<dyn PlatformTx> {
    store
        .begin_platform()
        .await
        .expect("a store that is switched on begins")
}

async fn stored(store: &MemoryStore, workers: &[Worker], sessions: &[Session]) {
    let mut tx = tx(store).await;
    for worker in workers {
        tx.insert_worker(worker).await.expect("a new worker");
    }
    for session in sessions {
        tx.insert_session(session, None)
            .await
            .expect("a new session");
    }
    tx.commit().await.expect("nothing is in the way");
}
