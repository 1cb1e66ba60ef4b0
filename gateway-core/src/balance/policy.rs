//! How a fleet is balanced: factors, weights, strategy.
//!
//! A policy that exists is valid. Weights are given by name and checked against the factors in one
//! place, then normalised, so `{capacity: 2, cpu: 1}` and `{capacity: 0.4, cpu: 0.2}` mean the same
//! shares of whatever the other factors leave.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::factor::{FACTORS, Factor};
use super::points::Points;
use super::strategy::{Strategy, StrategyKind};

const MAX_FACTORS: usize = 32;
const DEFAULT_SPREAD: f64 = 0.05;

/// Weights by factor name; a factor that is not named keeps its default weight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Weights(BTreeMap<String, f64>);

impl Weights {
    /// Sets the weight of `factor`; 0 switches the factor off.
    #[must_use]
    pub fn with(mut self, factor: impl Into<String>, weight: f64) -> Self {
        self.0.insert(factor.into(), weight);
        self
    }
}

/// Why a policy is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidPolicy {
    /// A weight names a factor the policy does not have.
    #[error("there is no factor {name}; known are {known}")]
    UnknownFactor {
        /// The name that was given.
        name: String,
        /// The names that exist, separated by commas.
        known: String,
    },
    /// A weight is negative or not a number.
    #[error("the weight of {name} is {weight}; it must be 0 or more")]
    Weight {
        name: String,
        /// The weight that was given.
        weight: f64,
    },
    /// All weights are zero.
    #[error("all weights are 0; give at least one factor a weight above 0")]
    NoWeight,
    /// Two factors have one name.
    #[error("two factors are called {name}; rename one")]
    Duplicate { name: &'static str },
    /// More factors than the index can tell apart.
    #[error("{count} factors are too many; use at most {MAX_FACTORS}")]
    TooMany {
        /// How many were given.
        count: usize,
    },
}

/// A factor with its share of the score.
#[derive(Clone, Copy, Debug)]
pub(super) struct WeightedFactor {
    pub(super) factor: Factor,
    pub(super) weight: Points,
}

/// How a fleet is balanced. The default is all of [`FACTORS`] with their default weights and
/// [`StrategyKind::Weighted`].
#[derive(Clone, Debug)]
pub struct BalancePolicy {
    pub(super) factors: Vec<WeightedFactor>,
    pub(super) strategy: Arc<dyn Strategy>,
    pub(super) spread: Points,
}

impl BalancePolicy {
    /// Creates a policy that scores by `factors` (usually [`FACTORS`] and one's own) with `weights`.
    ///
    /// # Errors
    /// A weight is negative or not a number, names no factor, or all are 0; two factors share a
    /// name; there are more than 32.
    pub fn new(factors: &[Factor], weights: &Weights) -> Result<Self, InvalidPolicy> {
        check_names(factors, weights)?;
        let given = |factor: &Factor| weights.0.get(factor.name).copied().unwrap_or(factor.weight);
        let raw: Vec<f64> = factors.iter().map(given).collect();
        for (factor, &weight) in factors.iter().zip(&raw) {
            if !weight.is_finite() || weight < 0.0 {
                return Err(InvalidPolicy::Weight {
                    name: factor.name.to_owned(),
                    weight,
                });
            }
        }
        if raw.iter().all(|&weight| weight == 0.0) {
            return Err(InvalidPolicy::NoWeight);
        }
        Ok(Self::assemble(factors, &raw))
    }

    /// Sets the strategy: a [`StrategyKind`] or one's own `Arc<dyn Strategy>`.
    #[must_use]
    pub fn with_strategy(mut self, strategy: impl Into<Arc<dyn Strategy>>) -> Self {
        self.strategy = strategy.into();
        self
    }

    /// Sets the price of tenant spread: what a worker that holds *all* other sessions of the tenant pays on
    /// top of its score; one that holds a tenth pays a tenth. Clamped to `0..=1`; 0.05 unless set.
    #[must_use]
    pub fn with_spread(mut self, price: f64) -> Self {
        self.spread = Points::of(price).unwrap_or_default();
        self
    }

    fn assemble(factors: &[Factor], weights: &[f64]) -> Self {
        let largest = weights.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let sum: f64 = weights.iter().map(|weight| weight / largest).sum();
        let share = |weight: f64| Points::of(weight / largest / sum).unwrap_or_default();
        let weighted = factors.iter().zip(weights);
        Self {
            factors: weighted
                .map(|(&factor, &weight)| WeightedFactor {
                    factor,
                    weight: share(weight),
                })
                .collect(),
            strategy: StrategyKind::Weighted.into(),
            spread: Points::of(DEFAULT_SPREAD).unwrap_or_default(),
        }
    }
}

impl Default for BalancePolicy {
    fn default() -> Self {
        let weights: Vec<f64> = FACTORS.iter().map(|factor| factor.weight).collect();
        Self::assemble(FACTORS, &weights)
    }
}

fn check_names(factors: &[Factor], weights: &Weights) -> Result<(), InvalidPolicy> {
    if factors.len() > MAX_FACTORS {
        return Err(InvalidPolicy::TooMany {
            count: factors.len(),
        });
    }
    for (position, factor) in factors.iter().enumerate() {
        if factors[..position]
            .iter()
            .any(|earlier| earlier.name == factor.name)
        {
            return Err(InvalidPolicy::Duplicate { name: factor.name });
        }
    }
    let known: Vec<&str> = factors.iter().map(|factor| factor.name).collect();
    match weights
        .0
        .keys()
        .find(|name| !known.contains(&name.as_str()))
    {
        Some(name) => Err(InvalidPolicy::UnknownFactor {
            name: name.clone(),
            known: known.join(", "),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(policy: &BalancePolicy) -> Vec<f64> {
        policy
            .factors
            .iter()
            .map(|part| part.weight.as_f64())
            .collect()
    }

    #[test]
    fn the_default_weights_are_those_of_the_specification() {
        let policy = BalancePolicy::default();
        assert_eq!(shares(&policy), [0.30, 0.20, 0.15, 0.15, 0.10, 0.05, 0.05]);
    }

    #[test]
    fn weights_are_normalised() {
        let weights = Weights::default().with("cpu", 3.0).with("memory", 1.0);
        let two: Vec<Factor> = FACTORS.iter().copied().skip(1).take(2).collect();
        let policy = BalancePolicy::new(&two, &weights);
        assert_eq!(
            policy.map(|policy| shares(&policy)).ok(),
            Some(vec![0.75, 0.25])
        );
    }

    #[test]
    fn huge_weights_do_not_overflow() {
        let weights = Weights::default()
            .with("cpu", f64::MAX)
            .with("memory", f64::MAX);
        let policy = BalancePolicy::new(&FACTORS[1..3], &weights);
        assert_eq!(
            policy.map(|policy| shares(&policy)).ok(),
            Some(vec![0.5, 0.5])
        );
    }

    #[test]
    fn a_bad_policy_says_what_to_change() {
        let refusal = |weights: Weights| match BalancePolicy::new(&FACTORS[..2], &weights) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        assert_eq!(
            refusal(Weights::default().with("cpus", 1.0)),
            "there is no factor cpus; known are capacity, cpu"
        );
        assert_eq!(
            refusal(Weights::default().with("cpu", -1.0)),
            "the weight of cpu is -1; it must be 0 or more"
        );
        assert_eq!(
            refusal(Weights::default().with("cpu", 0.0).with("capacity", 0.0)),
            "all weights are 0; give at least one factor a weight above 0"
        );
        let twice = BalancePolicy::new(&[FACTORS[0], FACTORS[0]], &Weights::default());
        assert!(matches!(
            twice,
            Err(InvalidPolicy::Duplicate { name: "capacity" })
        ));
    }
}
