//! Heartbeats on SQLite: those of a moment share one transaction.
//!
//! There is one writer, and every transaction waits for the disk. A thousand workers would take its turn as
//! often as the message log does. Waiting a little loses nothing: a lease lasts a hundred times longer, and
//! who renews is answered when the renewal is durable. After a quiet moment nobody waits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gateway_core::session::Owner;
use gateway_core::store::StoreError;
use gateway_core::worker::{Renewed, WorkerReport};
use tokio::sync::{mpsc, oneshot};

use super::pool::Pool;
use crate::telemetry::ErrorChain;

/// The time from one such transaction to the next, unless more have come than one takes.
const PAUSE: Duration = Duration::from_millis(50);
/// Renewals in one, so that messages do not wait long for theirs.
const AT_ONCE: usize = 100;

/// Renewals of one file. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Renewals(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: Pool,
    /// To the task that writes them, once it was needed.
    asking: Mutex<Option<mpsc::UnboundedSender<Waiting>>>,
}

#[derive(Debug)]
struct Waiting {
    owner: Owner,
    report: WorkerReport,
    answer: oneshot::Sender<Answer>,
}

type Answer = Result<Option<Renewed>, StoreError>;

/// The transaction that a renewal was to be in did not come about; why is logged.
#[derive(Debug, thiserror::Error)]
#[error("the lease could not be renewed; the next heartbeat renews it")]
struct NotRenewed;

impl Renewals {
    pub(super) fn new(pool: Pool) -> Self {
        let asking = Mutex::new(None);
        Self(Arc::new(Inner { pool, asking }))
    }

    /// Renews a lease; none if it is not to be renewed.
    pub(super) async fn renew(&self, owner: &Owner, report: &WorkerReport) -> Answer {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            owner: owner.clone(),
            report: report.clone(),
            answer,
        };
        self.ask(waiting);
        let failed = |_| Err(StoreError::Unavailable(Box::new(NotRenewed)));
        answered.await.unwrap_or_else(failed)
    }

    /// Hands it to the task, on this runtime if there is none: it ends with its runtime and with all who can ask.
    fn ask(&self, waiting: Waiting) {
        let asking = self.0.asking.lock();
        let mut asking = asking.unwrap_or_else(PoisonError::into_inner);
        let refused = match &*asking {
            Some(task) => task.send(waiting).err().map(|refused| refused.0),
            None => Some(waiting),
        };
        let Some(waiting) = refused else { return };
        let (task, asked) = mpsc::unbounded_channel();
        tokio::spawn(write(self.0.pool.clone(), asked));
        // It has just begun; if its runtime ends, who asked hears it from the other end of the answer.
        drop(task.send(waiting));
        *asking = Some(task);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "renewals are gathered for a while"
)]
async fn write(pool: Pool, mut asked: mpsc::UnboundedReceiver<Waiting>) {
    let mut batch = Vec::new();
    loop {
        let count = asked.recv_many(&mut batch, AT_ONCE).await;
        if count == 0 {
            return;
        }
        if let Err(error) = write_batch(&pool, &mut batch).await {
            tracing::warn!(error = %ErrorChain(&error), "leases were not renewed");
        }
        // Whoever is still in it gets no answer.
        batch.clear();
        if count < AT_ONCE {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn write_batch(pool: &Pool, batch: &mut Vec<Waiting>) -> Result<(), StoreError> {
    let mut tx = pool.begin().await?;
    // Some may have lost patience meanwhile: they come again.
    batch.retain(|waiting| !waiting.answer.is_closed());
    let mut answers = Vec::with_capacity(batch.len());
    for waiting in &*batch {
        // A worker whose rows make no sense is the only one to hear of it.
        answers.push(tx.renew(&waiting.owner, &waiting.report).await);
    }
    tx.finish().await?;
    for (waiting, answer) in batch.drain(..).zip(answers) {
        // Whoever asked may have gone away.
        drop(waiting.answer.send(answer));
    }
    Ok(())
}
