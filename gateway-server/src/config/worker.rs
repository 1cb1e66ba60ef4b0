//! `[workers]`: who may be a worker, and where.

use std::time::Duration;

use gateway_core::message::SendLimits;
use gateway_core::worker::AllowedHost;
use serde::{Deserialize, Serialize};

use super::unit::{duration, optional};
use super::{Invalid, Secret};

/// The options of workers: how they register, where they may be, how long they may take.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Workers {
    /// The token that workers register with.
    #[serde(with = "optional")]
    pub bootstrap_token: Option<Secret>,
    /// The hosts at which workers may be.
    pub allowed_endpoints: Vec<AllowedHost>,
    /// The pause between two probes of `GET /health`, while a worker's heartbeats come in time.
    #[serde(with = "duration")]
    pub health_check_interval: Duration,
    /// The time limit of a command.
    #[serde(with = "duration")]
    pub command_timeout: Duration,
    /// The time limit of a send.
    #[serde(with = "duration")]
    pub send_timeout: Duration,
}

impl Workers {
    /// Converts the time limits of a send into the core's form.
    #[must_use]
    pub fn send_limits(&self) -> SendLimits {
        SendLimits {
            worker: self.send_timeout,
        }
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        Invalid::unless_positive([
            ("workers.health_check_interval", self.health_check_interval),
            ("workers.command_timeout", self.command_timeout),
            ("workers.send_timeout", self.send_timeout),
        ])
    }
}
