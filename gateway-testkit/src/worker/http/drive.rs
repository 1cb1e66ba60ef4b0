//! The loop that lets a worker's time pass.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};

use super::Shared;
use super::client::HttpGateway;
use crate::worker::gateway_api::Call;

/// The longest sleep: what tests write into the phone network from outside is noticed by then.
const LONGEST: Duration = Duration::from_millis(100);
const SHORTEST: Duration = Duration::from_millis(1);

/// Makes the calls that are due until the worker has ended or its token is refused; then its server ends, too.
pub(super) async fn drive(shared: Arc<Shared>, gateway: Arc<HttpGateway>, server: AbortHandle) {
    let mut calls = JoinSet::new();
    loop {
        let (due, has_ended, wait) = {
            let now = shared.now();
            let mut worker = shared.worker();
            let due = worker.advance(now);
            let next = worker.next_due();
            let wait = next.map_or(LONGEST, |next| next.since(now.uptime));
            (due, worker.has_crashed() || worker.is_gone(), wait)
        };
        if has_ended || shared.registering().refused().is_some() {
            server.abort();
            return;
        }
        for outbound in due {
            let (shared, gateway) = (Arc::clone(&shared), Arc::clone(&gateway));
            calls.spawn(async move {
                let result = outbound.perform(&*gateway).await;
                if let Err(error) = &result {
                    tracing::debug!(%error, call = ?std::mem::discriminant(&outbound.call), "a call failed");
                }
                if matches!(outbound.call, Call::Register(_)) {
                    shared.registering().heard(&result);
                }
                let now = shared.now();
                shared.worker().answered(outbound.id, now, result);
                shared.answered.notify_waiters();
                shared.nudge.notify_one();
            });
        }
        while calls.try_join_next().is_some() {}
        tokio::select! {
            () = shared.nudge.notified() => {}
            () = pause(wait.clamp(SHORTEST, LONGEST)) => {}
        }
    }
}

/// The one place where real time is waited for.
pub(super) async fn pause(span: Duration) {
    tokio::time::sleep(span).await;
}
