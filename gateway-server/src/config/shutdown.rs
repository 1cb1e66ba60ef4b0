//! `[shutdown]`: how the server stops.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::unit::optional_duration;
use super::{Invalid, Mode};

/// What a load balancer gets to notice that this server is not ready any more, where there is one.
const BEHIND_A_BALANCER: Duration = Duration::from_secs(5);

/// The options of a stop.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ShutdownOptions {
    /// How long the server goes on serving after it was asked to stop; if it is not set, 5 s in cluster mode,
    /// and not at all embedded.
    #[serde(with = "optional_duration")]
    pub grace: Option<Duration>,
}

impl ShutdownOptions {
    /// Returns how long a server goes on serving after it was asked to stop, if the whole stop may take
    /// `limit`.
    pub(super) fn grace(self, mode: Mode, limit: Duration) -> Duration {
        let usual = match mode {
            Mode::Cluster => BEHIND_A_BALANCER.min(limit / 2),
            Mode::Embedded => Duration::ZERO,
        };
        self.grace.unwrap_or(usual)
    }

    pub(super) fn check(self, limit: Duration) -> Result<(), Invalid> {
        Invalid::unless(
            "shutdown.grace",
            self.grace.is_none_or(|grace| grace <= limit / 2),
            "must be at most half of http.shutdown_timeout, which includes it",
        )
    }
}
