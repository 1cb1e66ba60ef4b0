//! The circuit breaker over the commands to one worker (R-44), as a pure state machine.
//!
//! It opens after several failures in a row and then lets nothing through for a while; afterwards one command
//! goes out as a trial. Any answer of the worker closes it.
//!
//! A failure is the *worker's*, never one session's: whatever the worker answers, refusals included, proves
//! that it works, and commands that stay without an answer count once per session. So one stalled session
//! opens nothing, and five sessions that fail in a row, or five connections that cannot be made, do.

use std::collections::BTreeSet;
use std::time::Duration;

use super::LinkError;
use crate::id::SessionId;
use crate::time::Uptime;

/// When a breaker opens, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// How many failures in a row open the breaker.
    pub failures: usize,
    /// Failures count together only if they happen within this time.
    pub window: Duration,
    /// The length of the first pause; each failed trial doubles it.
    pub pause: Duration,
    pub longest_pause: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failures: 5,
            window: Duration::from_secs(60),
            pause: Duration::from_secs(2),
            longest_pause: Duration::from_secs(30),
        }
    }
}

/// What the end of a command says of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandOutcome {
    /// The worker answered, be it with a refusal.
    Answered,
    /// No connection could be made.
    Unreachable,
    /// No answer that makes sense came in time, to a command about this session.
    Unanswered(SessionId),
}

impl CommandOutcome {
    /// Reads the result of a command about `session`; none if the worker was not asked at all.
    #[must_use]
    pub const fn of<T>(result: &Result<T, LinkError>, session: SessionId) -> Option<Self> {
        match result {
            Ok(_)
            | Err(
                LinkError::UnknownSession
                | LinkError::StaleEpoch { .. }
                | LinkError::WrongIncarnation { .. }
                | LinkError::NotConnected
                | LinkError::BodyMismatch
                | LinkError::Busy { .. }
                | LinkError::Refused { .. },
            ) => Some(Self::Answered),
            Err(LinkError::NotSent) => Some(Self::Unreachable),
            Err(LinkError::Unknown | LinkError::Rubbish) => Some(Self::Unanswered(session)),
            Err(LinkError::BreakerOpen { .. }) => None,
        }
    }
}

/// The breaker of one run of a worker.
///
/// ```
/// use std::time::Duration;
/// use gateway_core::time::Uptime;
/// use gateway_core::worker::{Breaker, BreakerPolicy, CommandOutcome};
///
/// let policy = BreakerPolicy::default();
/// let second = |n| Uptime(Duration::from_secs(n));
/// let mut breaker = Breaker::default();
/// for _ in 0..policy.failures {
///     assert!(breaker.admit(second(1), &policy).is_ok());
///     breaker.record(CommandOutcome::Unreachable, second(1), &policy);
/// }
/// assert!(!breaker.is_closed());
/// assert_eq!(breaker.admit(second(1), &policy), Err(policy.pause));
///
/// assert!(breaker.admit(second(3), &policy).is_ok(), "the trial");
/// assert!(breaker.admit(second(3), &policy).is_err(), "one at a time");
/// breaker.record(CommandOutcome::Answered, second(3), &policy);
/// assert!(breaker.is_closed());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breaker(State);

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Closed(Failures),
    Open { until: Uptime, pause: Duration },
    HalfOpen { since: Uptime, pause: Duration },
}

/// Failures in a row. A session counts once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Failures {
    since: Uptime,
    unreachable: usize,
    sessions: BTreeSet<SessionId>,
}

impl Failures {
    fn count(&self) -> usize {
        self.unreachable.saturating_add(self.sessions.len())
    }

    fn add(&mut self, outcome: CommandOutcome) {
        match outcome {
            CommandOutcome::Answered => {}
            CommandOutcome::Unreachable => self.unreachable = self.unreachable.saturating_add(1),
            CommandOutcome::Unanswered(session) => {
                self.sessions.insert(session);
            }
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self(State::Closed(Failures::default()))
    }
}

impl Breaker {
    /// Returns whether commands go out freely.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.0, State::Closed(_))
    }

    /// Returns whether a command would go out at `now`, freely or as the trial.
    #[must_use]
    pub fn would_admit(&self, now: Uptime) -> bool {
        match &self.0 {
            State::Closed(_) => true,
            State::Open { until, .. } => now >= *until,
            State::HalfOpen { since, pause } => now >= since.plus(*pause),
        }
    }

    /// Lets a command out at `now`, or holds it back.
    ///
    /// A trial whose outcome is never recorded is given up after the pause that was before it.
    ///
    /// # Errors
    /// The time until the next trial.
    pub fn admit(&mut self, now: Uptime, policy: &BreakerPolicy) -> Result<(), Duration> {
        let (free_at, pause) = match &self.0 {
            State::Closed(_) => return Ok(()),
            State::Open { until, pause } => (*until, *pause),
            State::HalfOpen { since, pause } => (since.plus(*pause), *pause),
        };
        if now < free_at {
            return Err(free_at.since(now).min(policy.longest_pause));
        }
        self.0 = State::HalfOpen { since: now, pause };
        Ok(())
    }

    /// Takes the outcome of a command that ended at `now`. Returns whether that has opened the breaker.
    pub fn record(&mut self, outcome: CommandOutcome, now: Uptime, policy: &BreakerPolicy) -> bool {
        if outcome == CommandOutcome::Answered {
            self.0 = State::Closed(Failures::default());
            return false;
        }
        let pause = match &mut self.0 {
            State::Closed(failures) => {
                if failures.count() == 0 || now.since(failures.since) > policy.window {
                    *failures = Failures {
                        since: now,
                        ..Failures::default()
                    };
                }
                failures.add(outcome);
                if failures.count() < policy.failures {
                    return false;
                }
                policy.pause
            }
            // A command that went out before it opened: nothing new.
            State::Open { .. } => return false,
            State::HalfOpen { pause, .. } => pause.saturating_mul(2).min(policy.longest_pause),
        };
        let was_closed = self.is_closed();
        self.0 = State::Open {
            until: now.plus(pause),
            pause,
        };
        was_closed
    }
}
