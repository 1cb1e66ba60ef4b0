//! A fresh store on each engine that is here.

use std::sync::Arc;

use gateway_server::store::sql::{PostgresOptions, SqlStore};
use gateway_server::system::SystemClock;
use gateway_testkit::services;

/// A migrated store, and what must live as long as it.
#[derive(Debug)]
pub(crate) struct Engine {
    /// The store.
    pub(crate) store: SqlStore,
    _folder: Option<tempfile::TempDir>,
    _database: Option<services::Database>,
}

/// A store on a SQLite file, and one on PostgreSQL where that is to be had.
pub(crate) async fn engines() -> Vec<Engine> {
    let mut engines = vec![sqlite().await];
    match services::postgres() {
        Ok(server) => engines.push(postgres(&server).await),
        Err(missing) => assert!(!services::in_ci(), "{missing}"),
    }
    engines
}

async fn sqlite() -> Engine {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.db");
    let store = SqlStore::sqlite(&path, Arc::new(SystemClock))
        .await
        .unwrap();
    store.migrate().await.unwrap();
    Engine {
        store,
        _folder: Some(folder),
        _database: None,
    }
}

async fn postgres(server: &services::Postgres) -> Engine {
    let database = server.fresh_database().unwrap();
    let options = PostgresOptions::default();
    let store = SqlStore::postgres(database.url(), &options).await.unwrap();
    store.migrate().await.unwrap();
    Engine {
        store,
        _folder: None,
        _database: Some(database),
    }
}
