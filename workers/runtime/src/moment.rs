//! The present, as an argument.

use gateway_core::time::{Clock, Timestamp, Uptime};

/// Both clocks of the machine a worker runs on, read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The clock that runs during suspend; every deadline is measured by it.
    pub uptime: Uptime,
    /// The wall clock, for what people read.
    pub wall: Timestamp,
}

impl Moment {
    /// Reads both clocks at once.
    #[must_use]
    pub fn of(clock: &dyn Clock) -> Self {
        Self {
            uptime: clock.uptime(),
            wall: clock.now(),
        }
    }
}

/// A moment is a clock that stands still.
impl Clock for Moment {
    fn now(&self) -> Timestamp {
        self.wall
    }

    fn uptime(&self) -> Uptime {
        self.uptime
    }
}
