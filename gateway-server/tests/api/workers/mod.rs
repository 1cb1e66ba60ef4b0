//! `/workers` and `/webhooks`

mod facts;
mod heartbeat;
mod register;
mod report;
mod state;
