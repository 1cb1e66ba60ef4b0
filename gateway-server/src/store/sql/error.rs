//! What a database says, as what a caller can do about it.
//!
//! The one table from constraint names to what they hold unique is here. SQLite names no constraint,
//! only the columns of a broken one, so every entry has both.

use gateway_core::store::{StoreError, Unique};
use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

/// A unique constraint: its name in PostgreSQL, its columns in SQLite, and what it is about.
const UNIQUE: [(&str, &str, Unique); 15] = [
    ("users_email", "users.email", Unique::Email),
    ("users_pkey", "users.id", Unique::UserId),
    ("tenants_pkey", "tenants.id", Unique::TenantId),
    ("api_keys_hash", "api_keys.hash", Unique::ApiKey),
    ("api_keys_pkey", "api_keys.id", Unique::ApiKeyId),
    ("logins_pkey", "logins.id", Unique::LoginId),
    ("audit_pkey", "audit.id", Unique::AuditId),
    (
        "refresh_tokens_pkey",
        "refresh_tokens.hash",
        Unique::RefreshToken,
    ),
    ("workers_pkey", "workers.id", Unique::WorkerId),
    (
        "workers_endpoint",
        "workers.endpoint",
        Unique::WorkerEndpoint,
    ),
    (
        "worker_leases_pkey",
        "worker_leases.worker_id, worker_leases.incarnation",
        Unique::Incarnation,
    ),
    ("sessions_pkey", "sessions.id", Unique::SessionId),
    (
        "sessions_name",
        "sessions.tenant_id, sessions.name",
        Unique::SessionName,
    ),
    (
        "placements_pkey",
        "placements.session_id, placements.epoch",
        Unique::Placement,
    ),
    (
        "messages_pkey",
        "messages.tenant_id, messages.id",
        Unique::MessageId,
    ),
];

/// The store's error for a failure of the driver.
pub(crate) fn classify(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(database) => refine(database),
        sqlx::Error::ColumnDecode { index, source } => StoreError::Corrupt {
            table: "a result",
            id: index,
            why: source.to_string(),
        },
        sqlx::Error::Encode(source) => StoreError::Refused(source),
        unreachable @ (sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed) => StoreError::Unavailable(unreachable.into()),
        other => StoreError::Internal(other.into()),
    }
}

/// A row that makes no sense.
pub(crate) fn corrupt(
    table: &'static str,
    id: &impl ToString,
    why: &(impl ToString + ?Sized),
) -> StoreError {
    StoreError::Corrupt {
        table,
        id: id.to_string(),
        why: why.to_string(),
    }
}

/// [`StoreError::Conflict`] unless exactly `expected` rows were changed.
pub(crate) fn expect_rows(changed: u64, expected: usize) -> Result<(), StoreError> {
    match changed == expected as u64 {
        true => Ok(()),
        false => Err(StoreError::Conflict),
    }
}

fn refine(error: Box<dyn DatabaseError>) -> StoreError {
    if let Some(postgres) = error.try_downcast_ref::<PgDatabaseError>() {
        let what = postgres
            .constraint()
            .and_then(|name| duplicate(|entry| entry.0 == name));
        return match (by_sqlstate(postgres.code()), what) {
            (Kind::Taken, Some(what)) => StoreError::Duplicate(what),
            (kind, _) => kind.of(error),
        };
    }
    let code = error.code().and_then(|code| code.parse().ok()).unwrap_or(1);
    let columns = error.message().rsplit(": ").next().unwrap_or_default();
    match (by_sqlite_code(code), duplicate(|entry| entry.1 == columns)) {
        (Kind::Taken, Some(what)) => StoreError::Duplicate(what),
        (kind, _) => kind.of(error),
    }
}

fn duplicate(is: impl Fn(&(&str, &str, Unique)) -> bool) -> Option<Unique> {
    UNIQUE.iter().find(|entry| is(entry)).map(|entry| entry.2)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Conflict,
    Taken,
    Refused,
    Unavailable,
    Internal,
}

impl Kind {
    fn of(self, error: Box<dyn DatabaseError>) -> StoreError {
        let source = sqlx::Error::Database(error).into();
        match self {
            Self::Conflict => StoreError::Conflict,
            Self::Taken | Self::Refused => StoreError::Refused(source),
            Self::Unavailable => StoreError::Unavailable(source),
            Self::Internal => StoreError::Internal(source),
        }
    }
}

fn by_sqlstate(code: &str) -> Kind {
    match code {
        // serialization failure, deadlock, lock not available
        "40001" | "40P01" | "55P03" => Kind::Conflict,
        "23505" => Kind::Taken,
        // statement timeout
        "57014" => Kind::Unavailable,
        // no privilege: a server that was locked down, not a statement that is wrong
        "42501" => Kind::Unavailable,
        _ => match &code[..code.len().min(2)] {
            "21" | "22" | "23" => Kind::Refused,
            // connection, read-only transaction, authorization, no such database, resources, operator
            // intervention, operating system
            "08" | "25" | "28" | "3D" | "53" | "57" | "58" => Kind::Unavailable,
            _ => Kind::Internal,
        },
    }
}

fn by_sqlite_code(code: i32) -> Kind {
    match code {
        // UNIQUE, PRIMARY KEY, rowid
        2067 | 1555 | 2579 => Kind::Taken,
        _ => match code & 0xff {
            // BUSY, LOCKED
            5 | 6 => Kind::Conflict,
            // TOOBIG, CONSTRAINT, MISMATCH
            18..=20 => Kind::Refused,
            // PERM, NOMEM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, AUTH, NOTADB
            3 | 7 | 8 | 10 | 11 | 13 | 14 | 15 | 23 | 26 => Kind::Unavailable,
            _ => Kind::Internal,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_errors_say_what_to_do() {
        assert_eq!(by_sqlstate("40P01"), Kind::Conflict);
        assert_eq!(by_sqlstate("22P05"), Kind::Refused);
        assert_eq!(by_sqlstate("57P01"), Kind::Unavailable);
        assert_eq!(by_sqlstate("42P01"), Kind::Internal);
        assert_eq!(by_sqlite_code(517), Kind::Conflict, "BUSY_SNAPSHOT");
        assert_eq!(by_sqlite_code(275), Kind::Refused, "CHECK");
        assert_eq!(by_sqlite_code(1555), Kind::Taken);
        // A database that takes nothing says nothing about what it was given.
        assert_eq!(by_sqlite_code(1032), Kind::Unavailable, "READONLY_DBMOVED");
        assert_eq!(by_sqlstate("25006"), Kind::Unavailable, "read-only");
    }
}
