//! Stories with real processes: the program as a user starts it, killed as a machine dies.
//!
//! Everything else is tested closer to its code; here stands what only processes can show. Waiting is for
//! a condition, with a limit far above what is expected.

mod gateway;
mod process;

mod crash;
mod dev;
mod start;

use std::future::Future;
use std::time::Duration;

/// How long anything may take before a story has failed.
const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// Waits until `condition` answers something.
///
/// # Panics
/// It never does; `what` says what was waited for.
async fn eventually<T, F>(what: &str, mut condition: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    for _ in 0..LIMIT.as_millis() / PAUSE.as_millis() {
        if let Some(found) = condition().await {
            return found;
        }
        #[expect(clippy::disallowed_methods, reason = "another process has to get on")]
        tokio::time::sleep(PAUSE).await;
    }
    panic!("never seen: {what}");
}

/// The same without a runtime.
fn eventually_now(mut condition: impl FnMut() -> bool) {
    for _ in 0..LIMIT.as_millis() / PAUSE.as_millis() {
        if condition() {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "another process has to get on")]
        std::thread::sleep(PAUSE);
    }
    panic!("never seen");
}
