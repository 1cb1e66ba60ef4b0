//! The worker's side of a lease: a small gate that is asked before every frame it sends (R-36).
//!
//! For workers written in Rust, and for the simulated one. The deadline counts from when the renewal
//! was *sent*, on a clock that runs during suspend: a process that was stopped for a minute and wakes
//! up finds its gate closed before it can send anything.

use std::time::Duration;

use crate::time::Uptime;

/// Says whether this incarnation may still act for its sessions.
///
/// ```
/// use std::time::Duration;
/// use gateway_core::time::Uptime;
/// use gateway_core::worker::gate::Gate;
///
/// let second = |n| Uptime(Duration::from_secs(n));
/// let mut gate = Gate::default();
/// assert!(!gate.is_open(second(0)), "closed before the first grant");
///
/// let sent_at = second(1); // the answer came later; that does not count
/// gate.granted(sent_at, Duration::from_secs(20));
/// assert!(gate.is_open(second(20)));
/// assert!(!gate.is_open(second(21)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Gate {
    open_until: Option<Uptime>,
    shut: bool,
}

impl Gate {
    /// Notes a grant whose request was sent at `sent_at`. A late answer never shortens the deadline, and
    /// nothing opens a gate that was shut.
    pub fn granted(&mut self, sent_at: Uptime, lease: Duration) {
        let until = sent_at.plus(lease);
        self.open_until = Some(self.open_until.map_or(until, |known| known.max(until)));
    }

    /// Closes the gate for good, after a renewal was refused or the deadline was seen to pass. The worker
    /// then closes its sessions, takes a new incarnation and registers as empty.
    pub const fn shut(&mut self) {
        self.shut = true;
    }

    /// Returns whether a frame may be sent at `now`.
    #[must_use]
    pub fn is_open(&self, now: Uptime) -> bool {
        !self.shut && self.open_until.is_some_and(|until| now < until)
    }

    /// Returns when the gate closes by itself; none before the first grant.
    #[must_use]
    pub const fn deadline(&self) -> Option<Uptime> {
        self.open_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(n: u64) -> Uptime {
        Uptime(Duration::from_secs(n))
    }

    #[test]
    fn a_late_answer_never_shortens_the_deadline() {
        let mut gate = Gate::default();
        gate.granted(second(10), Duration::from_secs(20));
        gate.granted(second(5), Duration::from_secs(20));
        assert!(gate.is_open(second(29)));
        assert_eq!(gate.deadline(), Some(second(30)));
    }

    #[test]
    fn a_shut_gate_stays_shut() {
        let mut gate = Gate::default();
        gate.granted(second(0), Duration::from_secs(20));
        gate.shut();
        gate.granted(second(1), Duration::from_secs(20));
        assert!(!gate.is_open(second(2)));
    }
}
