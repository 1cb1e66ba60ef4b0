//! The answer of a pick, and the reasons for it.
//!
//! A choice without its reasons cannot be argued with afterwards, so they are one value and go into
//! the placement history together. Names and sentences are borrowed from the factors: explaining a
//! pick costs one allocation.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::filter::FilterReason;
use crate::id::{Incarnation, WorkerId};

/// The worker that was chosen, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    pub worker: WorkerId,
    /// The run of the process that was chosen; a reservation names it, so that a restart in between
    /// is noticed.
    pub incarnation: Incarnation,
    pub explanation: Explanation,
}

/// Why a worker was chosen. Kept as JSON in the placement history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The strategy that chose.
    pub strategy: Cow<'static, str>,
    /// The worker's score, smaller is better: the sum of the weighted parts.
    pub score: f64,
    /// One part per factor, in the order of the policy.
    pub factors: Vec<FactorScore>,
    /// Added to the score because the worker holds sessions of the same tenant; 0 when it holds none
    /// or nothing was known.
    pub spread: f64,
    /// How many other workers suited the request. Those on its exclusion list are counted, too; where more
    /// than 64 kinds of worker exist, the kinds beyond that are not.
    pub runners_up: usize,
}

/// What one factor contributed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FactorScore {
    pub name: Cow<'static, str>,
    /// Its value in `0..=1`, smaller is better.
    pub raw: f64,
    /// Its weight; the weights of a policy sum to 1.
    pub weight: f64,
    pub weighted: f64,
    /// Whether the worker did not report the value, so that the fleet's median stands for it.
    pub assumed: bool,
    /// One sentence for humans.
    pub why: Cow<'static, str>,
}

/// The error of a pick: no worker can take the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoWorker {
    /// How many workers the fleet has.
    pub considered: usize,
    /// How many of them each filter ruled out; a worker counts once, under the first that applies.
    pub rejected: BTreeMap<FilterReason, u32>,
}

impl fmt::Display for NoWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.considered == 0 {
            return f.write_str("no worker is registered: start one");
        }
        write!(
            f,
            "none of {} workers can take the session",
            self.considered
        )?;
        for (position, (reason, count)) in self.rejected.iter().enumerate() {
            let separator = if position == 0 { ": " } else { ", " };
            write!(f, "{separator}{count} {reason}")?;
        }
        Ok(())
    }
}

impl std::error::Error for NoWorker {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_reasons() {
        let mut refusal = NoWorker {
            considered: 0,
            rejected: BTreeMap::new(),
        };
        assert_eq!(refusal.to_string(), "no worker is registered: start one");
        refusal.considered = 5;
        refusal.rejected = BTreeMap::from([(FilterReason::Full, 3), (FilterReason::Cordoned, 2)]);
        assert_eq!(
            refusal.to_string(),
            "none of 5 workers can take the session: 2 cordoned, 3 full"
        );
    }
}
