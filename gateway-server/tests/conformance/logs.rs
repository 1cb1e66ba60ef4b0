//! A fresh message log over a fresh store for every case, and its task.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::message::MessageLog;
use gateway_server::message_log::{GroupLog, GroupOptions};
use gateway_server::store::sql::SqlStore;
use gateway_server::telemetry::metrics::Metrics;
use gateway_testkit::conformance::{Backend, Failure, LogUnderTest, Need};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::stores::{Postgres, Sqlite, sqlite};

const PLACES: usize = 32;

fn a_log(store: &SqlStore) -> Result<(Arc<dyn MessageLog>, DropGuard), Failure> {
    let options = GroupOptions {
        capacity: PLACES,
        batch_size: 8,
        batch_wait: Duration::from_millis(1),
    };
    let metrics = Metrics::new()?.message_log;
    let (log, task) = GroupLog::new(Arc::new(store.ledger()), options, metrics);
    let close = CancellationToken::new();
    tokio::spawn(task.run(close.clone()));
    Ok((Arc::new(log), close.drop_guard()))
}

fn under_test(
    store: SqlStore,
    replicas: usize,
    keep: impl Any + Send + Sync,
) -> Result<LogUnderTest, Failure> {
    let (log, guard) = a_log(&store)?;
    let (other, other_guard) = match replicas {
        1 => (Arc::clone(&log), None),
        _ => {
            let (other, guard) = a_log(&store)?;
            (other, Some(guard))
        }
    };
    Ok(LogUnderTest {
        log,
        other,
        places: PLACES,
        store: Arc::new(store),
        keep: Box::new((guard, other_guard, keep)),
    })
}

/// Over SQLite: one log for the whole process.
pub(crate) struct OverSqlite;

impl Backend for OverSqlite {
    type UnderTest = LogUnderTest;

    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn offers(&self, need: Need) -> bool {
        Sqlite.offers(need)
    }

    async fn open(&self) -> Result<LogUnderTest, Failure> {
        let (store, _, folder) = sqlite().await?;
        under_test(store, 1, folder)
    }
}

/// Over PostgreSQL: a log per replica.
pub(crate) struct OverPostgres(pub(crate) Postgres);

impl Backend for OverPostgres {
    type UnderTest = LogUnderTest;

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn missing(&self) -> Option<String> {
        self.0.missing()
    }

    fn offers(&self, need: Need) -> bool {
        self.0.offers(need)
    }

    async fn open(&self) -> Result<LogUnderTest, Failure> {
        let (store, database) = self.0.fresh().await?;
        under_test(store, 2, database)
    }
}
