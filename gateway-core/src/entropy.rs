//! Randomness as a port.
//!
//! Nothing in this crate draws randomness on its own: every generated id, jitter and token takes an
//! [`Entropy`], so that a run can be replayed from a seed.

use std::fmt::Debug;

/// A source of random bytes.
///
/// Production implementations must be cryptographically secure: ids, tokens and API keys are drawn
/// from here. `gateway_worker::system::OsEntropy` is one. Test implementations are seeded.
pub trait Entropy: Debug + Send + Sync {
    /// Fills `bytes` with fresh random bytes.
    fn fill(&self, bytes: &mut [u8]);

    /// Returns a uniformly distributed number.
    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Returns a uniformly distributed number in `0..bound`; 0 when `bound` is 0.
    ///
    /// Multiplication instead of a remainder (Lemire, 2019); the bias is below 2⁻⁶⁴·`bound`.
    fn below(&self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }
}
