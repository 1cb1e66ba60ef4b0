//! The commands of the gateway but the send: start, ask, stop, passkey, health.

use gateway_core::id::{Epoch, Incarnation, SessionId};
use gateway_core::protocol::{
    Accepted, Health, PROTOCOL_VERSION, Passkey, Released, SessionState, StartSession,
    WorkerProblem,
};
use gateway_core::worker::LinkError;
use std::time::Duration;

use super::held::{Held, Moment, Stage};
use super::recorder::{CommandKind, CommandRecord};
use super::script::{CrashPoint, FaultScope};
use super::sim::SimWorker;
use super::storing::StateLine;

/// Why a worker refuses a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It does not hold the session.
    UnknownSession,
    /// It knows a higher epoch, or has stopped this one.
    StaleEpoch {
        /// The highest it knows.
        current: Epoch,
    },
    /// The command is for another run.
    WrongIncarnation {
        /// The present one.
        current: Incarnation,
    },
    /// The session is not connected.
    NotConnected,
    /// The message id was used with another body.
    BodyMismatch,
    /// Not at the moment; `code` says why.
    Busy {
        /// `state_not_stored`, `at_capacity` or `not_registered`.
        code: &'static str,
    },
    /// For good.
    Final {
        /// The HTTP status.
        status: u16,
        /// The machine-readable code.
        code: String,
    },
}

/// How long a gateway waits before it repeats a command that a busy worker refused.
const BUSY_WAIT: Duration = Duration::from_millis(100);

impl Refusal {
    /// The HTTP status and body.
    #[must_use]
    pub fn problem(&self) -> (u16, WorkerProblem) {
        let mut body = WorkerProblem::default();
        let (status, kind) = match self {
            Self::UnknownSession => (404, "unknown_session"),
            Self::StaleEpoch { current } => {
                body.current_epoch = Some(*current);
                (409, "stale_epoch")
            }
            Self::WrongIncarnation { current } => {
                body.current_incarnation = Some(current.clone());
                (409, "wrong_incarnation")
            }
            Self::NotConnected => (409, "not_connected"),
            Self::BodyMismatch => (409, "body_mismatch"),
            Self::Busy { code } => (503, *code),
            Self::Final { status, code } => (*status, code.as_str()),
        };
        kind.clone_into(&mut body.kind);
        body.error = format!("the simulated worker refuses: {kind}");
        (status, body)
    }
}

impl From<Refusal> for LinkError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnknownSession => Self::UnknownSession,
            Refusal::StaleEpoch { current } => Self::StaleEpoch { current },
            Refusal::WrongIncarnation { current } => Self::WrongIncarnation {
                current: Some(current),
            },
            Refusal::NotConnected => Self::NotConnected,
            Refusal::BodyMismatch => Self::BodyMismatch,
            Refusal::Busy { .. } => Self::Busy {
                retry_after: Some(BUSY_WAIT),
            },
            Refusal::Final {
                status: 429 | 503, ..
            } => Self::Busy { retry_after: None },
            Refusal::Final { status, code } => Self::Refused {
                status,
                message: format!("the simulated worker refuses: {code}"),
                code,
            },
        }
    }
}

/// What comes back for a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply<T> {
    /// An answer.
    Answer(Result<T, Refusal>),
    /// Something that is not the protocol; the command was executed.
    Rubbish,
    /// Nothing, ever; the command may have been executed.
    Silence,
}

/// How a command that stops a session ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopping {
    /// Stop, keep the credentials.
    Release,
    /// Unlink the device.
    Logout,
    /// Unlink if linked, erase.
    Forget,
}

impl Stopping {
    pub(super) const fn kind(self) -> CommandKind {
        match self {
            Self::Release => CommandKind::Release,
            Self::Logout => CommandKind::Logout,
            Self::Forget => CommandKind::Forget,
        }
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
        if self.crashed || self.is_frozen(now) || self.is_partitioned(now) {
            return Reply::Silence;
        }
        let crash = self.crash_due(kind);
        if crash == Some(CrashPoint::BeforeSending) {
            self.crash(now);
            return Reply::Silence;
        }
        let owner = self.owner();
        let result = run(self);
        self.world.recorder.command(CommandRecord {
            at: now.uptime,
            owner,
            kind,
            session,
            done: result.is_ok(),
        });
        if crash.is_some() {
            self.crash(now);
            return Reply::Silence;
        }
        if self.script.faults.scope == FaultScope::Sends && kind != CommandKind::Send {
            return Reply::Answer(result);
        }
        self.faulty_commands += 1;
        let count = self.faulty_commands;
        let nth = |every: Option<u64>| every.is_some_and(|n| n > 0 && count.is_multiple_of(n));
        if nth(self.script.faults.rubbish_every) {
            return Reply::Rubbish;
        }
        if nth(self.script.faults.silent_every) {
            return Reply::Silence;
        }
        Reply::Answer(result)
    }

    fn crash_due(&mut self, kind: CommandKind) -> Option<CrashPoint> {
        if kind != CommandKind::Send {
            return None;
        }
        self.sends += 1;
        let crash = self.script.faults.crash?;
        (crash.at_send == self.sends).then_some(crash.point)
    }

    /// Whether a command for this run can be obeyed at all.
    pub(super) fn admit(&mut self, incarnation: &Incarnation, now: Moment) -> Result<(), Refusal> {
        self.check_gate(now);
        if *incarnation != self.incarnation {
            return Err(Refusal::WrongIncarnation {
                current: self.incarnation.clone(),
            });
        }
        if !self.is_registered(now) {
            return Err(Refusal::Busy {
                code: "not_registered",
            });
        }
        Ok(())
    }

    /// `POST /sessions`: an epoch that was seen before is refused, unless it is the one that is held.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn start(&mut self, body: &StartSession, now: Moment) -> Result<Accepted, Refusal> {
        self.admit(&body.incarnation, now)?;
        let (session, epoch) = (body.session_id, body.epoch);
        if let Some(held) = self.held.get(&session).filter(|held| held.epoch == epoch) {
            return Ok(held.accepted.clone());
        }
        let seen = self.seen.get(&session).map(|seen| seen.epoch);
        let held_at = self.held.get(&session).map(|held| held.epoch);
        let highest = seen.max(held_at).unwrap_or_default();
        if epoch <= highest {
            return Err(Refusal::StaleEpoch { current: highest });
        }
        self.close(session, now.uptime);
        if self.held.len() >= self.card.max_sessions as usize {
            return Err(Refusal::Busy {
                code: "at_capacity",
            });
        }
        Ok(self.take(body, now))
    }

    fn take(&mut self, body: &StartSession, now: Moment) -> Accepted {
        let session = body.session_id;
        let accepted = Accepted {
            session_id: session,
            epoch: body.epoch,
            status: "CONNECTING".to_owned(),
        };
        let held = Held {
            epoch: body.epoch,
            mode: body.mode,
            code_for: body.phone_number.clone(),
            accepted: accepted.clone(),
            stage: Stage::Reading,
            due: None,
            scan_at: None,
            written_to_at: None,
            timer: None,
            device: None,
            phone_number: None,
            state: StateLine::reading(),
            last_inbound_at: None,
            last_ack_at: None,
        };
        self.outbox
            .forget_reports(session, Epoch(body.epoch.0.saturating_sub(1)));
        self.seen.entry(session).or_default().epoch = body.epoch;
        self.held.insert(session, held);
        self.storing.insert(session);
        let owner = self.owner();
        self.world
            .recorder
            .opened(session, &owner, body.epoch, now.uptime);
        accepted
    }

    /// `GET /sessions/{id}`
    ///
    /// # Errors
    /// It is not held.
    pub fn session(&mut self, session: SessionId, now: Moment) -> Result<SessionState, Refusal> {
        self.check_gate(now);
        self.look(session, now).ok_or(Refusal::UnknownSession)
    }

    /// `POST …/release`, `POST …/logout` and `DELETE /sessions/{id}`: closes and tombstones the epoch,
    /// also one that was never started here, and says the same again when asked again.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn finish(
        &mut self,
        session: SessionId,
        epoch: Epoch,
        incarnation: &Incarnation,
        how: Stopping,
        now: Moment,
    ) -> Result<Released, Refusal> {
        self.admit(incarnation, now)?;
        let highest = self.seen.get(&session).map_or(Epoch(0), |seen| seen.epoch);
        if epoch < highest {
            return Err(Refusal::StaleEpoch { current: highest });
        }
        let closed = self.close(session, now.uptime);
        self.outbox.forget_reports(session, epoch);
        self.recovering.remove(&session);
        let seen = self.seen.entry(session).or_default();
        seen.epoch = epoch;
        let last_seq = seen.last_seq;
        let online = closed.as_ref().is_some_and(Held::is_connected);
        if how != Stopping::Release && online {
            self.world.network.unlink(session);
        }
        Ok(Released {
            session_id: session,
            epoch,
            last_seq,
            remote_unlinked: (how != Stopping::Release).then_some(online),
        })
    }

    /// `POST …/passkey` and, with `confirm`, `…/passkey/confirm`.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn passkey(
        &mut self,
        session: SessionId,
        body: &Passkey,
        confirm: bool,
        now: Moment,
    ) -> Result<(), Refusal> {
        self.admit(&body.incarnation, now)?;
        let held = self.at_epoch(session, body.epoch)?;
        let Stage::Passkey { asserted, .. } = &mut held.stage else {
            return Err(refused("no_passkey_challenge"));
        };
        if !confirm {
            if body.assertion.is_none() {
                return Err(refused("assertion_missing"));
            }
            *asserted = true;
            return Ok(());
        }
        if !*asserted {
            return Err(refused("passkey_not_asserted"));
        }
        self.paired(session, now);
        Ok(())
    }

    /// `GET /health`
    #[must_use]
    pub fn health(&self, now: Moment) -> Health {
        let status = if self.draining { "draining" } else { "ok" };
        Health {
            status: status.to_owned(),
            worker_id: self.card.id.to_string(),
            incarnation: self.incarnation.to_string(),
            protocol_version: Some(PROTOCOL_VERSION),
            uptime_seconds: Some(now.uptime.since(self.born).as_secs()),
            sessions: self.counts(),
        }
    }

    /// The session, if it is held at exactly this epoch.
    pub(super) fn at_epoch(
        &mut self,
        session: SessionId,
        epoch: Epoch,
    ) -> Result<&mut Held, Refusal> {
        let highest = self.seen.get(&session).map_or(Epoch(0), |seen| seen.epoch);
        let held = self.held.get_mut(&session);
        held.filter(|held| held.epoch == epoch)
            .ok_or(if epoch <= highest {
                Refusal::StaleEpoch { current: highest }
            } else {
                Refusal::UnknownSession
            })
    }
}

fn refused(code: &str) -> Refusal {
    Refusal::Final {
        status: 409,
        code: code.to_owned(),
    }
}
