//! How a worker leaves: its engine lets go of the sessions, then what it owes is delivered, then it says
//! goodbye.
//!
//! The goodbye comes last, because it ends the incarnation: whatever is still on its way then is refused. And
//! it comes in any case, because the sessions wait for it.

use std::time::Duration;

use gateway_core::id::{Epoch, MessageId, SessionId};
use gateway_core::message::WaMessageId;
use gateway_core::protocol::{MessageReport, Released};
use gateway_core::time::Uptime;

use super::{Membership, Rules};
use crate::fact::Fact;
use crate::gateway::GatewayError;
use crate::line::Backoff;
use crate::moment::Moment;
use crate::outbox::Flight;
use crate::refusal::Stopping;
use crate::session::blank_receipt;
use crate::ticket::Ticket;

/// How long a worker that leaves tries to deliver what it owes before it says goodbye.
const DELIVERY_LIMIT: Duration = Duration::from_secs(4);
/// How long it then waits for the goodbye to arrive.
const GOODBYE_LIMIT: Duration = Duration::from_secs(2);

/// A worker that lets go of nothing new, and delivers what it owes before it says goodbye.
#[derive(Clone, Debug)]
pub(super) struct Leave {
    pub(super) token: String,
    backoff: Backoff,
    /// When it says goodbye at the latest.
    deliver_until: Uptime,
    /// When it goes without an answer.
    until: Uptime,
}

impl Leave {
    fn begun(token: String, now: Uptime) -> Self {
        let deliver_until = now.plus(DELIVERY_LIMIT);
        Self {
            token,
            backoff: Backoff::default(),
            deliver_until,
            until: deliver_until.plus(GOODBYE_LIMIT),
        }
    }

    fn is_delivering(&self, owes: bool, now: Uptime) -> bool {
        owes && now < self.deliver_until
    }
}

impl Rules {
    /// Takes no new sessions and sends any more. The ticket is settled once WhatsApp has acknowledged every
    /// message that was accepted.
    pub(crate) fn quiesce(&mut self, now: Moment) -> Ticket<()> {
        self.now = now;
        let quiet = self.quiet.get_or_insert_with(Ticket::open).clone();
        self.check_quiet();
        quiet
    }

    pub(super) const fn is_quiet(&self) -> bool {
        self.quiet.is_some() || matches!(self.membership, Membership::Leaving(_) | Membership::Gone)
    }

    pub(super) fn check_quiet(&self) {
        if let Some(quiet) = &self.quiet
            && self.sent.is_settled()
        {
            quiet.settle(());
        }
    }

    /// Begins to let go of a session by the worker's own decision. Returns the epoch at which the engine has
    /// to release it; then [`Self::let_go`] must follow.
    pub(crate) fn begin_letting_go(&mut self, session: SessionId) -> Option<Epoch> {
        let held = self.held.get_mut(&session)?;
        let epoch = held.epoch;
        if !held.started || self.finishing.contains_key(&(session, epoch)) {
            return None;
        }
        held.stopping = true;
        let finish = (Stopping::Release, Ticket::open());
        self.finishing.insert((session, epoch), finish);
        Some(epoch)
    }

    /// Closes a session that the engine has released. What was reported of it is still delivered.
    pub(crate) fn let_go(&mut self, session: SessionId, epoch: Epoch) -> Released {
        if self.is_held(session, epoch) {
            self.close(session, self.now.uptime);
        }
        let last_seq = self.seen.get(&session).map(|seen| seen.last_seq);
        let mut released = Released::new(session, epoch);
        released.last_seq = last_seq.unwrap_or_default();
        released
    }

    /// Drops the sessions that are still held, and leaves.
    pub(crate) fn stop(&mut self, now: Moment) {
        self.now = now;
        self.drop_everything(now.uptime);
        match std::mem::replace(&mut self.membership, Membership::Gone) {
            Membership::Member { token, .. } => {
                self.membership = Membership::Leaving(Leave::begun(token, now.uptime));
            }
            leaving @ Membership::Leaving(_) => self.membership = leaving,
            Membership::Outside(_) | Membership::Gone => self.go(),
        }
    }

    /// The engine has failed, so nothing that it holds can be relied on: the worker gives its sessions up and
    /// leaves.
    pub(crate) fn engine_failed(&mut self, what: String) {
        if self.failure.is_none() {
            tracing::error!(worker.id = %self.card.id, what, "the engine has failed: giving up all sessions");
            self.failure = Some(what);
            self.stop(self.now);
        }
    }

    /// Returns what a worker that leaves has to do at `now`: to deliver, or to say goodbye.
    pub(super) fn goodbye_is_due(&self, leave: &Leave, now: Uptime) -> bool {
        !leave.is_delivering(self.owes(), now)
            && leave.backoff.is_over(now)
            && !self.outbox.is_flying(&Flight::Goodbye)
    }

    /// Returns when a worker that leaves next has something to do.
    pub(super) fn leave_due(&self, leave: &Leave) -> Uptime {
        if self.outbox.is_flying(&Flight::Goodbye) {
            return leave.until;
        }
        let goodbye = match self.owes() {
            true => leave.deliver_until.max(leave.backoff.until()),
            false => leave.backoff.until(),
        };
        goodbye.min(leave.until)
    }

    /// Returns whether something is not delivered yet.
    fn owes(&self) -> bool {
        !self.outbox.rest().is_nothing()
    }

    /// Goes without an answer to the goodbye, if that takes too long.
    pub(super) fn check_leave(&mut self, now: Uptime) {
        if let Membership::Leaving(leave) = &self.membership
            && now >= leave.until
        {
            self.go();
        }
    }

    pub(super) fn goodbye_failed(&mut self, error: &GatewayError, now: Moment) {
        match &mut self.membership {
            Membership::Leaving(leave) if error.is_temporary() => {
                leave.backoff.failed(now.uptime, error.asks_to_wait());
            }
            _ => self.go(),
        }
    }

    /// The worker is gone, whether or not everything was delivered.
    pub(super) fn go(&mut self) {
        self.membership = Membership::Gone;
        let rest = self.outbox.rest();
        if !rest.is_nothing() {
            tracing::warn!(
                worker.id = %self.card.id,
                session_reports = rest.reports,
                message_reports = rest.receipts,
                inbound_messages = rest.messages,
                "the worker leaves before the gateway has taken everything"
            );
        }
    }

    /// Takes note of a receipt, which must be delivered.
    pub(crate) fn receipt(&mut self, fact: Fact<MessageReport>) {
        let report = &fact.content;
        let message = report.message_id.as_deref().and_then(|id| id.parse().ok());
        self.sent
            .acknowledged(report.session_id, message, report.wa_message_id.as_deref());
        self.outbox.receipts.push(fact);
        self.check_quiet();
    }

    /// Reports what nobody will learn any more: what became of messages that were accepted, because the
    /// session that sent them was closed before WhatsApp acknowledged them.
    pub(super) fn report_unknown(&mut self, session: SessionId, epoch: Epoch) {
        for (message, wa_message_id) in self.sent.take_unacknowledged(session) {
            let report = self.unknown(session, epoch, message, &wa_message_id);
            self.outbox.receipts.push(Fact::new(report));
        }
        self.check_quiet();
    }

    /// Reports the same of one message, which was being sent when its session was closed.
    pub(super) fn report_unknown_of(
        &mut self,
        session: SessionId,
        epoch: Epoch,
        message: MessageId,
    ) {
        if let Some(wa_message_id) = self.sent.take_open(session, message) {
            let report = self.unknown(session, epoch, message, &wa_message_id);
            self.outbox.receipts.push(Fact::new(report));
        }
    }

    fn unknown(
        &self,
        session: SessionId,
        epoch: Epoch,
        message: MessageId,
        wa_message_id: &WaMessageId,
    ) -> MessageReport {
        let mut report = blank_receipt(&self.owner(), session, epoch, "unknown");
        report.report_id = Some(format!("{}-{message}-unknown", self.incarnation));
        report.message_id = Some(message.to_string());
        report.wa_message_id = Some(wa_message_id.to_string());
        report.occurred_at = Some(self.now.wall);
        report
    }
}
