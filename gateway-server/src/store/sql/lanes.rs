//! A few PostgreSQL connections that are kept for one kind of short statement.
//!
//! What must come through when everything else is busy has connections of its own, which nobody else can
//! hold; and a statement on one of them is one exchange, where a pool makes five of it. One connection
//! is made and the others only while it is busy.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnectOptions};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::lane::{Answer, Lane};

/// Connections for statements that may be repeated. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Lanes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    turns: Semaphore,
    /// The last one that was used is taken first.
    free: Mutex<Vec<Lane>>,
    patience: Duration,
}

/// Gives the lane back, also if the statement is given up.
struct Turn<'a> {
    lane: Option<Lane>,
    lanes: &'a Inner,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut free = self
            .lanes
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        free.extend(self.lane.take());
    }
}

impl Lanes {
    /// At most `count`; none of them is made before it is used. `patience` is how long a statement waits
    /// for its turn, and then for a connection.
    pub(super) fn new(options: &PgConnectOptions, count: usize, patience: Duration) -> Self {
        let lanes = std::iter::repeat_with(|| Lane::plain(options, patience));
        Self(Arc::new(Inner {
            turns: Semaphore::new(count),
            free: Mutex::new(lanes.take(count).collect()),
            patience,
        }))
    }

    /// Runs a statement that is a transaction of its own and may be repeated; `arguments` is asked anew for
    /// each attempt.
    pub(super) async fn all<R: Answer>(
        &self,
        statement: &'static str,
        arguments: impl Fn() -> Result<PgArguments, sqlx::Error>,
    ) -> Result<Vec<R>, sqlx::Error> {
        let lanes = &*self.0;
        let waiting = timeout(lanes.patience, lanes.turns.acquire());
        let permit = waiting.await.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let _permit = permit.map_err(|_| sqlx::Error::PoolClosed)?;
        let lane = lanes
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let turn = Turn { lane, lanes };
        // There are as many as turns.
        let lane = turn.lane.as_ref().ok_or(sqlx::Error::PoolTimedOut)?;
        lane.all(statement, arguments).await
    }

    /// Lets nobody begin any more and says goodbye to the server.
    pub(super) async fn close(&self) {
        self.0.turns.close();
        loop {
            let lane = self
                .0
                .free
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop();
            let Some(lane) = lane else { return };
            lane.close().await;
        }
    }
}
