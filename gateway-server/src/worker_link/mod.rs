//! Workers over HTTP: the adapter of [`gateway_core::worker::WorkerLink`].
//!
//! - [`http`]: one attempt per command;
//! - `pool`: kept connections, by endpoint; `connection`: one of them;
//! - `answer`: what an answer means, as a pure function of its status and bytes.

mod answer;
mod connection;
pub mod http;
mod pool;

pub use http::{HttpLink, LinkOptions};

#[cfg(test)]
mod tests;
