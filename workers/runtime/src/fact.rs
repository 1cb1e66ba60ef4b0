//! What became of messages, and messages that came in: submitted once, kept until the gateway has them.

use std::io;

use serde::Serialize;

use crate::ticket::Ticket;

/// A fact, and the ticket of who submitted it.
#[derive(Clone, Debug)]
pub(crate) struct Fact<T> {
    pub(crate) content: T,
    /// How long it is on the wire.
    pub(crate) bytes: usize,
    pub(crate) ticket: Ticket<()>,
}

impl<T: Serialize> Fact<T> {
    pub(crate) fn new(content: T) -> Self {
        let mut length = Length(0);
        // What cannot be written at all is refused when it is sent, alone.
        let _ = serde_json::to_writer(&mut length, &content);
        Self {
            content,
            bytes: length.0,
            ticket: Ticket::open(),
        }
    }
}

/// Counts what is written to it.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
