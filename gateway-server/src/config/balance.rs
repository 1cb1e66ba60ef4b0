//! `[balance]`: how a worker is chosen for a session.

use gateway_core::balance::{BalancePolicy, FACTORS, InvalidPolicy, StrategyKind, Weights};
use serde::{Deserialize, Serialize};

use super::unit::choice;

/// The strategy and what its factors count.
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
    /// The policy, as the core takes it.
    ///
    /// # Errors
    /// A weight names no factor, is negative, or all are 0.
    pub fn policy(&self) -> Result<BalancePolicy, InvalidPolicy> {
        Ok(BalancePolicy::new(FACTORS, &self.weights)?.with_strategy(self.strategy))
    }
}
