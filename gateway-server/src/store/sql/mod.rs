//! The store over SQL: one set of statements for SQLite and PostgreSQL.
//!
//! In reading order: `pool` opens connections, `tx` runs statements on either engine, `types` and
//! `columns` say how values travel, `error` what a failure means, `migrate` carries the schema, and
//! then one file per aggregate. What only one engine has is in `postgres` and `sqlite`, and
//! `dialect` chooses between the two: no aggregate asks which engine it is on.

mod audit;
mod card;
mod census;
mod change;
mod columns;
mod deadline;
mod dialect;
mod error;
mod event;
mod fill;
mod json;
mod key;
mod leader;
mod lease;
mod login;
mod message;
mod message_log;
mod migrate;
mod outbox;
mod person;
mod placement;
mod pool;
mod postgres;
mod quota;
mod renew;
mod replica;
mod retention;
mod secret_check;
mod sequencer;
mod session;
mod sqlite;
mod state;
mod stored;
mod table;
mod tenant;
mod text;
mod tx;
mod types;
mod user;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::session::Owner;
use gateway_core::store::{OrchestrationTx, PlatformStore, PlatformTx, Store, StoreError};
use gateway_core::time::{Clock, Timestamp};
use gateway_core::worker::{Renewed, WorkerReport};

pub use message_log::SqlLedger;
pub use migrate::MigrateError;
pub use pool::PostgresOptions;
pub use postgres::reach::ServerError;
pub use sqlite::lock::{DataLock, LockError};
pub(crate) use state::ArchivedState;
pub use state::{SealedRows, StateRows};

use pool::Pool;
use tx::Tx;

/// The database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another gateway works on the same file.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The file is no database, or cannot be read or made.
    #[error(
        "the database file {} cannot be opened; it must be a gateway's, and readable and writable",
        path.display()
    )]
    File {
        /// The path of the file.
        path: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
    /// The server cannot be reached, refuses the login or cannot be used.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// The store over a SQL database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct SqlStore {
    pool: Pool,
    /// Renews leases: on PostgreSQL over connections that no request can hold.
    heartbeats: Pool,
    _lock: Option<Arc<DataLock>>,
}

impl SqlStore {
    fn over(pool: Pool) -> Self {
        let heartbeats = pool.apart(renew::CONNECTIONS);
        Self {
            heartbeats: heartbeats.unwrap_or_else(|| pool.clone()),
            pool,
            _lock: None,
        }
    }

    /// Opens a SQLite file as its only gateway, making it if it is not there; `clock` is its clock.
    ///
    /// The schema is not touched: see [`SqlStore::migrate`].
    ///
    /// # Errors
    /// Another process holds the folder of the file, or the file cannot be opened.
    pub async fn sqlite(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let lock = DataLock::take(folder)?;
        let mut store = Self::sqlite_beside(path, clock).await?;
        store._lock = Some(Arc::new(lock));
        Ok(store)
    }

    /// Opens a SQLite file beside a running gateway, for a command that makes one change and ends.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub async fn sqlite_beside(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let pool = Pool::sqlite(path, clock).await;
        let pool = pool.map_err(|source| OpenError::File {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self::over(pool))
    }

    /// Connects to a PostgreSQL server; the clock is the server's.
    ///
    /// # Errors
    /// The server cannot be reached or refuses the login.
    pub async fn postgres(url: &str, options: &PostgresOptions) -> Result<Self, OpenError> {
        let pool = Pool::postgres(url, options).await?;
        Ok(Self::over(pool))
    }

    /// Brings the schema up to date. Safe beside other replicas that do the same.
    ///
    /// # Errors
    /// The database is newer than this program, was made before the first release, or a migration fails.
    pub async fn migrate(&self) -> Result<(), MigrateError> {
        migrate::migrate(&self.pool).await
    }

    /// Returns whether the schema has everything that this program needs; it may be newer.
    ///
    /// # Errors
    /// The database cannot be read, or was made before the first release.
    pub async fn schema_is_current(&self) -> Result<bool, MigrateError> {
        migrate::is_current(&self.pool).await
    }

    /// Whether transactions cannot write: the server is a standby, or told not to take writes.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn is_read_only(&self) -> Result<bool, StoreError> {
        let Pool::Postgres { .. } = self.pool else {
            return Ok(false);
        };
        let mut tx = self.pool.read().await?;
        let asked = tx.query("SELECT current_setting('transaction_read_only')::BOOLEAN");
        let (read_only,) = asked.one().await?;
        Ok(read_only)
    }

    /// What the message log writes to, on the same connections.
    #[must_use]
    pub fn ledger(&self) -> SqlLedger {
        SqlLedger::new(self.pool.clone())
    }

    /// The same on a connection of its own, for the runtime that calls this; none where the
    /// database has only one writer. Nothing is connected before it is used.
    #[must_use]
    pub fn ledger_apart(&self) -> Option<SqlLedger> {
        self.pool.apart(1).map(SqlLedger::new)
    }

    /// The same database over one connection of its own, for a loop that would otherwise go from connection
    /// to connection and find nothing that it has used before; itself where that makes no difference.
    #[must_use]
    pub fn apart(&self) -> Self {
        let pool = self.pool.apart(1);
        Self {
            pool: pool.unwrap_or_else(|| self.pool.clone()),
            ..self.clone()
        }
    }

    /// The rows of session state, on the same connections.
    #[must_use]
    pub fn state_rows(&self) -> StateRows {
        StateRows::new(self.pool.clone())
    }

    /// Closes every connection, after those in use are given back. Part of an orderly shutdown.
    pub async fn close(&self) {
        self.heartbeats.close().await;
        self.pool.close().await;
    }
}

#[async_trait]
impl OrchestrationTx for Tx {
    async fn now(&mut self) -> Result<Timestamp, StoreError> {
        self.clock().await
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.finish().await
    }
}

#[async_trait]
impl Store for SqlStore {
    async fn begin(&self) -> Result<Box<dyn OrchestrationTx>, StoreError> {
        Ok(Box::new(self.pool.begin().await?))
    }

    async fn read(&self) -> Result<Box<dyn OrchestrationTx>, StoreError> {
        Ok(Box::new(self.pool.read().await?))
    }

    async fn renew(
        &self,
        owner: &Owner,
        lasts: Duration,
        report: &WorkerReport,
    ) -> Result<Option<Renewed>, StoreError> {
        self.heartbeats.renew(owner, lasts, report).await
    }
}

#[async_trait]
impl PlatformStore for SqlStore {
    async fn begin_platform(&self) -> Result<Box<dyn PlatformTx>, StoreError> {
        Ok(Box::new(self.pool.begin().await?))
    }

    async fn read_platform(&self) -> Result<Box<dyn PlatformTx>, StoreError> {
        Ok(Box::new(self.pool.read().await?))
    }
}
