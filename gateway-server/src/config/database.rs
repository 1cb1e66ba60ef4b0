//! `[database]` and `[redis]`: the servers behind a cluster.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::unit::{duration, optional};
use super::{Invalid, ServiceUrl};

/// The longest `statement_timeout` that is accepted: every cache relies on no commit being later than its
/// window.
const LONGEST_STATEMENT: Duration = Duration::from_secs(5);

/// The parameters of an address of PostgreSQL that the driver knows. It would leave out all others, among
/// them those that ask for safety.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// The options of the SQL database.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// PostgreSQL; without it, a SQLite file in the data folder.
    #[serde(with = "optional")]
    pub url: Option<ServiceUrl>,
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
        let parameters = self.url.iter().flat_map(ServiceUrl::parameters);
        let mut names = parameters.map(|name| name.split('[').next().unwrap_or_default());
        Invalid::unless(
            "database.url",
            names.all(|name| PARAMETERS.contains(&name)),
            "has a parameter after ? that means nothing here: known are sslmode, sslrootcert, sslcert, sslkey, \
             host, port, dbname, user, password, application_name, options and statement-cache-capacity",
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

/// The options of Redis, which coordinates several replicas.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// A single server, Sentinel or Cluster.
    #[serde(with = "optional")]
    pub url: Option<ServiceUrl>,
    /// How long a request waits for Redis at most, once per outage.
    #[serde(with = "duration")]
    pub command_timeout: Duration,
    /// How long connecting may take.
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
    /// How often Redis is asked whether it is there.
    #[serde(with = "duration")]
    pub probe_interval: Duration,
    /// What every key and the channel begin with.
    pub prefix: String,
}

/// The longest `command_timeout` that is accepted: a request must not feel an outage of Redis.
const LONGEST_COMMAND: Duration = Duration::from_millis(300);

impl Redis {
    /// Checks the limits, and that Redis is used only together with PostgreSQL: it coordinates replicas
    /// of one database, and alone coordinates nothing.
    pub(super) fn check(&self, database: &Database) -> Result<(), Invalid> {
        Invalid::unless_positive([
            ("redis.command_timeout", self.command_timeout),
            ("redis.connect_timeout", self.connect_timeout),
            ("redis.probe_interval", self.probe_interval),
        ])?;
        Invalid::unless(
            "redis.command_timeout",
            self.command_timeout <= LONGEST_COMMAND,
            "must be at most 300ms",
        )?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
        Invalid::unless(
            "redis.prefix",
            !self.prefix.is_empty() && self.prefix.chars().all(plain),
            "must be letters, digits, - _ . or :",
        )?;
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
            "must start with redis:// or rediss://, redis-sentinel:// or redis-cluster://",
        )?;
        let both =
            "needs PostgreSQL: set DATABASE_URL too, or unset REDIS_URL to run on one machine";
        Invalid::unless("redis.url", database.url.is_some(), both)
    }
}
