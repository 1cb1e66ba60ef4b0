//! Slots in use. The only factor that is exact: it comes from the store and from reservations, not
//! from a report, so it alone keeps a burst between two heartbeats spread.

use super::Factor;

pub(super) const CAPACITY: Factor = Factor::new(
    "capacity",
    0.30,
    "share of the session slots that are assigned or reserved",
    |worker| Some(f64::from(worker.sessions()) / f64::from(worker.max_sessions.max(1))),
);
