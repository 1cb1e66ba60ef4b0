//! Workers over HTTP: the adapter of [`gateway_core::worker::WorkerLink`].
//!
//! - [`http`]: one attempt per command, on kept connections;
//! - `answer`: what an answer means, as a pure function of its status and bytes.

mod answer;
pub mod http;

pub use http::{HttpLink, LinkOptions};

#[cfg(test)]
mod tests;
