//! The database of a gateway, seen from beside it: rows are put in and counted.
//!
//! Accounts over the HTTP API cost a password hash each, and sessions a walk through every phase; a
//! thousand of each would take longer than the measurement. The rows are therefore written as the
//! gateway itself would have left them, after the workers have registered: sessions that are `ACTIVE`
//! and connected at the incarnations of the stub. One text is made for both engines; only literals
//! differ.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, PgPool};

use crate::names::{self, Size};
use crate::{Failure, proc};

/// How many rows are written in one statement.
const ROWS: u32 = 2_000;

/// A connection beside the gateway's own.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    /// The file of embedded mode.
    Sqlite(SqlitePool),
    /// A database of a PostgreSQL server.
    Postgres(PgPool),
}

impl Database {
    /// Opens the file of a gateway that runs. A million sessions are put in without waiting for the disk, and
    /// with their indexes in memory: it is not what is measured.
    pub(crate) async fn sqlite(file: &Path) -> Result<Self, Failure> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .synchronous(SqliteSynchronous::Off)
            .pragma("cache_size", "-1048576")
            .pragma("wal_autocheckpoint", "20000")
            .busy_timeout(Duration::from_secs(30));
        let pool = SqlitePoolOptions::new().max_connections(1);
        Ok(Self::Sqlite(pool.connect_with(options).await?))
    }

    /// Connects to a server.
    pub(crate) async fn postgres(url: &str) -> Result<Self, Failure> {
        Ok(Self::Postgres(PgPool::connect(url).await?))
    }

    /// Returns the process that all of PostgreSQL runs below; none for a file.
    pub(crate) async fn process(&self) -> Result<Option<u32>, Failure> {
        let Self::Postgres(pool) = self else {
            return Ok(None);
        };
        let (backend,): (i32,) = sqlx::query_as("SELECT pg_backend_pid()")
            .fetch_one(pool)
            .await?;
        Ok(Some(proc::parent(u32::try_from(backend)?)?))
    }

    /// Returns how many messages there are.
    pub(crate) async fn messages(&self) -> Result<u64, Failure> {
        self.count("SELECT count(*) FROM messages").await
    }

    /// Returns how many events wait to be numbered.
    pub(crate) async fn waiting(&self) -> Result<u64, Failure> {
        self.count("SELECT count(*) FROM outbox").await
    }

    async fn count(&self, sql: &'static str) -> Result<u64, Failure> {
        let (count,): (i64,) = match self {
            Self::Sqlite(pool) => sqlx::query_as(sql).fetch_one(pool).await?,
            Self::Postgres(pool) => sqlx::query_as(sql).fetch_one(pool).await?,
        };
        Ok(u64::try_from(count)?)
    }

    async fn run(&self, sql: String) -> Result<(), Failure> {
        let sql = AssertSqlSafe(sql);
        // No text comes twice, so none is worth keeping prepared.
        match self {
            Self::Sqlite(pool) => {
                let query = sqlx::query(sql).persistent(false);
                query.execute(pool).await.map(drop)?;
            }
            Self::Postgres(pool) => {
                let query = sqlx::query(sql).persistent(false);
                query.execute(pool).await.map(drop)?;
            }
        }
        Ok(())
    }

    /// Puts in tenants, keys, and sessions that are connected at the workers of `run`.
    pub(crate) async fn seed(&self, size: Size, run: &str) -> Result<(), Failure> {
        let text = self.literals();
        self.rows(
            "tenants (id, name, tier, status, version, created_at, updated_at, changed_at)",
            size.tenants,
            |number| {
                let (id, now) = (text.id(names::tenant(number).as_u128()), text.now);
                format!(
                    "{id}, 'bench-{number}', '{}', 'ACTIVE', 1, {now}, {now}, {}",
                    names::TIER,
                    text.past
                )
            },
        )
        .await?;
        let columns =
            "api_keys (id, tenant_id, name, hash, prefix, scopes, version, created_at, changed_at)";
        self.rows(columns, size.keys, |number| {
            let secret = names::key(number);
            let (id, now) = (text.id(names::key_id(number).as_u128()), text.now);
            let tenant = text.id(names::tenant(size.tenant_of_key(number)).as_u128());
            let (hash, prefix) = (text.bytes(&secret.hash()), secret.prefix());
            let past = text.past;
            format!(
                "{id}, {tenant}, 'bench', {hash}, '{prefix}', '[\"sessions:read\",\"messages:read\",\"messages:send\"]', 1, {now}, {past}"
            )
        })
        .await?;
        let columns = "sessions (id, tenant_id, name, metadata, created_at, updated_at, desired, pairing, priority, \
             phase, worker_id, incarnation, detail, phase_since, status, status_since, epoch, version, attempt, \
             report_seq, paired, phone_number, changed_at)";
        self.rows(columns, size.sessions, |number| {
            let (id, now) = (text.id(names::session(number).as_u128()), text.now);
            let tenant = text.id(names::tenant(size.tenant_of(number)).as_u128());
            let worker = size.worker_of(number);
            let (yes, past) = (text.yes, text.past);
            let incarnation = names::incarnation(run, worker);
            let worker = names::worker(worker);
            format!(
                "{id}, {tenant}, 's-{number}', '{{}}', {now}, {now}, 'CONNECTED', '{{\"mode\":\"QR\"}}', 1, \
                 'ACTIVE', '{worker}', '{incarnation}', '{{\"status\":\"CONNECTED\"}}', {now}, 'CONNECTED', {now}, \
                 1, 1, 0, 1, {yes}, '491701234567', {past}"
            )
        })
        .await?;
        let columns = "placements (session_id, epoch, tenant_id, worker_id, incarnation, why, explanation, placed_at)";
        self.rows(columns, size.sessions, |number| {
            let (id, now) = (text.id(names::session(number).as_u128()), text.now);
            let tenant = text.id(names::tenant(size.tenant_of(number)).as_u128());
            let worker = size.worker_of(number);
            let (name, incarnation) = (names::worker(worker), names::incarnation(run, worker));
            format!("{id}, 1, {tenant}, '{name}', '{incarnation}', 'connect', '{{}}', {now}")
        })
        .await?;
        let assigned = "UPDATE workers SET assigned = (SELECT count(*) FROM sessions WHERE worker_id = workers.id)";
        self.run(assigned.to_owned()).await?;
        match self {
            Self::Sqlite(_) => Ok(()),
            // The planner knows nothing of rows that came just now.
            Self::Postgres(_) => self.run("ANALYZE".to_owned()).await,
        }
    }

    async fn rows(
        &self,
        columns: &str,
        count: u32,
        row: impl Fn(u32) -> String,
    ) -> Result<(), Failure> {
        for first in (0..count).step_by(ROWS as usize) {
            let mut sql = format!("INSERT INTO {columns} VALUES ");
            for number in first..count.min(first + ROWS) {
                let comma = if number == first { "" } else { ", " };
                write!(sql, "{comma}({})", row(number))?;
            }
            self.run(sql).await?;
        }
        Ok(())
    }

    const fn literals(&self) -> Literals {
        match self {
            Self::Sqlite(_) => Literals {
                now: "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
                past: "0",
                yes: "1",
                before: "X'",
            },
            Self::Postgres(_) => Literals {
                now: "clock_timestamp()",
                past: "to_timestamp(0)",
                yes: "true",
                before: "'\\x",
            },
        }
    }
}

/// How one engine writes values down.
#[derive(Clone, Copy)]
struct Literals {
    now: &'static str,
    /// Before anybody began to look for changes.
    past: &'static str,
    yes: &'static str,
    before: &'static str,
}

impl Literals {
    fn bytes(&self, bytes: &[u8]) -> String {
        let mut text = self.before.to_owned();
        for byte in bytes {
            // Writing to a text cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text + "'"
    }

    fn id(&self, id: u128) -> String {
        match self.before {
            "X'" => format!("X'{id:032x}'"),
            _ => format!("'{id:032x}'"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_each_engine_reads_them() {
        let sqlite = Literals {
            now: "",
            past: "",
            yes: "",
            before: "X'",
        };
        let postgres = Literals {
            before: "'\\x",
            ..sqlite
        };
        assert_eq!(sqlite.id(0xab), "X'000000000000000000000000000000ab'");
        assert_eq!(postgres.id(0xab), "'000000000000000000000000000000ab'");
        assert_eq!(postgres.bytes(&[1, 255]), "'\\x01ff'");
    }
}
