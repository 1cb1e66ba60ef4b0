//! The exact best by score: what the index is ordered by anyway.

use super::Strategy;

#[derive(Debug)]
pub(super) struct Weighted;

impl Strategy for Weighted {
    fn name(&self) -> &'static str {
        "weighted"
    }
}
