//! How long PostgreSQL may say nothing.
//!
//! `statement_timeout` is kept by the server, so it says nothing when the server cannot be heard: on a
//! road that swallows everything a request would wait for as long as TCP hopes, which is a quarter of an
//! hour. So every statement has a limit on this side, longer than the server's own. A connection that was
//! given up is on its way back to the pool, where it would wait for the same server once more; after a
//! silence each has to prove itself first, or is closed.

use std::future::Future;
use std::io;
use std::mem::forget;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

/// Longer than `statement_timeout` may be, which is 5 s.
const LIMIT: Duration = Duration::from_secs(7);

/// How long a connection may take to prove itself.
const PROOF: Duration = Duration::from_secs(1);

/// Watches the answers of one server. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Silence(Arc<AtomicBool>);

impl Silence {
    /// The answer, unless it takes too long; then whether it was executed is not known.
    pub(in super::super) async fn limit<T>(
        &self,
        asked: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        let unheard = Unheard(self);
        let answer = timeout(LIMIT, asked).await.map_err(|_| silent())?;
        forget(unheard);
        answer
    }

    /// Whether a connection may go back to the pool.
    ///
    /// # Errors
    /// It may not, and is to be closed without another word.
    pub(in super::super) async fn prove(
        &self,
        connection: &mut PgConnection,
    ) -> Result<bool, sqlx::Error> {
        if !self.0.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let answer = timeout(PROOF, connection.ping()).await;
        answer.map_err(|_| silent())??;
        self.0.store(false, Ordering::Relaxed);
        Ok(true)
    }
}

/// A question without an answer. Whoever asked may have lost patience first and dropped it, and then its
/// connection has to prove itself all the same.
struct Unheard<'s>(&'s Silence);

impl Drop for Unheard<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

fn silent() -> sqlx::Error {
    let text = "PostgreSQL did not answer in time";
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, text))
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::poll;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_proves_itself_after_a_question_without_an_answer() {
        let silence = Silence::default();
        let marked = || silence.0.swap(false, Ordering::Relaxed);
        silence.limit(ready(Ok(()))).await.expect("an answer");
        assert!(!marked(), "there was an answer");
        let failed = silence.limit(pending::<Result<(), _>>()).await;
        assert!(failed.is_err() && marked(), "nothing for seven seconds");
        let mut asked = Box::pin(silence.limit(pending::<Result<(), _>>()));
        assert!(poll!(&mut asked).is_pending());
        drop(asked);
        assert!(marked(), "whoever asked went away");
    }
}
