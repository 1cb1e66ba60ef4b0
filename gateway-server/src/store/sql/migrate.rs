//! The schema, carried inside the program: one list of migrations per engine, with the same names.

use std::borrow::Cow;

use sqlx::migrate::{MigrateError as Failure, Migration, MigrationType, Migrator};
use sqlx::postgres::PgPool;
use sqlx::{Connection as _, SqlSafeStr};

use super::pool::Pool;

/// One migration: its number, its name, and its text per engine.
struct Step {
    number: i64,
    name: &'static str,
    postgres: &'static str,
    sqlite: &'static str,
}

macro_rules! steps {
    ($($number:literal $name:literal $file:literal),* $(,)?) => {
        [$(Step {
            number: $number,
            name: $name,
            postgres: include_str!(concat!("../../../../migrations/postgres/", $file)),
            sqlite: include_str!(concat!("../../../../migrations/sqlite/", $file)),
        }),*]
    };
}

const STEPS: [Step; 10] = steps![
    1 "init" "0001_init.sql",
    2 "changes" "0002_changes.sql",
    3 "outbox_counts" "0003_outbox_counts.sql",
    4 "message_keys" "0004_message_keys.sql",
    5 "fresh_messages" "0005_fresh_messages.sql",
    6 "event_indexes" "0006_event_indexes.sql",
    7 "event_ids" "0007_event_ids.sql",
    8 "plain_json" "0008_plain_json.sql",
    9 "fresh_events" "0009_fresh_events.sql",
    10 "held_index" "0010_held_index.sql",
];

/// The schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database was made by a newer release, or a released migration was changed.
    #[error("the database's schema does not belong to this release; run the release that made it")]
    Foreign(#[source] Failure),
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

fn migrator(text: impl Fn(&Step) -> &'static str) -> Migrator {
    let migration = |step: &Step| {
        let sql = text(step).into_sql_str();
        let name = Cow::Borrowed(step.name);
        Migration::new(step.number, name, MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(STEPS.iter().map(migration).collect())
}

/// Applies what is missing. Several replicas may do so at once; one waits for the other.
pub(super) async fn migrate(pool: &Pool) -> Result<(), MigrateError> {
    match pool {
        Pool::Postgres { pool, .. } => Ok(on_postgres(pool).await?),
        Pool::Sqlite { writer, .. } => Ok(migrator(|step| step.sqlite).run(writer).await?),
    }
}

/// On a connection of its own: a large table may take longer than any statement of a request may.
async fn on_postgres(pool: &PgPool) -> Result<(), Failure> {
    let mut connection = pool.acquire().await?.detach();
    sqlx::query("SET statement_timeout = 0")
        .execute(&mut connection)
        .await?;
    migrator(|step| step.postgres).run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Whether every migration of this program is applied. A newer schema will do: what it took away, no
/// release before it used.
pub(super) async fn is_current(pool: &Pool) -> Result<bool, sqlx::Error> {
    let newest = STEPS.iter().map(|step| step.number).max();
    let applied: Option<i64> = match pool {
        Pool::Postgres { pool, .. } => {
            let exists = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
            match sqlx::query_scalar(exists).fetch_one(pool).await? {
                true => sqlx::query_scalar(NEWEST).fetch_one(pool).await?,
                false => None,
            }
        }
        Pool::Sqlite { writer, .. } => {
            let exists =
                "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '_sqlx_migrations')";
            match sqlx::query_scalar(exists).fetch_one(writer).await? {
                true => sqlx::query_scalar(NEWEST).fetch_one(writer).await?,
                false => None,
            }
        }
    };
    Ok(applied >= newest)
}

const NEWEST: &str = "SELECT max(version) FROM _sqlx_migrations WHERE success";
