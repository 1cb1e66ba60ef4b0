//! The simulated worker against a gateway of a few lines: on a clock that is moved by hand, and over HTTP.

mod leases;
mod linking;
mod messages;
#[cfg(feature = "http")]
mod over_http;
mod stage;
