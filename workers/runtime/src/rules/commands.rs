//! The commands of the gateway, as far as the protocol decides them.

use gateway_core::id::{Epoch, Incarnation, MessageId, SessionId};
use gateway_core::protocol::{
    Accepted, Health, PROTOCOL_VERSION, Released, SendMessage, Sent, SessionState, StartSession,
};

use super::{Held, Rules};
use crate::moment::Moment;
use crate::refusal::{Refusal, Stopping};
use crate::sent::Before;
use crate::state_line::StateLine;
use crate::ticket::Ticket;

/// What is to be done about a send that is allowed.
#[derive(Debug)]
pub(crate) enum Admitted {
    /// The engine sends it; [`Rules::finish_send`] must follow.
    Go,
    /// The same send is being made: wait for it.
    Underway(Ticket<Option<Sent>>),
    /// The same send was made.
    Repeated(Sent),
}

/// What is to be done about a session that is stopped.
#[derive(Debug)]
pub(crate) enum Finishing {
    /// The engine runs it at this epoch, and has to stop it; [`Rules::finish_over`] must follow.
    AskEngine(Epoch),
    /// The engine is stopping it in this way: wait for it.
    Underway(Stopping, Ticket<Option<Released>>),
    /// There is nothing to stop.
    Nothing,
}

/// A session somebody asks about.
#[derive(Debug)]
pub(crate) enum Looked {
    /// The engine runs it at this epoch: it knows.
    AskEngine(Epoch),
    /// The engine has not been told yet.
    Starting(Box<SessionState>),
}

impl Rules {
    /// Checks that a command for this run can be obeyed at all.
    pub(crate) fn admit(&mut self, incarnation: &Incarnation, now: Moment) -> Result<(), Refusal> {
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

    /// Checks that the worker still takes something new.
    fn check_open(&self) -> Result<(), Refusal> {
        match self.is_quiet() {
            true => Err(Refusal::Busy { code: "stopping" }),
            false => Ok(()),
        }
    }

    /// Begins to hold a session. An epoch that was seen before is refused, unless it is the one that is
    /// held.
    pub(crate) fn start(&mut self, body: &StartSession, now: Moment) -> Result<Accepted, Refusal> {
        self.admit(&body.incarnation, now)?;
        let (session, epoch) = (body.session_id, body.epoch);
        let held = self.held.get(&session);
        if let Some(held) = held.filter(|held| held.epoch == epoch && !held.stopping) {
            return Ok(held.accepted.clone());
        }
        self.check_open()?;
        let highest = self.highest(session).max(held.map(|held| held.epoch));
        let highest = highest.unwrap_or_default();
        if epoch <= highest {
            return Err(Refusal::StaleEpoch { current: highest });
        }
        self.abandon(session, now.uptime);
        if self.held.len() >= self.card.max_sessions as usize {
            return Err(Refusal::Busy {
                code: "at_capacity",
            });
        }
        Ok(self.take(body, now))
    }

    fn take(&mut self, body: &StartSession, now: Moment) -> Accepted {
        let (session, epoch) = (body.session_id, body.epoch);
        let accepted = Accepted::of(body);
        let held = Held {
            epoch,
            order: body.clone(),
            accepted: accepted.clone(),
            status: accepted.status.clone(),
            started: false,
            stopping: false,
            reached: self.seen.get(&session).map_or(0, |seen| seen.last_seq),
            state: StateLine::unread(),
        };
        self.outbox
            .forget_reports(session, Epoch(epoch.0.saturating_sub(1)));
        self.seen.entry(session).or_default().epoch = epoch;
        self.held.insert(session, held);
        self.storing.insert(session);
        let owner = self.owner();
        self.observer.opened(session, &owner, epoch, now.uptime);
        accepted
    }

    pub(crate) fn look(&mut self, session: SessionId, now: Moment) -> Result<Looked, Refusal> {
        self.check_gate(now);
        let held = self.held.get(&session).ok_or(Refusal::UnknownSession)?;
        if held.started {
            return Ok(Looked::AskEngine(held.epoch));
        }
        Ok(Looked::Starting(Box::new(SessionState {
            session_id: Some(session),
            epoch: held.epoch,
            status: held.status.clone(),
            reason: Some("starting".to_owned()),
            sent_at: Some(now.wall),
            ..SessionState::default()
        })))
    }

    /// Checks that a command for a connected session can be obeyed.
    pub(crate) fn admit_connected(&self, session: SessionId, epoch: Epoch) -> Result<(), Refusal> {
        let held = self.at_epoch(session, epoch)?;
        let connected = held.status == "CONNECTED";
        connected.then_some(()).ok_or(Refusal::NotConnected)
    }

    pub(crate) fn admit_send(
        &mut self,
        session: SessionId,
        body: &SendMessage,
        now: Moment,
    ) -> Result<Admitted, Refusal> {
        self.admit(&body.incarnation, now)?;
        self.at_epoch(session, body.epoch)?;
        match self.sent.find(session, body)? {
            Before::Done(sent) => return Ok(Admitted::Repeated(sent)),
            Before::Underway(ticket) => return Ok(Admitted::Underway(ticket)),
            Before::Nothing => {}
        }
        self.check_open()?;
        self.admit_connected(session, body.epoch)?;
        self.sent.begin(session, body);
        Ok(Admitted::Go)
    }

    pub(crate) fn finish_send(
        &mut self,
        session: SessionId,
        epoch: Epoch,
        message: MessageId,
        sent: Option<Sent>,
    ) {
        self.sent.finish(session, message, sent);
        if !self.is_held(session, epoch) {
            self.report_unknown_of(session, epoch, message);
        }
        self.check_quiet();
    }

    /// Tombstones the epoch, also one that was never started here.
    pub(crate) fn begin_finish(
        &mut self,
        session: SessionId,
        epoch: Epoch,
        incarnation: &Incarnation,
        how: Stopping,
        now: Moment,
    ) -> Result<Finishing, Refusal> {
        self.admit(incarnation, now)?;
        let highest = self.highest(session).unwrap_or_default();
        if epoch < highest {
            return Err(Refusal::StaleEpoch { current: highest });
        }
        self.seen.entry(session).or_default().epoch = epoch;
        let Some(held) = self.held.get_mut(&session) else {
            return Ok(Finishing::Nothing);
        };
        held.stopping = true;
        if !held.started {
            return Ok(Finishing::Nothing);
        }
        let key = (session, held.epoch);
        if let Some((how, ticket)) = self.finishing.get(&key) {
            return Ok(Finishing::Underway(*how, ticket.clone()));
        }
        self.finishing.insert(key, (how, Ticket::open()));
        Ok(Finishing::AskEngine(held.epoch))
    }

    /// Takes note that the engine is not stopping the session any more: repetitions get `released`, or begin
    /// again if the first stop was interrupted.
    pub(crate) fn finish_over(
        &mut self,
        session: SessionId,
        epoch: Epoch,
        released: Option<Released>,
    ) {
        if let Some((_, ticket)) = self.finishing.remove(&(session, epoch)) {
            ticket.settle(released);
        }
    }

    /// Returns whether the engine is stopping the session at this epoch by order of the gateway.
    pub(super) fn is_finishing(&self, session: SessionId, epoch: Epoch) -> bool {
        self.finishing.contains_key(&(session, epoch))
    }

    /// Closes a session that the engine has stopped at the epoch `stopped`, if it ran it, and returns how far
    /// its state has come.
    pub(crate) fn end_finish(
        &mut self,
        session: SessionId,
        epoch: Epoch,
        stopped: Option<Epoch>,
        unlinked: Option<bool>,
    ) -> Released {
        let held = self.held.get(&session);
        if held.is_some_and(|held| held.epoch <= epoch) {
            if held.map(|held| held.epoch) == stopped {
                self.close(session, self.now.uptime);
            } else {
                self.abandon(session, self.now.uptime);
            }
            self.recovering.remove(&session);
        }
        self.outbox.forget_reports(session, epoch);
        let seen = self.seen.entry(session).or_default();
        let mut released = Released::new(session, epoch);
        released.last_seq = seen.last_seq;
        released.remote_unlinked = unlinked;
        released
    }

    pub(crate) fn health(&self, now: Moment) -> Health {
        let status = match (self.is_quiet(), self.draining) {
            (true, _) => "stopping",
            (false, true) => "draining",
            (false, false) => "ok",
        };
        let mut health = Health::of(&self.owner());
        health.status = status.to_owned();
        health.protocol_version = Some(PROTOCOL_VERSION);
        health.uptime_seconds = Some(now.uptime.since(self.born).as_secs());
        health.sessions = self.counts();
        health
    }

    fn highest(&self, session: SessionId) -> Option<Epoch> {
        self.seen.get(&session).map(|seen| seen.epoch)
    }

    /// Checks that a command for a held session can be obeyed.
    pub(crate) fn admit_held(&self, session: SessionId, epoch: Epoch) -> Result<(), Refusal> {
        self.at_epoch(session, epoch).map(|_| ())
    }

    /// Returns the session, if it is held at exactly this epoch and not being stopped.
    fn at_epoch(&self, session: SessionId, epoch: Epoch) -> Result<&Held, Refusal> {
        let highest = self.highest(session).unwrap_or_default();
        let held = self.held.get(&session);
        held.filter(|held| held.epoch == epoch && !held.stopping)
            .ok_or(if epoch <= highest {
                Refusal::StaleEpoch { current: highest }
            } else {
                Refusal::UnknownSession
            })
    }
}
