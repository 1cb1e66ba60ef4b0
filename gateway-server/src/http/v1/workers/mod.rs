//! `/workers` and `/webhooks`: what workers say to the gateway.
//!
//! The bodies are the wire types of `gateway_core::protocol`. A worker speaks only for itself: the path
//! names its own id, the token its run, and what it may touch is asked of the rows at every call.

mod assigned;
mod batch;
mod exit;
mod goodbye;
mod heartbeat;
mod inbound;
mod journal;
mod message_status;
mod own;
mod recovery;
mod register;
mod session_status;
mod state;

use gateway_core::identity::Access;
use utoipa_axum::routes;

use crate::http::routes::Routes;

/// The most bytes of a state request: the largest snapshot, or as many journal entries.
const STATE_BYTES: usize = gateway_core::state::MAX_SNAPSHOT_BYTES;

/// The most bytes of any other request of a worker.
const WORKER_BYTES: usize = 4 * 1024 * 1024;

pub(super) fn routes() -> Routes {
    let worker = Access::Worker;
    Routes::new()
        .add(Access::Bootstrap, routes!(register::register))
        .add(Access::Bootstrap, routes!(register::register_alias))
        .add_sized(worker, WORKER_BYTES, routes!(heartbeat::heartbeat))
        .add_sized(worker, WORKER_BYTES, routes!(heartbeat::heartbeat_alias))
        .add(worker, routes!(goodbye::goodbye))
        .add(worker, routes!(exit::exit))
        .add(worker, routes!(assigned::assigned))
        .add_sized(worker, WORKER_BYTES, routes!(recovery::recovery_status))
        .add(worker, routes!(state::read))
        .add_sized(worker, STATE_BYTES, routes!(state::replace))
        .add_sized(worker, STATE_BYTES, routes!(state::append))
        .add_sized(worker, WORKER_BYTES, routes!(journal::append))
        .add_sized(worker, WORKER_BYTES, routes!(session_status::report))
        .add_sized(worker, WORKER_BYTES, routes!(message_status::report))
        .add_sized(worker, WORKER_BYTES, routes!(inbound::report))
}
