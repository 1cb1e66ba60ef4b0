//! The machine's clock and waiting: a benchmark measures time, and waits for processes that it cannot
//! ask.

use std::time::Duration;

/// A moment.
pub(crate) type Moment = tokio::time::Instant;

/// Returns the present moment.
pub(crate) fn now() -> Moment {
    Moment::now()
}

/// Lets other processes work for a while.
#[expect(
    clippy::disallowed_methods,
    reason = "other processes are looked at again after a while"
)]
pub(crate) async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}
