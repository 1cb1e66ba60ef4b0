//! What runs beside the requests: loops that call one function of the core, wait, and call it again.
//!
//! There is no rule in here. A loop may be stopped between two steps or die in the middle of one: what it
//! would have done is still due.

mod effects;

use std::time::Duration;

use futures_util::StreamExt;
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
/// Events that one step of the sequencer publishes at most.
const PUBLISH_AT_ONCE: u32 = 500;
/// The one shard of tenants.
const SHARD: u16 = 0;

/// Starts every loop.
pub fn spawn_all(app: &App) {
    let ticker = app.clone();
    app.shutdown.spawn_loop(|stop| tick(ticker, stop));
    let sequencer = app.clone();
    app.shutdown.spawn_loop(|stop| publish(sequencer, stop));
}

/// Does what is due, until the stop.
async fn tick(app: App, stop: CancellationToken) {
    let mut hints = hints(&app).await;
    while !stop.is_cancelled() {
        let pause = match app.orchestrator.tick().await {
            Ok(tick) => {
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
        wait(pause, &mut hints, |hint| *hint == Notice::Due, &stop).await;
    }
}

/// Publishes what is committed, until the stop.
async fn publish(app: App, stop: CancellationToken) {
    let mut hints = hints(&app).await;
    while !stop.is_cancelled() {
        match sequence(&*app.store, &*app.entropy, SHARD, PUBLISH_AT_ONCE).await {
            Ok(Sequenced::Published { more: true, .. }) => continue,
            Ok(Sequenced::Published { .. } | Sequenced::Busy) => {}
            Err(error) => {
                tracing::warn!(error = %ErrorChain(&error), "events are published later");
            }
        }
        wait(
            OUTBOX_PAUSE,
            &mut hints,
            |hint| *hint == Notice::Outbox,
            &stop,
        )
        .await;
    }
}

async fn hints(app: &App) -> Option<Notices> {
    match app.coord.notices().await {
        Ok(hints) => Some(hints),
        Err(error) => {
            tracing::warn!(error = %ErrorChain(&error), "going without hints");
            None
        }
    }
}

/// Waits for the time, a hint that matters, or the stop.
async fn wait(
    pause: Duration,
    hints: &mut Option<Notices>,
    matters: impl Fn(&Notice) -> bool,
    stop: &CancellationToken,
) {
    let hinted = async {
        match hints {
            Some(hints) => loop {
                match hints.next().await {
                    Some(hint) if matters(&hint) => return,
                    Some(_) => {}
                    // Without hints the time alone wakes.
                    None => std::future::pending().await,
                }
            },
            None => std::future::pending().await,
        }
    };
    #[expect(clippy::disallowed_methods, reason = "the period of the loops")]
    let pause = tokio::time::sleep(pause);
    tokio::select! {
        () = stop.cancelled() => {}
        () = hinted => {}
        () = pause => {}
    }
}
