//! One transaction on either engine, and the statements made on it.
//!
//! The engine is chosen by an enum at the connection, so nothing above has a type parameter or asks
//! which engine it is on: a statement is one text where the dialects agree and a pair where they do not.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::store::StoreError;
use gateway_core::time::{Clock, Timestamp, Uptime};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments as _, Encode, FromRow, Postgres, Sqlite, Transaction, Type};

use super::columns::{Columns, List};
use super::dialect::Dialect;
use super::error::classify;
use super::postgres::silence::Silence;
use super::sqlite::clock::SteadyClock;
use super::sqlite::readers::Reader;
use super::types::Time;

/// A statement: the same on both engines, or a pair.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sql {
    /// The text for PostgreSQL.
    pub(crate) postgres: &'static str,
    /// The text for SQLite.
    pub(crate) sqlite: &'static str,
}

impl Sql {
    /// Returns whether the statement changes and locks nothing. Also one that writes may answer with rows, and
    /// on a read it would be a transaction of its own. What locks on one engine is refused on both.
    fn only_reads(self) -> bool {
        let locks = [" FOR UPDATE", " FOR SHARE", " FOR KEY SHARE", "pg_advisory"];
        [self.postgres, self.sqlite].into_iter().all(|text| {
            text.starts_with("SELECT ") && !locks.iter().any(|lock| text.contains(lock))
        })
    }
}

impl From<&'static str> for Sql {
    fn from(both: &'static str) -> Self {
        Self {
            postgres: both,
            sqlite: both,
        }
    }
}

/// What both engines can take as a parameter.
pub(crate) trait Bind<'t>:
    Encode<'t, Postgres> + Type<Postgres> + Encode<'t, Sqlite> + Type<Sqlite>
{
}

impl<'t, T> Bind<'t> for T where
    T: Encode<'t, Postgres> + Type<Postgres> + Encode<'t, Sqlite> + Type<Sqlite>
{
}

/// What both engines can give back: any `#[derive(sqlx::FromRow)]` struct or tuple of column types.
pub(crate) trait Row:
    for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin
{
}

impl<T> Row for T where T: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin
{}

/// An open transaction, or a connection that only reads. Dropping it rolls back.
pub(crate) struct Tx {
    engine: Engine,
}

/// What statements run on in PostgreSQL.
pub(super) enum OnPostgres {
    /// A transaction.
    Whole(Transaction<'static, Postgres>),
    /// A connection, each statement by itself.
    Read(PoolConnection<Postgres>),
}

impl OnPostgres {
    fn connection(&mut self) -> &mut PgConnection {
        match self {
            Self::Whole(tx) => tx,
            Self::Read(connection) => connection,
        }
    }
}

/// What statements run on in SQLite.
pub(super) enum OnSqlite {
    /// A transaction.
    Whole(Transaction<'static, Sqlite>),
    /// A connection, each statement by itself.
    Read(Reader),
}

impl OnSqlite {
    fn connection(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        match self {
            Self::Whole(tx) => Ok(tx),
            Self::Read(reader) => reader.connection(),
        }
    }

    fn failed(&mut self, error: &sqlx::Error) {
        match self {
            Self::Whole(_) => {}
            Self::Read(reader) => reader.failed(error),
        }
    }
}

enum Engine {
    Postgres {
        on: OnPostgres,
        now: Option<Timestamp>,
        age: Age,
        silence: Silence,
    },
    Sqlite {
        on: OnSqlite,
        clock: Arc<SteadyClock>,
    },
}

/// After this a transaction begins no further statement and does not commit. A statement and a pause
/// between two are ended by the server after 5 s each, so none lives for 30 s, and what it wrote is seen
/// in time by those who look for changes.
const LAST_STATEMENT: Duration = Duration::from_secs(15);

/// How long a transaction has been open.
struct Age {
    clock: Arc<dyn Clock>,
    begun: Uptime,
}

impl Age {
    fn check(&self) -> Result<(), StoreError> {
        if self.clock.uptime().since(self.begun) < LAST_STATEMENT {
            return Ok(());
        }
        Err(StoreError::Unavailable(Box::new(TooOld)))
    }
}

/// Why an old transaction is given up.
#[derive(Debug, thiserror::Error)]
#[error("the transaction took too long and was given up; begin again")]
struct TooOld;

/// Why a read does not write.
#[derive(Debug, thiserror::Error)]
#[error("this is for reading only; begin a transaction that may write")]
struct OnlyReads;

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let engine = match self.engine {
            Engine::Postgres { .. } => "PostgreSQL",
            Engine::Sqlite { .. } => "SQLite",
        };
        f.debug_tuple("Tx").field(&engine).finish()
    }
}

impl Tx {
    /// `begun` is from before the transaction was.
    pub(super) const fn postgres(
        on: OnPostgres,
        silence: Silence,
        clock: Arc<dyn Clock>,
        begun: Uptime,
    ) -> Self {
        Self {
            engine: Engine::Postgres {
                on,
                now: None,
                age: Age { clock, begun },
                silence,
            },
        }
    }

    pub(super) const fn sqlite(on: OnSqlite, clock: Arc<SteadyClock>) -> Self {
        Self {
            engine: Engine::Sqlite { on, clock },
        }
    }

    /// Which engine it is on: for [`super::dialect`] alone.
    pub(super) const fn dialect(&self) -> Dialect {
        match self.engine {
            Engine::Postgres { .. } => Dialect::Postgres,
            Engine::Sqlite { .. } => Dialect::Sqlite,
        }
    }

    /// Whether it is for reading only.
    const fn is_read(&self) -> bool {
        match &self.engine {
            Engine::Postgres { on, .. } => matches!(on, OnPostgres::Read(_)),
            Engine::Sqlite { on, .. } => matches!(on, OnSqlite::Read(_)),
        }
    }

    /// Begins a statement in this transaction; its parameters are bound in order.
    pub(crate) fn query(&mut self, sql: impl Into<Sql>) -> Query<'_> {
        let arguments = match &self.engine {
            Engine::Postgres { .. } => Arguments::Postgres(PgArguments::default()),
            Engine::Sqlite { .. } => Arguments::Sqlite(SqliteArguments::default()),
        };
        Query {
            tx: self,
            sql: sql.into(),
            arguments,
            failed: None,
        }
    }

    /// What the store's clock says at this moment.
    pub(crate) async fn clock(&mut self) -> Result<Timestamp, StoreError> {
        if let Engine::Sqlite { clock, .. } = &self.engine {
            return Ok(clock.now());
        }
        // `now()` in PostgreSQL is the start of the transaction, which may have waited for a lock.
        let (Time(read),) = self.query("SELECT clock_timestamp()").one().await?;
        if let Engine::Postgres { now, .. } = &mut self.engine {
            *now = Some(read);
        }
        Ok(read)
    }

    /// From when on to look for changes that are not older than `since`: what commands write beside the server
    /// on a file may carry an earlier time than the server's own.
    pub(super) fn looked_back(&self, since: Timestamp) -> Timestamp {
        match &self.engine {
            Engine::Postgres { .. } => since,
            Engine::Sqlite { clock, .. } => clock.looked_back(since),
        }
    }

    /// The moment that this transaction's statements write: the last reading of its store's clock.
    pub(crate) async fn moment(&mut self) -> Result<Timestamp, StoreError> {
        match &self.engine {
            Engine::Postgres { now: Some(now), .. } => Ok(*now),
            Engine::Postgres { now: None, .. } | Engine::Sqlite { .. } => self.clock().await,
        }
    }

    fn check_age(&self) -> Result<(), StoreError> {
        match &self.engine {
            Engine::Postgres { age, .. } => age.check(),
            Engine::Sqlite { .. } => Ok(()),
        }
    }

    /// Makes everything durable.
    pub(crate) async fn finish(self) -> Result<(), StoreError> {
        self.check_age()?;
        match self.engine {
            Engine::Postgres { on, silence, .. } => match on {
                OnPostgres::Whole(tx) => silence.limit(tx.commit()).await,
                OnPostgres::Read(_) => Ok(()),
            },
            Engine::Sqlite { on, .. } => match on {
                OnSqlite::Whole(tx) => tx.commit().await,
                OnSqlite::Read(_) => Ok(()),
            },
        }
        .map_err(classify)
    }
}

enum Arguments {
    Postgres(PgArguments),
    Sqlite(SqliteArguments),
}

/// A statement on its way.
#[must_use = "a statement does nothing until it is executed"]
pub(crate) struct Query<'x> {
    tx: &'x mut Tx,
    sql: Sql,
    arguments: Arguments,
    failed: Option<sqlx::error::BoxDynError>,
}

impl Query<'_> {
    /// Binds the next parameter.
    pub(crate) fn bind<'t, T: Bind<'t>>(mut self, value: T) -> Self {
        let added = match &mut self.arguments {
            Arguments::Postgres(arguments) => arguments.add(value),
            Arguments::Sqlite(arguments) => arguments.add(value),
        };
        self.failed = self.failed.or(added.err());
        self
    }

    /// The moment of the write as the last parameter, where the engine has no clock of its own: in
    /// PostgreSQL the statement says `clock_timestamp()`.
    pub(crate) fn stamp(self) -> Self {
        let now = match &self.tx.engine {
            Engine::Postgres { .. } => return self,
            Engine::Sqlite { clock, .. } => clock.now(),
        };
        self.bind(Time(now))
    }

    /// The next parameters: one per column in PostgreSQL, one altogether in SQLite.
    pub(crate) fn columns(self, columns: Columns<'_>) -> Self {
        if let Arguments::Sqlite(_) = self.arguments {
            return self.bind(columns.to_json());
        }
        columns.into_lists().into_iter().fold(self, Self::list)
    }

    fn list(mut self, list: List<'_>) -> Self {
        let Arguments::Postgres(arguments) = &mut self.arguments else {
            return self;
        };
        let added = list.add_to(arguments);
        self.failed = self.failed.or(added.err());
        self
    }

    /// Runs it; how many rows it changed.
    pub(crate) async fn execute(self) -> Result<u64, StoreError> {
        self.check()?;
        let outcome = match (&mut self.tx.engine, self.arguments) {
            (Engine::Postgres { on, silence, .. }, Arguments::Postgres(arguments)) => {
                let query = sqlx::query_with(self.sql.postgres, arguments);
                let done = silence.limit(query.execute(on.connection())).await;
                done.map(|done| done.rows_affected())
            }
            (Engine::Sqlite { on, .. }, Arguments::Sqlite(arguments)) => {
                let query = sqlx::query_with(self.sql.sqlite, arguments);
                match on.connection() {
                    Ok(connection) => {
                        let done = query.execute(connection).await;
                        done.map(|done| done.rows_affected())
                    }
                    Err(closed) => Err(closed),
                }
            }
            (Engine::Postgres { .. }, Arguments::Sqlite(_))
            | (Engine::Sqlite { .. }, Arguments::Postgres(_)) => Err(mixed()),
        };
        outcome.map_err(classify)
    }

    /// Runs it and reads every row.
    pub(crate) async fn all<R: Row>(self) -> Result<Vec<R>, StoreError> {
        self.check()?;
        let outcome = match (&mut self.tx.engine, self.arguments) {
            (Engine::Postgres { on, silence, .. }, Arguments::Postgres(arguments)) => {
                let query = sqlx::query_as_with(self.sql.postgres, arguments);
                silence.limit(query.fetch_all(on.connection())).await
            }
            (Engine::Sqlite { on, .. }, Arguments::Sqlite(arguments)) => {
                let query = sqlx::query_as_with(self.sql.sqlite, arguments);
                let outcome = match on.connection() {
                    Ok(connection) => query.fetch_all(connection).await,
                    Err(closed) => Err(closed),
                };
                outcome.inspect_err(|error| on.failed(error))
            }
            (Engine::Postgres { .. }, Arguments::Sqlite(_))
            | (Engine::Sqlite { .. }, Arguments::Postgres(_)) => Err(mixed()),
        };
        outcome.map_err(classify)
    }

    /// Runs it and reads the first row, if there is one.
    pub(crate) async fn optional<R: Row>(self) -> Result<Option<R>, StoreError> {
        Ok(self.all().await?.into_iter().next())
    }

    /// Runs it and reads the row that there always is.
    pub(crate) async fn one<R: Row>(self) -> Result<R, StoreError> {
        self.optional()
            .await?
            .ok_or_else(|| classify(sqlx::Error::RowNotFound))
    }

    fn check(&self) -> Result<(), StoreError> {
        self.tx.check_age()?;
        if self.tx.is_read() && !self.sql.only_reads() {
            return Err(StoreError::Refused(Box::new(OnlyReads)));
        }
        match &self.failed {
            None => Ok(()),
            Some(why) => Err(StoreError::Refused(why.to_string().into())),
        }
    }
}

/// Arguments are made for the transaction they run on, so this never happens.
fn mixed() -> sqlx::Error {
    sqlx::Error::Protocol("arguments of another engine".to_owned())
}
