//! The loop that lets a worker's time pass.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};

use super::{Carrier, EndError, Served};
use crate::call::Call;
use crate::engine::Engine;

/// The longest sleep, for a worker that has nothing to do until its next heartbeat.
const LONGEST: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(1);

/// Makes the calls that are due until the worker has said goodbye or its token is refused; then its server
/// ends, too.
///
/// # Errors
/// Why the worker has ended, if not because it was asked to.
pub(super) async fn drive<E: Engine>(
    served: Served<E>,
    carrier: Arc<dyn Carrier>,
    server: AbortHandle,
) -> Result<(), EndError> {
    let mut calls = JoinSet::new();
    loop {
        let now = served.now();
        let due = served.worker.advance(now);
        if let Some(refused) = served.registering().refused() {
            server.abort();
            return Err(refused.into());
        }
        if served.worker.is_gone() {
            server.abort();
            let failure = served.worker.failure();
            return failure.map_or(Ok(()), |what| Err(EndError::EngineFailed(what)));
        }
        for outbound in due {
            let (served, carrier) = (served.clone(), Arc::clone(&carrier));
            calls.spawn(async move {
                let result = carrier.carry(&outbound).await;
                if let Err(error) = &result {
                    tracing::debug!(%error, call = ?std::mem::discriminant(&outbound.call), "a call failed");
                }
                if matches!(outbound.call, Call::Register(_)) {
                    served.registering().heard(&result);
                }
                served.worker.answered(outbound.id, served.now(), result);
                served.nudge.notify_one();
            });
        }
        while calls.try_join_next().is_some() {}
        let next = served.worker.next_due();
        let wait = next.map_or(LONGEST, |next| next.since(now.uptime));
        tokio::select! {
            () = served.nudge.notified() => {}
            () = pause(wait.clamp(SHORTEST, LONGEST)) => {}
        }
    }
}

/// Waits for real time to pass; this is the only function that does.
#[expect(clippy::disallowed_methods, reason = "the period of a loop")]
pub async fn pause(span: Duration) {
    tokio::time::sleep(span).await;
}
