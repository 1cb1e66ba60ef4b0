//! Memory use. Convex like the processor's (see [`pressure`]), because the end is a cliff: the worker
//! is killed and takes all its sessions along. Fully pressed at 95 %, later than the processor, since
//! memory in use is not by itself slow.

use super::{Factor, pressure};

const FULL: f64 = 0.95;

pub(super) const MEMORY: Factor = Factor::new(
    "memory",
    0.15,
    "how hard the memory is pressed (rises steeply near 95 %)",
    |worker| Some(pressure(worker.load?.memory?, FULL)),
);
