//! One replica per PostgreSQL database, as long as coordination is in process.
//!
//! Codes, counters and hints live in this process's memory, so a second replica on the same database
//! would answer from another memory. A session-level advisory lock says which one is the only one. It is
//! no fence: what must never happen twice is protected by conditional writes, as with many replicas. It
//! ends with its connection, so whoever holds it looks after it ([`ReplicaLock::keep`]).

use sqlx::{Connection, PgConnection};

/// "gateway" in ASCII, as a number: the key of the lock.
const KEY: i64 = 0x0067_6174_6577_6179;

/// The right to be the only replica.
#[derive(Debug)]
pub struct ReplicaLock {
    url: String,
    connection: PgConnection,
}

/// Why there is no such right.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// Another gateway has it.
    #[error(
        "another gateway runs on this database: stop that one, or give this one a database of its own"
    )]
    Held,
    /// The database cannot be asked.
    #[error("PostgreSQL cannot be reached; check DATABASE_URL")]
    Unreachable(#[source] sqlx::Error),
}

impl ReplicaLock {
    /// Takes the right, at once or never.
    ///
    /// # Errors
    /// Another gateway has it, or the database cannot be asked.
    pub async fn take(url: &str) -> Result<Self, ReplicaError> {
        let connection = lock(url).await?;
        Ok(Self {
            url: url.to_owned(),
            connection,
        })
    }

    /// Looks whether the right still stands, and takes it again on a new connection if the old one broke.
    ///
    /// # Errors
    /// Another gateway has it by now: stop. Or the database cannot be asked: look again later.
    pub async fn keep(&mut self) -> Result<(), ReplicaError> {
        if self.connection.ping().await.is_ok() {
            return Ok(());
        }
        self.connection = lock(&self.url).await?;
        Ok(())
    }
}

async fn lock(url: &str) -> Result<PgConnection, ReplicaError> {
    let connected = PgConnection::connect(url).await;
    let mut connection = connected.map_err(ReplicaError::Unreachable)?;
    let taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(KEY)
        .fetch_one(&mut connection)
        .await
        .map_err(ReplicaError::Unreachable)?;
    if taken {
        return Ok(connection);
    }
    Err(ReplicaError::Held)
}
