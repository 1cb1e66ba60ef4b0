//! [`MessageLog`] by group commit.
//!
//! The handle is shared by every runtime that sends; the task behind it runs where the database's
//! connections live. A place is a permit of one semaphore, so taking one never waits and costs no
//! message, and the channel behind it needs no bound of its own. What is known of persons is neither written
//! nor read in groups: that is asked for where the connections live.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{MessageId, SessionId, TenantId};
use gateway_core::message::{
    Fact, LogError, LogFull, LogPlace, Message, MessageLog, PersonPair, Recorded,
};
use gateway_core::store::StoreError;
use metrics::{Counter, Gauge};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::ledger::Ledger;
use super::reader::{LookupReader, Question};
use super::writer::{QueuedFact, WaitingSender, Writer};
use crate::telemetry::metrics::MessageLogMetrics;

/// How facts are grouped into statements.
#[derive(Clone, Copy, Debug)]
pub struct GroupOptions {
    /// The most places that can be taken at once.
    pub capacity: usize,
    /// The most facts in one group.
    pub batch_size: usize,
    /// How long a small group waits for more.
    pub batch_wait: Duration,
}

/// The message log as a sender sees it. Clones share the queue.
#[derive(Clone, Debug)]
pub struct GroupLog {
    places: Arc<Semaphore>,
    stalled: Arc<AtomicBool>,
    jobs: mpsc::UnboundedSender<QueuedFact>,
    questions: mpsc::Sender<Question>,
    /// For what is neither written nor read in groups.
    ledger: Arc<dyn Ledger>,
    depth: Gauge,
    full: Counter,
}

/// The task that writes and reads for a [`GroupLog`].
pub struct GroupTask {
    writer: Writer,
    reader: LookupReader,
}

impl std::fmt::Debug for GroupTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupTask").finish_non_exhaustive()
    }
}

impl GroupLog {
    /// Makes a log over `ledger`, and the task that has to run for anything to be written.
    #[must_use]
    pub fn new(
        ledger: Arc<dyn Ledger>,
        options: GroupOptions,
        metrics: MessageLogMetrics,
    ) -> (Self, GroupTask) {
        let capacity = options.capacity.clamp(1, Semaphore::MAX_PERMITS);
        let (jobs, jobs_in) = mpsc::unbounded_channel();
        let (questions, questions_in) = mpsc::channel(capacity);
        let log = Self {
            places: Arc::new(Semaphore::new(capacity)),
            stalled: Arc::default(),
            jobs,
            questions,
            ledger: Arc::clone(&ledger),
            depth: metrics.depth.clone(),
            full: metrics.full.clone(),
        };
        metrics
            .capacity
            .increment(u32::try_from(capacity).unwrap_or(u32::MAX));
        let reader = LookupReader {
            questions: questions_in,
            ledger: Arc::clone(&ledger),
            batch_size: options.batch_size.max(1),
        };
        let writer = Writer {
            jobs: jobs_in,
            ledger,
            options,
            stalled: Arc::clone(&log.stalled),
            metrics,
            began: tokio::time::Instant::now(),
        };
        (log, GroupTask { writer, reader })
    }
}

impl GroupLog {
    fn place(&self) -> Option<LogPlace> {
        if self.stalled.load(Ordering::Relaxed) || self.jobs.is_closed() {
            return None;
        }
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let held = HeldPlace {
            _permit: permit,
            depth: self.depth.clone(),
        };
        held.depth.increment(1.0);
        Some(LogPlace::new(Box::new(held)))
    }
}

impl GroupTask {
    /// Writes and reads until `close` is cancelled; then takes nothing more, writes what it has, and
    /// ends.
    pub async fn run(self, close: CancellationToken) {
        tokio::join!(self.writer.run(close.clone()), self.reader.run(close));
    }
}

/// A place in the queue, as the sender holds it.
struct HeldPlace {
    _permit: OwnedSemaphorePermit,
    depth: Gauge,
}

impl Drop for HeldPlace {
    fn drop(&mut self) {
        self.depth.decrement(1.0);
    }
}

#[async_trait]
impl MessageLog for GroupLog {
    fn reserve(&self) -> Result<LogPlace, LogFull> {
        let place = self.place();
        if place.is_none() {
            self.full.increment(1);
        }
        place.ok_or(LogFull)
    }

    async fn record(&self, place: LogPlace, fact: Fact) -> Result<Recorded, LogError> {
        let (answer, answered) = oneshot::channel();
        let caller = WaitingSender { place, answer };
        let sent = self.jobs.send(QueuedFact { fact, caller });
        sent.map_err(|_| LogError::Unavailable)?;
        answered.await.unwrap_or(Err(LogError::Unavailable))
    }

    async fn find(&self, tenant: TenantId, id: MessageId) -> Result<Option<Message>, LogError> {
        let (answer, answered) = oneshot::channel();
        let key = (tenant, id);
        let asked = self.questions.try_send(Question { key, answer });
        asked.map_err(|_| LogError::Unavailable)?;
        answered.await.unwrap_or(Err(LogError::Unavailable))
    }

    async fn persons(
        &self,
        tenant: TenantId,
        session: SessionId,
        ids: &[&str],
    ) -> Result<Vec<PersonPair>, LogError> {
        let found = self.ledger.persons((tenant, session), ids).await;
        found.map_err(refused_or_away)
    }

    async fn remember_person(
        &self,
        tenant: TenantId,
        session: SessionId,
        pair: &PersonPair,
    ) -> Result<(), LogError> {
        let kept = self.ledger.remember_person((tenant, session), pair).await;
        kept.map_err(refused_or_away)
    }
}

fn refused_or_away(error: StoreError) -> LogError {
    match error {
        StoreError::Refused(_) => LogError::Refused(error),
        _ => LogError::Unavailable,
    }
}
