//! What a script lets happen to commands and calls on their way.

use gateway_core::id::SessionId;
use gateway_worker::{Answer, GatewayApi, GatewayError, Moment, Outbound, Refusal};

use super::recorder::{CommandKind, CommandRecord};
use super::script::{CrashPoint, FaultScope};
use super::sim::SimWorker;

/// What the gateway gets back for a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply<T> {
    Answer(Result<T, Refusal>),
    /// Something that is not the protocol; the command was executed.
    Rubbish,
    /// Nothing, ever; the command may have been executed.
    Silence,
}

/// What a script does to the answer to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Answered,
    Rubbish,
    Silence,
}

/// What a script does to a call to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    None,
    /// It never reaches the gateway.
    Request,
    /// The gateway acts, and its answer is lost.
    Answer,
}

/// A call of a simulated worker, and what happens to it on the way.
#[derive(Clone, Debug)]
pub struct SimCall {
    pub outbound: Outbound,
    /// What happens to it.
    pub loss: Loss,
}

impl SimCall {
    /// Makes the call.
    ///
    /// # Errors
    /// What the gateway answered, or [`GatewayError::Unreachable`] if the script loses it.
    pub async fn perform(&self, api: &dyn GatewayApi) -> Result<Answer, GatewayError> {
        if self.loss == Loss::Request {
            return Err(GatewayError::Unreachable);
        }
        let result = self.outbound.perform(api).await;
        if self.loss == Loss::Answer {
            return Err(GatewayError::Unreachable);
        }
        result
    }
}

impl SimWorker {
    /// Runs a command the way the script lets it go, and writes it down.
    pub fn command<T>(
        &mut self,
        kind: CommandKind,
        session: SessionId,
        now: Moment,
        run: impl FnOnce(&mut Self) -> Result<T, Refusal>,
    ) -> Reply<T> {
        let Some(crash) = self.command_begins(kind, now) else {
            return Reply::Silence;
        };
        let result = run(self);
        match self.command_ends(kind, session, result.is_ok(), crash, now) {
            Fate::Answered => Reply::Answer(result),
            Fate::Rubbish => Reply::Rubbish,
            Fate::Silence => Reply::Silence,
        }
    }

    /// Notes that a command arrives. Returns `None` if nothing will come of it, else whether the process
    /// dies after it.
    pub(super) fn command_begins(
        &mut self,
        kind: CommandKind,
        now: Moment,
    ) -> Option<Option<CrashPoint>> {
        if self.has_crashed() || self.is_frozen(now) || self.is_partitioned(now) {
            return None;
        }
        let crash = self.crash_due(kind);
        if crash == Some(CrashPoint::BeforeSending) {
            self.crash(now);
            return None;
        }
        Some(crash)
    }

    /// Decides what becomes of the answer to a command that was executed or refused.
    pub(super) fn command_ends(
        &mut self,
        kind: CommandKind,
        session: SessionId,
        done: bool,
        crash: Option<CrashPoint>,
        now: Moment,
    ) -> Fate {
        let owner = self.owner();
        self.environment.recorder.command(CommandRecord {
            at: now.uptime,
            owner,
            kind,
            session,
            done,
        });
        if crash.is_some() {
            self.crash(now);
            return Fate::Silence;
        }
        let faults = self.with_script(|script| script.faults.clone());
        if faults.scope == FaultScope::Sends && kind != CommandKind::Send {
            return Fate::Answered;
        }
        self.faulty_commands += 1;
        if is_nth(faults.rubbish_every, self.faulty_commands) {
            return Fate::Rubbish;
        }
        if is_nth(faults.silent_every, self.faulty_commands) {
            return Fate::Silence;
        }
        Fate::Answered
    }

    fn crash_due(&mut self, kind: CommandKind) -> Option<CrashPoint> {
        if kind != CommandKind::Send {
            return None;
        }
        self.sends += 1;
        let crash = self.with_script(|script| script.faults.crash)?;
        (crash.at_send == self.sends).then_some(crash.point)
    }

    /// Decides what happens to the next call to the gateway.
    pub(super) fn next_loss(&mut self, now: Moment) -> Loss {
        self.calls += 1;
        let (requests, answers) = self.with_script(|script| {
            let faults = &script.faults;
            (faults.lost_report_every, faults.lost_answer_every)
        });
        if self.is_partitioned(now) || self.is_frozen(now) || is_nth(requests, self.calls) {
            Loss::Request
        } else if is_nth(answers, self.calls) {
            Loss::Answer
        } else {
            Loss::None
        }
    }
}

fn is_nth(every: Option<u64>, count: u64) -> bool {
    every.is_some_and(|n| n > 0 && count.is_multiple_of(n))
}
