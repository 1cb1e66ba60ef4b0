//! HTTP: the listener and what stands behind it.

mod body;
mod connection;
pub mod serve;
