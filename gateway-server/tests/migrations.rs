//! The schema from zero, on both engines.

use std::sync::Arc;

use gateway_server::store::sql::{OpenError, PostgresOptions, SqlStore};
use gateway_server::system::SystemClock;
use gateway_testkit::services;

#[tokio::test]
async fn sqlite_is_migrated_from_zero_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.db");
    let store = SqlStore::sqlite(&path, Arc::new(SystemClock))
        .await
        .unwrap();
    assert!(!store.schema_is_current().await.unwrap());
    store.migrate().await.unwrap();
    store.migrate().await.unwrap();
    assert!(store.schema_is_current().await.unwrap());
    let second = SqlStore::sqlite(&path, Arc::new(SystemClock)).await;
    assert!(matches!(second, Err(OpenError::Lock(_))), "{second:?}");
    let beside = SqlStore::sqlite_beside(&path, Arc::new(SystemClock))
        .await
        .unwrap();
    assert!(beside.schema_is_current().await.unwrap());
}

#[tokio::test]
async fn postgres_is_migrated_from_zero_and_again() {
    let Ok(server) = services::postgres() else {
        assert!(!services::in_ci(), "PostgreSQL is missing");
        return;
    };
    let database = server.fresh_database().unwrap();
    let options = PostgresOptions::default();
    let store = SqlStore::postgres(database.url(), &options).await.unwrap();
    assert!(!store.schema_is_current().await.unwrap());
    store.migrate().await.unwrap();
    store.migrate().await.unwrap();
    assert!(store.schema_is_current().await.unwrap());
    store.close().await;
}
