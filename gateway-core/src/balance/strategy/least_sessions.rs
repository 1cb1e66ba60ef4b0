//! The fewest sessions. Counts, not shares: for fleets whose workers are alike and report nothing.

use super::{IndexOrder, Strategy};
use crate::balance::snapshot::WorkerSnapshot;

#[derive(Debug)]
pub(super) struct LeastSessions;

impl Strategy for LeastSessions {
    fn name(&self) -> &'static str {
        "least_sessions"
    }

    fn order(&self) -> IndexOrder {
        IndexOrder::Rank
    }

    fn rank(&self, worker: &WorkerSnapshot) -> u64 {
        u64::from(worker.sessions())
    }
}
