//! Scores as whole billionths.
//!
//! Sums of floating-point numbers depend on their order, so two workers that are equal could differ
//! in the last bit and a tie would never be seen. Whole numbers add up exactly: the parts of an
//! explanation sum to its score, equal workers tie, and the index needs no order on floats. Nine
//! decimals also survive JSON without a change.

use std::iter::Sum;
use std::ops::Add;

const ONE: u64 = 1_000_000_000;

/// A number in billionths; factors and weights lie in `0..=1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Points(pub(super) u64);

impl Points {
    pub(super) const ZERO: Self = Self(0);
    pub(super) const HALF: Self = Self(ONE / 2);

    /// Returns the nearest billionth to `share`, clamped to `0..=1`; `None` when it is not a number.
    pub(super) fn of(share: f64) -> Option<Self> {
        let billionths = (share.clamp(0.0, 1.0) * ONE as f64).round();
        (!share.is_nan()).then_some(Self(billionths as u64))
    }

    /// Returns the product of two numbers in `0..=1`, rounded.
    pub(super) fn times(self, share: Self) -> Self {
        Self((self.0 * share.0 + ONE / 2) / ONE)
    }

    /// Returns this number times `part / whole`, rounded down; zero when `whole` is zero.
    pub(super) fn share(self, part: u64, whole: u64) -> Self {
        let product = u128::from(self.0) * u128::from(part.min(whole));
        let quotient = product.checked_div(u128::from(whole)).unwrap_or(0);
        Self(u64::try_from(quotient).unwrap_or(self.0))
    }

    pub(super) fn as_f64(self) -> f64 {
        self.0 as f64 / ONE as f64
    }
}

impl Add for Points {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Points {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_clamped_and_nonsense_is_unknown() {
        assert_eq!(Points::of(-3.0), Some(Points::ZERO));
        assert_eq!(Points::of(f64::INFINITY), Some(Points(ONE)));
        assert_eq!(Points::of(f64::NAN), None);
        assert_eq!(Points::of(0.25).map(Points::as_f64), Some(0.25));
    }

    #[test]
    fn products_stay_in_range() {
        let half = Points::HALF;
        assert_eq!(half.times(half).as_f64(), 0.25);
        assert_eq!(Points(ONE).times(Points(ONE)), Points(ONE));
        assert_eq!(half.share(1, 2).as_f64(), 0.25);
        assert_eq!(half.share(1, 0), Points::ZERO);
    }
}
