//! What PostgreSQL alone has: a server that may be away or say nothing, connections to it that are kept, and
//! the operations that it does in one statement over lists.

pub(super) mod kept;
pub(super) mod message_log;
pub(super) mod outbox;
pub(super) mod reach;
pub(super) mod renew;
pub(super) mod sequencer;
pub(super) mod silence;
