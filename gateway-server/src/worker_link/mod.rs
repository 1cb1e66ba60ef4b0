//! Workers over HTTP: the adapter of [`gateway_core::worker::WorkerLink`].
//!
//! - [`http`]: one attempt per command;
//! - `pool`: kept connections, by endpoint; `connection`: one of them;
//! - `resolver`: where a worker's name leads, as far as the operator permits;
//! - `answer`: what an answer means, as a pure function of its status and bytes.

mod answer;
mod connection;
pub mod http;
mod pool;
mod resolver;

pub use http::{HttpLink, LinkOptions};

#[cfg(test)]
mod tests;
