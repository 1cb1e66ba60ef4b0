//! The simulated worker, which speaks the whole protocol of `docs/protocol.md`.
//!
//! - [`SimEngine`]: a WhatsApp client without WhatsApp, run by the worker runtime as any engine is;
//!   [`Script`] says what it does, [`PhoneNetwork`] is the other side, [`Recorder`] writes down what happened.
//! - [`SimWorker`]: a worker with that engine, and what its script lets go wrong around it.
//! - [`SimFleet`]: several of them in one process, as a [`WorkerLink`](gateway_core::worker::WorkerLink)
//!   for an orchestrator, with crashes, freezes and partitions.
//! - [`StubGateway`]: a gateway that agrees to everything, for tests of workers alone; [`EngineStage`]: a
//!   worker around one engine, registered with such a gateway.
//! - `http` (feature `http`): one worker as a real HTTP server and client.
//!
//! Nothing but `http` sleeps or spawns: whoever drives a worker moves its time with `advance` or `step`.
//! How workers reach the gateway is the runtime's [`GatewayApi`]: implement it over an orchestrator to
//! close the circle.

mod engine;
mod environment;
mod faults;
mod fleet;
#[cfg(feature = "http")]
pub mod http;
mod link;
mod phone;
mod recorder;
mod script;
mod sim;
mod stage;
mod stub;

pub use engine::{SimEngine, Upstream};
pub use environment::SimEnvironment;
pub use faults::{Loss, Reply, SimCall};
pub use fleet::SimFleet;
pub use gateway_worker::{
    Answer, Call, Caller, GatewayApi, GatewayError, Moment, Outbound, Refusal, Stopping, WorkerCard,
};
pub use phone::{PhoneNetwork, ShownMessage};
pub use recorder::{CommandKind, CommandRecord, Frame, Life, Recorder};
pub use script::{
    Crash, CrashPoint, Curve, FaultScope, Faults, InboundTraffic, Receipts, RefusedSend,
    RejectedSend, Restart, Script, Window,
};
pub use sim::{SimWorker, sim_card};
pub use stage::EngineStage;
pub use stub::{StubGateway, Told, WorkerRoute};
