//! `/admin`

mod workers;
