//! The clock of a worker, which may be wrong.

use crate::time::Timestamp;

/// Reads times of a worker's clock as their distance from the moment at which the worker sent them, so that
/// it does not matter what its clock says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkerClock {
    sent_at: Timestamp,
    now: Timestamp,
}

impl WorkerClock {
    /// Creates the clock of what arrives at `now`. A worker that does not say when it sent something is taken
    /// to have the right time.
    pub(crate) fn new(sent_at: Option<Timestamp>, now: Timestamp) -> Self {
        Self {
            sent_at: sent_at.unwrap_or(now),
            now,
        }
    }

    /// Returns what is `at` by the worker's clock, by the gateway's own.
    pub(crate) fn here(self, at: Timestamp) -> Timestamp {
        let ahead = self.now.plus(at.since(self.sent_at));
        ahead.minus(self.sent_at.since(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_as_far_from_now_as_it_was_from_when_it_was_sent() {
        let at = Timestamp::from_micros;
        for (sent_at, said, here) in [
            (Some(at(1_000)), at(1_060), at(560)),
            (Some(at(1_000)), at(940), at(440)),
            (Some(at(1)), at(61), at(560)),
            (None, at(560), at(560)),
        ] {
            let clock = WorkerClock::new(sent_at, at(500));
            assert_eq!(clock.here(said), here, "{sent_at:?}");
        }
    }
}
