//! Load, and what came of it.

mod paced;
mod wrk;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use paced::{Rate, drive};
pub(crate) use wrk::saturate;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// To send a message.
    Send,
    /// To send a message under an `Idempotency-Key` of its own.
    KeyedSend,
    /// A session.
    Session,
    /// The first page of a tenant's sessions.
    Sessions,
    /// The first page of a session's messages.
    Messages,
}

impl Request {
    /// Returns whether this is one that the paced client can make, too.
    pub(crate) const fn is_send(self) -> bool {
        matches!(self, Self::Send | Self::KeyedSend)
    }

    /// Returns what `wrk.lua` calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::KeyedSend => "keyed-send",
            Self::Session => "session",
            Self::Sessions => "sessions",
            Self::Messages => "messages",
        }
    }
}

/// The requests to send, and where.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// The servers; connections are shared out among them.
    pub(crate) targets: Vec<SocketAddr>,
    /// Lines of a session and a key, in the order in which they are used.
    pub(crate) table: PathBuf,
    /// What every request asks for.
    pub(crate) request: Request,
    /// What tells the keys of this run from others.
    pub(crate) run: String,
    /// Connections in all.
    pub(crate) connections: usize,
    /// For how long.
    pub(crate) time: Duration,
}

/// The figures of a load.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// Requests that were answered 2xx.
    pub(crate) answered: u64,
    /// Requests with another answer or none.
    pub(crate) errors: u64,
    /// How long it took.
    pub(crate) time: Duration,
    /// The median latency.
    pub(crate) p50: Duration,
    /// The latency that one of a hundred exceeds.
    pub(crate) p99: Duration,
    /// The longest latency; zero if it was not measured.
    pub(crate) max: Duration,
    /// The longest time from one answer to the next, over all connections; zero if it was not measured.
    pub(crate) stall: Duration,
    /// CPU time of the load generator.
    pub(crate) cpu: Duration,
}

impl Outcome {
    /// Answered requests per second.
    pub(crate) fn rate(&self) -> f64 {
        self.answered as f64 / self.time.as_secs_f64().max(1e-9)
    }
}
