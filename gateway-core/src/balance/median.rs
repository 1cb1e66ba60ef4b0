//! The running median of one factor over the fleet, to a thousandth.
//!
//! A missing number stands for the median, so the median is needed at every pick and may change with
//! every report. Counting values in a thousand buckets and moving a cursor costs a few steps per
//! change whatever the size of the fleet; two balanced halves would be exact to the last digit and
//! several times slower, for a guess.

use super::points::Points;

const BUCKETS: usize = 1001;
const WIDTH: u64 = 1_000_000;

/// Counts values in `0..=1` and knows the middle one (the lower of two).
#[derive(Clone, Debug)]
pub(super) struct Median {
    counts: Vec<u32>,
    total: u32,
    cursor: usize,
    below_cursor: u32,
}

fn bucket(value: Points) -> usize {
    let nearest = (value.0 + WIDTH / 2) / WIDTH;
    usize::try_from(nearest).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1))
}

impl Median {
    pub(super) fn new() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
            cursor: 0,
            below_cursor: 0,
        }
    }

    /// Removes `old` from the counted values and adds `new`.
    pub(super) fn replace(&mut self, old: Option<Points>, new: Option<Points>) {
        let (old, new) = (old.map(bucket), new.map(bucket));
        if old == new {
            return;
        }
        if let Some(index) = old {
            self.counts[index] -= 1;
            self.total -= 1;
            self.below_cursor -= u32::from(index < self.cursor);
        }
        if let Some(index) = new {
            self.counts[index] += 1;
            self.total += 1;
            self.below_cursor += u32::from(index < self.cursor);
        }
        self.settle();
    }

    /// Returns the median, or one half when no worker reports a value.
    pub(super) fn value(&self) -> Points {
        if self.total == 0 {
            return Points::HALF;
        }
        Points(self.cursor as u64 * WIDTH)
    }

    fn settle(&mut self) {
        if self.total == 0 {
            return;
        }
        let middle = self.total.div_ceil(2);
        while self.below_cursor >= middle {
            self.cursor -= 1;
            self.below_cursor -= self.counts[self.cursor];
        }
        while self.below_cursor + self.counts[self.cursor] < middle {
            self.below_cursor += self.counts[self.cursor];
            self.cursor += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thousandths(value: u64) -> Option<Points> {
        Some(Points(value * WIDTH))
    }

    #[test]
    fn nothing_known_is_one_half() {
        let mut median = Median::new();
        median.replace(None, thousandths(900));
        median.replace(thousandths(900), None);
        assert_eq!(median.value(), Points::HALF);
    }

    #[test]
    fn agrees_with_sorting_after_every_change() {
        let mut median = Median::new();
        let mut values: Vec<u64> = Vec::new();
        let mut state = 7u64;
        for step in 0..2_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let value = (state >> 33) % 1001;
            if step % 3 == 2 {
                let old = values.swap_remove((state >> 40) as usize % values.len());
                median.replace(thousandths(old), None);
            } else {
                values.push(value);
                median.replace(None, thousandths(value));
            }
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let middle = sorted[(sorted.len() - 1) / 2];
            assert_eq!(Some(median.value()), thousandths(middle), "step {step}");
        }
    }
}
