//! The simulated worker (section 6 of the specification).
//!
//! - [`SimWorker`]: one worker as a state machine without runtime and clock; [`Script`] says what it
//!   does, [`PhoneNetwork`] is the other side of WhatsApp, [`Recorder`] writes down what happened.
//! - [`SimFleet`]: several of them in one process, as a [`WorkerLink`](gateway_core::worker::WorkerLink)
//!   for an orchestrator, with crashes, freezes and partitions.
//! - [`GatewayApi`]: how they reach the gateway. Implement it over an orchestrator to close the circle.
//! - `http` (feature `http`): one worker as a real HTTP server and client.
//!
//! Nothing but `http` sleeps or spawns: whoever drives a worker moves its time with `advance` or `step`.

mod answers;
mod calls;
mod commands;
mod fleet;
mod gateway_api;
mod held;
#[cfg(feature = "http")]
pub mod http;
mod link;
mod outbox;
mod phone;
mod recorder;
mod script;
mod sending;
mod sim;
mod stages;
mod storing;
mod upstream;

pub use commands::{Refusal, Reply, Stopping};
pub use fleet::SimFleet;
pub use gateway_api::{Answer, Call, Caller, GatewayApi, GatewayError, Loss, Outbound};
pub use held::Moment;
pub use phone::{PhoneNetwork, ShownMessage};
pub use recorder::{CommandKind, CommandRecord, Frame, Life, Recorder};
pub use script::{
    Crash, CrashPoint, Curve, FaultScope, Faults, InboundTraffic, Receipts, RefusedSend,
    RejectedSend, Restart, Script, Window,
};
pub use sim::{SimWorker, WorkerCard, World};
pub use upstream::Upstream;
