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
use crate::moment::Moment;
use crate::outbox::{Backoff, Flight, Line};

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
            (Flight::Goodbye, _) => self.membership = Membership::Gone,
            (Flight::Assigned, Answer::Assigned(sessions)) => self.restore(&sessions, now),
            (Flight::Recovery, _) => {
                self.outbox.recovery.settled();
            }
            (Flight::Report(session, _, number), _) => self.outbox.report_settled(session, number),
            (Flight::Receipts, _) => settle(&mut self.outbox.receipts),
            (Flight::Inbound, _) => settle(&mut self.outbox.inbound),
            (Flight::State(session, epoch), Answer::State(stored)) => {
                self.state_read(session, epoch, stored);
            }
            (Flight::State(session, epoch), Answer::Written(seq)) => {
                self.state_written(session, epoch, seq);
            }
            (flight, _) => self.refused(&flight, &GatewayError::Unreachable, now),
        }
    }

    fn refused(&mut self, flight: &Flight, error: &GatewayError, now: Moment) {
        let wait = match error {
            GatewayError::Unavailable { retry_after } => *retry_after,
            _ => None,
        };
        let again = error.is_temporary();
        match flight {
            Flight::Register if *error != GatewayError::IncarnationEnded => {
                self.register_failed(again, wait, now);
            }
            Flight::Goodbye => self.goodbye_failed(again, wait, now),
            _ if is_over(error) => self.lose_lease(now.uptime, now),
            Flight::Register => {}
            Flight::Beat if !again => self.lose_lease(now.uptime, now),
            Flight::Beat => {}
            Flight::Assigned => {
                if let Some(backoff) = &mut self.wants_assigned {
                    backoff.failed(now.uptime, wait);
                }
            }
            Flight::Report(session, epoch, _) | Flight::State(session, epoch)
                if moved_on(error) =>
            {
                self.overtaken(*session, *epoch, now);
            }
            Flight::State(session, epoch) => self.state_failed(*session, *epoch, error, now),
            Flight::Report(session, _, number) if again => {
                let (session, number) = (*session, *number);
                self.outbox.report_failed(session, number, now.uptime, wait);
            }
            Flight::Report(session, _, number) => self.outbox.report_settled(*session, *number),
            Flight::Recovery if again => self.outbox.recovery.failed(now.uptime, wait),
            Flight::Recovery => {
                self.outbox.recovery.settled();
            }
            Flight::Receipts if again => {
                put_off(&mut self.outbox.receipts, error, now, wait);
            }
            Flight::Receipts => refuse(&mut self.outbox.receipts, error),
            Flight::Inbound if again => {
                put_off(&mut self.outbox.inbound, error, now, wait);
            }
            Flight::Inbound => refuse(&mut self.outbox.inbound, error),
        }
    }

    fn registered(&mut self, registered: Registered, sent_at: Uptime) {
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

    fn register_failed(&mut self, again: bool, wait: Option<Duration>, now: Moment) {
        let wait = if again { wait } else { Some(REFUSED_WAIT) };
        if let Membership::Outside(backoff) = &mut self.membership {
            backoff.failed(now.uptime, wait);
        }
    }

    fn goodbye_failed(&mut self, again: bool, wait: Option<Duration>, now: Moment) {
        match &mut self.membership {
            Membership::Leaving { backoff, .. } if again => backoff.failed(now.uptime, wait),
            membership => *membership = Membership::Gone,
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
            }
        }
    }
}

/// Returns whether the gateway says that the session is not ours at that epoch, or does not exist any
/// more.
fn moved_on(error: &GatewayError) -> bool {
    matches!(
        error,
        GatewayError::StaleEpoch { .. } | GatewayError::Refused { status: 404, .. }
    ) && !error.is_temporary()
}

/// Returns whether this incarnation may not act any more.
const fn is_over(error: &GatewayError) -> bool {
    matches!(
        error,
        GatewayError::Unauthorized | GatewayError::IncarnationEnded
    )
}

fn settle<T: Clone>(line: &mut Line<Fact<T>>) {
    for fact in line.settled() {
        fact.ticket.settle(());
    }
}

/// A call with facts has to be repeated, in shorter ones if something on the way finds it too long.
fn put_off<T: Clone>(
    line: &mut Line<Fact<T>>,
    error: &GatewayError,
    now: Moment,
    wait: Option<Duration>,
) {
    if matches!(error, GatewayError::Refused { status: 413, .. }) {
        line.halve();
    }
    line.failed(now.uptime, wait);
}

/// The gateway refuses a call with facts: those around the one that it cannot take are sent again, and only
/// that one is given up.
fn refuse<T: Clone>(line: &mut Line<Fact<T>>, error: &GatewayError) {
    if line.halve() {
        return;
    }
    tracing::error!(%error, "the gateway will never take a report: it is given up");
    settle(line);
}
