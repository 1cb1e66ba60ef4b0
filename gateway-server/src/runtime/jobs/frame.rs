//! The frame of every job: what it is called, when it steps, and what happens when a step fails.
//!
//! A job is a value that holds the ports it uses and does one step at a time; it neither spawns nor sleeps.
//! The frame steps it until the stop, and between two steps only, because what a step leaves undone is still
//! due. A step that fails is repeated at the job's pace. One that panics is a defect, but a gateway that
//! answers requests and places nobody would be worse than none: the job goes on after a pause that grows
//! while it keeps panicking.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use gateway_core::coord::{CoordError, Coordinator, Notice, Notices};
use gateway_core::store::StoreError;
use gateway_core::time::Clock;
use tokio_util::sync::CancellationToken;

use crate::shutdown::Shutdown;
use crate::telemetry::job_metrics::{JobMetrics, JobReport, StepOutcome};
use crate::telemetry::{ErrorChain, RepeatedMessage};

/// The pause after the first panic; it doubles with each further one.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
/// How often a job that goes on failing is logged.
const ONE_LINE: Duration = Duration::from_secs(60);
/// The longest pause after a panic.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);

/// Work that is repeated beside the requests. Its fields are the ports that it uses.
pub(crate) trait Job: Send + 'static {
    /// What logs, metrics and `GET /health/detailed` call it: a verb and its object.
    const NAME: &'static str;

    /// Whether the job is woken by notices; each is offered to [`Job::wakes_on`].
    const LISTENS: bool = false;

    /// Returns how much time lies between two steps.
    fn pace(&self) -> Pace;

    /// Takes a notice and returns whether the next step should come at once.
    fn wakes_on(&mut self, notice: &Notice) -> bool {
        let _ = notice;
        false
    }

    /// Returns whether this replica leads, for a job that only one replica does at a time.
    fn is_leader(&self) -> Option<bool> {
        None
    }

    /// Does one step and returns when the next one is due.
    fn step(&mut self) -> impl Future<Output = Result<Next, JobError>> + Send;

    /// Gives back what the job holds, once, after the stop.
    fn stop(&mut self) -> impl Future<Output = Result<(), JobError>> + Send {
        std::future::ready(Ok(()))
    }
}

/// How much time lies between two steps of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// From the beginning of a step to the next one, when nothing wakes the job.
    pub(crate) longest: Duration,
    /// From the end of a step to the next one, however often the job is woken.
    pub(crate) shortest: Duration,
}

impl Pace {
    /// Returns a pace that only notices may shorten, down to nothing.
    pub(crate) const fn of(longest: Duration) -> Self {
        let shortest = Duration::ZERO;
        Self { longest, shortest }
    }

    /// Returns how long to wait after a step that took `elapsed`.
    fn rest(self, elapsed: Duration) -> Duration {
        self.longest.saturating_sub(elapsed).max(self.shortest)
    }
}

/// When a job steps again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The job's own pace has come round.
    AtPace,
    /// When this time has passed; the job's pace bounds it.
    Within(Duration),
    /// Without any pause: the step has left work.
    AtOnce,
    /// Never: the job is done.
    Never,
}

/// Why a step failed. The next step does its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    /// The store failed; the step is tried again at the job's next turn.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The coordinator's, which reports its outages itself.
    #[error(transparent)]
    Coordinator(#[from] CoordError),
    /// Another one, told in its own words.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl JobError {
    /// Returns the class of the error, for people and alerts.
    pub(crate) const fn class(&self) -> &'static str {
        match self {
            Self::Store(StoreError::Unavailable(_)) => "store_unavailable",
            Self::Store(StoreError::Conflict) => "store_conflict",
            Self::Store(StoreError::Corrupt { .. }) => "store_corrupt",
            Self::Store(
                StoreError::Duplicate(_) | StoreError::Refused(_) | StoreError::Internal(_),
            ) => "store_failed",
            Self::Coordinator(_) => "coordinator_unavailable",
            Self::Other(_) => "failed",
        }
    }
}

/// Runs jobs. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct JobFrame {
    /// Where jobs hear notices.
    pub(crate) coord: Arc<dyn Coordinator>,
    /// The clock that step durations are measured with.
    pub(crate) clock: Arc<dyn Clock>,
    /// Knows every job and stops it.
    pub(crate) shutdown: Shutdown,
    /// Where jobs are counted and shown.
    pub(crate) metrics: JobMetrics,
}

impl JobFrame {
    /// Runs a job until the stop, or until it is done.
    pub(crate) fn spawn<J: Job>(&self, job: J) {
        let frame = self.clone();
        self.shutdown
            .spawn_loop(|stop| async move { frame.run(job, &stop).await });
    }

    async fn run<J: Job>(&self, mut job: J, stop: &CancellationToken) {
        let report = self.metrics.report(J::NAME);
        let (mut notices, mut panics) = (None, 0);
        let mut failures = RepeatedMessage::new(ONE_LINE);
        while !stop.is_cancelled() {
            if J::LISTENS {
                self.listen(J::NAME, &mut notices).await;
            }
            let began = self.clock.uptime();
            let stepped = AssertUnwindSafe(job.step()).catch_unwind().await;
            let elapsed = self.clock.uptime().since(began);
            let pace = job.pace();
            let rest = match stepped {
                Ok(stepped) => {
                    panics = 0;
                    self.note(&report, job.is_leader(), &stepped);
                    self.log(J::NAME, &stepped, &mut failures);
                    match stepped {
                        Ok(Next::Never) => return,
                        Ok(Next::AtOnce) => continue,
                        Ok(Next::Within(time)) => time.min(pace.longest).max(pace.shortest),
                        Ok(Next::AtPace) | Err(_) => pace.rest(elapsed),
                    }
                }
                Err(_) => {
                    tracing::error!(job = J::NAME, "a job panicked and goes on after a pause");
                    report.ended(StepOutcome::Panicked, None, self.clock.now());
                    wait(back_off(panics), stop).await;
                    panics += 1;
                    continue;
                }
            };
            // Nothing wakes a job before its shortest pause is over.
            wait(pace.shortest.min(rest), stop).await;
            let rest = rest.saturating_sub(pace.shortest);
            let wakes = |notice: &Notice| job.wakes_on(notice);
            wait_or_wake(rest, &mut notices, wakes, stop).await;
        }
        if let Err(error) = job.stop().await {
            tracing::debug!(job = J::NAME, error = %ErrorChain(&error), "nothing was given back");
        }
    }

    fn note(&self, report: &JobReport, is_leader: Option<bool>, stepped: &Result<Next, JobError>) {
        let outcome = match stepped {
            Ok(_) => StepOutcome::Done,
            Err(error) => StepOutcome::Failed(error.class()),
        };
        report.ended(outcome, is_leader, self.clock.now());
    }

    /// Logs a step that failed, during an outage one a minute.
    fn log(
        &self,
        name: &'static str,
        stepped: &Result<Next, JobError>,
        failures: &mut RepeatedMessage,
    ) {
        let Err(error) = stepped else {
            return failures.ended();
        };
        let text = ErrorChain(error);
        if matches!(error, JobError::Coordinator(_)) {
            tracing::debug!(job = name, error = %text, "a step failed");
        } else if let Some(left_out) = failures.due(self.clock.uptime()) {
            tracing::warn!(job = name, left_out, error = %text, "a step failed; the next one does its work");
        }
    }

    /// Subscribes to notices, if the job has no subscription: at the start, and after it fell behind.
    /// Called before a step looks at the store, so that nothing is missed in between.
    async fn listen(&self, name: &'static str, notices: &mut Option<Notices>) {
        if notices.is_some() {
            return;
        }
        match self.coord.notices().await {
            Ok(stream) => *notices = Some(stream),
            Err(error) => {
                tracing::warn!(job = name, error = %ErrorChain(&error), "going without notices");
            }
        }
    }
}

fn back_off(panics: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(panics);
    FIRST_BACK_OFF.saturating_mul(doubled).min(LONGEST_BACK_OFF)
}

async fn wait(pause: Duration, stop: &CancellationToken) {
    if !pause.is_zero() {
        wait_or_wake(pause, &mut None, |_| false, stop).await;
    }
}

/// Waits for the time, a notice that wakes, or the stop; at most until the notices end.
async fn wait_or_wake(
    pause: Duration,
    notices: &mut Option<Notices>,
    mut wakes: impl FnMut(&Notice) -> bool,
    stop: &CancellationToken,
) {
    let woken = async {
        let Some(stream) = notices else {
            // Without notices the time alone wakes.
            return std::future::pending().await;
        };
        while let Some(notice) = stream.next().await {
            if wakes(&notice) {
                // One step answers all that came before it.
                while let Some(Some(notice)) = stream.next().now_or_never() {
                    wakes(&notice);
                }
                return;
            }
        }
        // Behind, or cut off: nobody knows what was missed, so the job steps at once.
        *notices = None;
    };
    #[expect(clippy::disallowed_methods, reason = "the pause between two steps")]
    let pause = tokio::time::sleep(pause);
    tokio::select! {
        () = stop.cancelled() => {}
        () = woken => {}
        () = pause => {}
    }
}

#[cfg(test)]
mod tests;
