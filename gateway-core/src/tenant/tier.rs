//! Plans as data: an operator changes one without a release.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{InvalidSlug, SessionName};

/// The name of a tier, upper case: `BASIC`, `PRO`, `MAX`, or whatever the operator adds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TierName(String);

impl TierName {
    /// Normalises a name: slug rules, upper case, `_` for `-`.
    ///
    /// # Errors
    /// Nothing is left, or more than 64 characters.
    pub fn parse(text: &str) -> Result<Self, InvalidSlug> {
        let slug = SessionName::parse(text)?;
        Ok(Self(slug.as_str().to_uppercase().replace('-', "_")))
    }

    /// Returns the normalised name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for TierName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for TierName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TierName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A plan and its limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tier {
    pub name: TierName,
    /// How many sessions a tenant may have at the same time.
    pub sessions: u32,
    /// How many requests with an API key a tenant may make per clock hour (UTC).
    pub requests_per_hour: u64,
    /// How many webhook endpoints a tenant may have.
    pub webhook_endpoints: u32,
    /// For how many days messages are kept.
    pub history_days: u32,
    /// Placement priority on mass failover; larger is served first.
    pub priority: u8,
}

impl Tier {
    /// Returns the three plans that a new gateway has.
    #[must_use]
    pub fn defaults() -> [Self; 3] {
        let tier = |name: &str, sessions, requests_per_hour, history_days, priority| Self {
            name: TierName(name.to_owned()),
            sessions,
            requests_per_hour,
            webhook_endpoints: sessions,
            history_days,
            priority,
        };
        [
            tier("BASIC", 1, 100, 7, 1),
            tier("PRO", 5, 1_000, 30, 2),
            tier("MAX", 20, 10_000, 90, 3),
        ]
    }
}
