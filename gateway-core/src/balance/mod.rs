//! Which worker gets a session (R-30 to R-32).
//!
//! The answer is always the same question asked in two steps. *May* this worker take the session?
//! Hard filters say no, each with one named reason ([`FilterReason`]). *Should* it? Every
//! [`Factor`] turns a [`WorkerSnapshot`] into a number in `0..=1`, smaller is better, and the
//! weighted sum of them is the score.
//!
//! **Exact best, not a sample.** Sessions stay for weeks, so a bad placement is paid for a long
//! time, and comparing all workers is cheap once they are kept in order. Sampling (two choices) puts
//! about a quarter of a burst above the ideal level; the exact best with reservations that count at
//! once misplaces next to nothing. Sampling is on offer as [`StrategyKind::TwoChoices`] for those
//! who prefer a worker that is hard to predict.
//!
//! **An index, not a scan.** What does not depend on the request is worked out when a worker changes
//! ([`Fleet::upsert`], [`Fleet::reserve`], [`Fleet::release`]); a pick reads the head of an ordered
//! index.
//!
//! **Unknown is average.** A worker that does not know its memory use counts as the fleet's median,
//! never as empty: otherwise whatever stops reporting would be flooded.
//!
//! # The contract of a choice
//!
//! * The chosen worker passes every hard filter at the moment of the pick.
//! * Under [`StrategyKind::Weighted`] no other such worker has a smaller score (plus the adjustment
//!   for tenant spread, which is a preference and never leaves a session unplaced).
//! * Equal workers take turns: those never picked first, in the order they came, then the one whose
//!   last pick lies furthest back. The same sequence of calls gives the same answers.
//! * The [`Explanation`] adds up: its weighted parts sum to its score.
//! * A pick reserves nothing. The caller reserves, tries the conditional write in the store (the
//!   only judge of capacity over several replicas), and on a lost race releases and asks again with
//!   that worker in [`Request::exclude`].
//!
//! ```
//! use gateway_core::balance::{BalancePolicy, Fleet, Request, WorkerSnapshot};
//! use gateway_core::entropy::Entropy;
//! use gateway_core::id::{Incarnation, WorkerId};
//!
//! #[derive(Debug)]
//! struct NoDice;
//! impl Entropy for NoDice {
//!     fn fill(&self, bytes: &mut [u8]) {
//!         bytes.fill(0);
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut fleet = Fleet::new(BalancePolicy::default());
//! for (name, assigned) in [("worker-a", 40), ("worker-b", 10)] {
//!     let run = Incarnation::parse("0123456789")?;
//!     let mut worker = WorkerSnapshot::new(WorkerId::parse(name)?, run, 50);
//!     worker.assigned = assigned;
//!     fleet.upsert(worker);
//! }
//!
//! let choice = fleet.pick(&Request::default(), &NoDice)?;
//! assert_eq!(choice.worker.as_str(), "worker-b");
//! assert_eq!(choice.explanation.factors[0].name, "capacity");
//! assert_eq!(choice.explanation.factors[0].raw, 0.2);
//! assert!(fleet.reserve(&choice.worker));
//! # Ok(())
//! # }
//! ```

mod explain;
mod factor;
mod field;
mod filter;
mod fleet;
mod index;
mod median;
mod points;
mod policy;
mod shape;
mod snapshot;
mod strategy;

pub use explain::{Choice, Explanation, FactorScore, NoWorker};
pub use factor::{FACTORS, Factor};
pub use field::{Candidate, Field};
pub use filter::{FilterReason, Request};
pub use fleet::Fleet;
pub use policy::{BalancePolicy, InvalidPolicy, Weights};
pub use snapshot::{Load, WorkerSnapshot};
pub use strategy::{IndexOrder, Strategy, StrategyKind};

use crate::entropy::Entropy;

/// Chooses one of `workers` without keeping a [`Fleet`]: for planners that try things out.
///
/// Costs as much as filling a fleet; whoever picks more than once keeps one.
///
/// # Errors
/// No worker passes the filters.
pub fn choose(
    policy: BalancePolicy,
    workers: impl IntoIterator<Item = WorkerSnapshot>,
    request: &Request,
    entropy: &dyn Entropy,
) -> Result<Choice, NoWorker> {
    let mut fleet = Fleet::new(policy);
    for worker in workers {
        fleet.upsert(worker);
    }
    fleet.pick(request, entropy)
}
