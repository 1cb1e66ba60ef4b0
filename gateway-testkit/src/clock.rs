//! A clock that moves only when it is told to.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gateway_core::time::{Clock, Timestamp, Uptime};

/// A clock for tests: both of its readings stand still until [`ManualClock::advance`].
///
/// Wall time can also be set on its own, to show that a step of it changes nothing that must not
/// depend on it.
#[derive(Debug)]
pub struct ManualClock {
    reading: Mutex<(Timestamp, Uptime)>,
}

impl Default for ManualClock {
    /// 14 November 2023, 22:13:20 UTC, an hour after the machine started.
    fn default() -> Self {
        Self::at(Timestamp::from_micros(1_700_000_000_000_000))
    }
}

impl ManualClock {
    /// Returns a clock whose wall time is `now`, an hour after the machine started.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        let uptime = Uptime(Duration::from_secs(3600));
        Self {
            reading: Mutex::new((now, uptime)),
        }
    }

    /// Moves wall time and uptime on by `span`.
    pub fn advance(&self, span: Duration) {
        self.change(|(now, uptime)| (now.plus(span), uptime.plus(span)));
    }

    /// Moves both on so that wall time is `moment`; does nothing if it is in the past.
    pub fn advance_to(&self, moment: Timestamp) {
        self.change(|(now, uptime)| {
            let span = moment.since(now);
            (now.plus(span), uptime.plus(span))
        });
    }

    /// Makes wall time jump, forwards or back; uptime does not notice.
    pub fn step_to(&self, moment: Timestamp) {
        self.change(|(_, uptime)| (moment, uptime));
    }

    fn change(&self, change: impl FnOnce((Timestamp, Uptime)) -> (Timestamp, Uptime)) {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        *reading = change(*reading);
    }

    fn reading(&self) -> (Timestamp, Uptime) {
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.reading().0
    }

    fn uptime(&self) -> Uptime {
        self.reading().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_wall_time_leaves_uptime_alone() {
        let clock = ManualClock::default();
        let (now, uptime) = (clock.now(), clock.uptime());
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.uptime().since(uptime), Duration::from_secs(5));
        clock.step_to(now.minus(Duration::from_secs(60)));
        assert_eq!(clock.uptime().since(uptime), Duration::from_secs(5));
        clock.advance_to(now);
        assert_eq!(clock.uptime().since(uptime), Duration::from_secs(65));
    }
}
