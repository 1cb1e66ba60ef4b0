//! The machine's clocks and randomness (feature `system`): the only place that asks for them.
//!
//! Everything else takes a [`Clock`] and an [`Entropy`], so that tests and simulations can move time and
//! repeat a run. A program that embeds the orchestration, or runs a worker, gives it these two.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gateway_core::entropy::Entropy;
use gateway_core::time::{Clock, Timestamp, Uptime};
use rand::Rng;
use rustix::time::{ClockId, clock_gettime};

/// The wall clock, and one that runs during suspend.
///
/// `Instant` is not used: on Linux it stands still while the machine sleeps, and a lease that is
/// measured with it would outlive its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[cfg(target_os = "linux")]
const SUSPEND_PROOF: ClockId = ClockId::Boottime;
/// The clock that runs during suspend; on these systems it is the monotonic one.
#[cfg(not(target_os = "linux"))]
const SUSPEND_PROOF: ClockId = ClockId::Monotonic;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that others take"
    )]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn uptime(&self) -> Uptime {
        let reading = clock_gettime(SUSPEND_PROOF);
        let seconds = u64::try_from(reading.tv_sec).unwrap_or(0);
        let nanos = u32::try_from(reading.tv_nsec).unwrap_or(0);
        Uptime(Duration::new(seconds, nanos))
    }
}

/// The operating system's generator, through the thread's reseeded ChaCha.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the source that others take"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_run_forward() {
        let first = SystemClock.uptime();
        assert!(first.0 > Duration::ZERO && SystemClock.uptime() >= first);
        let (start_of_2024, now) = (
            Timestamp::from_micros(1_704_067_200_000_000),
            SystemClock.now(),
        );
        assert!(now > start_of_2024, "{now}");
    }

    #[test]
    fn randomness_differs() {
        assert_ne!(OsEntropy.next_u64(), OsEntropy.next_u64());
    }
}
