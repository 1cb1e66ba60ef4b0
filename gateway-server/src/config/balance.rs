//! `[balance]`: how a worker is chosen for a session.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Invalid;
use super::unit::choice;

/// The strategy and what its factors count.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    /// How the best worker is found.
    #[serde(deserialize_with = "choice")]
    pub strategy: Strategy,
    /// Weight by factor. A map and not a struct, because a new factor is one file in the core; names
    /// that no factor has are refused when the balancer is built.
    pub weights: BTreeMap<String, f64>,
}

/// The strategies of R-31.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The best weighted sum of all factors.
    WeightedScore,
    /// The better of two random workers.
    PowerOfTwoChoices,
    /// The fewest sessions.
    LeastSessions,
    /// One after the other.
    RoundRobin,
}

impl Balance {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let usable = |weight: &f64| weight.is_finite() && *weight >= 0.0;
        let all = self.weights.values().all(usable);
        Invalid::unless("balance.weights", all, "must be numbers of at least 0")?;
        let some = self.weights.values().any(|weight| *weight > 0.0);
        Invalid::unless("balance.weights", some, "must not all be 0")
    }
}
