//! How often the worker itself came and went. Decayed by whoever keeps the figure, so that a bad
//! hour is forgiven; separate from health because a worker that restarts leaves healthy sessions
//! behind each time.

use super::Factor;

pub(super) const STABILITY: Factor = Factor::new(
    "stability",
    0.10,
    "recent missed heartbeats, restarts and reconnects",
    |worker| Some(worker.load?.instability),
);
