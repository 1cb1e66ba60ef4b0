//! How the winner is found among the workers that suit.
//!
//! A strategy decides two things: by what the index is ordered, and which candidate to take. The
//! first is asked when a worker changes, the second at every pick, so a strategy that only wants
//! another order costs nothing at a pick.

mod least_sessions;
mod round_robin;
mod two_choices;
mod weighted;

use std::fmt::Debug;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::field::{Candidate, Field};
use super::snapshot::WorkerSnapshot;
use crate::entropy::Entropy;

/// What a fleet's index is ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexOrder {
    /// By the weighted score and the request's tenant spread.
    Score,
    /// By [`Strategy::rank`]; spread is ignored.
    Rank,
}

/// A way to choose. A fleet asks one strategy for its whole life.
pub trait Strategy: Debug + Send + Sync {
    /// Returns the name that explanations use.
    fn name(&self) -> &'static str;

    /// Returns what the index is ordered by; must always return the same.
    fn order(&self) -> IndexOrder {
        IndexOrder::Score
    }

    /// Returns the rank of a worker under [`IndexOrder::Rank`], smaller is better; equals take turns. Must
    /// depend on nothing but the snapshot.
    fn rank(&self, _worker: &WorkerSnapshot) -> u64 {
        0
    }

    /// Takes one of the candidates; `None` only if there are none. The default takes the first in order.
    fn choose<'a>(&self, field: &Field<'a>, _entropy: &dyn Entropy) -> Option<Candidate<'a>> {
        field.first()
    }
}

/// The built-in strategies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StrategyKind {
    #[default]
    Weighted,
    /// The better of two drawn at random.
    TwoChoices,
    /// The fewest sessions, assigned or reserved.
    LeastSessions,
    /// The worker that was picked longest ago.
    RoundRobin,
}

impl From<StrategyKind> for Arc<dyn Strategy> {
    fn from(kind: StrategyKind) -> Self {
        match kind {
            StrategyKind::Weighted => Arc::new(weighted::Weighted),
            StrategyKind::TwoChoices => Arc::new(two_choices::TwoChoices),
            StrategyKind::LeastSessions => Arc::new(least_sessions::LeastSessions),
            StrategyKind::RoundRobin => Arc::new(round_robin::RoundRobin),
        }
    }
}
