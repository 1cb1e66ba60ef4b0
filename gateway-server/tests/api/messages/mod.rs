//! `/sessions/{id}/messages` and `/messages`

mod hang_up;
mod idempotency;
mod on_core;
mod people;
mod read;
mod send;
mod worker;
