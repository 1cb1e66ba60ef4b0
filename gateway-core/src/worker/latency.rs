//! How long a worker's commands take, as a moving average.
//!
//! The weight of a value falls with the *time* since it was measured, not with the number of later ones: a
//! worker with a thousand commands a second and one that is only probed are comparable.

use std::time::Duration;

use crate::time::Uptime;

/// The time after which an earlier value weighs 1/e.
const MEMORY: Duration = Duration::from_secs(30);
/// The least weight of a new value, so that values of one moment count, too.
const LEAST_WEIGHT: f64 = 0.02;

/// An exponentially weighted moving average of durations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LatencyAverage(Option<Average>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Average {
    millis: f64,
    at: Uptime,
}

impl LatencyAverage {
    /// Adds a command that took `took` and ended at `now`.
    pub fn add(&mut self, took: Duration, now: Uptime) {
        let new = took.as_secs_f64() * 1_000.0;
        let millis = match self.0 {
            None => new,
            Some(known) => {
                let age = now.since(known.at).as_secs_f64() / MEMORY.as_secs_f64();
                let weight = (1.0 - (-age).exp()).max(LEAST_WEIGHT);
                known.millis + weight * (new - known.millis)
            }
        };
        self.0 = Some(Average { millis, at: now });
    }

    /// Returns the average in milliseconds, or none before the first command.
    #[must_use]
    pub fn millis(&self) -> Option<f64> {
        self.0.map(|average| average.millis)
    }
}
