//! How steady a worker has been: missed heartbeats, returns and restarts, forgotten with time.
//!
//! Each incident adds a penalty, the sum halves every ten minutes, and the result is bent into `0..1`. So a bad
//! hour is forgiven, and no number of incidents makes a worker worse than "as bad as it gets".

use std::time::Duration;

use crate::time::Uptime;

/// The time in which a penalty halves.
const HALF_LIFE: Duration = Duration::from_secs(600);

/// Something that a steady worker does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incident {
    /// It missed this many heartbeats.
    MissedBeats(u32),
    /// It came back after it had been unavailable.
    Return,
    /// Its process was started again.
    Restart,
}

impl Incident {
    fn penalty(self) -> f64 {
        match self {
            Self::MissedBeats(count) => 0.1 * f64::from(count),
            Self::Return => 0.5,
            Self::Restart => 1.0,
        }
    }
}

/// The decayed sum of a worker's incidents.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stability {
    penalty: f64,
    at: Uptime,
}

impl Stability {
    /// Adds the penalty of an incident that happened at `now`.
    pub fn note(&mut self, incident: Incident, now: Uptime) {
        self.penalty = self.penalty_at(now) + incident.penalty();
        self.at = now;
    }

    /// Returns how unsteady the worker is at `now`, from 0 (steady) up to, but never reaching, 1.
    #[must_use]
    pub fn instability(&self, now: Uptime) -> f64 {
        let penalty = self.penalty_at(now);
        penalty / (1.0 + penalty)
    }

    fn penalty_at(&self, now: Uptime) -> f64 {
        let half_lives = now.since(self.at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.penalty * (-half_lives).exp2()
    }
}
