//! The better of two drawn at random (Mitzenmacher, 2001).
//!
//! Robust where figures are old, since no single worker attracts everybody; with reservations that
//! count at once that is rarely needed, and about a quarter of a burst lands above the ideal level.

use super::Strategy;
use crate::balance::field::{Candidate, Field};
use crate::entropy::Entropy;

#[derive(Debug)]
pub(super) struct TwoChoices;

impl Strategy for TwoChoices {
    fn name(&self) -> &'static str {
        "two_choices"
    }

    fn choose<'a>(&self, field: &Field<'a>, entropy: &dyn Entropy) -> Option<Candidate<'a>> {
        match (field.draw(entropy), field.draw(entropy)) {
            (Some(one), Some(other)) if other.is_better_than(&one) => Some(other),
            (Some(one), _) | (None, Some(one)) => Some(one),
            (None, None) => field.first(),
        }
    }
}
