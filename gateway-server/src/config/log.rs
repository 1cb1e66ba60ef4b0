//! `[log]`: what is logged, and how.

use serde::{Deserialize, Serialize};

use super::Invalid;
use super::unit::choice;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The options of the log on standard error.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// A level, or levels per module.
    pub level: String,
    /// The form of a line.
    #[serde(deserialize_with = "choice")]
    pub format: Format,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object per line.
    Json,
    Pretty,
}

impl Log {
    /// Refuses unknown levels: the filter's own parser would take one for the name of a module and then
    /// log nothing.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let known = |level: &str| LEVELS.contains(&level.trim().to_ascii_lowercase().as_str());
        let part = |part: &str| known(part.rsplit('=').next().unwrap_or(part));
        let good = self.level.split(',').all(part);
        Invalid::unless(
            "log.level",
            good,
            "must be off, error, warn, info, debug or trace, or a list such as info,gateway_core=debug",
        )
    }
}
