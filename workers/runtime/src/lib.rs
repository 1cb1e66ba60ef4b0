//! The worker's side of the gateway's protocol, for any WhatsApp client.
//!
//! A *worker* is a process that holds WhatsApp connections for the gateway. What it has to do falls into
//! two halves. The first is the same for everybody: register, renew the lease, refuse stale epochs,
//! remember what was stopped, repeat reports until they arrive, store state before anything goes out.
//! That half is this crate. The second half is the WhatsApp client itself, behind the trait [`Engine`]:
//! implement it, and the rest of a worker is here.
//!
//! - [`Engine`]: what a client must do, method by method. Start reading here to write one.
//! - [`Session`]: what a client is given for each session it runs, to report, deliver and store.
//! - [`Worker`]: the protocol around an engine, without runtime, sockets or clock. Time is an argument
//!   and calls to the gateway come out as values ([`Outbound`]), so that the same code runs in a unit
//!   test, in a simulation with virtual time and in a real process.
//! - `http` (feature `http`): a [`Worker`] as a process, with an HTTP server for commands and an HTTP
//!   client to the gateway, on tokio.
//! - `system` (feature `system`): the machine's clocks and randomness, for a [`Worker`] and for an orchestrator.
//!
//! `examples/my_engine.rs` of the workspace is a complete engine, and a worker around it.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod call;
mod engine;
mod fact;
mod gateway;
#[cfg(feature = "http")]
pub mod http;
mod line;
mod moment;
mod observer;
mod outbox;
mod progress;
mod refusal;
mod rules;
mod sent;
mod session;
mod state_line;
#[cfg(feature = "system")]
pub mod system;
mod ticket;
mod worker;

pub use call::{Answer, Call, Outbound};
pub use engine::{Engine, EngineInfo, Load, PasskeyAnswer, Start};
pub use gateway::{Caller, GatewayApi, GatewayError};
pub use moment::Moment;
pub use observer::{NoObserver, Observer};
pub use progress::{Ending, Progress};
pub use refusal::{Refusal, Stopping};
pub use session::{Session, StateLost};
pub use ticket::Ticket;
pub use worker::{Worker, WorkerCard};
