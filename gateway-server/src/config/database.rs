//! `[database]` and `[redis]`: the servers behind a cluster.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::unit::{duration, optional};
use super::{Invalid, ServiceUrl};

/// Every cache relies on no commit being later than its window.
const LONGEST_STATEMENT: Duration = Duration::from_secs(5);

/// The SQL database.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// PostgreSQL; without it, a SQLite file in the data folder.
    #[serde(with = "optional")]
    pub url: Option<ServiceUrl>,
    /// Connections to PostgreSQL.
    pub max_connections: u32,
    /// How long a request waits for a connection.
    #[serde(with = "duration")]
    pub acquire_timeout: Duration,
    /// `statement_timeout` and `idle_in_transaction_session_timeout` of every connection.
    #[serde(with = "duration")]
    pub statement_timeout: Duration,
}

impl Database {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let postgres = |url: &ServiceUrl| matches!(url.scheme(), "postgres" | "postgresql");
        let known = self.url.as_ref().is_none_or(postgres);
        Invalid::unless(
            "database.url",
            known,
            "must start with postgres:// or postgresql://",
        )?;
        Invalid::unless(
            "database.max_connections",
            self.max_connections > 0,
            "must be more than 0",
        )?;
        Invalid::unless(
            "database.statement_timeout",
            self.statement_timeout <= LONGEST_STATEMENT,
            "must be at most 5s: caches rely on it",
        )?;
        Invalid::unless_positive([
            ("database.acquire_timeout", self.acquire_timeout),
            ("database.statement_timeout", self.statement_timeout),
        ])
    }
}

/// The coordinator of several replicas.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// A single server, Sentinel or Cluster.
    #[serde(with = "optional")]
    pub url: Option<ServiceUrl>,
}

impl Redis {
    /// Redis coordinates replicas over one PostgreSQL database; alone it coordinates nothing.
    pub(super) fn check(&self, database: &Database) -> Result<(), Invalid> {
        let Some(url) = &self.url else { return Ok(()) };
        let known = [
            "redis",
            "rediss",
            "redis-sentinel",
            "rediss-sentinel",
            "redis-cluster",
            "rediss-cluster",
        ];
        Invalid::unless(
            "redis.url",
            known.contains(&url.scheme()),
            "must start with redis:// or rediss://",
        )?;
        let both =
            "needs PostgreSQL: set DATABASE_URL too, or unset REDIS_URL to run on one machine";
        Invalid::unless("redis.url", database.url.is_some(), both)?;
        let later = "several replicas over Redis are not part of this release: unset REDIS_URL to run one replica on PostgreSQL";
        Invalid::unless("redis.url", false, later)
    }
}
