//! Who may work on a PostgreSQL database: one replica alone, or any number that share Redis.
//!
//! Without Redis, codes, counters and hints live in a process's memory, so another replica on the same
//! database would answer from another memory. A session-level advisory lock says who is there: exclusive for
//! a replica without Redis, shared between those that have one, so that one where `REDIS_URL` was forgotten
//! does not start beside the others. It is no fence: what must never happen twice is protected by conditional
//! writes. It ends with its connection, so whoever holds it looks after it ([`ReplicaLock::keep`]).
//!
//! A server may keep a connection that is long dead on this side, and with it the lock, for hours. So a
//! replica that comes back after a silence ends its own former session first: it knows which one that was.

use std::io;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

/// "gateway" in ASCII, as a number: the key of the lock.
const KEY: i64 = 0x0067_6174_6577_6179;

/// How long the database may take to answer.
const LIMIT: Duration = Duration::from_secs(5);

/// Whom a replica can have beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// Nobody: it has no Redis.
    None,
    /// Others that share its Redis.
    Replicas,
}

/// The right to be there.
#[derive(Debug)]
pub struct ReplicaLock {
    url: String,
    company: Company,
    connection: PgConnection,
    session: Session,
}

/// A session of the server: its process, and when that began, because numbers of processes come again.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
struct Session {
    pid: i32,
    began: String,
}

/// Why there is no such right.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// Another gateway is there, and this one has no Redis.
    #[error(
        "another gateway runs on this database: stop that one, give this one a database of its own, or give both the same REDIS_URL"
    )]
    Held,
    /// A gateway without Redis is there.
    #[error(
        "a gateway without REDIS_URL runs on this database: stop it, or start it with the same REDIS_URL as this one"
    )]
    Alone,
    /// The database cannot be asked.
    #[error("PostgreSQL cannot be reached; check DATABASE_URL")]
    Unreachable(#[source] sqlx::Error),
}

impl ReplicaLock {
    /// Takes the right, at once or never.
    ///
    /// # Errors
    /// Somebody is there who must not be, or the database cannot be asked.
    pub async fn take(url: &str, company: Company) -> Result<Self, ReplicaError> {
        let (connection, session) = lock(url, company, None).await?;
        Ok(Self {
            url: url.to_owned(),
            company,
            connection,
            session,
        })
    }

    /// Looks whether the right still stands, and takes it again on a new connection if the old one broke.
    ///
    /// # Errors
    /// Another gateway has it by now: stop if that is [`ReplicaError::Held`]. Or the database cannot be
    /// asked: look again later.
    pub async fn keep(&mut self) -> Result<(), ReplicaError> {
        if let Ok(Ok(())) = timeout(LIMIT, self.connection.ping()).await {
            return Ok(());
        }
        let locked = lock(&self.url, self.company, Some(&self.session)).await?;
        (self.connection, self.session) = locked;
        Ok(())
    }
}

async fn lock(
    url: &str,
    company: Company,
    former: Option<&Session>,
) -> Result<(PgConnection, Session), ReplicaError> {
    let locking = timeout(LIMIT, try_lock(url, company, former)).await;
    let late = |_| sqlx::Error::Io(io::ErrorKind::TimedOut.into());
    let locked = locking.map_err(late).flatten();
    match (locked.map_err(ReplicaError::Unreachable)?, company) {
        (Some(locked), _) => Ok(locked),
        (None, Company::None) => Err(ReplicaError::Held),
        (None, Company::Replicas) => Err(ReplicaError::Alone),
    }
}

async fn try_lock(
    url: &str,
    company: Company,
    former: Option<&Session>,
) -> Result<Option<(PgConnection, Session)>, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let statement = match company {
        Company::None => "SELECT pg_try_advisory_lock($1)",
        Company::Replicas => "SELECT pg_try_advisory_lock_shared($1)",
    };
    let asking = sqlx::query_scalar(statement).bind(KEY);
    let mut taken: bool = asking.fetch_one(&mut connection).await?;
    // A lock that is shared is in nobody's own way.
    if let (false, Company::None, Some(former)) = (taken, company, former) {
        taken = take_over(&mut connection, former).await?;
    }
    if !taken {
        return Ok(None);
    }
    let session = sqlx::query_as(SESSION).fetch_one(&mut connection).await?;
    Ok(Some((connection, session)))
}

const SESSION: &str = "SELECT pid, extract(epoch FROM backend_start)::TEXT AS began \
    FROM pg_stat_activity WHERE pid = pg_backend_pid()";
const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
    WHERE pid = $1 AND extract(epoch FROM backend_start)::TEXT = $2";

/// Takes the lock from a session of one's own that the server has not noticed the end of; whether it was
/// that one which had it.
async fn take_over(connection: &mut PgConnection, former: &Session) -> Result<bool, sqlx::Error> {
    let ending = sqlx::query(END).bind(former.pid).bind(&former.began);
    ending.execute(&mut *connection).await?;
    // It takes a moment to end.
    let patience = sqlx::query("SET lock_timeout = '2s'");
    patience.execute(&mut *connection).await?;
    let taking = sqlx::query("SELECT pg_advisory_lock($1)").bind(KEY);
    match taking.execute(&mut *connection).await {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(NOT_AVAILABLE) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// The lock was not to be had in time.
const NOT_AVAILABLE: &str = "55P03";
