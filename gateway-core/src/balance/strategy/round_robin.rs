//! Everyone in turn. All workers rank the same, and equals take turns.

use super::{IndexOrder, Strategy};

#[derive(Debug)]
pub(super) struct RoundRobin;

impl Strategy for RoundRobin {
    fn name(&self) -> &'static str {
        "round_robin"
    }

    fn order(&self) -> IndexOrder {
        IndexOrder::Rank
    }
}
