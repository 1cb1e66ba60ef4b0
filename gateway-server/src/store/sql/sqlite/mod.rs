//! What SQLite alone has: a file that one process may use, one writer, and rows that are bound one by one.

pub(super) mod clock;
pub(super) mod lock;
pub(super) mod message_log;
pub(super) mod outbox;
pub(super) mod readers;
pub(super) mod renew;
pub(super) mod rows;
pub(super) mod sequencer;
