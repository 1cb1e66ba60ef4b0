//! The balancer against its contract: rules one by one, and properties over random fleets checked
//! with a naive scan.

mod burst;
mod oracle;
mod properties;
mod rules;
mod turns;

use std::sync::atomic::{AtomicU64, Ordering};

use gateway_core::balance::{BalancePolicy, Fleet, StrategyKind, WorkerSnapshot};
use gateway_core::entropy::Entropy;

/// Random bytes from a seed (splitmix64).
#[derive(Debug)]
struct Dice(AtomicU64);

impl Dice {
    fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Entropy for Dice {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let step = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            let mixed = (step ^ (step >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

fn fleet_of(kind: StrategyKind, workers: impl IntoIterator<Item = WorkerSnapshot>) -> Fleet {
    let mut fleet = Fleet::new(BalancePolicy::default().with_strategy(kind));
    for worker in workers {
        fleet.upsert(worker);
    }
    fleet
}
