//! SQLite's heartbeats share transactions, and nothing else.

use std::path::Path;

use futures_util::future::join_all;
use gateway_core::session::Owner;
use gateway_core::store::{Store as _, StoreError};
use gateway_core::worker::WorkerReport;
use gateway_testkit::fixture::a_worker;
use sqlx::SqlitePool;

use crate::sqlite;

/// More than one transaction takes.
const WORKERS: usize = 250;

pub(crate) async fn workers_that_report_at_once_are_each_answered_for_themselves(folder: &Path) {
    let store = sqlite(folder).await;
    let mut tx = store.begin().await.unwrap();
    let mut owners: Vec<Owner> = Vec::new();
    for number in 0..WORKERS {
        let (worker, lease) = a_worker(&format!("w{number}")).with_lease();
        tx.insert_worker(&worker).await.unwrap();
        tx.insert_lease(&lease).await.unwrap();
        owners.push(lease.owner);
    }
    tx.disown_lease(&owners[7]).await.unwrap();
    tx.commit().await.unwrap();
    let path = folder.join("gateway.db");
    let file = SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let nonsense = "UPDATE workers SET status = 'FLYING' WHERE id = 'w9'";
    sqlx::query(nonsense).execute(&file).await.unwrap();

    let report = WorkerReport::default();
    let answers = join_all(owners.iter().map(|owner| store.renew(owner, &report))).await;
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
    let counting = "SELECT count(*) FROM worker_leases WHERE renewals = 1";
    let renewed: i64 = sqlx::query_scalar(counting).fetch_one(&file).await.unwrap();
    assert_eq!(renewed, 249, "all but the disowned one");
}

pub(crate) async fn who_asks_a_closed_store_hears_that_it_could_not_be_done(folder: &Path) {
    let store = sqlite(folder).await;
    let (_, lease) = a_worker("w").with_lease();
    store.close().await;
    let refused = store.renew(&lease.owner, &WorkerReport::default()).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
}
