//! What runs beside the requests: cores and jobs; and with which replicas this one may run (`peers`).

mod cores;
pub(crate) mod jobs;
pub(crate) mod peers;

pub(crate) use cores::Cores;
