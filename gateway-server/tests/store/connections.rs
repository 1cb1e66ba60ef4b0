//! Who waits for whom.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::id::{Incarnation, TenantId, WorkerId};
use gateway_core::session::Owner;
use gateway_core::store::{PlatformStore, Store, StoreError};
use gateway_core::tenant::Tier;
use gateway_core::time::{Clock, Timestamp};
use gateway_core::worker::{
    Lease, LeaseAuthority, LeasePolicy, Renewal, StoreLeases, Worker, WorkerReport, WorkerStatus,
};
use gateway_server::cache::Caches;
use gateway_server::store::sql::SqlStore;
use gateway_testkit::clock::ManualClock;
use sqlx::{Connection as _, PgConnection};

pub(crate) async fn a_reader_waits_for_no_writer_and_cannot_write(store: &SqlStore) {
    let mut writer = store.begin_platform().await.unwrap();
    for tier in Tier::defaults() {
        writer.put_tier(&tier).await.unwrap();
    }
    let mut reader = store.read_platform().await.unwrap();
    assert_eq!(reader.tiers().await.unwrap(), [], "not committed");
    writer.commit().await.unwrap();
    assert_eq!(reader.tiers().await.unwrap().len(), 3, "committed since");
    assert!(reader.put_tier(&Tier::defaults()[0]).await.is_err());
    drop(reader);
    let tiers = store.read_platform().await.unwrap().tiers().await.unwrap();
    assert_eq!(tiers.len(), 3);
}

/// `BEGIN` and `ROLLBACK` would be two more exchanges with the server.
pub(crate) async fn a_read_begins_no_transaction(store: &SqlStore, url: &str) {
    let mut server = PgConnection::connect(url).await.unwrap();
    let mut reader = store.read_platform().await.unwrap();
    assert_eq!(reader.tiers().await.unwrap(), []);
    assert_eq!(open_transactions(&mut server).await, 0);
    drop(reader);
    let mut writer = store.begin_platform().await.unwrap();
    assert_eq!(writer.tiers().await.unwrap(), []);
    assert_eq!(open_transactions(&mut server).await, 1);
}

async fn open_transactions(server: &mut PgConnection) -> i64 {
    let counting = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND state = 'idle in transaction'",
    );
    counting.fetch_one(server).await.unwrap()
}

pub(crate) async fn writers_that_wait_all_get_their_turn(store: &SqlStore) {
    let tenant = TenantId::from_u128(1);
    let mut draws = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let store = store.clone();
        draws.spawn(async move {
            let mut tx = store.begin_platform().await?;
            let drawn = tx.draw_quota(tenant, 40, 1, true).await?;
            tx.commit().await?;
            Ok::<u64, StoreError>(drawn.granted)
        });
    }
    let granted: u64 = draws.join_all().await.into_iter().map(Result::unwrap).sum();
    assert_eq!(granted, 40);
}

/// All connections of the pool are taken, by requests that fill caches, say.
pub(crate) async fn what_keeps_caches_trusted_and_leases_alive_waits_for_nobody(store: &SqlStore) {
    let id = WorkerId::parse("worker-1").unwrap();
    let run = Incarnation::parse("run-0001").unwrap();
    let owner = Owner {
        worker: id.clone(),
        incarnation: run.clone(),
    };
    let mut tx = store.begin().await.unwrap();
    let row = Worker {
        status: WorkerStatus::Active,
        incarnation: Some(run),
        ..Worker::pending(id, 1, Timestamp::from_micros(0))
    };
    tx.insert_worker(&row).await.unwrap();
    let policy = LeasePolicy::default();
    let lease = Lease::new(owner.clone(), policy.lease, Timestamp::from_micros(0));
    tx.insert_lease(&lease).await.unwrap();
    tx.commit().await.unwrap();
    let held = [store.begin().await.unwrap(), store.begin().await.unwrap()];
    let watching = Arc::new(store.apart());
    let clock = Arc::new(ManualClock::default());
    let control = tokio::runtime::Handle::current();
    let reads = Arc::new(store.clone());
    let caches = Caches::new(reads, watching.clone(), clock.clone(), control);
    caches.look().await.unwrap();
    assert!(caches.are_trusted(clock.uptime()));
    let leases = StoreLeases::new(watching, clock, policy);
    let renewed = leases.renew(&owner, &WorkerReport::default()).await;
    assert!(
        matches!(renewed, Ok(Renewal::Granted { .. })),
        "{renewed:?}"
    );
    assert_eq!(leases.silent().await.unwrap(), []);
    drop(held);
    let stored = store.begin().await.unwrap().lease(&owner).await.unwrap();
    assert_eq!(stored.map(|lease| lease.renewals), Some(1));
}

/// By a clock that runs ahead of the server's.
pub(crate) async fn a_transaction_that_grows_old_does_not_commit(
    store: &SqlStore,
    clock: &ManualClock,
) {
    let mut tx = store.begin_platform().await.unwrap();
    tx.put_tier(&Tier::defaults()[0]).await.unwrap();
    clock.advance(Duration::from_secs(14));
    tx.put_tier(&Tier::defaults()[1]).await.unwrap();
    clock.advance(Duration::from_secs(1));
    let late = tx.put_tier(&Tier::defaults()[2]).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    let late = tx.commit().await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    let tiers = store.read_platform().await.unwrap().tiers().await.unwrap();
    assert_eq!(tiers, []);
}

pub(crate) async fn a_statement_that_waits_too_long_is_given_up(store: &SqlStore) {
    let id = WorkerId::parse("worker-1").unwrap();
    let mut tx = store.begin().await.unwrap();
    let row = Worker::pending(id.clone(), 1, Timestamp::from_micros(0));
    tx.insert_worker(&row).await.unwrap();
    tx.commit().await.unwrap();
    let (mut first, mut second) = (store.begin().await.unwrap(), store.begin().await.unwrap());
    let locked = first.lock_worker(&id).await;
    // The first one stays busy: idle for as long, it would be ended first, and its lock with it.
    let mut waiting = second.lock_worker(&id);
    let waited = loop {
        tokio::select! {
            waited = &mut waiting => break waited,
            row = first.worker(&id) => assert!(row.is_ok(), "{row:?}"),
        }
    };
    drop(waiting);
    assert!(matches!(locked, Ok(Some(_))), "{locked:?}");
    assert!(
        matches!(waited, Err(StoreError::Unavailable(_))),
        "{waited:?}"
    );
}
