//! `/sessions/{id}/messages` and `/messages`

mod hang_up;
mod idempotency;
mod on_core;
mod read;
mod send;
mod worker;
