//! `/admin`

mod audit;
mod workers;
