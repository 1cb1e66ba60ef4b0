//! The schema, carried inside the program: one list of migrations per engine, with the same names.

use std::borrow::Cow;

use sqlx::migrate::{MigrateError as Failure, Migration, MigrationType, Migrator};
use sqlx::postgres::PgPool;
use sqlx::{Connection as _, SqlSafeStr};

use super::pool::Pool;

/// One migration: its file name, and its text per engine.
struct Step {
    file: &'static str,
    postgres: &'static str,
    sqlite: &'static str,
}

macro_rules! steps {
    ($($file:literal),* $(,)?) => {
        &[$(Step {
            file: $file,
            postgres: include_str!(concat!("../../../../migrations/postgres/", $file)),
            sqlite: include_str!(concat!("../../../../migrations/sqlite/", $file)),
        }),*]
    };
}

/// Every migration, in order: a new file is one more line here.
const STEPS: &[Step] = steps![
    "0001_init.sql",
    "0002_audit.sql",
    "0003_leaders.sql",
    "0004_retention.sql",
    "0005_secret_checks.sql",
    "0006_lease_length.sql",
    "0007_session_brake.sql",
    "0008_session_setbacks.sql",
    "0009_stuck_workers.sql",
    "0010_session_silence.sql",
    "0011_display_name.sql",
    "0012_reported_labels.sql",
    "0013_messages.sql",
    "0014_persons.sql",
    "0015_acknowledgements.sql"
];

impl Step {
    /// The number that the file name begins with, and the words after it.
    ///
    /// A name without a number, which the tests refuse, would be number 0.
    fn number_and_name(&self) -> (i64, &'static str) {
        let stem = self.file.strip_suffix(".sql").unwrap_or(self.file);
        let (number, name) = stem.split_once('_').unwrap_or(("", stem));
        (number.parse().unwrap_or_default(), name)
    }
}

/// The schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database was made by a newer release, or a released migration was changed.
    #[error("the database's schema does not belong to this release; run the release that made it")]
    Foreign(#[source] Failure),
    /// The database was made before the first release, by other migrations than the ones that are here.
    #[error(
        "the database was made by a development version before the first release, whose schema is no longer read: start with an empty database, which is another storage.data_dir or another DATABASE_URL"
    )]
    Unreleased,
    /// The database failed to say which migrations it has.
    #[error("the database's schema could not be read")]
    Unread(#[from] sqlx::Error),
    /// A migration failed; nothing of it remains.
    #[error("the database's schema could not be changed")]
    Failed(#[source] Failure),
}

impl From<Failure> for MigrateError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::VersionMissing(_) | Failure::VersionMismatch(_) => Self::Foreign(failure),
            other => Self::Failed(other),
        }
    }
}

fn migrator(text: fn(&Step) -> &'static str) -> Migrator {
    let migration = |step: &Step| {
        let (number, name) = step.number_and_name();
        let sql = text(step).into_sql_str();
        Migration::new(
            number,
            Cow::Borrowed(name),
            MigrationType::Simple,
            sql,
            false,
        )
    };
    Migrator::with_migrations(STEPS.iter().map(migration).collect())
}

const POSTGRES: fn(&Step) -> &'static str = |step| step.postgres;
const SQLITE: fn(&Step) -> &'static str = |step| step.sqlite;

/// Applies what is missing. Several replicas may do so at once; one waits for the other.
pub(super) async fn migrate(pool: &Pool) -> Result<(), MigrateError> {
    applied(pool).await?;
    match pool {
        Pool::Postgres { pool, .. } => Ok(on_postgres(pool).await?),
        Pool::Sqlite { writer, .. } => Ok(migrator(SQLITE).run(writer).await?),
    }
}

/// On a connection of its own: a large table may take longer than any statement of a request may.
async fn on_postgres(pool: &PgPool) -> Result<(), Failure> {
    let mut connection = pool.acquire().await?.detach();
    sqlx::query("SET statement_timeout = 0")
        .execute(&mut connection)
        .await?;
    migrator(POSTGRES).run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Returns whether every migration of this program is applied. A newer schema will do: what it took away, no
/// release before it used.
pub(super) async fn is_current(pool: &Pool) -> Result<bool, MigrateError> {
    let newest = STEPS.iter().map(|step| step.number_and_name().0).max();
    Ok(applied(pool).await? >= newest)
}

/// Returns the number of the newest migration that is applied; none in an empty database.
///
/// Fails if the first one is not ours, because then none of the others is.
async fn applied(pool: &Pool) -> Result<Option<i64>, MigrateError> {
    let (migrator, rows) = match pool {
        Pool::Postgres { pool, .. } => {
            let exists = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
            if !sqlx::query_scalar(exists).fetch_one(pool).await? {
                return Ok(None);
            }
            let rows = sqlx::query_as(APPLIED).fetch_all(pool).await?;
            (migrator(POSTGRES), rows)
        }
        Pool::Sqlite { writer, .. } => {
            let exists =
                "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '_sqlx_migrations')";
            if !sqlx::query_scalar(exists).fetch_one(writer).await? {
                return Ok(None);
            }
            let rows = sqlx::query_as(APPLIED).fetch_all(writer).await?;
            (migrator(SQLITE), rows)
        }
    };
    let rows: Vec<(i64, Vec<u8>)> = rows;
    let ours = migrator.iter().next().map(|first| first.checksum.as_ref());
    match rows.first() {
        Some((_, theirs)) if ours != Some(theirs.as_slice()) => Err(MigrateError::Unreleased),
        Some(_) | None => Ok(rows.last().map(|(number, _)| *number)),
    }
}

const APPLIED: &str =
    "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version";
