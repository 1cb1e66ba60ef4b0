//! Rules and sequences of the WhatsApp gateway, free of I/O and of any runtime.
//!
//! Everything that decides is a pure function over values; everything that acts goes through a port (a
//! trait) that the caller implements. `gateway-server` implements them over SQLite, PostgreSQL and
//! HTTP; `gateway-testkit` in memory. An embedder brings their own.
//!
//! In reading order:
//!
//! - the ground: [`id`], [`time`], [`entropy`], [`network`];
//! - the nouns: [`tenant`], [`user`], [`identity`], [`worker`], [`session`], [`state`], [`message`],
//!   [`event`];
//! - what drives them: [`balance`] chooses a worker, [`orchestrator`] takes every step with sessions,
//!   [`account`] every step with tenants, people and their credentials, [`audit`] records who did it,
//!   [`retention`] forgets what has grown old, [`leader`] says which replica does what only one may do;
//! - the ports that join them: [`store`], [`change`], [`coord`], [`worker::WorkerLink`], [`protocol`].
//!
//! # What is deliberately absent
//!
//! No clock is read, no randomness drawn, no task spawned, nothing slept for: time, entropy, waiting
//! and parallelism belong to the caller. There is no hash map, because its order would make runs
//! impossible to repeat.

#![warn(clippy::wildcard_enum_match_arm)]

pub mod account;
pub mod audit;
pub mod balance;
pub mod change;
pub mod coord;
pub mod entropy;
pub mod event;
pub mod fill;
pub mod id;
pub mod identity;
pub mod leader;
pub mod message;
pub mod network;
pub mod orchestrator;
pub mod protocol;
pub mod retention;
pub mod session;
pub mod state;
pub mod store;
pub mod tenant;
pub mod time;
pub mod user;
pub mod worker;
