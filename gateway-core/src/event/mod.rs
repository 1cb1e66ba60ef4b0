//! Events: what the gateway tells its tenants (sections 4 and 8 of the specification).
//!
//! An event is written to the *outbox* in the transaction of the change it reports, unnumbered. The
//! sequencer moves committed outbox rows into the *event log* and numbers them: dense per
//! session, so a consumer sees a gap, and with a position per shard, which is the cursor. An id or a
//! database serial as the cursor would skip rows that commit late.

mod catalogue;
mod repo;
mod sequence;

pub use catalogue::{
    Event, MessageReceived, MessageStatusChanged, SessionCreated, SessionDeleted, SessionQr,
    SessionStatus, WorkerChanged,
};
pub use repo::{
    ACTIVITY_STEP, EventFilter, EventRepo, LoggedEvent, OutboxRepo, OutboxRow, Publication,
    SequencerRepo, ShardHead, UsageDelta, event_id,
};
pub use sequence::{Sequenced, number, sequence};

use crate::id::{Epoch, SessionId, TenantId};

/// An event on its way to the outbox.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// Whose it is; none for the operator's own (`worker.*`, `alert.*`).
    pub tenant: Option<TenantId>,
    /// The session it is about.
    pub session: Option<SessionId>,
    /// The session's epoch when it happened.
    pub epoch: Option<Epoch>,
    /// What happened.
    pub event: Event,
}
