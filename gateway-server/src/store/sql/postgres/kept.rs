//! One PostgreSQL connection that a message log keeps, for the one statement it repeats.
//!
//! A pool asks a connection that is given back whether it still lives, which is one more round trip for each
//! statement and about as much work as a small group. The log need not ask: what it repeats may be
//! repeated, so a kept connection that turns out to be gone is replaced and the statement is tried once
//! more. Its plan is made once, too, and without nested loops, because the planner does not know how long
//! the lists of a group are.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow};
use sqlx::{ConnectOptions, Connection, FromRow};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::silence::Silence;

/// As long as those of a pool: an address may lead to another server by then.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

const PLANS: [(&str, &str); 2] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_nestloop", "off"),
];

/// A row of an answer.
pub(in super::super) trait ReplyRow:
    for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> ReplyRow for T where T: for<'r> FromRow<'r, PgRow> + Send + Unpin {}

/// A connection for one statement after the other. Clones share it.
#[derive(Clone)]
pub(in super::super) struct KeptConnection(Arc<Inner>);

struct Inner {
    options: PgConnectOptions,
    connect_timeout: Duration,
    silence: Silence,
    kept: Mutex<Option<Opened>>,
}

struct Opened {
    connection: PgConnection,
    made: Instant,
}

impl fmt::Debug for KeptConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptConnection").finish_non_exhaustive()
    }
}

impl KeptConnection {
    /// Connects when it is first used, on the runtime that uses it.
    pub(in super::super) fn new(options: &PgConnectOptions, connect_timeout: Duration) -> Self {
        Self(Arc::new(Inner {
            options: options.clone().options(PLANS),
            connect_timeout,
            silence: Silence::default(),
            kept: Mutex::default(),
        }))
    }

    /// Runs a statement that is a transaction of its own and may be repeated; `arguments` is asked anew for
    /// each attempt.
    pub(in super::super) async fn all<R: ReplyRow>(
        &self,
        statement: &'static str,
        arguments: impl Fn() -> Result<PgArguments, sqlx::Error>,
    ) -> Result<Vec<R>, sqlx::Error> {
        let mut place = self.0.kept.lock().await;
        // Taken out while it is used: one that is given up in the middle of an answer is of no use again.
        let kept = place.take();
        if let Some(kept) = kept.filter(|kept| kept.made.elapsed() < LIFETIME) {
            let (kept, outcome) = self.run(kept, statement, arguments()?).await;
            *place = kept;
            if place.is_some() || !is_gone(&outcome) {
                return outcome;
            }
        }
        let fresh = self.connect().await?;
        let (kept, outcome) = self.run(fresh, statement, arguments()?).await;
        *place = kept;
        outcome
    }

    /// The outcome, and the connection if it can be used again.
    async fn run<R: ReplyRow>(
        &self,
        mut kept: Opened,
        statement: &'static str,
        arguments: PgArguments,
    ) -> (Option<Opened>, Result<Vec<R>, sqlx::Error>) {
        let asking = sqlx::query_as_with(statement, arguments).fetch_all(&mut kept.connection);
        let outcome = self.0.silence.limit(asking).await;
        let sound = match &outcome {
            Ok(_) | Err(sqlx::Error::ColumnDecode { .. }) => true,
            Err(sqlx::Error::Database(error)) => is_about_data(&**error),
            Err(_) => false,
        };
        (sound.then_some(kept), outcome)
    }

    async fn connect(&self) -> Result<Opened, sqlx::Error> {
        let late = |_| sqlx::Error::Io(io::ErrorKind::TimedOut.into());
        let connecting = timeout(self.0.connect_timeout, self.0.options.connect());
        let connection = connecting.await.map_err(late)??;
        let made = Instant::now();
        Ok(Opened { connection, made })
    }

    /// Says goodbye to the server.
    pub(in super::super) async fn close(&self) {
        let kept = self.0.kept.lock().await.take();
        if let Some(kept) = kept {
            // It is closed either way.
            let _ = timeout(self.0.connect_timeout, kept.connection.close()).await;
        }
    }
}

/// Whether the connection had ended, as opposed to an answer that does not come.
fn is_gone<T>(outcome: &Result<T, sqlx::Error>) -> bool {
    match outcome {
        Err(sqlx::Error::Io(error)) => error.kind() != io::ErrorKind::TimedOut,
        Err(sqlx::Error::Database(error)) => is_goodbye(&**error),
        _ => false,
    }
}

/// Cardinality, data, constraints, conflicts, or a statement that took too long. Whatever else the server
/// complains of may be true of this connection alone, for as long as it lives: that it cannot write, say,
/// because it was made when the server was a standby.
fn is_about_data(error: &dyn DatabaseError) -> bool {
    error.code().is_some_and(|code| {
        code == "57014"
            || ["21", "22", "23", "40"]
                .iter()
                .any(|class| code.starts_with(class))
    })
}

/// `57P01` and its neighbours: the server ends the connection, for a restart or because somebody said so.
fn is_goodbye(error: &dyn DatabaseError) -> bool {
    error.code().is_some_and(|code| code.starts_with("57P0"))
}
