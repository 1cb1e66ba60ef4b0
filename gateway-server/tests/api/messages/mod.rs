//! `/sessions/{id}/messages` and `/messages`

mod hang_up;
mod hot;
mod idempotency;
mod read;
mod send;
mod worker;
