//! PostgreSQL and Redis for tests, with nothing prepared.
//!
//! [`postgres`] and [`redis`] look in this order: a server named by `DATABASE_URL` or `REDIS_URL`; a
//! private one started from programs on this machine, on a free port, in a temporary folder, also as
//! root; a container, where a Docker engine answers. What cannot be had is a [`Missing`], which says
//! what to install; a test shows it as *ignored*, or as failed [`in_ci`].
//!
//! One server serves a whole test process, because starting one costs half a second and a database on
//! it costs ten milliseconds: every test takes its own with [`Postgres::fresh_database`]. A test that
//! kills, freezes or restarts its server takes a [`PrivatePostgres`] or [`PrivateRedis`].
//!
//! Nothing is left behind, whichever way the test process ends: servers die with it (the kernel sees
//! to that), a small janitor process outlives it just long enough to remove the folder, and a folder
//! that both left (the machine went down) is removed at the next start.
//!
//! These functions block for milliseconds and are meant to be called from tests, async ones too.

mod container;
mod folder;
mod janitor;
mod postgres;
mod process;
mod redis;
mod redis_many;
mod sql;

pub use postgres::{Durability, PrivatePostgres, postgres};
pub use redis::{PrivateRedis, Redis, redis};
pub use redis_many::{PrivateCluster, PrivateSentinel};
pub use sql::{Database, DatabaseError, Postgres};

/// A service that cannot be had on this machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{service} is not available: {why}; set {variable}, install the package {package}, or start a Docker engine"
)]
pub struct Missing {
    /// The name of the service: `PostgreSQL` or `Redis`.
    pub service: &'static str,
    /// What was tried, and how it ended.
    pub why: String,
    variable: &'static str,
    package: &'static str,
}

impl Missing {
    fn postgres(why: impl Into<String>) -> Self {
        let (service, variable, package) = ("PostgreSQL", "DATABASE_URL", "postgresql");
        Self {
            service,
            why: why.into(),
            variable,
            package,
        }
    }

    fn redis(why: impl Into<String>) -> Self {
        let (service, variable, package) = ("Redis", "REDIS_URL", "redis-server");
        Self {
            service,
            why: why.into(),
            variable,
            package,
        }
    }
}

/// Returns whether this run must not pass over anything (`CI=true`): a [`Missing`] service is then a
/// failure.
#[must_use]
pub fn in_ci() -> bool {
    variable("CI").is_some_and(|value| value == "true" || value == "1")
}

/// Returns an environment variable, unless it is empty.
#[expect(
    clippy::disallowed_methods,
    reason = "servers for tests are named by the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.trim().is_empty())
}

/// Returns the service, or `None` where it may be missing. Panics in a run that must not pass over
/// anything.
#[cfg(test)]
fn here<T>(service: Result<T, Missing>) -> Option<T> {
    match service {
        Ok(service) => Some(service),
        Err(missing) if in_ci() => panic!("{missing}"),
        Err(_) => None,
    }
}
