//! Events: what the gateway tells its tenants.
//!
//! An event is written to the *outbox* in the transaction of the change it reports, unnumbered. The
//! sequencer moves committed outbox rows into the *event log* and numbers them: dense per
//! session, so a consumer sees a gap, and with a position per shard, which is the cursor. An id or a
//! database serial as the cursor would skip rows that commit late. Everybody who passes events on reads them
//! through [`EventReader`], in one outer form, [`EventEnvelope`].
//!
//! Only the writer of an event knows its type, [`Event`]. From the outbox on it is a name, a version and a
//! JSON text: replicas of two versions run side by side during an upgrade, and an event that only the newer
//! one knows is numbered, counted and delivered by the older one all the same.

mod catalogue;
mod envelope;
mod pages;
mod payload;
mod reader;
mod record;
mod repo;
#[cfg(feature = "openapi")]
mod schema;
mod sequence;
mod usage;

pub use catalogue::{Event, UnreadableEvent};
pub use envelope::{ChallengeText, EventEnvelope, EventSession};
pub use pages::EventPages;
pub use payload::{
    MessageReceived, MessageSent, MessageStatusChanged, SessionCreated, SessionDeleted, SessionQr,
    SessionStatusChanged, WorkerChanged,
};
pub use reader::{EventPage, EventReader};
pub use record::{EventData, LoggedEvent, NewEvent, OutboxRow, event_id};
pub use repo::{
    ACTIVITY_STEP, EventFilter, EventRepo, OutboxRepo, Publication, SequencerRepo, ShardHead,
};
pub use sequence::{Sequenced, TENANT_SHARD, number, sequence};
pub use usage::UsageDelta;
