//! Why PostgreSQL cannot be used at the start, in words that say where it was looked for.
//!
//! A pool waits for a server that starts, and then says only that it waited. So when it gives up, the
//! server is asked once more without it, for the reason.

use std::io;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio::time::timeout;

/// How long the server may take to give a reason.
const REASON: Duration = Duration::from_secs(1);

/// Why a PostgreSQL server cannot be used. Shows no password.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be understood.
    #[error(
        "DATABASE_URL is no address of PostgreSQL; expected postgres://user:password@host:5432/name, \
         special characters in it as %xx"
    )]
    Address(#[source] sqlx::Error),
    /// No server answers at the address.
    #[error("PostgreSQL cannot be reached at {place}: {why}; start it, or correct DATABASE_URL")]
    Unreachable {
        /// Host and port, or the socket.
        place: String,
        /// What the last attempt failed with.
        why: String,
    },
    /// The user or the password is wrong, or may not come from here.
    #[error("PostgreSQL at {place} refuses the login; check DATABASE_URL")]
    Login {
        /// Host and port, or the socket.
        place: String,
        /// The error as the server gave it.
        source: sqlx::Error,
    },
    /// It answers and cannot be used: there is no such database, it is starting, or is no PostgreSQL.
    #[error("PostgreSQL at {place} cannot be used; check DATABASE_URL")]
    Unusable {
        /// Host and port, or the socket.
        place: String,
        /// The error as the server gave it.
        source: sqlx::Error,
    },
}

impl ServerError {
    /// What it means that connecting ended with `error` after at most `limit`.
    pub(in super::super) async fn new(
        options: &PgConnectOptions,
        error: sqlx::Error,
        limit: Duration,
    ) -> Self {
        let error = match error {
            sqlx::Error::PoolTimedOut => reason(options).await,
            other => other,
        };
        let place = place(options);
        match error {
            sqlx::Error::Io(error) => {
                let why = in_words(&error, limit);
                Self::Unreachable { place, why }
            }
            source if is_login(&source) => Self::Login { place, source },
            source => Self::Unusable { place, source },
        }
    }
}

/// What happens to one attempt.
async fn reason(options: &PgConnectOptions) -> sqlx::Error {
    match timeout(REASON, options.connect()).await {
        Ok(Err(error)) => error,
        Ok(Ok(connection)) => {
            // It is there after all, and was too late.
            let _ = timeout(REASON, connection.close()).await;
            sqlx::Error::Io(io::ErrorKind::TimedOut.into())
        }
        Err(_) => sqlx::Error::Io(io::ErrorKind::TimedOut.into()),
    }
}

fn in_words(error: &io::Error, limit: Duration) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::TimedOut => format!("no answer within {limit:?}"),
        _ => error.to_string(),
    }
}

fn is_login(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("28"))
}

fn place(options: &PgConnectOptions) -> String {
    let host = options.get_host();
    match options.get_socket() {
        Some(folder) => format!("the socket in {}", folder.display()),
        None if host.starts_with('/') => format!("the socket in {host}"),
        None => format!("{host}:{}", options.get_port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_no_password() {
        for (url, expected) in [
            ("postgres://me:hush@db:5433/x", "db:5433"),
            ("postgres://me:hush@db/x", "db:5432"),
            ("postgres://me:hush@%2Frun%2Fpg/x", "the socket in /run/pg"),
            (
                "postgres:///x?host=/run/pg&password=hush",
                "the socket in /run/pg",
            ),
        ] {
            let options: PgConnectOptions = url.parse().expect(url);
            assert_eq!(place(&options), expected);
        }
    }
}
