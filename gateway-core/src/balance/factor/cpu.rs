//! Processor use. Convex (see [`pressure`]): below half it hardly matters who is busier, near the top
//! every further session is felt by all the others on the worker. Fully pressed at 90 %, where queues
//! already grow faster than the figure shows.

use super::{Factor, pressure};

const FULL: f64 = 0.90;

pub(super) const CPU: Factor = Factor::new(
    "cpu",
    0.20,
    "how hard the processors are pressed (rises steeply near 90 %)",
    |worker| Some(pressure(worker.load?.cpu?, FULL)),
);
