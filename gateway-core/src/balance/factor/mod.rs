//! What makes one worker better than another.
//!
//! A factor is a pure function of a snapshot, in its own file: a number in `0..=1` (smaller is
//! better), a name, a default weight and one sentence for humans. To add one, write the file and add
//! a line to [`FACTORS`]. An embedder adds its own to the list it gives the policy.

mod capacity;
mod cpu;
mod health;
mod latency;
mod memory;
mod report_age;
mod stability;

use super::snapshot::WorkerSnapshot;

/// One reason to prefer a worker.
#[derive(Clone, Copy, Debug)]
pub struct Factor {
    pub(super) name: &'static str,
    pub(super) weight: f64,
    pub(super) why: &'static str,
    pub(super) measure: fn(&WorkerSnapshot) -> Option<f64>,
}

impl Factor {
    /// Creates a factor called `name` with a default `weight`, a sentence for people and the function that
    /// measures it.
    ///
    /// `measure` must depend on nothing but the snapshot: it runs when a worker changes, not when one
    /// is picked. Its result is clamped to `0..=1`; `None` (or what is not a number) means that the
    /// worker does not know, and the fleet's median is used.
    #[must_use]
    pub const fn new(
        name: &'static str,
        weight: f64,
        why: &'static str,
        measure: fn(&WorkerSnapshot) -> Option<f64>,
    ) -> Self {
        Self {
            name,
            weight,
            why,
            measure,
        }
    }

    /// Returns the name that weights and explanations use.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the value for `worker` as it stands, unclamped; smaller is better.
    #[must_use]
    pub fn measure(&self, worker: &WorkerSnapshot) -> Option<f64> {
        (self.measure)(worker)
    }
}

/// The built-in factors.
pub const FACTORS: &[Factor] = &[
    capacity::CAPACITY,
    cpu::CPU,
    memory::MEMORY,
    health::HEALTH,
    stability::STABILITY,
    latency::LATENCY,
    report_age::REPORT_AGE,
];

/// Returns how hard a resource is pressed when `used` of it is in use: 0 at 0, 1 from `full` on; what is
/// not a number stays so.
///
/// Convex, like waiting time at a queue: the step from 70 % to 80 % hurts far more than the one from
/// 20 % to 30 %. In a straight line a worker at 85 % with few sessions would beat one at 50 % with
/// many, and would then be pushed over.
fn pressure(used: f64, full: f64) -> f64 {
    let curve = |share: f64| share * share / (1.0 - share);
    curve(used.clamp(0.0, full)) / curve(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_is_convex_and_ends_at_one() {
        let steps: Vec<f64> = (0u8..=10)
            .map(|tenth| pressure(f64::from(tenth) / 10.0, 0.95))
            .collect();
        assert_eq!((steps[0], steps[10]), (0.0, 1.0));
        assert_eq!(pressure(0.95, 0.95), 1.0);
        for window in steps[..10].windows(3) {
            assert!(window[2] - window[1] > window[1] - window[0], "{window:?}");
        }
    }
}
