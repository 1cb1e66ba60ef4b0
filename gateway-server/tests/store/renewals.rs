//! Many heartbeats at once on SQLite.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use gateway_core::session::Owner;
use gateway_core::store::{Store as _, StoreError};
use gateway_core::worker::WorkerReport;
use gateway_server::store::sql::SqlStore;
use gateway_testkit::fixture::a_worker;
use sqlx::SqlitePool;

use crate::sqlite;

const WORKERS: usize = 250;
const LEASE: Duration = Duration::from_secs(20);

pub(crate) async fn workers_that_report_at_once_are_each_answered_for_themselves(folder: &Path) {
    let (store, owners, file) = fleet(folder, WORKERS).await;
    let mut tx = store.begin().await.unwrap();
    tx.disown_lease(&owners[7]).await.unwrap();
    tx.commit().await.unwrap();
    let nonsense = "UPDATE workers SET status = 'FLYING' WHERE id = 'w9'";
    sqlx::query(nonsense).execute(&file).await.unwrap();

    let report = WorkerReport::default();
    let answers = join_all(
        owners
            .iter()
            .map(|owner| store.renew(owner, LEASE, &report)),
    )
    .await;
    for (number, answer) in answers.into_iter().enumerate() {
        match number {
            7 => assert_eq!(answer.unwrap(), None, "disowned"),
            9 => assert!(
                matches!(answer, Err(StoreError::Corrupt { .. })),
                "{answer:?}"
            ),
            _ => assert!(answer.unwrap().is_some(), "w{number}"),
        }
    }
    assert_eq!(
        renewals(&store, &owners).await,
        249,
        "all but the disowned one"
    );
}

/// A fleet and a look into its file.
async fn fleet(folder: &Path, workers: usize) -> (SqlStore, Vec<Owner>, SqlitePool) {
    let store = sqlite(folder).await;
    let mut tx = store.begin().await.unwrap();
    let mut owners: Vec<Owner> = Vec::new();
    for number in 0..workers {
        let (worker, lease) = a_worker(&format!("w{number}")).with_lease();
        tx.insert_worker(&worker).await.unwrap();
        tx.insert_lease(&lease).await.unwrap();
        owners.push(lease.owner);
    }
    tx.commit().await.unwrap();
    let path = folder.join("gateway.db");
    let file = SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    (store, owners, file)
}

async fn renewals(store: &SqlStore, owners: &[Owner]) -> u64 {
    let mut tx = store.begin().await.unwrap();
    let mut count = 0;
    for owner in owners {
        let lease = tx.lease(owner).await.unwrap();
        count += lease.unwrap().renewals;
    }
    count
}

pub(crate) async fn who_asks_a_closed_store_hears_that_it_could_not_be_done(folder: &Path) {
    let store = sqlite(folder).await;
    let (_, lease) = a_worker("w").with_lease();
    store.close().await;
    let refused = store
        .renew(&lease.owner, LEASE, &WorkerReport::default())
        .await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
}

/// As when the disk is full.
pub(crate) async fn a_transaction_that_sqlite_ends_by_itself_is_not_the_last(folder: &Path) {
    let (store, owners, file) = fleet(folder, 20).await;
    let ending = "CREATE TRIGGER ending BEFORE UPDATE ON worker_leases WHEN new.worker_id = 'w9' \
         BEGIN SELECT RAISE(ROLLBACK, 'the disk is full'); END";
    sqlx::query(ending).execute(&file).await.unwrap();
    let report = WorkerReport::default();
    let answers = join_all(
        owners
            .iter()
            .map(|owner| store.renew(owner, LEASE, &report)),
    )
    .await;
    assert!(answers[9].is_err(), "{:?}", answers[9]);
    let told = owners.iter().zip(&answers);
    let granted: Vec<Owner> = told
        .filter(|(_, answer)| answer.is_ok())
        .map(|(owner, _)| owner.clone())
        .collect();
    let renewed = renewals(&store, &granted).await;
    assert_eq!(
        renewed,
        granted.len() as u64,
        "whoever is told so has renewed"
    );
    sqlx::query("DROP TRIGGER ending")
        .execute(&file)
        .await
        .unwrap();
    let before = renewals(&store, &owners).await;
    assert!(
        store
            .renew(&owners[9], LEASE, &report)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(renewals(&store, &owners).await, before + 1);
}

pub(crate) async fn who_has_gone_away_is_not_written(folder: &Path) {
    let (store, owners, _) = fleet(folder, 1).await;
    let report = WorkerReport::default();
    let turn = store.begin().await.unwrap();
    for _ in 0..500 {
        let mut asked = Box::pin(store.renew(&owners[0], LEASE, &report));
        assert!(futures_util::poll!(&mut asked).is_pending());
    }
    drop(turn);
    assert!(
        store
            .renew(&owners[0], LEASE, &report)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(renewals(&store, &owners).await, 1);
}

pub(crate) fn a_store_that_outlives_its_runtime_renews_on_another(folder: &Path) {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap()
    };
    let report = WorkerReport::default();
    let (first, second) = (runtime(), runtime());
    let (store, owners) = first.block_on(async {
        let (store, owners, _) = fleet(folder, 1).await;
        store.renew(&owners[0], LEASE, &report).await.unwrap();
        (store, owners)
    });
    drop(first);
    second.block_on(async {
        assert!(
            store
                .renew(&owners[0], LEASE, &report)
                .await
                .unwrap()
                .is_some()
        );
        assert_eq!(renewals(&store, &owners).await, 2);
    });
}
