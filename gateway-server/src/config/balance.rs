//! `[balance]`: how a worker is chosen for a session.

use gateway_core::balance::{BalancePolicy, FACTORS, InvalidPolicy, StrategyKind, Weights};
use serde::{Deserialize, Serialize};

use super::unit::choice;

/// How a worker is chosen for a session: the strategy, and the weights of its factors.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    /// How the best worker is found.
    #[serde(deserialize_with = "choice")]
    pub strategy: StrategyKind,
    /// Weight by factor. The core knows the factors, so it also refuses unknown ones.
    pub weights: Weights,
}

impl Balance {
    /// Converts these options into the core's policy.
    ///
    /// # Errors
    /// [`InvalidPolicy`] if a weight names no factor or is negative, or if all are 0.
    pub fn policy(&self) -> Result<BalancePolicy, InvalidPolicy> {
        Ok(BalancePolicy::new(FACTORS, &self.weights)?.with_strategy(self.strategy))
    }
}
