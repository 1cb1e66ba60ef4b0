//! The clock of a store in a file: the machine's, which the file has none beside, without its steps back.
//!
//! Whatever falls due stands in the file as a moment of this clock. If the machine's wall clock is set back, by a
//! person or because it never was right, every such moment would be late by as much, for ever. So a step back is
//! not followed: the store's time is carried on from where it was, by the clock that runs during suspend, and a
//! little slower, until the wall clock has caught up. Timers are late by no more than [`SLOWER`] then, and times of
//! rows never go back. A step forward is followed at once, as nobody can tell it from a machine that slept.
//!
//! Whoever opens the same file beside, as a command of an operator does, has a clock of its own, which may be
//! behind by as much as this one is ahead; see [`SteadyClock::looked_back`].

use std::sync::{Arc, Mutex, PoisonError};

use gateway_core::time::{Clock, Timestamp, Uptime};

/// By which part of itself time is carried on slower, until the wall clock has caught up.
const SLOWER: u32 = 16;

/// The moment from which time is carried on.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    time: Timestamp,
    uptime: Uptime,
}

impl Anchor {
    fn carried(self, uptime: Uptime) -> Timestamp {
        let passed = uptime.since(self.uptime);
        self.time.plus(passed - passed / SLOWER)
    }
}

/// A clock whose wall time does not step back.
#[derive(Debug)]
pub(crate) struct SteadyClock {
    machine: Arc<dyn Clock>,
    anchor: Mutex<Anchor>,
}

impl SteadyClock {
    pub(crate) fn new(machine: Arc<dyn Clock>) -> Self {
        let anchor = Mutex::new(Anchor {
            time: machine.now(),
            uptime: machine.uptime(),
        });
        Self { machine, anchor }
    }

    /// Returns the present time; never less than it has returned before.
    pub(crate) fn now(&self) -> Timestamp {
        self.reading().0
    }

    /// Returns `since`, moved back by as much as this clock is ahead of the machine's: somebody beside may have
    /// written by that one.
    pub(crate) fn looked_back(&self, since: Timestamp) -> Timestamp {
        let (now, wall) = self.reading();
        since.minus(now.since(wall))
    }

    /// The present time and what the machine says.
    fn reading(&self) -> (Timestamp, Timestamp) {
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let (wall, uptime) = (self.machine.now(), self.machine.uptime());
        let carried = anchor.carried(uptime);
        if wall < carried {
            return (carried, wall);
        }
        *anchor = Anchor { time: wall, uptime };
        (wall, wall)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gateway_testkit::clock::ManualClock;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn clocks() -> (Arc<ManualClock>, SteadyClock) {
        let machine = Arc::new(ManualClock::default());
        let steady = SteadyClock::new(machine.clone());
        (machine, steady)
    }

    #[test]
    fn it_follows_the_machine_and_its_steps_forward() {
        let (machine, steady) = clocks();
        for _ in 0..3 {
            machine.advance(MINUTE);
            assert_eq!(steady.now(), machine.now());
        }
        machine.step_to(machine.now().plus(60 * MINUTE));
        assert_eq!(steady.now(), machine.now());
    }

    #[test]
    fn a_step_back_delays_nothing_by_more_than_a_sixteenth() {
        let (machine, steady) = clocks();
        let before = steady.now();
        machine.step_to(before.minus(60 * MINUTE));
        assert_eq!(steady.now(), before);
        machine.advance(16 * MINUTE);
        assert_eq!(steady.now(), before.plus(15 * MINUTE));
    }

    #[test]
    fn the_machine_catches_up_and_is_followed_again() {
        let (machine, steady) = clocks();
        let before = steady.now();
        machine.step_to(before.minus(MINUTE));
        let mut last = before;
        for _ in 0..20 {
            machine.advance(MINUTE);
            assert!(steady.now() >= last);
            last = steady.now();
        }
        assert_eq!(steady.now(), machine.now());
    }

    #[test]
    fn a_second_step_back_does_not_add_up() {
        let (machine, steady) = clocks();
        let before = steady.now();
        for _ in 0..4 {
            machine.step_to(machine.now().minus(60 * MINUTE));
            machine.advance(4 * MINUTE);
            steady.now();
        }
        assert_eq!(steady.now(), before.plus(15 * MINUTE));
    }

    #[test]
    fn a_look_back_goes_back_to_what_others_write_by_the_machine() {
        let (machine, steady) = clocks();
        assert_eq!(steady.looked_back(machine.now()), machine.now());
        machine.step_to(machine.now().minus(60 * MINUTE));
        assert_eq!(steady.looked_back(steady.now()), machine.now());
    }
}
