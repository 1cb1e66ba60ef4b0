//! Coordination: codes, counters, numbers and hints, behind [`gateway_core::coord::Coordinator`].

mod expiring;
mod hints;
pub mod local;
pub mod open;
pub mod redis;
mod sheltered;

pub use local::LocalCoordinator;
pub use redis::RedisCoordinator;
pub use sheltered::Sheltered;
