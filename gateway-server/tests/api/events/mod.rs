//! `/events`

mod list;
