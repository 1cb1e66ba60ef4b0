//! What the gateway's answers do to a worker.

use std::time::Duration;

use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::{
    AssignedSession, BeatAnswer, Registered, StartSession, StartSessionMode,
};
use gateway_core::session::Desired;
use gateway_core::time::Uptime;

use super::{Membership, Rules};
use crate::call::Answer;
use crate::fact::Fact;
use crate::gateway::GatewayError;
use crate::line::Backoff;
use crate::moment::Moment;
use crate::outbox::Flight;

/// How long to wait after a refused registration: somebody has to act first.
const REFUSED_WAIT: Duration = Duration::from_secs(2);

impl Rules {
    /// Takes the answer to the call `id`. Unknown ids are ignored: the call was given up, or made by an
    /// incarnation that is over.
    pub(crate) fn answered(&mut self, id: u64, now: Moment, result: Result<Answer, GatewayError>) {
        self.now = now;
        let Some((sent_at, flight)) = self.outbox.arrives(id) else {
            return;
        };
        match result {
            Ok(answer) => self.accepted(flight, answer, sent_at, now),
            Err(error) => self.refused(&flight, &error, now),
        }
    }

    fn accepted(&mut self, flight: Flight, answer: Answer, sent_at: Uptime, now: Moment) {
        match (flight, answer) {
            (Flight::Register, Answer::Registered(registered)) => {
                self.registered(registered, sent_at);
            }
            (Flight::Beat, Answer::Beat(answer)) => self.renewed(answer, sent_at, now),
            (Flight::Goodbye, _) => self.go(),
            (Flight::Assigned, Answer::Assigned(sessions)) => self.restore(&sessions, now),
            (Flight::Recovery, _) => {
                self.outbox.recovery.settled();
            }
            (Flight::Report(session, _, number), _) => self.outbox.report_settled(session, number),
            (Flight::Receipts, _) => self.outbox.receipts.settled().iter().for_each(settle),
            (Flight::Inbound, _) => self.outbox.inbound.settled().iter().for_each(settle),
            (Flight::State(session, epoch), Answer::State(stored)) => {
                self.state_read(session, epoch, stored);
            }
            (Flight::State(session, epoch), Answer::Written(seq)) => {
                self.state_written(session, epoch, seq);
            }
            (Flight::Journal(sessions), Answer::WrittenEach(results))
                if results.len() == sessions.len() =>
            {
                self.states_written(sessions, results, now);
            }
            (Flight::Probe, _) => self.probed(Ok(()), now),
            (flight, _) => self.refused(&flight, &GatewayError::Unreachable, now),
        }
    }

    /// The call was not taken. What follows stands in a table in `docs/protocol.md`.
    pub(super) fn refused(&mut self, flight: &Flight, error: &GatewayError, now: Moment) {
        match flight {
            Flight::Register if *error != GatewayError::IncarnationEnded => {
                self.register_failed(error, now);
            }
            Flight::Goodbye => self.goodbye_failed(error, now),
            _ if error.ends_incarnation() => self.incarnation_ended(now),
            Flight::Register => {}
            Flight::Beat if !error.is_temporary() => self.incarnation_ended(now),
            Flight::Beat => {}
            Flight::Assigned => self.assigned_failed(error, now),
            Flight::Report(session, epoch, _) | Flight::State(session, epoch)
                if error.ends_session() =>
            {
                self.overtaken(*session, *epoch, now);
            }
            Flight::State(session, epoch) => self.state_failed(*session, *epoch, error, now),
            Flight::Journal(sessions) => {
                for (session, epoch) in sessions {
                    self.refused(&Flight::State(*session, *epoch), error, now);
                }
            }
            Flight::Probe => self.probed(Err(error), now),
            Flight::Report(session, _, number) => {
                let setback = error.setback(self.renewals);
                let outbox = &mut self.outbox;
                let given_up = outbox.report_not_taken(*session, *number, setback, now.uptime);
                self.give_up(given_up.is_some(), error);
            }
            Flight::Recovery => {
                let setback = error.setback(self.renewals);
                let given_up = self.outbox.recovery.not_taken(setback, now.uptime);
                self.give_up(given_up.is_some(), error);
            }
            Flight::Receipts => {
                let setback = error.setback(self.renewals);
                let given_up = self.outbox.receipts.not_taken(setback, now.uptime);
                self.give_up(given_up.is_some(), error);
                given_up.iter().for_each(settle);
            }
            Flight::Inbound => {
                let setback = error.setback(self.renewals);
                let given_up = self.outbox.inbound.not_taken(setback, now.uptime);
                self.give_up(given_up.is_some(), error);
                given_up.iter().for_each(settle);
            }
        }
    }

    /// Notes whether a report will not be repeated.
    fn give_up(&mut self, is_given_up: bool, error: &GatewayError) {
        if is_given_up {
            self.given_up += 1;
            tracing::error!(worker.id = %self.card.id, %error, "a report is given up: the gateway does not take it");
        }
    }

    fn registered(&mut self, registered: Registered, sent_at: Uptime) {
        self.renewals_before = self.renewals;
        let lease = Duration::from_secs(registered.lease_seconds);
        self.gate.granted(sent_at, lease);
        self.observer.leased(&self.owner(), sent_at.plus(lease));
        let interval = Duration::from_millis(registered.heartbeat_interval_ms.max(1));
        self.wants_assigned = registered.recovery_required.then(Backoff::default);
        self.membership = Membership::Member {
            token: registered.worker_token,
            interval,
            next_beat: sent_at.plus(interval),
        };
    }

    fn renewed(&mut self, answer: BeatAnswer, sent_at: Uptime, now: Moment) {
        self.check_gate(now);
        if !self.is_registered(now) {
            return;
        }
        self.renewals += 1;
        let lease = Duration::from_secs(answer.lease_seconds);
        self.gate.granted(sent_at, lease);
        if let Some(until) = self.gate.deadline() {
            self.observer.leased(&self.owner(), until);
        }
        self.send_held |= answer.send_held;
        self.draining = answer.drain;
        for dropped in answer.dropped {
            // The gateway drops what it is having stopped, too: that must come to its end.
            if !self.is_finishing(dropped.session_id, dropped.epoch) {
                self.overtaken(dropped.session_id, dropped.epoch, now);
            }
        }
        for start in answer.start {
            if let Err(refusal) = self.start(&start, now) {
                tracing::debug!(session.id = %start.session_id, ?refusal, "a start was refused");
            }
        }
    }

    /// Drops a session that is not ours up to this epoch, without a logout, and remembers the epoch.
    fn overtaken(&mut self, session: SessionId, epoch: Epoch, now: Moment) {
        self.outbox.forget_reports(session, epoch);
        let held = self.held.get(&session);
        if held.is_some_and(|held| held.epoch <= epoch) {
            self.abandon(session, now.uptime);
            self.recovering.remove(&session);
        }
        let seen = self.seen.entry(session).or_default();
        seen.epoch = seen.epoch.max(epoch);
    }

    fn register_failed(&mut self, error: &GatewayError, now: Moment) {
        let wait = match error.is_temporary() {
            true => error.asks_to_wait(),
            false => Some(REFUSED_WAIT),
        };
        if let Membership::Outside(backoff) = &mut self.membership {
            backoff.failed(now.uptime, wait);
        }
    }

    fn assigned_failed(&mut self, error: &GatewayError, now: Moment) {
        match &mut self.wants_assigned {
            Some(backoff) if error.is_temporary() => {
                backoff.failed(now.uptime, error.asks_to_wait());
            }
            // What it should hold comes with the answers to its heartbeats, too.
            wanted => *wanted = None,
        }
    }

    /// Starts the assigned sessions again after a restart.
    fn restore(&mut self, sessions: &[AssignedSession], now: Moment) {
        self.wants_assigned = None;
        let wanted = sessions.iter().filter(|s| s.desired == Desired::Connected);
        for assigned in wanted.filter(|s| s.paired) {
            let (session, epoch) = (assigned.session_id, assigned.epoch);
            if self.held.contains_key(&session) {
                continue;
            }
            let body = StartSession {
                session_id: session,
                epoch,
                incarnation: self.incarnation.clone(),
                mode: StartSessionMode::Restore,
                phone_number: None,
                proxy: None,
                config: None,
            };
            if self.start(&body, now).is_ok() {
                self.recovering.insert(session, epoch);
                self.expect_state(session, assigned.state_version);
            }
        }
    }
}

fn settle<T>(fact: &Fact<T>) {
    fact.ticket.settle(());
}
