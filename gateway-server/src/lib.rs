//! The gateway as a server: adapters and wiring around `gateway-core`.
//!
//! There is no rule and no sequence in here: this crate parses, binds, spawns and sleeps, and leaves
//! every decision to the core. In reading order:
//!
//! - [`cli`]: one file per sub-command
//! - [`server`]: the composition root
//! - [`app`]: what requests share
//! - [`cache`]: what this replica remembers of the store
//! - [`config`]: every option, typed and checked
//! - [`coord`]: what may be lost and rebuilt at any time
//! - [`effects`]: carrying out what the core wants done
//! - [`event_feed`]: the one reader of events
//! - [`http`]: the listener and what stands behind it
//! - [`identity`]: credentials, passwords and tokens, and whom they belong to
//! - [`message_log`]: facts about messages, written in groups
//! - [`worker_link`]: commands to workers
//! - [`quota`]: requests against the plans of tenants
//! - [`runtime`]: the loops beside the requests
//! - [`telemetry`]: logs and metrics
//! - [`shutdown`]: stopping in order
//! - [`store`]: the durable stores
//! - [`system`]: the machine's clocks and randomness

pub mod app;
pub mod cache;
pub mod cli;
pub mod config;
pub mod coord;
pub mod effects;
pub mod event_feed;
pub mod http;
pub mod identity;
pub mod message_log;
pub mod quota;
pub mod runtime;
pub mod server;
pub mod shutdown;
pub mod store;
pub mod system;
pub mod telemetry;
pub mod worker_link;
