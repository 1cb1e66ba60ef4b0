//! What runs beside the requests: cores, jobs, and the effects of operations.

pub(crate) mod belong;
mod cores;
mod effects;
pub(crate) mod jobs;

pub(crate) use cores::Cores;
pub use effects::EffectExecutor;
