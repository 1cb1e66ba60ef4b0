//! What runs beside the requests: cores and jobs.

pub(crate) mod belong;
mod cores;
pub(crate) mod jobs;

pub(crate) use cores::Cores;
