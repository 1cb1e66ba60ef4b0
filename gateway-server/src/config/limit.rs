//! `[limits]` and `[tiers]`: how much a caller may ask for.

use std::time::Duration;

use gateway_core::tenant::{Tier, TierName};
use serde::{Deserialize, Serialize};

use super::Invalid;
use super::unit::duration;

/// Limits that apply to every caller.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The window of `address_requests`.
    #[serde(with = "duration")]
    pub address_window: Duration,
    /// Requests without a valid credential per address and window.
    pub address_requests: u32,
}

impl Limits {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        Invalid::unless_positive([("limits.address_window", self.address_window)])?;
        Invalid::unless(
            "limits.address_requests",
            self.address_requests > 0,
            "must be more than 0",
        )
    }
}

/// What a plan allows; its name is the key of its table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TierLimits {
    /// The most sessions of a tenant.
    pub sessions: u32,
    /// The most requests with API keys per clock hour.
    pub requests_per_hour: u64,
    /// The most webhook endpoints of a tenant.
    pub webhook_endpoints: u32,
    /// Days that messages are kept.
    pub history_days: u32,
    /// The order of placement on mass failover: sessions of a higher priority come first.
    pub priority: u8,
    /// Whether the configuration file or a variable names the plan; else it is one of the defaults.
    #[serde(skip)]
    pub is_configured: bool,
}

impl TierLimits {
    /// Converts these limits into the core's plan called `name`. Returns `None` if that is not a valid
    /// name.
    pub(super) fn named(&self, name: &str) -> Option<Tier> {
        let parsed = TierName::parse(name)
            .ok()
            .filter(|parsed| parsed.as_str() == name)?;
        Some(Tier {
            name: parsed,
            sessions: self.sessions,
            requests_per_hour: self.requests_per_hour,
            webhook_endpoints: self.webhook_endpoints,
            history_days: self.history_days,
            priority: self.priority,
        })
    }
}
