//! Coordination: codes, counters, numbers and hints, behind [`gateway_core::coord::Coordinator`].

mod expiring;
mod hints;
pub mod in_common;
pub mod local;
pub mod open;
pub mod redis;
pub mod same_key;
mod sheltered;

pub use local::LocalCoordinator;
pub use redis::RedisCoordinator;
pub use sheltered::Sheltered;
