//! Says now and then what would otherwise fill the log.

use std::time::Duration;

use gateway_core::time::Uptime;

/// Decides which of many equal messages is logged: the first one, and after it one per period for as long as
/// they go on. Each can say how many were left out before it.
#[derive(Clone, Copy, Debug)]
pub struct RepeatedMessage {
    period: Duration,
    said: Option<Uptime>,
    left_out: u64,
}

impl RepeatedMessage {
    /// Makes one that has said nothing yet.
    #[must_use]
    pub const fn new(period: Duration) -> Self {
        Self {
            period,
            said: None,
            left_out: 0,
        }
    }

    /// Returns how many messages were left out since the last that was logged, if this one is to be logged;
    /// `None` leaves it out, too.
    pub fn due(&mut self, now: Uptime) -> Option<u64> {
        let is_early = self.said.is_some_and(|said| now.since(said) < self.period);
        if is_early {
            self.left_out += 1;
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }

    /// Notes that what went on is over: the next message is a first one.
    pub fn ended(&mut self) {
        *self = Self::new(self.period);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Uptime {
        Uptime(Duration::from_secs(seconds))
    }

    #[test]
    fn the_first_is_said_and_then_one_per_period() {
        let mut message = RepeatedMessage::new(Duration::from_secs(60));
        let said: Vec<Option<u64>> = [0, 1, 59, 60, 61, 200].map(|t| message.due(at(t))).into();
        assert_eq!(said, [Some(0), None, None, Some(2), None, Some(1)]);
    }

    #[test]
    fn what_begins_anew_is_said_at_once() {
        let mut message = RepeatedMessage::new(Duration::from_secs(60));
        assert_eq!(message.due(at(0)), Some(0));
        message.ended();
        assert_eq!(message.due(at(1)), Some(0));
    }
}
