//! The wire types of the worker protocol, version 1.
//!
//! For the gateway and for workers written in Rust. JSON, camelCase; unknown fields are ignored, and what
//! may gain values later (statuses, types) travels as text, so that a fleet can be upgraded worker by
//! worker. Nothing here decides anything.
//! `docs/protocol.md` of the repository says what follows for a worker.

pub mod bounds;
mod command;
mod membership;
mod report;
pub mod state;
mod worker_clock;

pub use command::{
    Accepted, Health, MessageTarget, NamedCall, Passkey, Released, SendMessage, Sent, SessionState,
    StartSession, StartSessionMode, StopSession, WorkerProblem,
};
pub use membership::{
    AssignedSession, Beat, BeatAnswer, Dropped, HeldSession, ProcessExit, RecoveryReport,
    RecoveryResult, Register, Registered, SessionCounts,
};
pub use report::{InboundMessage, MessageReport, Reports, SessionReport};
pub(crate) use worker_clock::WorkerClock;

/// The protocol version this crate speaks.
pub const PROTOCOL_VERSION: u32 = 1;

/// The oldest protocol version this crate still speaks.
pub const MIN_PROTOCOL_VERSION: u32 = 1;
