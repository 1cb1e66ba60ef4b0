//! The stores over SQL keep every promise that a port makes, on both engines.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gateway_server::store::sql::{PostgresOptions, SqlStore};
use gateway_testkit::clock::ManualClock;
use gateway_testkit::conformance::{
    Absent, Advance, Backend, Failure, Need, STORE, StoreUnderTest, trials,
};
use gateway_testkit::services;

#[derive(Debug)]
struct Moved(Arc<ManualClock>);

impl Advance for Moved {
    fn advance(&self, by: Duration) {
        self.0.advance(by);
    }
}

async fn sqlite(folder: &Path, clock: Arc<ManualClock>) -> Result<SqlStore, Failure> {
    let store = SqlStore::sqlite(&folder.join("gateway.db"), clock).await?;
    store.migrate().await?;
    Ok(store)
}

/// A file of its own for every case. One writer at a time; its clock is the test's.
#[derive(Debug)]
struct Sqlite;

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
        let folder = tempfile::tempdir()?;
        let clock = Arc::new(ManualClock::default());
        Ok(StoreUnderTest {
            store: Arc::new(sqlite(folder.path(), clock.clone()).await?),
            clock: Some(Arc::new(Moved(clock))),
            keep: Box::new(folder),
        })
    }
}

/// A database of its own for every case. Its clock is the server's.
#[derive(Debug)]
struct Postgres;

impl Backend for Postgres {
    type UnderTest = StoreUnderTest;

    fn name(&self) -> &'static str {
        "postgres"
    }

    fn missing(&self) -> Option<String> {
        services::postgres()
            .err()
            .map(|missing| missing.to_string())
    }

    fn offers(&self, need: Need) -> bool {
        match need {
            Need::SecondWriter => true,
            Need::MovableClock | Need::SecondReplica => false,
        }
    }

    async fn open(&self) -> Result<StoreUnderTest, Failure> {
        let database = services::postgres()?.fresh_database()?;
        let store = SqlStore::postgres(database.url(), &PostgresOptions::default()).await?;
        store.migrate().await?;
        Ok(StoreUnderTest {
            store: Arc::new(store),
            clock: None,
            keep: Box::new(database),
        })
    }
}

fn main() -> std::io::Result<()> {
    let arguments = libtest_mimic::Arguments::from_args();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()?;
    let absent = match services::in_ci() {
        true => Absent::Failed,
        false => Absent::Ignored,
    };
    let mut tests = trials(Sqlite, STORE, runtime.handle(), absent);
    tests.extend(trials(Postgres, STORE, runtime.handle(), absent));
    libtest_mimic::run(&arguments, tests).exit()
}
