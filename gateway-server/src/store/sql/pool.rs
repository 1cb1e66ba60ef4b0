//! Connections to either engine.
//!
//! SQLite gets one connection that writes and a few that read. Every transaction that may write begins
//! `IMMEDIATE` on the one writer and takes its fair turn there: begun as a reader and promoted later it
//! would fail in the middle instead of waiting at the start. Who reads waits for nobody who writes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::store::StoreError;
use gateway_core::time::Clock;
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};

use super::error::classify;
use super::postgres::kept::KeptConnection;
use super::postgres::reach::ServerError;
use super::postgres::silence::Silence;
use super::sqlite::clock::SteadyClock;
use super::sqlite::readers::Readers;
use super::tx::{OnPostgres, OnSqlite, Tx};
use crate::system::SystemClock;

/// How to reach PostgreSQL.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// The most connections at once.
    pub max_connections: u32,
    /// How long one waits for a connection.
    pub acquire_timeout: Duration,
    /// `statement_timeout` and `idle_in_transaction_session_timeout` of every connection: no commit is
    /// later than this, and a frozen process holds no lock.
    pub statement_timeout: Duration,
    /// Measures how long a transaction is open.
    pub clock: Arc<dyn Clock>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            max_connections: 20,
            acquire_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(5),
            clock: Arc::new(SystemClock),
        }
    }
}

/// Memory for pages of each connection: negative is KiB. The indexes of what is written at the moment should
/// fit, or every message reads as many pages as it writes.
const CACHE: &str = "-32768";
/// Pages in the write-ahead log before they are copied to the file: a page that changes again and again is
/// copied once. 40 MiB.
const CHECKPOINT: &str = "10000";
/// Statements that a connection keeps prepared: more than there are.
const STATEMENTS: usize = 500;
/// A connection that was given back less than this ago answered then, and is not asked again.
const RESTED: Duration = Duration::from_secs(1);
/// Rows that a reading thread has ready before somebody takes the first: a page of any list.
const ROWS: usize = 128;
/// Longer than any transaction may take.
pub(super) const TURN: Duration = Duration::from_secs(30);

/// Connections to one database. Clones share them.
#[derive(Clone, Debug)]
pub(crate) enum Pool {
    /// A PostgreSQL server.
    Postgres {
        /// The connections to it.
        pool: PgPool,
        /// Measures how long a transaction is open.
        clock: Arc<dyn Clock>,
        /// Notices when the server stops answering.
        silence: Silence,
    },
    /// A SQLite database in a file.
    Sqlite {
        /// The one connection that writes.
        writer: SqlitePool,
        /// Connections that only read.
        readers: Readers,
        /// The store's clock: a file has none of its own.
        clock: Arc<SteadyClock>,
    },
}

impl Pool {
    /// Connects to PostgreSQL and asks it one thing, so that a wrong address shows at once.
    pub(super) async fn postgres(
        url: &str,
        options: &PostgresOptions,
    ) -> Result<Self, ServerError> {
        let millis = options.statement_timeout.as_millis().to_string();
        let connect: PgConnectOptions = url.parse().map_err(ServerError::Address)?;
        let connect = connect.application_name("gateway").options([
            ("statement_timeout", millis.as_str()),
            ("idle_in_transaction_session_timeout", millis.as_str()),
            // Compiling a plan takes longer than any statement here.
            ("jit", "off"),
        ]);
        let silence = Silence::default();
        let limit = options.acquire_timeout;
        let connecting = watched(&silence)
            .max_connections(options.max_connections)
            .acquire_timeout(limit)
            .connect_with(connect.clone());
        let pool = match connecting.await {
            Ok(pool) => pool,
            Err(error) => return Err(ServerError::new(&connect, error, limit).await),
        };
        let clock = Arc::clone(&options.clock);
        Ok(Self::Postgres {
            pool,
            clock,
            silence,
        })
    }

    /// So many more connections to PostgreSQL, for the runtime that calls this; none to SQLite. Nothing is
    /// connected before it is used.
    pub(super) fn apart(&self, connections: u32) -> Option<Self> {
        let Self::Postgres { pool, clock, .. } = self else {
            return None;
        };
        let silence = Silence::default();
        let own = watched(&silence)
            .max_connections(connections)
            .acquire_timeout(pool.options().get_acquire_timeout())
            .idle_timeout(None)
            .connect_lazy_with((*pool.connect_options()).clone());
        Some(Self::Postgres {
            pool: own,
            clock: Arc::clone(clock),
            silence,
        })
    }

    /// A connection for a writer to keep, beside those of the pool; none to SQLite.
    pub(super) fn kept(&self) -> Option<KeptConnection> {
        let Self::Postgres { pool, .. } = self else {
            return None;
        };
        let limit = pool.options().get_acquire_timeout();
        Some(KeptConnection::new(&pool.connect_options(), limit))
    }

    /// Opens the file, making it if it is not there.
    pub(super) async fn sqlite(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, sqlx::Error> {
        let connect = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("cache_size", CACHE)
            .pragma("wal_autocheckpoint", CHECKPOINT)
            .busy_timeout(Duration::from_secs(5))
            .row_buffer_size(ROWS)
            .statement_cache_capacity(STATEMENTS);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(TURN)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .after_release(|connection, _| Box::pin(is_sound(connection)))
            .connect_with(connect.clone())
            .await?;
        let readers = Readers::open(connect).await?;
        Ok(Self::Sqlite {
            writer,
            readers,
            clock: Arc::new(SteadyClock::new(clock)),
        })
    }

    /// Begins a transaction that may write. On SQLite it first waits for its turn.
    pub(crate) async fn begin(&self) -> Result<Tx, StoreError> {
        let begun = match self {
            Self::Postgres {
                pool,
                clock,
                silence,
            } => {
                let beginning = async { pool.begin().await.map(OnPostgres::Whole) };
                on_postgres(silence, clock, beginning).await
            }
            Self::Sqlite { writer, clock, .. } => writer
                .begin_with("BEGIN IMMEDIATE")
                .await
                .map(|tx| Tx::sqlite(OnSqlite::Whole(tx), Arc::clone(clock))),
        };
        begun.map_err(classify)
    }

    /// Takes a connection for reading. No transaction is begun on it, so each statement is one exchange
    /// and sees what is committed by then.
    pub(crate) async fn read(&self) -> Result<Tx, StoreError> {
        let taken = match self {
            Self::Postgres {
                pool,
                clock,
                silence,
            } => {
                let taking = async { pool.acquire().await.map(OnPostgres::Read) };
                on_postgres(silence, clock, taking).await
            }
            Self::Sqlite { readers, clock, .. } => {
                let taken = readers.take().await;
                taken.map(|reader| Tx::sqlite(OnSqlite::Read(reader), Arc::clone(clock)))
            }
        };
        taken.map_err(classify)
    }

    /// Closes every connection, after those in use are given back.
    pub(crate) async fn close(&self) {
        match self {
            Self::Postgres { pool, .. } => pool.close().await,
            Self::Sqlite {
                writer, readers, ..
            } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }
}

/// Whether SQLite's writer can begin anew. SQLite ends a transaction by itself when the disk is full, say, and the
/// driver, which counts, would then begin no other: such a connection is replaced.
async fn is_sound(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // A dropped transaction is rolled back before this is answered.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

/// Options of a pool whose connections are asked whether they live only when they have rested, and closed
/// when they have fallen silent.
fn watched(silence: &Silence) -> PgPoolOptions {
    let silence = silence.clone();
    PgPoolOptions::new()
        .test_before_acquire(false)
        .before_acquire(|connection, known| {
            Box::pin(async move {
                if known.idle_for >= RESTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_release(move |connection, _| {
            let silence = silence.clone();
            Box::pin(async move { silence.prove(connection).await })
        })
}

/// What is taken from a pool, unless that takes too long; its time counts from before.
async fn on_postgres(
    silence: &Silence,
    clock: &Arc<dyn Clock>,
    taking: impl Future<Output = Result<OnPostgres, sqlx::Error>>,
) -> Result<Tx, sqlx::Error> {
    let begun = clock.uptime();
    let on = silence.limit(taking).await?;
    Ok(Tx::postgres(on, silence.clone(), Arc::clone(clock), begun))
}
