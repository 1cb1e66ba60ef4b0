//! Collects facts and writes them in groups.
//!
//! One group is written at a time; what arrives meanwhile is the next one, so groups grow with the load
//! by themselves and a quiet log waits at most the configured moment. A group is written until it is
//! durable: facts are idempotent, so a commit whose outcome is not known is simply made again. Only data
//! that the database refuses is given up, alone: its group is halved until it stands by itself. A failure
//! that nobody understands gives up a fact only if the database has taken another one meanwhile: a message
//! that has gone out must not be dropped because the whole database takes nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gateway_core::message::{Fact, LogError, LogPlace, Recorded};
use gateway_core::store::StoreError;
use gateway_core::time::Uptime;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::group_log::GroupOptions;
use super::ledger::Ledger;
use crate::telemetry::metrics::MessageLogMetrics;
use crate::telemetry::{ErrorChain, RepeatedMessage};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often an outage is logged.
const ONE_LINE: Duration = Duration::from_secs(60);

/// How often a failure that nobody understands is taken for one of the whole database before the facts
/// are tried one by one. About five seconds.
const PATIENCE: u32 = 10;

/// A fact to be written, with the place it holds and the sender that waits for its answer.
pub(super) struct QueuedFact {
    pub(super) fact: Fact,
    pub(super) caller: WaitingSender,
}

pub(super) struct WaitingSender {
    /// Given back when the fact is durable or given up.
    pub(super) place: LogPlace,
    pub(super) answer: oneshot::Sender<Result<Recorded, LogError>>,
}

impl WaitingSender {
    fn tell(self, outcome: Result<Recorded, LogError>) {
        drop(self.place);
        // A caller that has gone does not take its fact back.
        let _ = self.answer.send(outcome);
    }
}

#[derive(Default)]
struct FactBatch {
    facts: Vec<Fact>,
    callers: Vec<WaitingSender>,
    /// Whether this is a single fact that failed although nothing else was to blame.
    suspected: bool,
}

impl FactBatch {
    fn push(&mut self, job: QueuedFact) {
        self.facts.push(job.fact);
        self.callers.push(job.caller);
    }

    fn halved(mut self) -> [Self; 2] {
        let middle = self.facts.len() / 2;
        let second = Self {
            facts: self.facts.split_off(middle),
            callers: self.callers.split_off(middle),
            suspected: false,
        };
        [self, second]
    }

    fn written(self, recorded: Vec<Recorded>) {
        for (caller, recorded) in self.callers.into_iter().zip(recorded) {
            caller.tell(Ok(recorded));
        }
    }

    fn refused(self, error: StoreError) {
        let mut error = Some(error);
        for caller in self.callers {
            let refused = error.take().map(LogError::Refused);
            caller.tell(Err(refused.unwrap_or(LogError::Unavailable)));
        }
    }
}

pub(super) struct Writer {
    pub(super) jobs: mpsc::UnboundedReceiver<QueuedFact>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) options: GroupOptions,
    /// Whether writes do not get through at the moment; places are refused meanwhile.
    pub(super) stalled: Arc<AtomicBool>,
    pub(super) metrics: MessageLogMetrics,
    /// What times are counted from.
    pub(super) began: Instant,
}

impl Writer {
    /// Writes groups until `close` is cancelled, then what is left.
    pub(super) async fn run(mut self, close: CancellationToken) {
        loop {
            let first = tokio::select! {
                biased;
                job = self.jobs.recv() => job,
                () = close.cancelled() => {
                    self.jobs.close();
                    self.jobs.recv().await
                }
            };
            let Some(first) = first else {
                return;
            };
            let batch = self.gather(first).await;
            self.write(batch).await;
        }
    }

    async fn gather(&mut self, first: QueuedFact) -> FactBatch {
        let mut batch = FactBatch::default();
        batch.push(first);
        let deadline = Instant::now() + self.options.batch_wait;
        while batch.facts.len() < self.options.batch_size {
            let next = match self.jobs.try_recv() {
                Ok(job) => Some(job),
                Err(mpsc::error::TryRecvError::Disconnected) => None,
                Err(mpsc::error::TryRecvError::Empty) => {
                    timeout_at(deadline, self.jobs.recv()).await.ok().flatten()
                }
            };
            match next {
                Some(job) => batch.push(job),
                None => break,
            }
        }
        batch
    }

    async fn write(&mut self, batch: FactBatch) {
        let mut left = VecDeque::from([batch]);
        let mut trouble = Trouble::new();
        while let Some(mut batch) = left.pop_front() {
            self.metrics.batch.record(count(batch.facts.len()));
            let error = match self.ledger.write(&batch.facts).await {
                Ok(recorded) => {
                    self.stall(false);
                    trouble = Trouble::over();
                    for fact in &recorded {
                        self.metrics.census.recorded(fact);
                    }
                    batch.written(recorded);
                    continue;
                }
                Err(error) => error,
            };
            match trouble.verdict(&error, &batch) {
                Verdict::Again => {
                    self.again(&error, &mut trouble).await;
                    left.push_front(batch);
                }
                Verdict::Part => {
                    let [first, second] = batch.halved();
                    left.push_front(second);
                    left.push_front(first);
                }
                Verdict::Suspect => {
                    batch.suspected = true;
                    left.push_back(batch);
                    left.extend(self.company());
                    self.again(&error, &mut trouble).await;
                }
                Verdict::GiveUp => {
                    // Data is refused by a database that works.
                    self.stall(false);
                    tracing::error!(error = %ErrorChain(&error), "a message cannot be stored");
                    self.metrics.refused.increment(1);
                    batch.refused(error);
                }
            }
        }
    }

    fn stall(&self, stalled: bool) {
        if self.stalled.swap(stalled, Ordering::Relaxed) != stalled {
            self.metrics.stalled.changed(stalled);
        }
    }

    /// Returns a group of facts that have arrived meanwhile: whether it can be written tells a bad fact
    /// from a bad database.
    fn company(&mut self) -> Option<FactBatch> {
        let mut batch = FactBatch::default();
        while batch.facts.len() < self.options.batch_size {
            let Ok(job) = self.jobs.try_recv() else { break };
            batch.push(job);
        }
        (!batch.facts.is_empty()).then_some(batch)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the writer itself is the loop that waits for its database"
    )]
    async fn again(&self, error: &StoreError, trouble: &mut Trouble) {
        self.metrics.retries.increment(1);
        if !matches!(error, StoreError::Conflict) {
            self.stall(true);
            let now = Uptime(self.began.elapsed());
            if let Some(left_out) = trouble.said.due(now) {
                tracing::warn!(left_out, error = %ErrorChain(error), "messages are not written; trying again");
            }
        }
        tokio::time::sleep(trouble.pause()).await;
    }
}

/// What to do with a group that was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Write it again after a pause.
    Again,
    Part,
    /// Write others first: one fact failed for a reason that nobody understands.
    Suspect,
    /// Drop it: a working database does not take this one fact.
    GiveUp,
}

/// Counts the failures since something was last written.
#[derive(Debug)]
struct Trouble {
    failures: u32,
    said: RepeatedMessage,
    /// Whether something was written since a fact was last suspected.
    works: bool,
}

impl Trouble {
    const fn new() -> Self {
        Self {
            failures: 0,
            said: RepeatedMessage::new(ONE_LINE),
            works: false,
        }
    }

    const fn over() -> Self {
        Self {
            works: true,
            ..Self::new()
        }
    }

    fn verdict(&mut self, error: &StoreError, batch: &FactBatch) -> Verdict {
        let alone = batch.facts.len() == 1;
        match error {
            StoreError::Conflict | StoreError::Unavailable(_) => Verdict::Again,
            StoreError::Refused(_) | StoreError::Corrupt { .. } | StoreError::Duplicate(_) => {
                match alone {
                    true => Verdict::GiveUp,
                    false => Verdict::Part,
                }
            }
            StoreError::Internal(_) if batch.suspected && self.works => Verdict::GiveUp,
            StoreError::Internal(_) => {
                self.works = false;
                match (self.failures < PATIENCE, alone) {
                    (true, _) => Verdict::Again,
                    (false, true) => Verdict::Suspect,
                    (false, false) => Verdict::Part,
                }
            }
        }
    }

    /// Counts a failure and returns how long to wait after it.
    fn pause(&mut self) -> Duration {
        let doublings = self.failures.min(8);
        self.failures = self.failures.saturating_add(1);
        (FIRST_PAUSE * 2u32.pow(doublings)).min(LONGEST_PAUSE)
    }
}

fn count(facts: usize) -> f64 {
    u32::try_from(facts).unwrap_or(u32::MAX).into()
}
