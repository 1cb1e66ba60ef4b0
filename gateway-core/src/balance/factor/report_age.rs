//! How old the figures are. After six seconds (three missed heartbeats) a worker is suspected and
//! takes nothing anyway, so that is the end of the scale.
//!
//! The age is the one in the snapshot: core reads no clock, so it grows only when the worker is
//! upserted again. A caller that wants silence to count between reports upserts silent workers with
//! their age from its tick.

use super::Factor;

const SUSPECT_AFTER_S: f64 = 6.0;

pub(super) const REPORT_AGE: Factor = Factor::new(
    "report_age",
    0.05,
    "age of its last report (full at 6 s)",
    |worker| Some(worker.load?.report_age.as_secs_f64() / SUSPECT_AFTER_S),
);
