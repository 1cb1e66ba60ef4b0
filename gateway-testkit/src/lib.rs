//! What tests of the gateway, and of programs that embed it, are made of.
//!
//! - Time and chance: [`clock::ManualClock`] moves when told to, [`entropy::SeededEntropy`] repeats.
//! - Ports in memory ([`memory`]), fakes with behaviour and not mocks with expectations:
//!   [`memory::MemoryStore`] wherever a store is asked for, [`memory::MemoryLog`] over the same tables,
//!   [`memory::MemoryCoordinator`], [`memory::MemoryState`].
//! - Rows to fill them with: the builders of [`fixture`]; [`sink::RecordedEvents`] to look at what came out.
//! - Accounts without a server: [`account`].
//! - The gateway in process, around an orchestrator: [`gateway::LocalGateway`].
//! - Things that go wrong: [`fault::FaultyStore`] fails inside a transaction; [`delegate::DelegateLink`] is a way to
//!   workers with a method of one's own.
//! - `conformance` (feature `conformance`): the suites that every implementation of a port must pass.
//! - Workers: [`worker::SimWorker`] behaves as its [`worker::Script`] says; [`worker::SimFleet`] runs several.
//! - `strategies` (feature `strategies`): random fleets for property tests.
//! - `services` (feature `services`): private PostgreSQL and Redis servers.

pub mod account;
pub mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod delegate;
pub mod entropy;
pub mod fault;
pub mod fixture;
pub mod gateway;
pub mod memory;
#[cfg(feature = "services")]
pub mod services;
pub mod sink;
#[cfg(feature = "strategies")]
pub mod strategies;
pub mod worker;
