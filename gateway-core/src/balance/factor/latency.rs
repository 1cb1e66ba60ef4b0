//! How long commands take. Latency has no upper end, so it is bent into `0..=1`: one half at 250 ms,
//! flat far beyond, where slower is no longer worse than slow.

use super::Factor;

const HALFWAY_MS: f64 = 250.0;

pub(super) const LATENCY: Factor = Factor::new(
    "latency",
    0.05,
    "average time a command takes (one half at 250 ms)",
    |worker| {
        let millis = worker.load?.latency_ms?.clamp(0.0, f64::MAX);
        Some(1.0 - HALFWAY_MS / (HALFWAY_MS + millis))
    },
);
