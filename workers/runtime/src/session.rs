//! An engine's way back to the runtime, one for each session it runs.

use std::sync::Arc;

use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::{InboundMessage, MessageReport};
use gateway_core::session::Owner;
use gateway_core::time::Uptime;

use crate::fact::Fact;
use crate::progress::{Ending, Progress};
use crate::rules::Shared;
use crate::state_line::Piece;
use crate::ticket::Ticket;

/// The state was not stored and never will be: the session is no longer this worker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session is no longer this worker's: send nothing more and forget it")]
pub struct StateLost;

/// One session at one epoch, as its engine sees it.
///
/// No method blocks, and none of them reaches the network: the runtime makes the calls and repeats them
/// until the gateway has answered. Once the session has ended or moved on, reports are ignored and writes
/// of state fail, so an engine need not be told to stop calling. Clones are the same session.
#[derive(Clone, Debug)]
pub struct Session {
    pub(crate) id: SessionId,
    pub(crate) epoch: Epoch,
    pub(crate) owner: Owner,
    pub(crate) shared: Arc<Shared>,
}

/// Returns a report on a message that names nothing but who makes it.
pub(crate) fn blank_receipt(
    owner: &Owner,
    session: SessionId,
    epoch: Epoch,
    status: &str,
) -> MessageReport {
    let mut report = MessageReport::new(session, epoch, status);
    report.worker_id = Some(owner.worker.to_string());
    report.incarnation = Some(owner.incarnation.to_string());
    report
}

impl Session {
    /// Returns the id of the session.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// Returns the epoch at which it is held.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Returns the worker and the run that hold it.
    #[must_use]
    pub const fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Returns whether a frame may go out at `now`, by the clock that runs during suspend. Ask immediately
    /// before every frame.
    #[must_use]
    pub fn is_open(&self, now: Uptime) -> bool {
        self.shared.read(|rules| rules.may_act(self, now))
    }

    /// Reports how the session is getting on. Reports of one session arrive in order.
    pub fn report(&self, progress: Progress) {
        self.shared.push(|rules| rules.progress(self, progress));
    }

    /// Ends the session and reports why. The engine must already have closed its socket.
    pub fn end(&self, ending: &Ending) {
        self.shared
            .push(|rules| rules.end(self.id, self.epoch, ending));
    }

    /// Drafts a receipt with this status (`sent`, `delivered`, `read`, `failed`, `unknown` …). Fill in at
    /// least one of the message ids, and a `report_id` that stays the same if the receipt is submitted
    /// again.
    #[must_use]
    pub fn draft_receipt(&self, status: &str) -> MessageReport {
        blank_receipt(&self.owner, self.id, self.epoch, status)
    }

    /// Reports what became of a message. The ticket is settled when the gateway has it, or will never take
    /// it; receipts may arrive in any order.
    pub fn submit_receipt(&self, receipt: MessageReport) -> Ticket<()> {
        let fact = Fact::new(receipt);
        let ticket = fact.ticket.clone();
        self.shared.push(|rules| rules.receipt(fact));
        ticket
    }

    /// Drafts a message that came in. Fill in what else is known of it.
    #[must_use]
    pub fn draft_inbound(&self, chat: &str, wa_message_id: &str) -> InboundMessage {
        let mut message = InboundMessage::new(self.id, self.epoch, chat, wa_message_id);
        message.worker_id = Some(self.owner.worker.to_string());
        message.incarnation = Some(self.owner.incarnation.to_string());
        message
    }

    /// Delivers a message that came in. When the ticket is settled, the gateway has it for good, or will
    /// never take it: acknowledge it to WhatsApp then, and not before.
    pub fn submit_inbound(&self, message: InboundMessage) -> Ticket<()> {
        let fact = Fact::new(message);
        let ticket = fact.ticket.clone();
        self.shared.push(|rules| rules.outbox.inbound.push(fact));
        ticket
    }

    /// Appends entries to the session's journal, at most 1,000, each at most 256 KiB. Writes of a session are stored in
    /// order; those that wait travel together.
    pub fn append(&self, entries: Vec<Vec<u8>>) -> Ticket<Result<(), StateLost>> {
        self.write(Piece::Entries(entries))
    }

    /// Replaces the session's state by a snapshot, at most 16 MiB. It must contain everything that was
    /// appended before.
    pub fn put_snapshot(&self, snapshot: Vec<u8>) -> Ticket<Result<(), StateLost>> {
        self.write(Piece::Snapshot(snapshot))
    }

    fn write(&self, piece: Piece) -> Ticket<Result<(), StateLost>> {
        self.shared.push(|rules| rules.write_state(self, piece))
    }
}
