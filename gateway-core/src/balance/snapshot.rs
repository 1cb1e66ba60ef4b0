//! What the balancer knows of a worker.
//!
//! Counts of sessions come from the store and are exact; everything under [`Load`] comes from the
//! worker's reports and is as old as the last one. The two are kept apart because only the first may
//! decide whether there is room.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::{Incarnation, WorkerId};

/// A worker as the balancer sees it at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerSnapshot {
    pub worker: WorkerId,
    /// The run of the process that would get the session.
    pub incarnation: Incarnation,
    /// How many sessions it may hold.
    pub max_sessions: u32,
    /// How many sessions the worker holds, by the store.
    pub assigned: u32,
    /// How many slots this replica has promised that are not yet in the store.
    ///
    /// A [`Fleet`](super::Fleet) keeps this count itself; see [`Fleet::upsert`](super::Fleet::upsert).
    pub reserved: u32,
    /// Whether an operator wants no new sessions on it.
    pub cordoned: bool,
    /// Whether its status is `ACTIVE` and its lease is valid.
    pub active: bool,
    /// Whether it can store session state, as far as it says.
    pub stores_state: bool,
    /// Whether the circuit breaker for its commands is closed.
    pub breaker_closed: bool,
    /// Labels such as `region`.
    pub labels: BTreeMap<String, String>,
    /// The worker protocol it speaks.
    pub protocol_version: u32,
    /// The format of session state it reads and writes, when it has one.
    pub state_format: Option<String>,
    /// Its last report; `None` before the first.
    pub load: Option<Load>,
}

impl WorkerSnapshot {
    /// Creates an empty worker that accepts sessions, speaks protocol 1 and has not reported yet.
    #[must_use]
    pub fn new(worker: WorkerId, incarnation: Incarnation, max_sessions: u32) -> Self {
        Self {
            worker,
            incarnation,
            max_sessions,
            assigned: 0,
            reserved: 0,
            cordoned: false,
            active: true,
            stores_state: true,
            breaker_closed: true,
            labels: BTreeMap::new(),
            protocol_version: 1,
            state_format: None,
            load: None,
        }
    }

    /// Returns how many sessions the worker holds or has been promised.
    #[must_use]
    pub fn sessions(&self) -> u32 {
        self.assigned.saturating_add(self.reserved)
    }

    /// Returns whether one more session fits.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.sessions() < self.max_sessions
    }
}

/// What a worker reported. Shares outside `0..=1` are clamped; what is not a number is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Share of the worker's processors in use; `None` where it cannot tell.
    pub cpu: Option<f64>,
    /// Share of the worker's memory limit in use; `None` without a limit.
    pub memory: Option<f64>,
    /// Sessions that are connected.
    pub connected: u32,
    /// Sessions that want to be connected and are not.
    pub disconnected: u32,
    /// Sessions that wait for a scan.
    pub qr_required: u32,
    pub error: u32,
    /// Missed heartbeats, restarts and reconnects, decayed, as a number in `0..=1`.
    pub instability: f64,
    /// Moving average of the time a command takes, in milliseconds; `None` before the first.
    pub latency_ms: Option<f64>,
    /// How old the report was when this snapshot was made.
    pub report_age: Duration,
}
