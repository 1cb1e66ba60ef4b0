//! Numbers that all replicas must show alike.
//!
//! They stand beside those that people read (`GET /health/detailed`), where they say nothing and are left out (`telemetry::numbers`). Who
//! shows none, an older release say, is in nobody's way.

use gateway_core::coord::Live;

/// The folder of the files: `store::folder`.
pub const DATA_FOLDER: &str = "dataFolder";
/// The key of message ids: `coord::same_key`.
pub const MESSAGE_IDS: &str = "messageIds";

/// Notes a number in what this replica shows.
pub fn show(live: &mut Live, name: &str, number: u64) {
    live.numbers.insert(name.to_owned(), number);
}

/// Whether nobody shows another one.
#[must_use]
pub fn is_shared(others: &[Live], name: &str, number: u64) -> bool {
    let same = |live: &Live| live.numbers.get(name).is_none_or(|other| *other == number);
    others.iter().all(same)
}
