//! Whether Redis is asked at all: a state machine over readings of a clock.
//!
//! The first call that gets no answer opens it. From then on calls fail at once, and one probe per interval
//! asks whether Redis is back; only a probe closes it, so that a late answer from before the outage, or the
//! healthy part of a half-dead cluster, sends nobody else waiting.

use std::time::Duration;

use gateway_core::time::Uptime;

#[derive(Debug)]
pub(super) struct Breaker {
    interval: Duration,
    next_probe: Uptime,
    opened: Option<Uptime>,
}

impl Breaker {
    /// Makes a closed breaker, whose first probe is due `interval` after `now`.
    pub(super) fn new(interval: Duration, now: Uptime) -> Self {
        Self {
            interval,
            next_probe: now.plus(interval),
            opened: None,
        }
    }

    /// Returns whether a call may go out.
    pub(super) const fn admits(&self) -> bool {
        self.opened.is_none()
    }

    /// Returns how long it is until the next probe; zero when it is due. Probes go on while the breaker
    /// is closed, so that an outage is seen without any request.
    pub(super) fn until_probe(&self, now: Uptime) -> Duration {
        self.next_probe.since(now)
    }

    /// Claims the probe that is due. Returns `true` to one caller per interval, who must make it.
    pub(super) fn take_probe(&mut self, now: Uptime) -> bool {
        let due = self.next_probe <= now;
        if due {
            self.next_probe = now.plus(self.interval);
        }
        due
    }

    /// Opens the breaker because a call or a probe got no answer. Returns whether it was closed before.
    pub(super) fn failed(&mut self, now: Uptime) -> bool {
        let news = self.opened.is_none();
        self.opened.get_or_insert(now);
        news
    }

    /// Closes the breaker because a probe got its answer. Returns how long the outage was, if there was
    /// one.
    pub(super) fn recovered(&mut self, now: Uptime) -> Option<Duration> {
        self.opened.take().map(|since| now.since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(500);

    const fn at(millis: u64) -> Uptime {
        Uptime(Duration::from_millis(millis))
    }

    #[test]
    fn one_failure_stops_all_calls_until_a_probe_is_answered() {
        let mut breaker = Breaker::new(INTERVAL, at(0));
        assert!(breaker.admits());
        assert!(breaker.failed(at(100)), "news");
        assert!(!breaker.failed(at(120)), "of calls on their way");
        assert!(!breaker.admits());
        assert_eq!(breaker.recovered(at(900)), Some(Duration::from_millis(800)));
        assert!(breaker.admits());
        assert_eq!(breaker.recovered(at(1_400)), None);
    }

    #[test]
    fn there_is_one_probe_per_interval_and_no_more() {
        let mut breaker = Breaker::new(INTERVAL, at(0));
        breaker.failed(at(10));
        let taken: Vec<u64> = (0..2_100)
            .step_by(20)
            .filter(|now| breaker.take_probe(at(*now)))
            .collect();
        assert_eq!(taken, [500, 1_000, 1_500, 2_000]);
        assert_eq!(breaker.until_probe(at(2_100)), Duration::from_millis(400));
        assert_eq!(breaker.until_probe(at(9_000)), Duration::ZERO);
    }

    #[test]
    fn probes_go_on_while_all_is_well() {
        let mut breaker = Breaker::new(INTERVAL, at(0));
        assert!(!breaker.take_probe(at(499)));
        assert!(breaker.take_probe(at(500)));
        assert!(breaker.admits());
        // After a suspend there is one, not all that were missed.
        assert!(breaker.take_probe(at(60_000)));
        assert!(!breaker.take_probe(at(60_001)));
    }
}
