//! What runs beside the requests: loops that call one function of the core, wait, and call it again.
//!
//! There is no rule in here. A loop may be stopped between two steps or die in the middle of one: what it
//! would have done is still due.

pub(crate) mod belong;
mod cores;
mod effects;
mod follow;
mod show;

pub(crate) use cores::Cores;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use gateway_core::coord::{Notice, Notices};
use gateway_core::event::{Sequenced, sequence};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::telemetry::ErrorChain;

/// The longest time between two looks at what is due.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The shortest: a row that stays due must not spin a core.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
/// How long the outbox may lie when a hint was lost.
const OUTBOX_PAUSE: Duration = Duration::from_millis(500);
/// How long measured values are kept one by one.
const METRICS_PAUSE: Duration = Duration::from_secs(5);
/// Events that one step of the sequencer publishes at most.
const PUBLISH_AT_ONCE: u32 = 5_000;
/// So many it tries when larger steps fail.
const PUBLISH_AT_LEAST: u32 = 50;
/// The one shard of tenants.
const SHARD: u16 = 0;

/// Starts every loop.
pub fn spawn_all(app: &App) {
    keep_up(app, "tick", tick);
    keep_up(app, "publish", publish);
    keep_up(app, "show", show::show);
    keep_up(app, "follow", follow::follow);
    keep_up(app, "renew", follow::renew);
    keep_up(app, "metrics", add_up);
}

/// Runs a loop until the stop. One that dies of a panic begins anew: what it was at is still due, and a
/// gateway that answers requests and places nobody would be worse than none.
fn keep_up<F>(app: &App, name: &'static str, run: fn(App, CancellationToken) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let app = app.clone();
    let shutdown = app.shutdown.clone();
    shutdown.spawn_loop(|stop| async move {
        loop {
            let running = AssertUnwindSafe(run(app.clone(), stop.clone()));
            if running.catch_unwind().await.is_ok() {
                return;
            }
            tracing::error!(task = name, "a loop died and begins anew");
            wait(LONGEST_PAUSE, &mut None, |_| false, &stop).await;
        }
    });
}

/// Does what is due, until the stop.
async fn tick(app: App, stop: CancellationToken) {
    let mut heard = None;
    while !stop.is_cancelled() {
        listen(&app, &mut heard).await;
        let pause = match app.orchestrator.tick().await {
            Ok(tick) => {
                app.metrics.loops.due.increment(tick.claimed as u64);
                app.metrics.loops.fenced.increment(tick.fenced as u64);
                app.carry_out(tick.effects);
                tick.next
                    .unwrap_or(LONGEST_PAUSE)
                    .clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
            }
            Err(error) => {
                tracing::warn!(error = %ErrorChain(&error), "a tick failed; the next one does its work");
                LONGEST_PAUSE
            }
        };
        wait(pause, &mut heard, |hint| *hint == Notice::Due, &stop).await;
    }
}

/// Publishes what is committed, until the stop.
async fn publish(app: App, stop: CancellationToken) {
    let (mut heard, mut limit) = (None, PUBLISH_AT_ONCE);
    while !stop.is_cancelled() {
        listen(&app, &mut heard).await;
        match sequence(&*app.sequencing, SHARD, limit).await {
            Ok(Sequenced::Published { count, more }) => {
                limit = (limit * 2).min(PUBLISH_AT_ONCE);
                app.metrics.loops.published.increment(count as u64);
                if more {
                    continue;
                }
            }
            Ok(Sequenced::Busy) => {}
            Err(error) => {
                // A step that took too long takes less time with fewer events.
                limit = (limit / 2).max(PUBLISH_AT_LEAST);
                tracing::warn!(error = %ErrorChain(&error), "events are published later");
            }
        }
        wait(
            OUTBOX_PAUSE,
            &mut heard,
            |hint| *hint == Notice::Outbox,
            &stop,
        )
        .await;
    }
}

/// Keeps measured values from piling up when nobody asks for them.
async fn add_up(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        wait(METRICS_PAUSE, &mut None, |_| false, &stop).await;
        app.metrics.upkeep();
    }
}

/// Listens for hints, if nobody does: at the start, and after falling behind. Called before the store is
/// looked at, so that nothing is missed in between.
async fn listen(app: &App, heard: &mut Option<Notices>) {
    if heard.is_some() {
        return;
    }
    match app.coord.notices().await {
        Ok(hints) => *heard = Some(hints),
        Err(error) => {
            tracing::warn!(error = %ErrorChain(&error), "going without hints");
        }
    }
}

/// Waits for the time, a hint that matters, or the stop; at most until the hints end.
async fn wait(
    pause: Duration,
    hints: &mut Option<Notices>,
    matters: impl Fn(&Notice) -> bool,
    stop: &CancellationToken,
) {
    let hinted = async {
        match hints {
            Some(stream) => loop {
                match stream.next().await {
                    // One look answers all that came before it.
                    Some(hint) if matters(&hint) => {
                        while let Some(Some(_)) = stream.next().now_or_never() {}
                        return;
                    }
                    Some(_) => {}
                    // Behind, or cut off: nobody knows what was missed, so the caller looks at once.
                    None => break,
                }
            },
            // Without hints the time alone wakes.
            None => std::future::pending().await,
        }
        *hints = None;
    };
    #[expect(clippy::disallowed_methods, reason = "the period of the loops")]
    let pause = tokio::time::sleep(pause);
    tokio::select! {
        () = stop.cancelled() => {}
        () = hinted => {}
        () = pause => {}
    }
}
