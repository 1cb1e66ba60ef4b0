//! Randomness that can be repeated.

use std::sync::{Mutex, PoisonError};

use gateway_core::entropy::Entropy;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Random bytes from a seed: the same seed gives the same bytes in the same order.
///
/// Print [`SeededEntropy::seed`] when a randomised test fails; its `Debug` form shows nothing else.
pub struct SeededEntropy {
    seed: u64,
    rng: Mutex<StdRng>,
}

impl SeededEntropy {
    /// Makes the sequence that belongs to `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            rng: Mutex::new(StdRng::seed_from_u64(seed)),
        }
    }

    /// Returns the seed, to be given to [`SeededEntropy::new`] again.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }
}

impl std::fmt::Debug for SeededEntropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SeededEntropy::new({})", self.seed)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        rng.fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_seed_repeats_the_run() {
        let first = SeededEntropy::new(7);
        let again = SeededEntropy::new(first.seed());
        let draw = |entropy: &SeededEntropy| [entropy.next_u64(), entropy.next_u64()];
        assert_eq!(draw(&first), draw(&again));
        assert_ne!(draw(&first), draw(&SeededEntropy::new(7)));
    }
}
