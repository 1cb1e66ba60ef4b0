//! How sessions begin and end, and what is reported of them.

use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::{RecoveryResult, SessionReport};
use gateway_core::time::Uptime;
use gateway_core::worker::gate::Gate;

use super::{Held, Membership, Order, Rules};
use crate::moment::Moment;
use crate::progress::{Ending, Progress};
use crate::session::Session;

impl Rules {
    /// Asked before everything: drops all sessions once the lease is over.
    pub(super) fn check_gate(&mut self, now: Moment) {
        self.now = now;
        let member = matches!(self.membership, Membership::Member { .. });
        if member && !self.gate.is_open(now.uptime) {
            let deadline = self.gate.deadline().unwrap_or(now.uptime);
            self.lose_lease(deadline.min(now.uptime), now);
        }
    }

    /// The lease ended at `at`: everything is dropped, and a new incarnation registers as empty.
    pub(super) fn lose_lease(&mut self, at: Uptime, now: Moment) {
        tracing::info!(worker.id = %self.card.id, "the lease is over: starting again as empty");
        self.gate.shut();
        self.drop_everything(at);
        if self.renewals == self.renewals_before {
            self.rejoin.failed(now.uptime, None);
        } else {
            self.rejoin.succeeded();
        }
        self.incarnation = super::fresh(&self.card, &*self.entropy);
        self.gate = Gate::default();
        self.membership = Membership::Outside(self.rejoin.clone());
        self.outbox.start_over();
        self.recovering.clear();
        self.wants_assigned = None;
        self.send_held = true;
        self.draining = false;
        self.persist_ok = true;
    }

    /// The gateway does not know this incarnation any more.
    pub(super) fn incarnation_ended(&mut self, now: Moment) {
        match self.membership {
            Membership::Leaving(_) => self.go(),
            _ => self.lose_lease(now.uptime, now),
        }
    }

    pub(super) fn drop_everything(&mut self, at: Uptime) {
        let sessions: Vec<_> = self.held.keys().copied().collect();
        for session in sessions {
            self.abandon(session, at);
        }
    }

    /// Drops a session without a word, and tells the engine so.
    pub(super) fn abandon(&mut self, session: SessionId, at: Uptime) {
        let Some((epoch, started)) = self.close(session, at) else {
            return;
        };
        if started {
            self.orders.push_back(Order::Abandon { session, epoch });
        }
    }

    /// Drops a session that the engine does not run any more. Returns its epoch, and whether the engine
    /// had been told to run it.
    pub(super) fn close(&mut self, session: SessionId, at: Uptime) -> Option<(Epoch, bool)> {
        let held = self.held.remove(&session)?;
        self.storing.remove(&session);
        let seen = self.seen.entry(session).or_default();
        seen.epoch = seen.epoch.max(held.epoch);
        seen.last_seq = held.state.seq;
        let owner = self.owner();
        self.observer.closed(session, &owner, held.epoch, at);
        held.state.give_up();
        self.report_unknown(session, held.epoch);
        Some((held.epoch, held.started))
    }

    /// Closes a session that ended by itself, and reports why. Does nothing if it is not held at `epoch`.
    pub(crate) fn end(&mut self, session: SessionId, epoch: Epoch, ending: &Ending) {
        if !self.is_held(session, epoch) {
            return;
        }
        self.close(session, self.now.uptime);
        if self.recovering.remove(&session).is_some() {
            let fresh = ending.reason == "no_credentials";
            let status = if fresh { "QR_REQUIRED" } else { "FAILED" };
            self.outbox.recovery.push(RecoveryResult {
                session_id: session,
                epoch,
                status: status.to_owned(),
                error: Some(ending.reason.clone()),
            });
            return;
        }
        let mut report = self.draft_report(session, epoch, ending.status);
        report.reason = Some(ending.reason.clone());
        report.action_required = ending.action_required.map(str::to_owned);
        report.until = ending.until;
        report.retry_at = ending.retry_at;
        self.outbox.report(report);
    }

    /// Notes that the engine runs the session: a recovery has succeeded as far as the worker can tell.
    pub(crate) fn started(&mut self, session: SessionId, epoch: Epoch) {
        if self.recovering.get(&session) != Some(&epoch) {
            return;
        }
        self.recovering.remove(&session);
        self.outbox.recovery.push(RecoveryResult {
            session_id: session,
            epoch,
            status: "RECOVERED".to_owned(),
            error: None,
        });
    }

    /// Reports how a held session is getting on.
    pub(crate) fn progress(&mut self, session: &Session, progress: Progress) {
        let action_required = progress.action_required();
        let Some(held) = live_at(self.held.get_mut(&session.id), session.epoch) else {
            return;
        };
        held.status.clone_from(&progress.state.status);
        let said = progress.state;
        let mut report = self.draft_report(session.id, session.epoch, &said.status);
        report.reason = said.reason;
        report.retry_at = progress.retry_at;
        report.action_required = action_required.map(str::to_owned);
        report.qr_code = said.qr_code;
        report.qr_expires_at = said.qr_expires_at;
        report.qr_index = said.qr_index;
        report.pairing_code = said.pairing_code;
        report.pairing_expires_at = said.pairing_expires_at;
        report.passkey_challenge = said.passkey_challenge;
        report.passkey_expires_at = said.passkey_expires_at;
        report.phone_number = said.phone_number;
        report.last_inbound_at = said.last_inbound_at;
        report.last_ack_at = said.last_ack_at;
        report.last_pong_at = said.last_pong_at;
        self.outbox.report(report);
    }

    fn draft_report(&mut self, session: SessionId, epoch: Epoch, status: &str) -> SessionReport {
        let seq = self.report_seq.entry(session).or_default();
        *seq += 1;
        let mut report = SessionReport::new(session, epoch, status);
        report.worker_id = Some(self.card.id.to_string());
        report.incarnation = Some(self.incarnation.to_string());
        report.report_id = Some(format!("{}-{session}-{seq}", self.incarnation));
        report.report_seq = Some(*seq);
        report.occurred_at = Some(self.now.wall);
        report
    }
}

/// Returns the session, if it is held at exactly this epoch.
pub(super) fn live_at(held: Option<&mut Held>, epoch: Epoch) -> Option<&mut Held> {
    held.filter(|held| held.epoch == epoch)
}
