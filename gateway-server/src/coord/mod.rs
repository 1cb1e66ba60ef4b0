//! Coordination: QR codes, counters and hints, behind [`gateway_core::coord::Coordinator`].

mod expiring;
pub mod local;

pub use local::LocalCoordinator;
