//! Whether the caches may be trusted, and what time it is at the store.
//!
//! They may while the last successful look at the changes was sent less than [`TRUSTED`] ago: counted from
//! when it was *sent*, because that is when it can last have been true, and on the clock that runs during
//! suspend, because a machine that slept has missed what happened meanwhile.
//!
//! The store's clock is carried on from the same look, so that an expiry is never judged by the machine's
//! own idea of the date. It may run ahead by the time that the look took, never behind.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use gateway_core::change::LONGEST_PAUSE;
use gateway_core::time::{Timestamp, Uptime};

/// How long the caches may be trusted after a look at the changes was sent.
pub const TRUSTED: Duration = Duration::from_secs(5);

/// When the last look was sent and what time the store had. It is read on every request, so it needs no
/// lock: times are microseconds.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    /// The uptime at which the last look was sent, plus one; 0 if there was none.
    sent: AtomicU64,
    /// The store's time less the uptime, as of the last look.
    ahead: AtomicI64,
}

impl Freshness {
    /// Returns whether the caches may be answered from at `now`.
    pub(super) fn is_trusted(&self, now: Uptime) -> bool {
        self.sent().is_some_and(|sent| now.since(sent) < TRUSTED)
    }

    /// Returns the store's time at `now`, or `None` if the last look is too old to tell.
    pub(super) fn store_time(&self, now: Uptime) -> Option<Timestamp> {
        self.is_trusted(now).then(|| self.carried_on(now))
    }

    fn sent(&self) -> Option<Uptime> {
        let sent = self.sent.load(Ordering::Acquire).checked_sub(1)?;
        Some(Uptime(Duration::from_micros(sent)))
    }

    fn carried_on(&self, now: Uptime) -> Timestamp {
        let ahead = self.ahead.load(Ordering::Acquire);
        Timestamp::from_micros(ahead.saturating_add(micros(now)))
    }

    /// Returns whether changes may have been missed before a look that was sent at `sent` and found the
    /// store's clock at `now`: the pause was too long, or the store's clock has jumped ahead, and the
    /// window with it. Then everything must be forgotten.
    pub(super) fn has_missed(&self, sent: Uptime, now: Timestamp) -> bool {
        let Some(before) = self.sent() else {
            return true;
        };
        let then = self.carried_on(before);
        sent.since(before) > LONGEST_PAUSE || now.since(then) > LONGEST_PAUSE
    }

    /// Records a look, sent at `sent`, whose changes are applied: the caches may be trusted from then on.
    pub(super) fn credit(&self, sent: Uptime, now: Timestamp) {
        let ahead = now.as_micros().saturating_sub(micros(sent));
        self.ahead.store(ahead, Ordering::Release);
        let sent = u64::try_from(micros(sent)).unwrap_or(0).saturating_add(1);
        self.sent.store(sent, Ordering::Release);
    }
}

fn micros(at: Uptime) -> i64 {
    i64::try_from(at.0.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn at(seconds: u64) -> Uptime {
        Uptime(Duration::from_secs(seconds))
    }

    #[test]
    fn a_look_is_good_for_less_than_five_seconds_from_when_it_was_sent() {
        let freshness = Freshness::default();
        assert!(!freshness.is_trusted(at(0)));
        freshness.credit(at(10), NOON);
        assert!(freshness.is_trusted(at(14)));
        assert!(!freshness.is_trusted(at(15)));
        assert_eq!(freshness.store_time(at(15)), None);
    }

    #[test]
    fn the_stores_clock_is_carried_on() {
        let freshness = Freshness::default();
        freshness.credit(at(10), NOON);
        let later = NOON.plus(Duration::from_secs(3));
        assert_eq!(freshness.store_time(at(13)), Some(later));
    }

    #[test]
    fn a_long_pause_and_a_clock_that_jumps_ahead_have_missed_something() {
        let freshness = Freshness::default();
        assert!(freshness.has_missed(at(0), NOON));
        freshness.credit(at(10), NOON);
        let seconds = |n| NOON.plus(Duration::from_secs(n));
        assert!(!freshness.has_missed(at(12), seconds(2)));
        assert!(freshness.has_missed(at(31), seconds(2)));
        assert!(freshness.has_missed(at(12), seconds(600)));
        let back = NOON.minus(Duration::from_secs(600));
        assert!(!freshness.has_missed(at(12), back), "its window only grows");
    }
}
