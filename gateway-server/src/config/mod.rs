//! Configuration: defaults ← file ← environment, read once, checked, and typed from then on.
//!
//! The defaults are the documented file `gateway.default.toml` itself, embedded in the binary, so the
//! documentation cannot disagree with the program; the structs have no defaults of their own and know
//! every key, so a line that is missing or left over fails the tests. An unknown key or variable is an
//! error: a misspelt limit that silently does nothing is worse than a server that does not start.
//!
//! ```
//! use gateway_server::config::{Config, Source};
//!
//! let environment = Source::from_iter([("PORT", "9000"), ("GATEWAY_HTTP_BODY_LIMIT", "2 MiB")]);
//! let loaded = Config::load(&environment, None)?;
//! assert_eq!(loaded.config.http.port, 9000);
//! assert_eq!(loaded.config.http.body_limit, 2 * 1024 * 1024);
//! # Ok::<(), gateway_server::config::ConfigError>(())
//! ```

mod auth;
mod balance;
mod database;
mod http;
mod kept;
mod limit;
mod log;
mod message_log;
mod names;
mod orchestration;
mod origin;
mod public_url;
mod redact;
mod retention;
mod runtime;
mod secret;
mod shutdown;
mod source;
mod storage;
mod unit;
mod weak;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{File, FileFormat, Value, ValueKind};
use gateway_core::balance::InvalidPolicy;
use gateway_core::tenant::{Tier, TierName};
use gateway_core::worker::VitalsPolicy;
use serde::{Deserialize, Serialize};

pub use auth::{Auth, Registration};
pub use balance::Balance;
pub use database::{Database, Redis};
pub use http::Http;
pub use limit::{Limits, TierLimits};
pub use log::{Format, Log};
pub use message_log::MessageLog;
pub use orchestration::Orchestration;
pub use origin::{InvalidOrigin, Origin};
pub use public_url::{InvalidPublicUrl, PublicUrl};
pub use redact::{Secret, ServiceUrl};
pub use retention::Retention;
pub use runtime::{Runtime, Shape};
pub use secret::{SecretCheck, SecretError, Secrets, StateKey};
pub use shutdown::ShutdownOptions;
pub use source::Source;
pub use storage::Storage;
pub use worker::Workers;

/// Every option with its default and a comment.
pub const DEFAULTS: &str = include_str!("../../gateway.default.toml");

/// The whole configuration, typed and checked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub http: Http,
    /// Where requests are served.
    pub runtime: Runtime,
    pub shutdown: ShutdownOptions,
    pub database: Database,
    /// The coordinator of several replicas.
    pub redis: Redis,
    pub auth: Auth,
    /// Limits that hold for everybody.
    pub limits: Limits,
    pub tiers: BTreeMap<String, TierLimits>,
    /// How workers are chosen.
    pub balance: Balance,
    /// Time limits of sessions and workers.
    pub orchestration: Orchestration,
    /// The fleet's credentials and reach.
    pub workers: Workers,
    /// How facts about messages are written.
    pub message_log: MessageLog,
    /// How long each kind of record is kept.
    pub retention: Retention,
    pub storage: Storage,
    pub log: Log,
}

/// A configuration, and a warning about the environment it came from.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// A sentence to be logged once, about variables that have no meaning here.
    pub warning: Option<String>,
}

/// Why the server cannot start with this configuration. The text says what to change.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read or is not TOML.
    #[error("cannot use the configuration file {}: {why}", path.display())]
    File {
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A variable that looks like one of ours and is none.
    #[error("unknown variable {0}: every option is listed in gateway.default.toml")]
    UnknownVariable(String),
    /// Two variables for the same option.
    #[error("{0} and {1} set the same option: keep one of them")]
    SetTwice(String, String),
    /// A value of the wrong type, or an unknown key.
    #[error(transparent)]
    Value(#[from] config::ConfigError),
    /// Weights that cannot work.
    #[error("balance.weights cannot be used")]
    Balance(#[from] InvalidPolicy),
    /// A value that cannot work.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A value of the wrong type, or one that cannot work, that an environment variable has set.
    #[error("variable {variable} cannot be used: {why}")]
    Variable {
        /// The variable's name, as it was set.
        variable: String,
        /// What is wrong with its value. Names the option.
        why: String,
    },
}

impl ConfigError {
    /// Adds the name of the variable that has set the option, so that whoever set it need not know the
    /// option.
    fn naming_variable(self, set_by: &names::SetBy) -> Self {
        let key = match &self {
            Self::Invalid(invalid) => Some(invalid.key),
            Self::Value(
                config::ConfigError::Type { key, .. } | config::ConfigError::At { key, .. },
            ) => key.as_deref(),
            _ => None,
        };
        // A key may end with a place in a list.
        let option = key.and_then(|key| key.split('[').next());
        let Some(variable) = option.and_then(|option| set_by.get(option)) else {
            return self;
        };
        let why = self.to_string();
        let origin = format!(" in variable {variable}");
        Self::Variable {
            variable: variable.clone(),
            why: why.strip_suffix(&origin).unwrap_or(&why).to_owned(),
        }
    }
}

/// A value of the right type that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} {why}")]
pub struct Invalid {
    /// The option, as in the file.
    pub key: &'static str,
    /// What it must be.
    pub why: &'static str,
}

impl Invalid {
    fn unless(key: &'static str, holds: bool, why: &'static str) -> Result<(), Self> {
        if holds {
            Ok(())
        } else {
            Err(Self { key, why })
        }
    }

    fn unless_positive<const N: usize>(spans: [(&'static str, Duration); N]) -> Result<(), Self> {
        let zero = spans.iter().find(|(_, span)| span.is_zero());
        zero.map_or(Ok(()), |(key, _)| {
            Err(Self {
                key,
                why: "must be longer than 0",
            })
        })
    }
}

/// Where tenants, sessions and messages are stored (R-1, R-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A SQLite file in the data folder.
    Embedded,
    Cluster,
}

impl Config {
    /// Reads the defaults, then `file` (else the one that `GATEWAY_CONFIG` names, else none), then the
    /// variables of `source`, and checks the result.
    ///
    /// # Errors
    /// An unreadable file, an unknown key or variable, or a value that cannot work.
    pub fn load(source: &Source, file: Option<&Path>) -> Result<Loaded, ConfigError> {
        let file = file.or_else(|| source.variable(names::FILE).map(Path::new));
        let (mut options, in_file) = merged(file)?;
        let set_by = names::apply(source, &mut options)?;
        let root = Value::new(None, ValueKind::Table(options));
        let config = Self::deserialize(root).map_err(ConfigError::from);
        let checked = config.and_then(|config| config.check().map(|()| config));
        let mut config = checked.map_err(|error| error.naming_variable(&set_by))?;
        for (name, plan) in &mut config.tiers {
            let prefix = format!("tiers.{name}.");
            let in_variable = set_by.keys().any(|option| option.starts_with(&prefix));
            plan.is_configured = in_variable || in_file.contains(name);
        }
        Ok(Loaded {
            config,
            warning: names::warning(source),
        })
    }

    /// Returns the mode that the database options imply.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match self.database.url {
            Some(_) => Mode::Cluster,
            None => Mode::Embedded,
        }
    }

    /// Returns how long the server goes on serving after it was asked to stop.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.shutdown.grace(self.mode(), self.http.shutdown_timeout)
    }

    /// Converts the plans into the core's form: those that the configuration file or a variable names, and
    /// the defaults.
    #[must_use]
    pub fn plans(&self) -> Vec<Tier> {
        self.tiers
            .iter()
            .filter_map(|(name, limits)| limits.named(name))
            .collect()
    }

    /// Returns whether the configuration file or a variable names the plan.
    #[must_use]
    pub fn configures(&self, plan: &TierName) -> bool {
        let limits = self.tiers.get(plan.as_str());
        limits.is_some_and(|limits| limits.is_configured)
    }

    /// Converts the options of worker observation into the core's policy.
    #[must_use]
    pub fn vitals_policy(&self) -> VitalsPolicy {
        VitalsPolicy {
            heartbeat: self.orchestration.heartbeat,
            probe_every: self.workers.health_check_interval,
            ..VitalsPolicy::default()
        }
    }

    /// Returns one `key = value` line per option, sorted, with secrets masked; itself a valid file.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut lines = String::new();
        // A struct of plain values always serialises.
        describe(
            "",
            &serde_json::to_value(self).unwrap_or_default(),
            &mut lines,
        );
        lines
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.balance.policy()?;
        self.http.check()?;
        self.shutdown.check(self.http.shutdown_timeout)?;
        self.database.check()?;
        self.redis.check(&self.database)?;
        self.auth.check()?;
        self.limits.check()?;
        self.orchestration.check()?;
        self.retention.check()?;
        self.workers.check()?;
        self.message_log.check()?;
        self.log.check()?;
        let named = self.plans().len() == self.tiers.len();
        Invalid::unless(
            "tiers",
            named,
            "must have names of capital letters, digits and _",
        )?;
        Ok(())
    }
}

/// Returns the defaults with `file` on top, and the plans that the file names.
fn merged(
    file: Option<&Path>,
) -> Result<(config::Map<String, Value>, BTreeSet<String>), ConfigError> {
    let defaults = File::from_str(DEFAULTS, FileFormat::Toml);
    let mut builder = config::Config::builder().add_source(defaults);
    let mut plans = BTreeSet::new();
    if let Some(path) = file {
        let bad = |why: String| ConfigError::File {
            path: path.to_owned(),
            why,
        };
        let text = Source::read(path).map_err(|error| bad(error.to_string()))?;
        let parsed = File::from_str(&text, FileFormat::Toml);
        // Parsed here once more so that the message names the file.
        let options = config::Source::collect(&parsed);
        let options = options.map_err(|error| bad(in_one_line(&error.to_string())))?;
        if let Some(ValueKind::Table(named)) = options.get("tiers").map(|tiers| &tiers.kind) {
            plans.extend(named.keys().cloned());
        }
        builder = builder.add_source(parsed);
    }
    Ok((config::Source::collect(&builder.build()?)?, plans))
}

/// Shortens a parser's message to one line: it draws the place over several lines, of which the first
/// says where it is and the last what is wrong.
fn in_one_line(drawing: &str) -> String {
    let lines: Vec<&str> = drawing
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    match lines.as_slice() {
        [first, .., last] => format!("{first}: {last}"),
        other => other.concat(),
    }
}

fn describe(key: &str, value: &serde_json::Value, lines: &mut String) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if key.is_empty() { "" } else { "." };
                describe(&format!("{key}{dot}{name}"), value, lines);
            }
        }
        value => lines.push_str(&format!("{key} = {value}\n")),
    }
}

#[cfg(test)]
mod tests;
