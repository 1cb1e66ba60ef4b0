//! How the process of a worker ends when it is asked to.

use std::time::Duration;

use tokio::task::JoinSet;

use super::Served;
use crate::engine::Engine;

/// How long WhatsApp has to acknowledge what was sent.
const ACKNOWLEDGEMENT_LIMIT: Duration = Duration::from_secs(1);
/// How long the engine has to let go of all sessions.
const RELEASE_LIMIT: Duration = Duration::from_secs(2);

/// The longest that a worker takes from [`leave`] to its end, and a second more.
pub(super) const LEAVE_LIMIT: Duration = Duration::from_secs(10);

/// Lets the worker leave: it takes nothing new, waits a moment for what WhatsApp still has to say, lets the engine
/// release the sessions, and then delivers what it owes and says goodbye. Returns once the last of these has
/// begun.
pub(super) async fn leave<E: Engine>(served: Served<E>) {
    let worker = &served.worker;
    let acknowledged = worker.quiesce(served.now());
    // What is not acknowledged by then is reported as unknown.
    let _ = tokio::time::timeout(ACKNOWLEDGEMENT_LIMIT, acknowledged).await;
    let mut releases = JoinSet::new();
    for held in worker.holds() {
        let worker = served.worker.clone();
        releases.spawn(async move { worker.let_go(held.session_id).await });
    }
    let all = async { while releases.join_next().await.is_some() {} };
    // A session that is not released by then is cut off.
    let _ = tokio::time::timeout(RELEASE_LIMIT, all).await;
    worker.stop(served.now());
    served.nudge.notify_one();
}
