//! A fresh, migrated database for every case.

use std::any::Any;
use std::sync::Arc;

use gateway_server::store::sql::{PostgresOptions, SqlStore};
use gateway_testkit::clock::ManualClock;
use gateway_testkit::conformance::{Backend, Failure, Need, StoreUnderTest};
use gateway_testkit::services;

/// A SQLite file in a folder of its own, by a clock that can be moved.
pub(crate) async fn sqlite() -> Result<(SqlStore, Arc<ManualClock>, impl Any + Send + Sync), Failure>
{
    let folder = tempfile::tempdir()?;
    let clock = Arc::new(ManualClock::default());
    let path = folder.path().join("gateway.db");
    let store = SqlStore::sqlite(&path, clock.clone()).await?;
    store.migrate().await?;
    Ok((store, clock, folder))
}

pub(crate) struct Sqlite;

impl Backend for Sqlite {
    type UnderTest = StoreUnderTest;

    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn offers(&self, need: Need) -> bool {
        match need {
            Need::MovableClock => true,
            Need::SecondWriter | Need::SecondReplica => false,
        }
    }

    async fn open(&self) -> Result<StoreUnderTest, Failure> {
        let (store, clock, folder) = sqlite().await?;
        Ok(StoreUnderTest {
            store: Arc::new(store),
            clock: Some(clock),
            keep: Box::new(folder),
        })
    }
}

/// A database of its own on the server of this test run.
pub(crate) struct Postgres(Result<services::Postgres, services::Missing>);

impl Postgres {
    pub(crate) fn look() -> Self {
        Self(services::postgres())
    }

    /// A migrated store on a fresh database, which must outlive it.
    pub(crate) async fn fresh(&self) -> Result<(SqlStore, services::Database), Failure> {
        let server = self.0.as_ref().map_err(Failure::new)?;
        let database = server.fresh_database()?;
        let store = SqlStore::postgres(database.url(), &PostgresOptions::default()).await?;
        store.migrate().await?;
        Ok((store, database))
    }
}

impl Backend for Postgres {
    type UnderTest = StoreUnderTest;

    fn name(&self) -> &'static str {
        "postgres"
    }

    fn missing(&self) -> Option<String> {
        self.0.as_ref().err().map(ToString::to_string)
    }

    fn offers(&self, need: Need) -> bool {
        match need {
            Need::SecondWriter | Need::SecondReplica => true,
            Need::MovableClock => false,
        }
    }

    async fn open(&self) -> Result<StoreUnderTest, Failure> {
        let (store, database) = self.fresh().await?;
        Ok(StoreUnderTest {
            store: Arc::new(store),
            clock: None,
            keep: Box::new(database),
        })
    }
}
